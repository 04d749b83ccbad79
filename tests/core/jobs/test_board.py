"""The board: every job of an instance in one list, with what can be done about it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.atelier import open_atelier
from core.errors import NotAllowed, UnknownName
from core.events import Progress
from core.jobs.board import JobBoard
from core.jobs.process import FOLDER, ProcessWork
from core.jobs.runner import ANYBODY, JobHandle, Jobs, Patience, ProcessRules, State
from core.settings import Settings

PATIENCE = 60.0


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; give up loudly."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.01)


def quick(job: JobHandle) -> None:
    """Leave a file."""
    (job.result_folder / "table.csv").write_text("a\n")


@pytest.fixture
def board(tmp_path: Path) -> Iterator[JobBoard]:
    """Give a board over a shelf of threads and one of processes."""
    rules = ProcessRules(Patience(tick=0.01), least_free_bytes=0)
    made = JobBoard({"tables": Jobs(tmp_path / "jobs"), "training": Jobs(tmp_path / "runs", processes=rules)})
    yield made
    for jobs in made.shelves.values():
        assert jobs.shutdown(PATIENCE)


def ended(board: JobBoard, job: str) -> State:
    """Wait for a job's end and return it."""
    until(lambda: not board.row(job, ANYBODY).view.state.alive)
    return board.row(job, ANYBODY).view.state


def test_one_list_of_all_jobs(board: JobBoard) -> None:
    """What lives comes first, then what ended, from every shelf, with the actions that would not be refused."""
    go = threading.Event()

    def slow(job: JobHandle) -> None:
        job.report(Progress("rows", 1, 4, 10.0))
        while not go.wait(0.005):
            job.cancel.check()

    tables, training = board.shelves["tables"], board.shelves["training"]
    done = tables.start("batch", {}, quick)
    ended(board, done)
    running, waiting = tables.start("batch", {}, slow), tables.start("batch", {}, quick)
    failed = training.launch("training", {}, ProcessWork(("python", "-m", "tests.core.jobs.workers", FOLDER, "fail")))
    assert ended(board, failed) is State.FAILED
    until(lambda: board.row(running).view.progress)
    rows = {row.id: row for row in board.rows()}
    assert [row.id for row in board.rows()][:2] in ([waiting, running], [running, waiting])
    assert set(rows) == {done, running, waiting, failed}
    assert {row.shelf for row in rows.values()} == {"tables", "training"}
    assert rows[running].remaining_seconds == 30.0
    assert rows[waiting].view.position == 1
    assert rows[running].actions == ("stop", "log")
    assert rows[waiting].actions == ("stop",)
    assert rows[done].actions == ("delete", "log", "result")
    assert rows[failed].actions == ("resume", "delete", "log", "result")
    assert board.alive() == 2
    assert board.stop(waiting) is State.CANCELLED
    go.set()
    assert ended(board, running) is State.SUCCEEDED


def test_an_id_is_found_on_its_shelf(board: JobBoard) -> None:
    """Log, result, resume and delete reach a job by its id alone, and only its owner's."""
    job = board.shelves["training"].launch(
        "training", {}, ProcessWork(("python", "-m", "tests.core.jobs.workers", FOLDER, "quick")), owner="ann"
    )
    assert ended(board, job) is State.SUCCEEDED
    assert (board.result_folder(job, "ann") / "adapter.txt").exists()
    assert isinstance(board.log(job, "ann"), str)
    for owner in (None, "bob"):
        with pytest.raises(UnknownName):
            board.row(job, owner)
    table = board.shelves["tables"].start("batch", {}, quick, owner="ann")
    assert ended(board, table) is State.SUCCEEDED
    assert {row.id for row in board.rows("ann")} == {job, table}
    assert board.rows("bob") == []
    board.delete(table, "ann")
    with pytest.raises(UnknownName):
        board.row(table, "ann")


def test_a_finished_table_cannot_be_resumed(board: JobBoard) -> None:
    """What a shelf refuses, the board refuses in the same words."""

    def fail(_: JobHandle) -> None:
        raise KeyError

    job = board.shelves["tables"].start("batch", {}, fail)
    assert ended(board, job) is State.FAILED
    with pytest.raises(NotAllowed):
        board.resume(job)


def test_the_board_reads_only_what_changed_last(board: JobBoard, tmp_path: Path) -> None:
    """Of many finished jobs the newest are read; a job that lives is there however long ago it changed."""
    tables, gate = board.shelves["tables"], threading.Event()

    def wait(job: JobHandle) -> None:
        while not gate.wait(0.005):
            job.cancel.check()

    old = [tables.start("batch", {}, quick) for _ in range(5)]
    for place, job in enumerate(old):
        assert ended(board, job) is State.SUCCEEDED
        os.utime(tmp_path / "jobs" / job, (place + 1, place + 1))
    running, waiting = tables.start("batch", {}, wait), tables.start("batch", {}, quick)
    for job in (running, waiting):
        until(lambda job=job: job == waiting or tables.state(job) is State.RUNNING)  # type: ignore[misc]
        os.utime(tmp_path / "jobs" / job, (0, 0))
    (tmp_path / "jobs" / old[0] / "job.json").unlink()
    assert {row.id for row in board.rows(limit=2)} == {running, waiting, old[4], old[3]}
    assert board.alive() == 2
    gate.set()
    assert ended(board, waiting) is State.SUCCEEDED


def test_an_instance_lists_tables_pictures_and_trainings(tmp_path: Path) -> None:
    """The board of an instance covers all its shelves; trainings lie in a folder of their own and outlive it."""
    atelier = open_atelier(Settings(home=tmp_path))
    assert set(atelier.board.shelves) == {"tables", "pictures", "training", "evaluations"}
    work = ProcessWork(("python", "-m", "tests.core.jobs.workers", FOLDER, "count"))
    job = atelier.training.launch("training", {}, work)
    assert atelier.training.folder(job).parent == tmp_path / "runs"
    until(lambda: atelier.training.follow(job).events)
    assert atelier.shutdown(PATIENCE)
    later = open_atelier(Settings(home=tmp_path))
    later.adopt()
    assert [(row.id, row.shelf, row.view.state) for row in later.board.rows()] == [(job, "training", State.RUNNING)]
    later.board.stop(job)
    assert ended(later.board, job) is State.CANCELLED
    assert later.shutdown(PATIENCE)
