"""The most memory that a process held is its own, whoever started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from core.machine.memory import Roots, resident_bytes
from core.machine.peak import peak_bytes, peak_resident_bytes

TELL = "from core.machine.peak import peak_bytes; print(peak_bytes('cpu'))"


def test_a_peak_is_no_lower_than_what_is_held() -> None:
    """What was given back still counts."""
    held = b"x" * 50_000_000
    now = resident_bytes()
    del held
    assert peak_bytes("cpu") > now - 5_000_000  # the kernel counts both a little apart


def test_a_child_does_not_inherit_the_peak_of_its_parent() -> None:
    """A process that is started by one with 300 MB tells its own few."""
    held = bytearray(300_000_000)
    told = subprocess.run([sys.executable, "-c", TELL], check=True, capture_output=True, text=True).stdout
    assert int(told) < len(held)


def test_the_kernel_tells_it_in_kilobytes(tmp_path: Path) -> None:
    """VmHWM of /proc/self/status; a machine without that file has getrusage."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text(
        "Name:\tpython\nVmHWM:\t    2048 kB\nVmRSS:\t 1024 kB\n", encoding="utf-8"
    )
    assert peak_resident_bytes(Roots(proc=tmp_path)) == 2048 * 1024
    assert peak_resident_bytes(Roots(proc=tmp_path / "none")) > 1_000_000
