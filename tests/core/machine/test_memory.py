"""Main memory and cores, read from invented kernel files."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.machine.memory import (
    Roots,
    group_folders,
    main_memory,
    parse_fields,
    parse_groups,
    parse_limit,
    parse_quota,
    resident_bytes,
    usable_cores,
)

GB = 1024**3
MEMINFO = "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\n"


def machine(folder: Path, files: dict[str, str]) -> Roots:
    """Write an invented machine's files: names begin with proc/ or cgroup/."""
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Roots(proc=folder / "proc", cgroup=folder / "cgroup")


def test_without_a_group_the_machine_decides(tmp_path: Path) -> None:
    """Total and available memory come from /proc/meminfo, in bytes."""
    memory = main_memory(machine(tmp_path, {}))
    assert (memory.total, memory.free) == (16 * GB, 8 * GB)


def test_version_2_limit_counts_cached_files_as_free(tmp_path: Path) -> None:
    """Free is the limit less the usage, and pages of files that the kernel may drop are not usage."""
    roots = machine(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "cgroup/memory.max": f"{2 * GB}\n",
            "cgroup/memory.current": f"{3 * GB // 2}\n",
            "cgroup/memory.stat": f"anon {GB // 2}\ninactive_file {GB}\nactive_file 5\n",
        },
    )
    memory = main_memory(roots)
    assert (memory.total, memory.free) == (2 * GB, 3 * GB // 2)


def test_version_1_sums_the_children(tmp_path: Path) -> None:
    """Version 1 is read from its own folder and files; what can go is total_inactive_file."""
    roots = machine(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/box/one\n3:cpuset:/\n0::/\n",
            "cgroup/memory/box/one/memory.limit_in_bytes": f"{4 * GB}",
            "cgroup/memory/box/one/memory.usage_in_bytes": f"{3 * GB}",
            "cgroup/memory/box/one/memory.stat": f"inactive_file 1\ntotal_inactive_file {GB}\n",
        },
    )
    memory = main_memory(roots)
    assert (memory.total, memory.free) == (4 * GB, 2 * GB)


def test_a_limit_further_out_counts_too(tmp_path: Path) -> None:
    """A group without a limit of its own obeys the one around it."""
    roots = machine(
        tmp_path,
        {
            "proc/self/cgroup": "0::/slice/service\n",
            "cgroup/slice/service/memory.max": "max\n",
            "cgroup/slice/memory.max": f"{GB}\n",
            "cgroup/slice/memory.current": "0\n",
        },
    )
    assert main_memory(roots).free == GB


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    """Where the named folder does not exist inside the container, the root folder's limit holds."""
    roots = machine(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n",
            "cgroup/memory/memory.limit_in_bytes": f"{2 * GB}",
            "cgroup/memory/memory.usage_in_bytes": f"{GB}",
        },
    )
    assert main_memory(roots).free == GB


def test_version_1_unlimited_is_no_limit(tmp_path: Path) -> None:
    """Version 1 writes "no limit" as a huge number, which must not be taken for memory."""
    roots = machine(tmp_path, {"cgroup/memory/memory.limit_in_bytes": "9223372036854771712"})
    assert main_memory(roots).total == 16 * GB


def test_a_group_over_its_limit_has_nothing_free(tmp_path: Path) -> None:
    """Usage above the limit gives zero, never a negative number."""
    roots = machine(tmp_path, {"cgroup/memory.max": "1000", "cgroup/memory.current": "5000"})
    assert main_memory(roots).free == 0


def test_without_kernel_files_the_portable_way_answers(tmp_path: Path) -> None:
    """Where /proc is missing (macOS, Windows), real numbers come from psutil."""
    roots = Roots(proc=tmp_path / "none", cgroup=tmp_path / "none")
    assert 0 < main_memory(roots).free <= main_memory(roots).total
    assert resident_bytes(roots) > 1_000_000


def test_a_new_allocation_shows_in_the_resident_bytes() -> None:
    """A process that takes 64 MB holds at least 60 MB more."""
    before = resident_bytes()
    block = bytearray(b"\1" * 64_000_000)
    assert resident_bytes() - before > 60_000_000
    assert len(block) == 64_000_000


@pytest.mark.parametrize(("text", "limit"), [("max\n", None), ("", None), ("-1", None), ("x", None), ("123\n", 123)])
def test_limits(text: str, limit: int | None) -> None:
    """Only a plain number below the unlimited mark is a limit."""
    assert parse_limit(text) == limit


def test_fields_leave_out_what_is_no_number() -> None:
    """Units are applied and other lines are ignored."""
    assert parse_fields("A: 2 kB\nB 3\nC: many kB\n\nD\n") == {"A": 2048, "B": 3}


def test_group_paths_with_colons_survive() -> None:
    """Only the first two colons separate; several controllers share one line; other lines are ignored."""
    text = "3:cpu,cpuacct:/a:b\n0::/c\nnonsense\n"
    assert parse_groups(text) == {"cpu": "/a:b", "cpuacct": "/a:b", "": "/c"}


def test_group_folders_never_leave_the_root(tmp_path: Path) -> None:
    """A path from outside the namespace ("/../x") is not followed upwards."""
    assert list(group_folders(tmp_path, "/../x")) == [tmp_path / "x", tmp_path]


@pytest.mark.parametrize(
    ("version_2", "quota", "period", "cores"),
    [
        ("150000 100000\n", "", "", 1.5),
        ("max 100000\n", "", "", None),
        ("", "50000\n", "100000\n", 0.5),
        ("", "-1\n", "100000\n", None),
        ("", "", "", None),
        ("100 0", "", "", None),
    ],
)
def test_quotas(version_2: str, quota: str, period: str, cores: float | None) -> None:
    """Both versions give cores, and "max" and -1 give none."""
    assert parse_quota(version_2, quota, period) == cores


@pytest.mark.parametrize(
    "files",
    [
        {"cgroup/cpu.max": "50000 100000"},
        {"cgroup/cpu/cpu.cfs_quota_us": "150000", "cgroup/cpu/cpu.cfs_period_us": "100000"},
    ],
)
def test_a_quota_bounds_the_cores(tmp_path: Path, files: dict[str, str]) -> None:
    """Half a core is still one, and one and a half are one: a thread more would only wait."""
    assert usable_cores(machine(tmp_path, files)) == 1
