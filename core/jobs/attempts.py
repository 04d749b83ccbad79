"""A job that ended goes on in the same folder: what an earlier attempt left is set aside, and kept."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from core.errors import Busy, InvalidInput, NotAllowed
from core.jobs.folder import JobFolder, Snapshot
from core.jobs.records import Carrier, Ending, ProcessMark, Record, State, interrupted_ending


def attempt_number(folder: Path) -> int:
    """Return which attempt at the job in `folder` this is, counted from 1; raises OSError or ValueError."""
    return JobFolder(folder).record().attempt


def can_resume(look: Snapshot) -> bool:
    """Tell whether a job has ended, without success, and left what a further attempt begins with."""
    own_process = look.record.carrier is Carrier.PROCESS and bool(look.record.command)
    return own_process and not look.state.alive and look.state is not State.SUCCEEDED


def require_resumable(look: Snapshot) -> None:
    """Raise Busy for a job that is alive, InvalidInput for one that succeeded, NotAllowed for one without a process."""
    if look.state.alive:
        raise Busy("error.job_not_ended", state=look.state.value)
    if look.state is State.SUCCEEDED:
        raise InvalidInput("error.job_succeeded_already")
    if not can_resume(look):
        raise NotAllowed("error.job_not_resumable")


def next_attempt(job: JobFolder, ending: Ending, process: ProcessMark) -> Record:
    """Put an ended job back where it waits for a process, on behalf of `process`, and return its record.

    Its last end becomes exit-1.json (2, 3, …). Whatever moment this dies at, the job still counts as ended, or waits.
    Raises OSError, and Busy when somebody else did the same at the same time.
    """
    record, now = job.record(), time.time()
    if job.ending() is None:
        job.finish(ending)
    job.stop_file.unlink(missing_ok=True)
    job.launch_file.unlink(missing_ok=True)
    again = replace(
        record,
        process=process,
        started=None,
        attempt=record.attempt + 1,
        earlier_seconds=record.earlier_seconds + ending.seconds,
        queued=now,
    )
    job.write_record(again)
    try:
        job.exit_file.replace(job.path / f"exit-{record.attempt}.json")
    except FileNotFoundError as error:
        raise Busy("error.job_not_ended", state=State.QUEUED.value) from error
    return again


def begin_again_here(job: JobFolder) -> None:
    """In the process that carries the job: set aside how an earlier attempt ended, if there was one.

    Raises InvalidInput when the job has succeeded; the caller has made sure that nobody else carries it.
    """
    record, ending = job.record(), job.ending()
    if ending is None and record.started is None:
        return
    if ending and ending.outcome is State.SUCCEEDED:
        raise InvalidInput("error.job_succeeded_already")
    next_attempt(job, ending or interrupted_ending(record, job.tail()), job.here)
