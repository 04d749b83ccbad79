"""Main memory of this process: the machine's, or the container's where that is smaller."""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

UNLIMITED = 1 << 60
"""cgroup v1 writes "no limit" as the largest page-aligned signed number; no machine has this much."""


@dataclass(frozen=True)
class Roots:
    """Where the kernel shows its files; a test points elsewhere."""

    proc: Path = Path("/proc")
    cgroup: Path = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """Bytes in all, and bytes that this process could still take."""

    total: int
    free: int


@dataclass(frozen=True)
class _GroupFiles:
    limit: str
    usage: str
    reclaimable: str


# https://docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/memory.html; v1 sums the children in total_*.
_VERSION_2 = _GroupFiles("memory.max", "memory.current", "inactive_file")
_VERSION_1 = _GroupFiles("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def read(path: Path) -> str:
    """Return a kernel file's text, or "" where this machine has no such file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def parse_fields(text: str) -> dict[str, int]:
    """Read "name value" or "name: value kB" lines into bytes; other lines are left out."""
    fields: dict[str, int] = {}
    for line in text.splitlines():
        words = line.replace(":", " ").split()
        if len(words) in (2, 3) and words[1].isdecimal():
            fields[words[0]] = int(words[1]) * (1024 if words[2:] == ["kB"] else 1)
    return fields


def parse_limit(text: str) -> int | None:
    """Read a cgroup number; None for "max", nonsense and version 1's way to say unlimited."""
    word = text.strip()
    if not word.isdecimal() or int(word) >= UNLIMITED:
        return None
    return int(word)


def parse_groups(text: str) -> dict[str, str]:
    """Read /proc/self/cgroup into {controller: path}; version 2's only line has the controller ""."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        _, separator, rest = line.partition(":")
        controllers, second, path = rest.partition(":")
        if separator and second:
            groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def parse_quota(version_2: str, quota: str = "", period: str = "") -> float | None:
    """Read cpu.max ("200000 100000"), else version 1's two files, into cores; None = no quota."""
    words = version_2.split() or [quota.strip(), period.strip()]
    match words:
        case [spent, every] if spent.isdecimal() and every.isdecimal() and int(every):
            return int(spent) / int(every)
    return None


def group_folders(root: Path, path: str) -> Iterator[Path]:
    """Yield a group's folder and those around it, innermost first; every one of them may limit."""
    names = [name for name in path.split("/") if name not in ("", ".", "..")]
    for length in range(len(names), -1, -1):
        yield root.joinpath(*names[:length])


def main_memory(roots: Roots | None = None) -> Memory:
    """Return the least that the machine and the groups around this process allow; microseconds, no subprocess."""
    places = roots or Roots()
    bounds = [_machine(places), *_groups(places)]
    return Memory(min(bound.total for bound in bounds), max(min(bound.free for bound in bounds), 0))


def usable_cores(roots: Roots | None = None) -> int:
    """Return the cores this process may keep busy: affinity and quota; a fraction is no core (threads would stall)."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = _quotas(roots or Roots())
    return max(int(min([allowed, *quotas])), 1)


def resident_bytes(roots: Roots | None = None) -> int:
    """Return the bytes of main memory that this process holds now (RSS)."""
    words = read((roots or Roots()).proc / "self" / "statm").split()
    if len(words) > 1 and words[1].isdecimal():
        return int(words[1]) * os.sysconf("SC_PAGE_SIZE")
    return int(_psutil().Process().memory_info().rss)


def _psutil() -> ModuleType:
    """Load the portable way only where the kernel's files are missing (macOS, Windows)."""
    return importlib.import_module("psutil")


def _machine(roots: Roots) -> Memory:
    fields = parse_fields(read(roots.proc / "meminfo"))
    if "MemTotal" in fields and "MemAvailable" in fields:
        return Memory(fields["MemTotal"], fields["MemAvailable"])
    memory = _psutil().virtual_memory()
    return Memory(int(memory.total), int(memory.available))


def _groups(roots: Roots) -> Iterator[Memory]:
    groups = parse_groups(read(roots.proc / "self" / "cgroup"))
    for root, controller, files in ((roots.cgroup, "", _VERSION_2), (roots.cgroup / "memory", "memory", _VERSION_1)):
        for folder in group_folders(root, groups.get(controller, "/")):
            bound = _group(folder, files)
            if bound:
                yield bound


def _group(folder: Path, files: _GroupFiles) -> Memory | None:
    """Return what one group allows: its limit less its usage, where cached files that can go do not count."""
    limit = parse_limit(read(folder / files.limit))
    if limit is None:
        return None
    usage = parse_limit(read(folder / files.usage)) or 0
    reclaimable = parse_fields(read(folder / "memory.stat")).get(files.reclaimable, 0)
    return Memory(limit, limit - max(usage - reclaimable, 0))


def _quotas(roots: Roots) -> Iterator[float]:
    groups = parse_groups(read(roots.proc / "self" / "cgroup"))
    for root, controller in ((roots.cgroup, ""), (roots.cgroup / "cpu", "cpu")):
        for folder in group_folders(root, groups.get(controller, "/")):
            quota = parse_quota(
                read(folder / "cpu.max"), read(folder / "cpu.cfs_quota_us"), read(folder / "cpu.cfs_period_us")
            )
            if quota is not None:
                yield quota


def ran_out(problem: BaseException) -> bool:
    """Tell whether an error means that memory ran out: Python's, the system's, or that of any of PyTorch's devices."""
    if isinstance(problem, OSError):
        return problem.errno == errno.ENOMEM
    said = str(problem).lower()
    words = ("out of memory", "can't allocate memory", "not enough memory")  # GPUs; the CPU on Linux; and on Windows
    return isinstance(problem, MemoryError) or (isinstance(problem, RuntimeError) and any(one in said for one in words))
