"""The machine as a whole."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.errors import InvalidInput
from core.machine.devices import Device, Hardware
from core.machine.hardware import (
    Watch,
    free_by_allocator,
    free_memory,
    measured_by_allocator,
    parse_cpuinfo,
    parse_sysctl,
    probe,
    refresh,
)
from core.machine.memory import Roots

GB = 10**9
CPU = Device("cpu", 0, "a processor", 8 * GB, 6 * GB)
SMALL = Device("cuda", 0, "small", 16 * GB, 15 * GB, compute_capability=(7, 5))
LARGE = Device("cuda", 1, "large", 80 * GB, 79 * GB, bf16=True, compute_capability=(8, 0))


def test_the_best_device_has_the_most_free_memory() -> None:
    """A GPU comes before the processor, and among GPUs the freest is best."""
    machine = Hardware((SMALL, LARGE, CPU), cores=4)
    assert (machine.best, machine.cpu, machine.gpus) == (LARGE, CPU, (SMALL, LARGE))
    assert Hardware((CPU,), cores=4).best == CPU


def test_a_device_is_found_by_label_or_kind() -> None:
    """Plain cuda means the freest of them; a device that is not there is refused with those that are."""
    machine = Hardware((SMALL, LARGE, CPU), cores=4)
    assert (machine.device("cuda:0"), machine.device("cuda"), machine.device("cpu")) == (SMALL, LARGE, CPU)
    with pytest.raises(InvalidInput, match="cuda:0, cuda:1, cpu"):
        machine.device("mps")


def test_probe_reads_the_files_it_is_given(tmp_path: Path) -> None:
    """Memory, name and instructions come from the files under the roots."""
    (tmp_path / "meminfo").write_text("MemTotal: 4000 kB\nMemAvailable: 3000 kB\n")
    (tmp_path / "cpuinfo").write_text("model name\t: Invented CPU\nflags\t\t: fpu amx_bf16\n")
    cpu = probe(Roots(proc=tmp_path, cgroup=tmp_path / "none"), environment={}).cpu
    assert (cpu.total_bytes, cpu.free_bytes) == (4_096_000, 3_072_000)
    if sys.platform == "linux":
        assert (cpu.name, cpu.bf16) == ("Invented CPU", True)


def test_free_memory_is_read_again(tmp_path: Path) -> None:
    """What the file says now is what counts, not what was free at the probe."""
    (tmp_path / "meminfo").write_text("MemTotal: 4000 kB\nMemAvailable: 1000 kB\n")
    roots = Roots(proc=tmp_path, cgroup=tmp_path / "none")
    assert free_memory(CPU, roots) == 1_024_000
    assert refresh(Hardware((CPU,), cores=1), roots).cpu.free_bytes == 1_024_000


def test_a_gpu_whose_tool_is_silent_keeps_its_last_number() -> None:
    """Without nvidia-smi, or hidden by CUDA_VISIBLE_DEVICES, the last known number stands."""
    assert free_memory(SMALL, environment={"CUDA_VISIBLE_DEVICES": ""}) == 15 * GB


@pytest.mark.parametrize(
    ("text", "name", "bf16"),
    [
        ("model name\t: Xeon\nflags\t\t: fpu avx512_bf16 sse\n", "Xeon", True),
        ("model name\t: Core\nflags\t\t: fpu avx512f avx2\n", "Core", False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16 sve\n", None, True),
        ("", None, False),
    ],
)
def test_cpuinfo(text: str, name: str | None, bf16: bool) -> None:
    """x86 gives a name and flags, ARM features only; an empty file gives no instructions."""
    processor = parse_cpuinfo(text)
    assert processor.bf16 is bf16
    assert processor.name == name if name else processor.name != ""


def test_sysctl() -> None:
    """Apple's system tells the chip's name and whether it has bfloat16 instructions; older ones leave the line out."""
    assert parse_sysctl("machdep.cpu.brand_string: Apple M2\nhw.optional.arm.FEAT_BF16: 1\n").bf16
    assert not parse_sysctl("machdep.cpu.brand_string: Apple M1\n").bf16
    assert parse_sysctl("machdep.cpu.brand_string: Apple M2\n").name == "Apple M2"


def test_the_allocator_counts_its_cache_as_free() -> None:
    """A loaded PyTorch answers for itself; one that has not touched the GPU is not woken."""
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        memory_reserved=lambda _: 30,
        memory_allocated=lambda _: 10,
        mem_get_info=lambda _: (100, 200),
    )
    assert free_by_allocator(SMALL, SimpleNamespace(cuda=cuda)) == 120  # type: ignore[arg-type]
    asleep = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: False))
    assert free_by_allocator(SMALL, asleep) is None  # type: ignore[arg-type]
    assert free_by_allocator(SMALL, None) is None
    assert measured_by_allocator(SMALL, SimpleNamespace(cuda=cuda)).free_bytes == 120  # type: ignore[arg-type]
    assert measured_by_allocator(SMALL, None) == SMALL


def test_looking_at_the_machine_loads_no_pytorch() -> None:
    """A fresh process that probes has imported neither torch nor psutil."""
    code = (
        "import sys, core.placement.planner; from core.machine.hardware import probe, free_memory\n"
        "machine = probe(); free_memory(machine.cpu)\n"
        "print('torch' in sys.modules, machine.cpu.free_bytes > 0, machine.cores > 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]


def test_the_machine_is_looked_at_once() -> None:
    """A watch asks for everything at its first look, and only for free memory from then on."""
    looks: list[str] = []

    def look() -> Hardware:
        looks.append("all")
        return Hardware((CPU,), cores=1)

    def look_again(known: Hardware) -> Hardware:
        looks.append("free")
        return replace(known, devices=(replace(CPU, free_bytes=known.cpu.free_bytes - 1),))

    watch = Watch(look, look_again)
    assert [watch().cpu.free_bytes for _ in range(3)] == [CPU.free_bytes - lost for lost in range(3)]
    assert looks == ["all", "free", "free"]
