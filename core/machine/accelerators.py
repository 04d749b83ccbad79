"""Which accelerators the installed PyTorch can use, found without importing it and without touching a GPU."""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.util
import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.machine.devices import Device
from core.machine.memory import Memory, read

MEBIBYTE = 1024**2
CUDA_CONTEXT = 512 * MEBIBYTE
"""About what PyTorch's first touch of a GPU takes before any tensor; nvidia-smi still counts it as free."""
SECONDS_TO_ANSWER = 5
NVIDIA_SMI = (
    "nvidia-smi",
    "--query-gpu=index,name,memory.total,memory.free,compute_cap,uuid",
    "--format=csv,noheader,nounits",
)
XPU_SMI = ("xpu-smi", "discovery", "-j")


@dataclass(frozen=True)
class TorchBuild:
    """What the installed PyTorch was built for."""

    version: str | None = None
    cuda: bool = False
    xpu: bool = False


def run(command: Sequence[str]) -> str:
    """Return a tool's output, or "" where it is not installed, fails or does not answer in time."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=SECONDS_TO_ANSWER, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def installed_torch() -> TorchBuild:
    """Read the build from torch/version.py, or from the package's version where that file is missing."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return TorchBuild()
    text = read(Path(spec.origin).parent / "version.py")
    return parse_torch_version(text) if text else parse_wheel_version(importlib.metadata.version("torch"))


def parse_torch_version(text: str) -> TorchBuild:
    """Read torch/version.py: `cuda: Optional[str] = '13.0'` is a CUDA build, `= None` is not."""
    found = dict(re.findall(r"^(\w+)\b[^=\n]*=\s*'([^'\n]+)'", text, flags=re.MULTILINE))
    return TorchBuild(found.get("__version__"), cuda="cuda" in found, xpu="xpu" in found)


def parse_wheel_version(version: str) -> TorchBuild:
    """Read a wheel's version: the part after "+" names the build (cpu, cu130, xpu); none is CUDA on PyPI for Linux."""
    local = version.partition("+")[2]
    return TorchBuild(version, cuda=local.startswith("cu") or not local, xpu=local.startswith("xpu"))


def parse_nvidia_smi(text: str) -> dict[str, Device]:
    """Read `NVIDIA_SMI`'s lines into {uuid: device}; a line that cannot be understood is no device."""
    devices = {}
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        device = _cuda_device(row)
        if device:
            devices[row[5].strip()] = device
    return devices


def visible(devices: Mapping[str, Device], wanted: str | None) -> tuple[Device, ...]:
    """Keep what CUDA_VISIBLE_DEVICES shows, numbered as PyTorch will; as in CUDA, an unknown name ends the list."""
    if wanted is None:
        return tuple(devices.values())
    shown: list[Device] = []
    for word in (part.strip() for part in wanted.split(",")):
        device = _named(devices, word)
        if device is None or device in shown:
            break
        shown.append(device)
    return tuple(replace(device, index=index) for index, device in enumerate(shown))


def parse_xpu_smi(text: str) -> list[tuple[int, str]]:
    """Read `xpu-smi discovery -j` into [(id, name)]; nothing where it is no such list."""
    listed = _json(text).get("device_list")
    if not isinstance(listed, list):
        return []
    return [
        (entry["device_id"], str(entry.get("device_name", "Intel GPU")))
        for entry in listed
        if isinstance(entry, dict) and isinstance(entry.get("device_id"), int)
    ]


def parse_xpu_memory(text: str) -> Memory | None:
    """Read `xpu-smi discovery -d N -j`; where it does not tell what is free, nine tenths are taken to be."""
    details = _json(text)
    total = _whole(details.get("memory_physical_size_byte"))
    if total is None:
        return None
    free = _whole(details.get("memory_free_size_byte"))
    return Memory(total, int(total * 0.9) if free is None else min(free, total))


def xpu_devices(build: TorchBuild) -> tuple[Device, ...]:
    """Return the Intel GPUs that PyTorch can use and xpu-smi can measure; none where that tool is missing."""
    found = []
    for index, name in parse_xpu_smi(run(XPU_SMI)) if build.xpu else []:
        memory = xpu_memory(index)
        if memory:
            found.append(Device("xpu", index, name, memory.total, memory.free, bf16=True))
    return tuple(found)


def xpu_memory(index: int) -> Memory | None:
    """Return one Intel GPU's memory, or None where the tool does not tell."""
    return parse_xpu_memory(run((*XPU_SMI, "-d", str(index))))


def cuda_devices(build: TorchBuild, environment: Mapping[str, str]) -> tuple[Device, ...]:
    """Return the NVIDIA GPUs that this process may use.

    nvidia-smi numbers by PCI bus; PyTorch does so too only with CUDA_DEVICE_ORDER=PCI_BUS_ID (matters for unlike GPUs).
    """
    if not build.cuda:
        return ()
    found = visible(parse_nvidia_smi(run(NVIDIA_SMI)), environment.get("CUDA_VISIBLE_DEVICES"))
    return tuple(replace(device, free_bytes=max(device.free_bytes - CUDA_CONTEXT, 0)) for device in found)


def mps_device(main: Memory, name: str) -> Device:
    """Describe Apple's GPU: it shares the main memory, of which macOS lends it two thirds (three quarters over 36 GB).

    The shares are Metal's recommendedMaxWorkingSetSize as observed (iogpu.wired_limit_mb = 0).
    """
    share = 2 / 3 if main.total <= 36 * 1024**3 else 3 / 4
    lent = int(main.total * share)
    return Device("mps", 0, name, lent, min(main.free, lent), bf16=True)


def _cuda_device(row: Sequence[str]) -> Device | None:
    try:
        index, name, total, free, capability, _ = (word.strip() for word in row)
        major, minor = (int(part) for part in capability.split("."))
        total_bytes, free_bytes = int(total) * MEBIBYTE, int(free) * MEBIBYTE
        return Device("cuda", int(index), name, total_bytes, free_bytes, (major, minor) >= (8, 0), (major, minor))
    except ValueError:
        return None


def _named(devices: Mapping[str, Device], word: str) -> Device | None:
    """Find a GPU by number or by the beginning of its uuid, which must fit one only."""
    if word.isdecimal():
        return next((device for device in devices.values() if device.index == int(word)), None)
    matches = [device for uuid, device in devices.items() if word and uuid.startswith(word)]
    return matches[0] if len(matches) == 1 else None


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else None
