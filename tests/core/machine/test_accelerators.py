"""Accelerators, read from invented outputs of the vendors' tools."""

from __future__ import annotations

import sys

import pytest

from core.machine.accelerators import (
    TorchBuild,
    cuda_devices,
    mps_device,
    parse_nvidia_smi,
    parse_torch_version,
    parse_wheel_version,
    parse_xpu_memory,
    parse_xpu_smi,
    run,
    visible,
    xpu_devices,
)
from core.machine.memory import Memory

GIB = 1024**3
TWO_GPUS = (
    "0, Tesla T4, 15360, 14910, 7.5, GPU-aaaa1111-0000\n"
    "1, NVIDIA A100-SXM4-80GB, 81920, 80000, 8.0, GPU-bbbb2222-0000\n"
)


def test_each_line_is_a_gpu_in_bytes() -> None:
    """Sizes are mebibytes, and bfloat16 begins with compute capability 8.0."""
    turing, ampere = parse_nvidia_smi(TWO_GPUS).values()
    assert (turing.name, turing.total_bytes, turing.bf16) == ("Tesla T4", 15 * GIB, False)
    assert (ampere.label, ampere.free_bytes, ampere.bf16) == ("cuda:1", 80000 * 1024**2, True)
    assert ampere.compute_capability == (8, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
        "0, Jetson, [N/A], [N/A], 8.7, GPU-1\n",
        "0, T4, 15360\n",
        "x, T4, 1, 1, 7.5, GPU-1\n",
        "0, T4, 1, 1, seven, GPU-1",
    ],
)
def test_garbage_is_no_gpu(text: str) -> None:
    """A line that cannot be understood is left out instead of guessed at."""
    assert parse_nvidia_smi(text) == {}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (None, ["Tesla T4", "NVIDIA A100-SXM4-80GB"]),
        ("", []),
        ("-1", []),
        ("1", ["NVIDIA A100-SXM4-80GB"]),
        ("1,0", ["NVIDIA A100-SXM4-80GB", "Tesla T4"]),
        (" 1 , 7, 0", ["NVIDIA A100-SXM4-80GB"]),
        ("0,0,1", ["Tesla T4"]),
        ("GPU-bbbb", ["NVIDIA A100-SXM4-80GB"]),
        ("GPU-", []),
        ("MIG-1234", []),
    ],
)
def test_visible_devices(wanted: str | None, names: list[str]) -> None:
    """CUDA_VISIBLE_DEVICES chooses and orders; the first word that names no single GPU ends the list."""
    shown = visible(parse_nvidia_smi(TWO_GPUS), wanted)
    assert [device.name for device in shown] == names


def test_visible_devices_are_numbered_as_pytorch_numbers_them() -> None:
    """The second physical GPU shown alone is cuda:0."""
    (only,) = visible(parse_nvidia_smi(TWO_GPUS), "1")
    assert only.label == "cuda:0"


def test_without_a_cuda_build_no_tool_is_asked() -> None:
    """A CPU build of PyTorch cannot use a GPU, whatever the machine has."""
    assert cuda_devices(TorchBuild("2.13.0+cpu"), {}) == ()
    assert xpu_devices(TorchBuild("2.13.0+cpu")) == ()


@pytest.mark.parametrize(
    ("cuda", "xpu", "expected"),
    [("None", "None", (False, False)), ("'13.0'", "None", (True, False)), ("None", "'20250302'", (False, True))],
)
def test_the_build_stands_in_torch_version_py(cuda: str, xpu: str, expected: tuple[bool, bool]) -> None:
    """A quoted version names what PyTorch was built for; None does not."""
    text = (
        "from typing import Optional\n__all__ = ['__version__', 'cuda', 'xpu']\n__version__ = '2.13.0'\ndebug = False\n"
        f"cuda: Optional[str] = {cuda}\nhip: Optional[str] = None\nxpu: Optional[str] = {xpu}\n"
    )
    build = parse_torch_version(text)
    assert (build.version, build.cuda, build.xpu) == ("2.13.0", *expected)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.13.0+cpu", (False, False)),
        ("2.13.0+cu130", (True, False)),
        ("2.13.0", (True, False)),
        ("2.13.0+xpu", (False, True)),
    ],
)
def test_the_build_stands_in_the_wheel_version(version: str, expected: tuple[bool, bool]) -> None:
    """The local part of a wheel's version names the build."""
    build = parse_wheel_version(version)
    assert (build.cuda, build.xpu) == expected


def test_intel_gpus_are_listed_and_measured() -> None:
    """xpu-smi's JSON gives id, name and bytes; numbers may be written as text."""
    listed = '{"device_list": [{"device_id": 0, "device_name": "Intel(R) Arc(TM) A770"}, {"device_name": "no id"}]}'
    assert parse_xpu_smi(listed) == [(0, "Intel(R) Arc(TM) A770")]
    details = '{"memory_physical_size_byte": "16000000000", "memory_free_size_byte": "15000000000"}'
    assert parse_xpu_memory(details) == Memory(16_000_000_000, 15_000_000_000)
    assert parse_xpu_memory('{"memory_physical_size_byte": 1000}') == Memory(1000, 900)


@pytest.mark.parametrize("text", ["", "Error: Level Zero", "[]", '{"device_list": 3}', '{"device_list": ["x"]}'])
def test_garbage_is_no_intel_gpu(text: str) -> None:
    """What is no such JSON gives no device and no memory."""
    assert parse_xpu_smi(text) == []
    assert parse_xpu_memory(text) is None


def test_apple_gpus_borrow_main_memory() -> None:
    """A 16 GB machine lends two thirds, a 64 GB one three quarters, and never more than is free."""
    assert mps_device(Memory(48, 48), "M2").total_bytes == 32
    assert mps_device(Memory(64 * GIB, 64 * GIB), "M2 Max").total_bytes == 48 * GIB
    assert mps_device(Memory(48, 5), "M2").free_bytes == 5


def test_a_tool_that_is_missing_or_fails_says_nothing() -> None:
    """No exception reaches a machine that has no such tool."""
    assert run(("no-such-tool-here",)) == ""
    assert run((sys.executable, "-c", "print('half'); raise SystemExit(3)")) == ""
    assert run((sys.executable, "-c", "print('all')")) == "all\n"
