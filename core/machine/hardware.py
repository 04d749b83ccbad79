"""What this machine has; PyTorch is not imported and no GPU context is made to find out."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType

from core.machine.accelerators import cuda_devices, installed_torch, mps_device, run, xpu_devices, xpu_memory
from core.machine.devices import OPTIONAL_PACKAGES, Device, Hardware
from core.machine.memory import Memory, Roots, main_memory, read, resident_bytes, usable_cores

__all__ = ["Device", "Hardware", "Watch", "free_memory", "probe", "refresh", "resident_bytes", "used_bytes"]

BF16_FLAGS = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
"""/proc/cpuinfo's words for bfloat16 instructions: x86 (AMX, AVX-512) and ARM."""


@dataclass(frozen=True)
class Processor:
    """The CPU's name as a person knows it, and whether it computes bfloat16 natively."""

    name: str
    bf16: bool


def probe(roots: Roots | None = None, environment: Mapping[str, str] | None = None) -> Hardware:
    """Look at the machine: files for the CPU, the vendor's tool for GPUs that the installed PyTorch can use."""
    places, build = roots or Roots(), installed_torch()
    main, processor = main_memory(places), _processor(places)
    cpu = Device("cpu", 0, processor.name, main.total, main.free, processor.bf16)
    env = os.environ if environment is None else environment
    nvidia = (measured_by_allocator(device, sys.modules.get("torch")) for device in cuda_devices(build, env))
    gpus = (*nvidia, *xpu_devices(build), *_apple_gpus(main, processor, build.version))
    return Hardware(
        devices=(*gpus, cpu),
        cores=usable_cores(places),
        torch_version=build.version,
        platform=platform.system(),
        packages=frozenset(name for name in OPTIONAL_PACKAGES if importlib.util.find_spec(name)),
    )


def free_memory(device: Device, roots: Roots | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Read again how many bytes are free on `device`; the last known number where its tool gives none."""
    if device.kind == "cpu":
        return main_memory(roots).free
    if device.kind == "mps":
        return mps_device(main_memory(roots), device.name).free_bytes
    if device.kind == "xpu":
        memory = xpu_memory(device.index)
        return memory.free if memory else device.free_bytes
    return _free_on_cuda(device, os.environ if environment is None else environment)


def refresh(hardware: Hardware, roots: Roots | None = None) -> Hardware:
    """Return the same machine with every device's free memory read again."""
    devices = (replace(device, free_bytes=free_memory(device, roots)) for device in hardware.devices)
    return replace(hardware, devices=tuple(devices))


def used_bytes(device: Device) -> int:
    """Return what this process holds of main memory, or what anybody holds of a GPU's."""
    return resident_bytes() if device.shares_main_memory else device.total_bytes - device.free_bytes


class Watch:
    """Looks at the machine once; from then on only at how much memory is free."""

    def __init__(
        self, look: Callable[[], Hardware] = probe, look_again: Callable[[Hardware], Hardware] = refresh
    ) -> None:
        """Look at nothing yet."""
        self._look, self._look_again = look, look_again
        self._known: Hardware | None = None

    def __call__(self) -> Hardware:
        """Return the machine as it is now."""
        self._known = self._look_again(self._known) if self._known else self._look()
        return self._known


def parse_cpuinfo(text: str) -> Processor:
    """Read /proc/cpuinfo; ARM gives no name there, so that the architecture stands in."""
    found = dict(re.findall(r"^(model name|flags|Features)\s*:\s*(.+)$", text, flags=re.MULTILINE))
    words = set(f"{found.get('flags', '')} {found.get('Features', '')}".split())
    return Processor(found.get("model name", "").strip() or platform.machine(), bool(words & BF16_FLAGS))


def parse_sysctl(text: str) -> Processor:
    """Read macOS's `sysctl machdep.cpu.brand_string hw.optional.arm.FEAT_BF16`."""
    found = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    name = found.get("machdep.cpu.brand_string", "").strip() or platform.machine()
    return Processor(name, found.get("hw.optional.arm.FEAT_BF16", "").strip() == "1")


def measured_by_allocator(device: Device, torch: ModuleType | None) -> Device:
    """Correct the vendor tool's number, which counts PyTorch's own cache as taken, where PyTorch can tell."""
    free = free_by_allocator(device, torch)
    return device if free is None else replace(device, free_bytes=free)


def free_by_allocator(device: Device, torch: ModuleType | None) -> int | None:
    """Ask an already loaded and initialised PyTorch, whose cache counts as free; None where there is none."""
    if torch is None or not hasattr(torch, "cuda") or not torch.cuda.is_initialized():
        return None
    cached = torch.cuda.memory_reserved(device.index) - torch.cuda.memory_allocated(device.index)
    return int(torch.cuda.mem_get_info(device.index)[0] + cached)


def _free_on_cuda(device: Device, environment: Mapping[str, str]) -> int:
    free = free_by_allocator(device, sys.modules.get("torch"))
    if free is not None:
        return free
    now = {found.label: found.free_bytes for found in cuda_devices(installed_torch(), environment)}
    return now.get(device.label, device.free_bytes)


def _processor(roots: Roots) -> Processor:
    if platform.system() == "Darwin":
        return parse_sysctl(run(("sysctl", "machdep.cpu.brand_string", "hw.optional.arm.FEAT_BF16")))
    return parse_cpuinfo(read(roots.proc / "cpuinfo"))


def _apple_gpus(main: Memory, processor: Processor, torch_version: str | None) -> tuple[Device, ...]:
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return (mps_device(main, processor.name),) if apple and torch_version else ()
