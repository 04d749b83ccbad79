"""The processes of a job: found by the mark in their environment, told to end, ended by force, and counted.

A process group is not enough: launchers of distributed training start each worker in a session of its own, and what a
dead worker leaves behind is nobody's child. Every process of a job and whatever it starts carries the job's id in its
environment (core/jobs/process.py), so none is missed, and none of anybody else's is hit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]

from core.jobs.process import JOB_VARIABLE
from core.jobs.records import ProcessMark

ROUNDS = 100
"""How often a tree is looked through while it is ended: what is being killed may still start something."""
ROUND_SECONDS = 0.05


@dataclass(frozen=True)
class Held:
    """What a job's processes hold: how many they are, and the bytes of memory that would be free without them."""

    processes: int = 0
    memory_bytes: int = 0


def processes_of(job: str) -> list[psutil.Process]:
    """Return every process of a job that lives, oldest first; never the calling one."""
    marked = [process for pid in psutil.pids() if pid != os.getpid() and (process := _process(pid, job))]
    return sorted(marked, key=_age)


def held_by(processes: Iterable[psutil.Process]) -> Held:
    """Count processes and the memory that is theirs alone; one that vanishes meanwhile holds nothing."""
    sizes = [_own_bytes(process) for process in processes]
    return Held(sum(size > 0 for size in sizes), sum(sizes))


def tell_to_end(marks: Iterable[ProcessMark | None]) -> None:
    """Send SIGTERM to these processes, each once, never to the calling one; their helpers are theirs to end."""
    for mark in {mark for mark in marks if mark and mark.pid != os.getpid() and mark.lives()}:
        try:
            psutil.Process(mark.pid).terminate()
        except psutil.NoSuchProcess:
            continue


def end_by_force(job: str) -> Held:
    """Kill every process of a job until none is left, and return what they held. Takes up to five seconds.

    Nothing is waited for in the way that would take an exit code from whoever started the process.
    """
    found = processes_of(job)
    held = held_by(found)
    for _ in range(ROUNDS):
        if not found:
            break
        _kill(found)
        time.sleep(ROUND_SECONDS)
        found = processes_of(job)
    return held


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()  # psutil looks at the start time first: a reused number is not hit
        except psutil.NoSuchProcess:
            continue


def _process(pid: int, job: str) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        marked = process.environ().get(JOB_VARIABLE) == job
        return process if marked and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD) else None
    except (psutil.Error, OSError):  # another user's, the system's own, or gone
        return None


def _age(process: psutil.Process) -> float:
    try:
        return float(process.create_time())
    except psutil.Error:
        return time.time()


def _own_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
    except (psutil.NoSuchProcess, OSError):
        return 0
