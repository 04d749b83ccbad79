"""Jobs: long work on disk, from the double click to the restart after a kill."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest

from core.errors import Busy, Cancelled, InvalidInput, UnknownName
from core.events import Progress
from core.jobs.folder import Carrier, JobFolder, ProcessMark, Record
from core.jobs.runner import ANYBODY, MOST_WAITING_EACH, JobHandle, Jobs, State
from core.jobs.shelf import JobShelf, Swept
from core.settings import PROJECT

PATIENCE = 20.0


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; give up loudly."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.005)


def ended(jobs: Jobs, job: str) -> State:
    """Wait for a job's end and return it."""
    until(lambda: not jobs.state(job, ANYBODY).alive)
    return jobs.state(job, ANYBODY)


class Gate:
    """Work that says when it began and goes on when it is let; polls its cancel token meanwhile."""

    def __init__(self) -> None:
        """Begin closed."""
        self.begun, self.open = threading.Event(), threading.Event()
        self.runs = 0

    def __call__(self, job: JobHandle) -> None:
        """Wait to be let through."""
        self.runs += 1
        self.begun.set()
        while not self.open.wait(0.005):
            job.cancel.check()


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    """Give a fresh set of jobs, and see that nothing runs on."""
    made = Jobs(tmp_path / "jobs")
    yield made
    assert made.shutdown(PATIENCE)


def quick(job: JobHandle) -> None:
    """Report once, make one file."""
    job.report(Progress("score", 2, 2, 0.5))
    (job.result_folder / "table.csv").write_text("a,b\n")


def test_life_cycle(jobs: Jobs) -> None:
    """A job goes from queued through running to succeeded, with its progress, seconds and result."""
    gate = Gate()
    first, second = jobs.start("batch", {"column": "text"}, gate), jobs.start("batch", {}, quick)
    assert gate.begun.wait(PATIENCE)
    assert (jobs.state(first), jobs.state(second)) == (State.RUNNING, State.QUEUED)
    gate.open.set()
    assert (ended(jobs, first), ended(jobs, second)) == (State.SUCCEEDED, State.SUCCEEDED)
    view = jobs.view(second)
    assert (view.progress, view.error, view.position) == (Progress("score", 2, 2, 0.5), None, None)
    assert jobs.view(first).settings == {"column": "text"}
    assert jobs.view(first).seconds > 0
    assert (jobs.result_folder(second) / "table.csv").read_text() == "a,b\n"


def test_folder_holds_the_protocol(jobs: Jobs) -> None:
    """The record names kind, settings, versions, carrier and process, so that another carrier can share it."""
    job = jobs.start("batch", {"path": Path("a") / "b"}, quick)
    ended(jobs, job)
    folder = jobs.result_folder(job).parent
    record = json.loads((folder / "job.json").read_text())
    assert (record["kind"], record["carrier"], record["settings"]) == ("batch", "thread", {"path": "a/b"})
    assert record["process"] == {"pid": os.getpid(), "started": ProcessMark.here().started}
    assert record["versions"]["python"]
    assert record["started"] >= record["created"]
    ending = json.loads((folder / "exit.json").read_text())
    assert (ending["outcome"], ending["events"], ending["lost"]) == ("succeeded", 1, 0)


def test_waiting_says_position_and_names_the_running_job(jobs: Jobs) -> None:
    """A queued job says its place in line and what runs before it."""
    gate = Gate()
    jobs.start("training", {}, gate)
    second, third = jobs.start("batch", {}, quick), jobs.start("batch", {}, quick)
    gate.begun.wait(PATIENCE)
    assert [jobs.view(job).position for job in (second, third)] == [1, 2]
    assert "number 2" in str(jobs.view(third).waiting)
    assert "training" in str(jobs.view(third).waiting)
    jobs.stop(second)
    assert jobs.view(third).position == 1
    gate.open.set()
    assert ended(jobs, third) is State.SUCCEEDED


def test_first_in_first_out_one_at_a_time(jobs: Jobs) -> None:
    """Jobs begin in the order of their start, and never two at once."""
    order: list[int] = []
    inside: list[int] = []

    def work(number: int) -> Callable[[JobHandle], None]:
        def run(_: JobHandle) -> None:
            inside.append(number)
            assert inside == [number]
            order.append(number)
            inside.remove(number)

        return run

    made = [jobs.start("batch", {}, work(number)) for number in range(8)]
    assert {ended(jobs, job) for job in made} == {State.SUCCEEDED}
    assert order == list(range(8))


def test_one_visitor_cannot_fill_the_line(tmp_path: Path) -> None:
    """Some jobs of one visitor may wait; the next is refused in words, and another visitor still gets in."""
    jobs, gate = Jobs(tmp_path), Gate()
    jobs.start("first", {}, gate, owner="a")
    gate.begun.wait(PATIENCE)
    for _ in range(MOST_WAITING_EACH):
        jobs.start("more", {}, quick, owner="a")
    with pytest.raises(Busy, match="your jobs are waiting"):
        jobs.start("too many", {}, quick, owner="a")
    assert jobs.start("other", {}, quick, owner="b")
    assert jobs.shutdown(PATIENCE)


def test_full_line_is_refused(tmp_path: Path) -> None:
    """Beyond the longest line a start is refused, naming what runs."""
    jobs, gate = Jobs(tmp_path, most_waiting=1), Gate()
    jobs.start("training", {}, gate)
    gate.begun.wait(PATIENCE)
    jobs.start("batch", {}, quick)
    with pytest.raises(Busy, match="training"):
        jobs.start("batch", {}, quick)
    assert jobs.shutdown(PATIENCE)


def test_follow_gives_only_what_is_new(jobs: Jobs) -> None:
    """Following after a number returns the later events, in order, with the state read before them."""
    step, go = threading.Semaphore(0), threading.Event()

    def work(job: JobHandle) -> None:
        for row in range(5):
            job.emit("row", {"row": row})
        step.release()
        go.wait(PATIENCE)
        job.report(Progress("score", 5, 5))

    job = jobs.start("batch", {}, work)
    step.acquire()
    first = jobs.follow(job, limit=3)
    assert ([event.seq for event in first.events], first.more, first.over) == ([1, 2, 3], True, False)
    rest = jobs.follow(job, first.last)
    assert [event.payload for event in rest.events] == [{"row": 3}, {"row": 4}]
    assert jobs.follow(job, rest.last).events == []
    assert jobs.follow(job, rest.last).last == 5
    go.set()
    ended(jobs, job)
    last = jobs.follow(job, rest.last)
    assert [event.progress for event in last.events] == [Progress("score", 5, 5)]
    assert last.over


def test_two_readers_each_see_everything(jobs: Jobs, tmp_path: Path) -> None:
    """Two browsers that follow at their own pace, one through another instance, get the same complete story."""

    def work(job: JobHandle) -> None:
        for row in range(3000):
            job.emit("row", row)

    job = jobs.start("batch", {}, work)
    other = Jobs(tmp_path / "jobs")
    stories: list[list[int]] = [[], []]

    def read(which: int, source: Jobs, limit: int) -> None:
        after = 0
        while True:
            news = source.follow(job, after, limit=limit)
            stories[which] += [event.payload for event in news.events]
            after = news.last
            if news.over:
                return

    readers = [threading.Thread(target=read, args=(0, jobs, 7)), threading.Thread(target=read, args=(1, other, 1000))]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(PATIENCE)
    assert stories == [list(range(3000))] * 2


def test_cancel_while_waiting_never_runs(jobs: Jobs) -> None:
    """A job stopped in line is cancelled at once and its work is never called."""
    gate, waiting = Gate(), Gate()
    first = jobs.start("batch", {}, gate)
    gate.begun.wait(PATIENCE)
    second = jobs.start("batch", {}, waiting)
    assert jobs.stop(second) is State.CANCELLED
    gate.open.set()
    assert ended(jobs, first) is State.SUCCEEDED
    assert (waiting.runs, jobs.state(second)) == (0, State.CANCELLED)


def test_cancel_while_running_and_twice(jobs: Jobs) -> None:
    """A running job that is asked to stop says stopping, then cancelled; asking again changes nothing."""
    asked, leave = threading.Event(), threading.Event()

    def work(job: JobHandle) -> None:
        job.emit("begun", None)
        until(lambda: job.cancel.cancelled)
        asked.set()
        leave.wait(PATIENCE)
        job.cancel.check()

    job = jobs.start("batch", {}, work)
    until(lambda: jobs.follow(job).events)
    assert jobs.stop(job) is State.STOPPING
    asked.wait(PATIENCE)
    assert jobs.stop(job) is State.STOPPING
    leave.set()
    assert ended(jobs, job) is State.CANCELLED
    assert jobs.stop(job) is State.CANCELLED
    assert jobs.view(job).error is None


def test_stop_request_left_before_the_start(jobs: Jobs) -> None:
    """A stop file that is there before the work begins cancels it without a call, whoever left it."""
    gate, waiting = Gate(), Gate()
    jobs.start("batch", {}, gate)
    gate.begun.wait(PATIENCE)
    job = jobs.start("batch", {}, waiting)
    (jobs.result_folder(job).parent / "stop").touch()
    assert jobs.state(job) is State.STOPPING
    gate.open.set()
    assert ended(jobs, job) is State.CANCELLED
    assert waiting.runs == 0


def test_work_that_sees_the_stop_and_just_returns_is_cancelled(jobs: Jobs) -> None:
    """Returning early because of a stop is no success."""
    job = jobs.start("batch", {}, lambda handle: until(lambda: handle.cancel.cancelled))
    until(lambda: jobs.state(job) is State.RUNNING)
    jobs.stop(job)
    assert ended(jobs, job) is State.CANCELLED


def test_work_that_ends_before_it_sees_the_stop_has_succeeded(jobs: Jobs) -> None:
    """A stop that comes after the last look leaves a complete result, and the state says so."""
    begun, go = threading.Event(), threading.Event()

    def work(_: JobHandle) -> None:
        begun.set()
        go.wait(PATIENCE)

    job = jobs.start("batch", {}, work)
    begun.wait(PATIENCE)
    jobs.stop(job)
    go.set()
    assert ended(jobs, job) is State.SUCCEEDED


def test_double_click_starts_once(jobs: Jobs) -> None:
    """Many starts at once with one key are one job; when it has ended, the key starts a new one."""
    gate, started = Gate(), []
    clicks = [
        threading.Thread(target=lambda: started.append(jobs.start("batch", {}, gate, once_key="form-1")))
        for _ in range(8)
    ]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join(PATIENCE)
    gate.begun.wait(PATIENCE)
    assert (len(set(started)), gate.runs, len(jobs.list())) == (1, 1, 1)
    other = jobs.start("batch", {}, quick, owner="ann", once_key="form-1")
    assert other != started[0]
    gate.open.set()
    ended(jobs, started[0])
    again = jobs.start("batch", {}, quick, once_key="form-1")
    assert again != started[0]
    ended(jobs, again)


def test_failing_work_says_what_and_logs_where(jobs: Jobs) -> None:
    """An unexpected exception ends as failed with its type and message; the traceback is in the log."""

    def work(job: JobHandle) -> None:
        job.log("reading\nthe file")
        raise KeyError("column")

    job = jobs.start("batch", {}, work)
    assert ended(jobs, job) is State.FAILED
    assert "KeyError: 'column'" in str(jobs.view(job).error)
    log = jobs.log(job)
    assert "reading" in log
    assert 'raise KeyError("column")' in log


def test_even_system_exit_ends_the_job_and_not_the_line(jobs: Jobs) -> None:
    """A library that calls sys.exit fails its own job; the next one still runs."""

    def work(_: JobHandle) -> None:
        raise SystemExit(3)

    first, second = jobs.start("batch", {}, work), jobs.start("batch", {}, quick)
    assert (ended(jobs, first), ended(jobs, second)) == (State.FAILED, State.SUCCEEDED)


def test_a_sentence_survives_the_disk(jobs: Jobs, tmp_path: Path) -> None:
    """An error of ours is kept as key and values, so that a later server can say it in any language."""

    def work(_: JobHandle) -> None:
        raise InvalidInput("error.text_too_long", name="row 7", length=60_000, limit=50_000)

    job = jobs.start("batch", {}, work)
    assert ended(jobs, job) is State.FAILED
    error = Jobs(tmp_path / "jobs").view(job).error
    assert error is not None
    assert (error.key, dict(error.values)) == (
        "error.text_too_long",
        {"name": "row 7", "length": 60_000, "limit": 50_000},
    )
    assert "60,000" in str(error)


def test_a_sentence_nobody_knows_any_more_keeps_its_words(jobs: Jobs) -> None:
    """When a later version has dropped a sentence, the job's error is still shown, in English."""
    job = jobs.start("batch", {}, quick)
    ended(jobs, job)
    file = jobs.result_folder(job).parent / "exit.json"
    held = json.loads(file.read_text())
    error = {"key": "error.of_long_ago", "values": {}, "text": "It rained."}
    file.write_text(json.dumps({**held, "outcome": "failed", "error": error}))
    assert str(jobs.view(job).error) == "It rained."


def test_a_sentence_with_numbers_of_another_library_survives(jobs: Jobs) -> None:
    """NumPy numbers in an error are numbers on disk too, so that the sentence can still group their digits."""

    def work(_: JobHandle) -> None:
        raise InvalidInput("error.text_too_long", name="row 7", length=np.int64(60_000), limit=np.int32(50_000))

    job = jobs.start("batch", {}, work)
    assert ended(jobs, job) is State.FAILED
    assert "60,000" in str(jobs.view(job).error)


def test_an_exception_that_cannot_be_printed_still_ends_the_job(jobs: Jobs) -> None:
    """Even an exception whose own text fails is written down as a failure, and the line goes on."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def work(_: JobHandle) -> None:
        raise MuteError

    first, second = jobs.start("batch", {}, work), jobs.start("batch", {}, quick)
    assert (ended(jobs, first), ended(jobs, second)) == (State.FAILED, State.SUCCEEDED)
    assert "MuteError" in str(jobs.view(first).error)


def test_cancelled_by_the_work_itself(jobs: Jobs) -> None:
    """Cancelled raised anywhere in the work is the state cancelled."""

    def work(_: JobHandle) -> None:
        raise Cancelled("error.cancelled")

    assert ended(jobs, jobs.start("batch", {}, work)) is State.CANCELLED


needs_full_device = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@needs_full_device
def test_lost_events_never_break_the_work(jobs: Jobs) -> None:
    """Events that a full disk refuses are counted and reported in the log; the work goes on to its end."""
    gate, reached = Gate(), threading.Event()

    def work(job: JobHandle) -> None:
        for row in range(3):
            job.emit("row", row)
        reached.set()

    jobs.start("batch", {}, gate)
    gate.begun.wait(PATIENCE)
    job = jobs.start("batch", {}, work)
    folder = jobs.result_folder(job).parent
    (folder / "events.jsonl").symlink_to("/dev/full")
    gate.open.set()
    assert ended(jobs, job) is State.SUCCEEDED
    assert reached.is_set()
    assert "3 writes failed" in jobs.log(job)
    assert json.loads((folder / "exit.json").read_text())["lost"] == 3


@needs_full_device
def test_a_full_disk_is_a_sentence(jobs: Jobs) -> None:
    """Work that finds no room left fails with a sentence that says what to do."""

    def work(_: JobHandle) -> None:
        with Path("/dev/full").open("w") as file:
            file.write("x" * 100_000)

    job = jobs.start("batch", {}, work)
    assert ended(jobs, job) is State.FAILED
    assert "disk is full" in str(jobs.view(job).error)


def test_an_end_that_cannot_be_written_is_known_here_and_never_a_success_later(jobs: Jobs) -> None:
    """If exit.json is refused, this server still tells the end; another one, after its death, says interrupted."""
    gate = Gate()
    job = jobs.start("batch", {}, gate)
    gate.begun.wait(PATIENCE)
    folder = jobs.result_folder(job).parent
    (folder / "exit.json").mkdir()
    gate.open.set()
    assert ended(jobs, job) is State.SUCCEEDED
    write_process(folder, pid=os.getpid(), started=1.0)
    assert JobFolder(folder).look().state is State.INTERRUPTED


def write_process(folder: Path, **process: float) -> None:
    """Make job.json name another process."""
    record = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps({**record, "process": process}))


def test_a_reused_pid_is_not_alive(jobs: Jobs) -> None:
    """A process with the recorded number but another start time is another process: the job is interrupted."""
    gate = Gate()
    job = jobs.start("batch", {}, gate)
    gate.begun.wait(PATIENCE)
    folder = jobs.result_folder(job).parent
    here = ProcessMark.here()
    stranger = ProcessMark(1, 0.0)
    assert JobFolder(folder, stranger).look().state is State.RUNNING
    write_process(folder, pid=here.pid, started=here.started - 60)
    assert jobs.state(job) is State.INTERRUPTED
    gate.open.set()
    until((folder / "exit.json").exists)
    assert jobs.state(job) is State.SUCCEEDED, "the work's own word wins"


def test_a_zombie_is_not_alive() -> None:
    """A process that has ended but was not waited for carries no work."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = ProcessMark(child.pid, psutil.Process(child.pid).create_time())
    assert mark.lives()
    child.kill()
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
    assert not mark.lives()
    child.communicate()
    assert not mark.lives()


def test_a_torn_last_line_counts_as_never_written(jobs: Jobs) -> None:
    """Half a line at the end of the events is ignored, in following and in the view."""

    def work(job: JobHandle) -> None:
        job.report(Progress("score", 1, 9))
        job.report(Progress("score", 2, 9))

    job = jobs.start("batch", {}, work)
    ended(jobs, job)
    folder = jobs.result_folder(job).parent
    with (folder / "events.jsonl").open("a") as file:
        file.write('{"seq":3,"time":1,"name":"progress","payl')
    assert [event.seq for event in jobs.follow(job).events] == [1, 2]
    (folder / "exit.json").unlink()
    write_process(folder, pid=1, started=1.0)
    assert jobs.view(job).progress == Progress("score", 2, 9)


@pytest.mark.parametrize(
    "job", ["", "../x", "..", ".", "a/b", "0" * 31, "0" * 33, "0" * 32, "g" * 32, "0" * 32 + "\n", "A" * 32, None, 7]
)
def test_unknown_and_malformed_ids_are_one_sentence(jobs: Jobs, job: str) -> None:
    """Whatever is no id of a job here is the same UnknownName for every request."""
    for request in (jobs.state, jobs.view, jobs.follow, jobs.stop, jobs.delete, jobs.log, jobs.result_folder):
        with pytest.raises(UnknownName, match="no such job"):
            request(job)


def test_owners_never_see_each_other(jobs: Jobs) -> None:
    """Another visitor's job cannot be told from one that does not exist; without an owner only ownerless ones show."""
    ann, nobody = jobs.start("batch", {}, quick, owner="ann"), jobs.start("batch", {}, quick)
    ended(jobs, ann), ended(jobs, nobody)
    assert [view.id for view in jobs.list("ann")] == [ann]
    assert [view.id for view in jobs.list()] == [nobody]
    assert jobs.list("bob") == []
    assert {view.id for view in jobs.list(ANYBODY)} == {ann, nobody}
    for stranger, job in (("bob", ann), (None, ann), ("bob", nobody)):
        for request in (jobs.state, jobs.view, jobs.stop, jobs.delete, jobs.log, jobs.result_folder):
            with pytest.raises(UnknownName, match="no such job"):
                request(job, stranger)
        with pytest.raises(UnknownName, match="no such job"):
            jobs.follow(job, 0, stranger)
    assert jobs.view(ann, "ann").state is State.SUCCEEDED


@dataclass(frozen=True)
class PushSettings:
    """Settings with everything that must not be written down."""

    model: str = "starter"
    hf_token: str = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567"
    api_key: str = "plain-looking-key"
    pad_token: str = "<pad>"
    max_new_tokens: int = 50


def test_secrets_are_nowhere_on_disk(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """No token, password or key reaches any file, whichever way the work lets it slip; nor does a visitor's name."""
    monkeypatch.setenv("HF_TOKEN", "environment-secret")
    settings = PushSettings()
    secrets = [settings.hf_token, settings.api_key, "environment-secret", "hunter2!", "visitor-cookie", "click-key"]

    def work(job: JobHandle) -> None:
        slip = f"{settings.hf_token} {settings.api_key} environment-secret https://ann:hunter2!@host/x"
        job.emit(slip, {"note": slip, slip: [slip], "password": "hunter2!"})
        job.report(Progress(slip, 1, 2))
        job.log(slip)
        raise RuntimeError(slip)

    def refuse(_: JobHandle) -> None:
        raise InvalidInput("error.not_text", name=settings.api_key)

    for act in (work, refuse):
        job = jobs.start("push", settings, act, owner="visitor-cookie", once_key="click-key")
        assert ended(jobs, job) is State.FAILED
        files = [file for file in jobs.result_folder(job, ANYBODY).parent.rglob("*") if file.is_file()]
        assert len(files) >= 4
        for file in files:
            for secret in secrets:
                assert secret not in file.read_text(), (file.name, secret)
    held = jobs.view(job, "visitor-cookie").settings
    assert held == {
        "model": "starter",
        "hf_token": "[removed]",
        "api_key": "[removed]",
        "pad_token": "<pad>",
        "max_new_tokens": 50,
    }


def test_delete_is_refused_while_alive(jobs: Jobs) -> None:
    """A running job cannot be deleted; a finished one goes with all its files."""
    gate = Gate()
    job = jobs.start("batch", {}, gate)
    gate.begun.wait(PATIENCE)
    with pytest.raises(Busy, match="running"):
        jobs.delete(job)
    gate.open.set()
    ended(jobs, job)
    folder = jobs.result_folder(job).parent
    jobs.delete(job)
    assert not folder.exists()
    assert list(folder.parent.iterdir()) == []
    with pytest.raises(UnknownName):
        jobs.view(job)


def heavy(job: JobHandle) -> None:
    """Leave 100 KB."""
    (job.result_folder / "big.bin").write_bytes(b"x" * 100_000)


def test_sweep_keeps_the_quota_and_the_living(tmp_path: Path) -> None:
    """Beyond the quota the oldest finished jobs go first; waiting and running ones stay whatever they take."""
    jobs, gate = Jobs(tmp_path), Gate()
    made = [jobs.start("batch", {}, heavy) for _ in range(4)]
    for job in made:
        ended(jobs, job)

    def heavy_and_long(job: JobHandle) -> None:
        heavy(job)
        gate(job)

    alive = jobs.start("batch", {}, heavy_and_long)
    gate.begun.wait(PATIENCE)
    waiting = jobs.start("batch", {}, quick)
    small = Jobs(tmp_path, quota_bytes=350_000)
    swept = small.sweep()
    assert list(swept.ids) == made[:2]
    assert swept.freed_bytes > 200_000
    assert {view.id for view in jobs.list()} == {*made[2:], alive, waiting}
    assert set(Jobs(tmp_path, quota_bytes=0).sweep().ids) == set(made[2:])
    assert {view.id for view in jobs.list()} == {alive, waiting}
    assert jobs.shutdown(PATIENCE)


def test_each_owner_has_a_quota_of_their_own(tmp_path: Path) -> None:
    """Who keeps too much loses their own oldest jobs, and nobody else's."""
    jobs = Jobs(tmp_path)
    first = jobs.start("pictures", {}, heavy, owner="ada")
    ended(jobs, first)
    others = [jobs.start("pictures", {}, heavy, owner="bo") for _ in range(3)]
    for job in others:
        ended(jobs, job)
    assert Jobs(tmp_path, quota_bytes_each=250_000).sweep().ids == (others[0],)
    assert [view.id for view in jobs.list("ada")] == [first]
    assert {view.id for view in jobs.list("bo")} == set(others[1:])


def test_sweep_removes_what_is_too_old_and_nothing_foreign(tmp_path: Path) -> None:
    """Jobs past their days go, so do old leftovers; folders that are no jobs are left alone."""
    jobs = Jobs(tmp_path, keep_days=10)
    old, new = jobs.start("batch", {}, quick), jobs.start("batch", {}, quick)
    ended(jobs, old), ended(jobs, new)
    file = jobs.result_folder(old).parent / "exit.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "ended": time.time() - 11 * 86_400}))
    for name in ("my photos", ".new-left", ".old-fresh"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".new-left", (1, 1))
    assert jobs.sweep().ids == (old,)
    assert {path.name for path in tmp_path.iterdir()} == {new, "my photos", ".old-fresh"}


DAMAGED_ENDINGS = (
    {"ended": "x"},
    {"ended": None},
    {"ended": float("nan")},
    {"ended": 10**400},
    {"seconds": "soon"},
    {"events": [1]},
    {"lost": "two"},
    {"error": []},
    {"progress": {"phase": "rows", "done": float("inf"), "total": 1, "seconds": 0}, "ended": {}},
)


@pytest.mark.parametrize("damage", DAMAGED_ENDINGS, ids=" ".join)
def test_a_damaged_ending_counts_as_never_written(tmp_path: Path, damage: dict[str, object]) -> None:
    """An exit.json with values of another type is no end; the old job is interrupted, and later jobs run."""
    jobs = Jobs(tmp_path)
    old = jobs.start("batch", {}, quick)
    ended(jobs, old)
    folder = jobs.result_folder(old).parent
    file = folder / "exit.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **damage}))
    write_process(folder, pid=1, started=1.0)
    assert jobs.state(old) is State.INTERRUPTED
    assert jobs.sweep().ids == ()
    assert [view.state for view in jobs.list()] == [State.INTERRUPTED]
    new = jobs.start("batch", {}, quick)
    assert ended(jobs, new) is State.SUCCEEDED
    assert jobs.adopt().interrupted == (old,)
    assert json.loads(file.read_text())["outcome"] == "interrupted"


@pytest.mark.parametrize(
    "damage",
    [
        {"created": "x"},
        {"started": [1]},
        {"process": {"pid": "one", "started": 1.0}},
        {"process": {"pid": 1, "started": None}},
        {"id": 5},
        {"id": "../elsewhere"},
        {"settings": 3},
        {"owner": 7},
        {"kind": None},
    ],
    ids=" ".join,
)
def test_a_damaged_record_is_no_job(tmp_path: Path, damage: dict[str, object]) -> None:
    """A job.json with values of another type is left out of every list, and neither sweep nor start-up stumbles."""
    jobs = Jobs(tmp_path)
    old = jobs.start("batch", {}, quick)
    ended(jobs, old)
    file = jobs.result_folder(old).parent / "job.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **damage}))
    with pytest.raises(UnknownName):
        jobs.state(old)
    assert (jobs.list(), jobs.sweep().ids) == ([], ())
    assert jobs.adopt().alive == jobs.adopt().interrupted == ()


def a_folder(file: Path) -> None:
    """Put a folder where a file should be."""
    file.mkdir()


def a_circle(file: Path) -> None:
    """Put a link to itself where a file should be: nobody may read it, not even root."""
    file.symlink_to(file)


@pytest.mark.parametrize("put", [a_folder, a_circle])
@pytest.mark.parametrize("name", ["job.json", "exit.json", "events.jsonl"])
def test_one_unreadable_job_hides_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, put: Callable[[Path], None]
) -> None:
    """Whatever cannot be read of one job, start-up, list and sweep go on with the others and say so at most once."""
    jobs = Jobs(tmp_path)
    bad, good = (jobs.start("batch", {}, quick) for _ in range(2))
    ended(jobs, bad), ended(jobs, good)
    folder = jobs.result_folder(bad).parent
    write_process(folder, pid=1, started=1.0)
    (folder / "exit.json").unlink()
    (folder / name).unlink(missing_ok=True)
    put(folder / name)
    for _ in range(2):
        assert {view.id for view in jobs.list()} in ({good}, {good, bad})
        assert jobs.sweep().ids == ()
        assert jobs.adopt().alive == ()
    assert ended(jobs, jobs.start("batch", {}, quick)) is State.SUCCEEDED
    told = sum("left out" in record.message for record in caplog.records)
    assert told == (0 if (name, put) == ("exit.json", a_folder) else 1), "a folder is no ending: nothing is hidden"


def test_what_cannot_be_read_is_not_swept(tmp_path: Path) -> None:
    """A job whose record the system refuses to show stays, while one whose record is no file goes with its days."""
    jobs = Jobs(tmp_path, keep_days=1)
    hidden, broken = (jobs.start("batch", {}, quick) for _ in range(2))
    ended(jobs, hidden), ended(jobs, broken)
    for job, put in ((hidden, a_circle), (broken, a_folder)):
        (tmp_path / job / "job.json").unlink()
        put(tmp_path / job / "job.json")
        os.utime(tmp_path / job, (1, 1))
    with pytest.raises(UnknownName):
        jobs.state(hidden)
    assert jobs.sweep().ids == (broken,)
    assert (tmp_path / hidden).is_dir()


def test_an_infinite_progress_is_none(jobs: Jobs) -> None:
    """A progress of infinitely many units, which JSON can hold, is read as none."""

    def work(job: JobHandle) -> None:
        job.report(Progress("score", 1, 9))

    job = jobs.start("batch", {}, work)
    ended(jobs, job)
    with (jobs.result_folder(job).parent / "events.jsonl").open("a") as file:
        file.write(
            '{"seq":2,"time":1,"name":"progress","payload":{"phase":"","done":Infinity,"total":1,"seconds":0}}\n'
        )
        file.write('{"seq":Infinity,"time":1,"name":"row","payload":null}\n')
    assert [event.progress for event in jobs.follow(job).events] == [Progress("score", 1, 9), None]


class Unsweepable(Jobs):
    """Jobs whose sweep fails as the script says."""

    problem: BaseException = TypeError("an old job's files")

    def sweep(self) -> Swept:
        """Fail."""
        raise self.problem


def test_a_sweep_that_fails_is_logged_and_the_job_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever error the sweep before a job ends in, the job and the one behind it run."""
    jobs = Unsweepable(tmp_path)
    made = [jobs.start("batch", {}, quick) for _ in range(2)]
    assert [ended(jobs, job) for job in made] == [State.SUCCEEDED] * 2
    assert "an old job's files" in caplog.text
    assert jobs.shutdown(PATIENCE)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_leaves_its_place(tmp_path: Path) -> None:
    """If the thread of the line ends against all expectation, its job has failed and the next ones still run."""
    jobs = Unsweepable(tmp_path)
    jobs.problem = SystemExit()
    assert ended(jobs, jobs.start("batch", {}, quick)) is State.FAILED
    jobs.problem = OSError()
    assert ended(jobs, jobs.start("batch", {}, quick)) is State.SUCCEEDED
    assert jobs.shutdown(PATIENCE)


def test_a_start_makes_room_first(tmp_path: Path) -> None:
    """Before a job begins, finished ones beyond the quota are swept without anybody's asking."""
    jobs = Jobs(tmp_path, quota_bytes=50_000)
    first = jobs.start("batch", {}, heavy)
    assert ended(jobs, first) is State.SUCCEEDED
    second = jobs.start("batch", {}, quick)
    assert ended(jobs, second) is State.SUCCEEDED
    assert [view.id for view in jobs.list()] == [second]


def test_many_finished_jobs_are_listed_from_two_small_files_each(jobs: Jobs) -> None:
    """Listing 200 finished jobs opens job.json and exit.json of each, and neither events, logs nor results."""
    made = {jobs.start("batch", {}, quick)}
    source = jobs.result_folder(next(iter(made))).parent
    ended(jobs, source.name)
    for number in range(199):
        name = f"{number:032x}"
        (source.parent / name).mkdir()
        for file in ("job.json", "exit.json", "events.jsonl"):
            text = (source / file).read_text().replace(source.name, name)
            (source.parent / name / file).write_text(text)
    opened: list[str] = []
    watching = threading.Event()
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" and watching.is_set() else None)
    watching.set()
    views = jobs.list()
    watching.clear()
    assert len(views) == 200
    below = [Path(name).name for name in opened if name.startswith(str(source.parent))]
    assert (below.count("job.json"), below.count("exit.json"), len(below)) == (200, 200, 400)


def test_shutdown_ends_everything_as_interrupted(tmp_path: Path) -> None:
    """A server that goes away stops its work, says interrupted of what nobody cancelled, and starts nothing new."""
    jobs, gate = Jobs(tmp_path), Gate()
    running = jobs.start("batch", {}, gate)
    gate.begun.wait(PATIENCE)
    waiting = jobs.start("batch", {}, quick)
    assert jobs.shutdown(PATIENCE)
    assert (jobs.state(running), jobs.state(waiting)) == (State.INTERRUPTED, State.INTERRUPTED)
    assert "server stopped" in str(jobs.view(running).error)
    with pytest.raises(Busy, match="shutting down"):
        jobs.start("batch", {}, quick)
    assert not [thread for thread in threading.enumerate() if thread.name == "atelier-jobs"]


def test_adopt_keeps_what_lives(jobs: Jobs, tmp_path: Path) -> None:
    """A second look at start-up leaves living jobs alone, and a double click still finds them."""
    gate = Gate()
    job = jobs.start("batch", {}, gate, once_key="form")
    gate.begun.wait(PATIENCE)
    other = Jobs(tmp_path / "jobs")
    adopted = other.adopt()
    assert (adopted.alive, adopted.interrupted) == ((job,), ())
    assert other.start("batch", {}, quick, once_key="form") == job
    gate.open.set()
    assert ended(jobs, job) is State.SUCCEEDED


SERVER = """
import os, sys, threading
from pathlib import Path
from core.events import Progress
from core.jobs.runner import Jobs

def work(job):
    table = (job.result_folder / "rows.txt").open("ab", buffering=0)
    row = 0
    while True:
        row += 1
        job.cancel.check()
        table.write(b"%d\\n" % row)
        os.write(1, b"try %d\\n" % row)
        job.emit("row", {"row": row, "text": "x" * 300}) if row % 2 else job.report(Progress("score", row, 0, 1.0))
        os.write(1, b"did %d\\n" % row)

jobs = Jobs(Path(sys.argv[1]))
job = jobs.start("batch", {"file": "table.csv"}, work)
jobs.start("batch", {"file": "next.csv"}, work)
os.write(1, b"id %s\\n" % job.encode())
threading.Event().wait()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a real second process with one endless job and one that waits."""
    child = subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE)
    yield child
    child.kill()
    child.communicate()


def read_until(child: subprocess.Popen[bytes], done: int) -> tuple[str, list[str]]:
    """Read the child's story until row `done` (0 = until the job's id is known), whichever of the two is told first."""
    assert child.stdout is not None
    lines: list[str] = []
    job, reached = "", not done
    while not (job and reached):
        lines.append(child.stdout.readline().decode().strip())
        assert lines[-1], "the child ended early"
        job = lines[-1].removeprefix("id ") if lines[-1].startswith("id ") else job
        reached = reached or lines[-1] == f"did {done}"
    return job, lines


@pytest.mark.parametrize("seed", range(5))
def test_kill_9_loses_at_most_the_last_event(server: subprocess.Popen[bytes], tmp_path: Path, seed: int) -> None:
    """A server killed at any moment leaves an interrupted job, never a success, with every event but the last."""
    job, lines = read_until(server, random.Random(seed).choice((0, 1, 10, 100, 400)) + seed)
    server.send_signal(signal.SIGKILL)
    assert server.stdout is not None
    lines += server.stdout.read().decode().split("\n")
    server.wait()
    did = max((int(line[4:]) for line in lines if line.startswith("did ")), default=0)
    jobs = Jobs(tmp_path)
    assert jobs.state(job) is State.INTERRUPTED
    adopted = jobs.adopt()
    assert len(adopted.interrupted) == 2, "the running one and the waiting one"
    assert adopted.alive == ()
    events = jobs.follow(job, limit=1_000_000).events
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert did <= len(events) <= did + 1
    view = jobs.view(job)
    assert (view.state, view.settings) == (State.INTERRUPTED, {"file": "table.csv"})
    assert "server stopped" in str(view.error)
    if did > 1:
        assert view.progress is not None
        assert len(events) - 1 <= view.progress.done <= len(events)
    rows = (jobs.result_folder(job) / "rows.txt").read_text().split() if did else []
    assert len(rows) >= did
    assert jobs.adopt().interrupted == (), "marked once"
    jobs.delete(job)


def test_another_process_can_stop_a_job(server: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A stop asked for through the folder reaches work in another process."""
    job, _ = read_until(server, 3)
    drain = threading.Thread(target=server.stdout.read)  # type: ignore[union-attr]
    drain.start()
    jobs = Jobs(tmp_path)
    assert jobs.state(job) is State.RUNNING
    assert jobs.stop(job) in (State.STOPPING, State.CANCELLED)
    assert ended(jobs, job) is State.CANCELLED
    server.kill()
    drain.join(PATIENCE)


WORKER = """
import sys, time
from pathlib import Path
from core.jobs.folder import JobFolder
from core.jobs.work import StopToken, carry
from core.redaction import Redactor

def work(job):
    job.emit("begun", None)
    while "poll" in sys.stdin.readline():
        while True:
            job.cancel.check()
            time.sleep(0.005)

folder = JobFolder(Path(sys.argv[1]))
carry(folder, StopToken(folder.stop_file), Redactor(), work)
"""


@pytest.fixture
def carried(jobs: Jobs, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Put a job on the shelf as a server would, and let a process of its own carry it."""
    here = ProcessMark.here()
    record = Record("f" * 32, "training", {}, {}, Carrier.PROCESS, here, time.time())
    folder = JobShelf(tmp_path / "jobs", here, 0, 0).add(record)
    assert jobs.state(record.id) is State.QUEUED
    child = subprocess.Popen([sys.executable, "-c", WORKER, str(folder.path)], cwd=PROJECT, stdin=subprocess.PIPE)
    until(lambda: jobs.follow(record.id).events)
    yield record.id, child
    child.kill()
    child.communicate()


def test_a_process_carries_the_same_protocol(jobs: Jobs, carried: tuple[str, subprocess.Popen[bytes]]) -> None:
    """A job in a process of its own is running while that process lives, and ends by its own word."""
    job, child = carried
    assert jobs.state(job) is State.RUNNING
    assert jobs.adopt().alive == (job,)
    child.communicate(b"go\n")
    assert jobs.state(job) is State.SUCCEEDED


def test_a_process_is_stopped_through_its_folder(jobs: Jobs, carried: tuple[str, subprocess.Popen[bytes]]) -> None:
    """Stop reaches a job in a process of its own, which says stopping until it has."""
    job, child = carried
    assert jobs.stop(job) is State.STOPPING
    child.communicate(b"poll\n")
    assert jobs.state(job) is State.CANCELLED


def test_a_killed_process_is_interrupted(jobs: Jobs, carried: tuple[str, subprocess.Popen[bytes]]) -> None:
    """When the process dies without a word, its job is interrupted and not stopping for ever."""
    job, child = carried
    jobs.stop(job)
    child.kill()
    child.wait()
    assert ended(jobs, job) is State.INTERRUPTED
    assert json.loads((jobs.result_folder(job).parent / "exit.json").read_text())["outcome"] == "interrupted"
