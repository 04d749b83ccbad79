"""Jobs with a process of their own: they outlive the server, are stopped for good, and go on where they ended."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from core.errors import Busy, DiskFull, InvalidInput, NotAllowed
from core.events import Progress
from core.jobs.child import REFUSED
from core.jobs.folder import JobFolder
from core.jobs.process import FOLDER, ProcessWork, shown_command
from core.jobs.records import ProcessMark
from core.jobs.runner import ANYBODY, JobHandle, Jobs, Patience, ProcessRules, State
from core.jobs.shelf import is_job_id
from core.jobs.tree import end_by_force, processes_of
from core.settings import PROJECT
from tests.core.jobs.workers import PHASES

PATIENCE = 60.0
TRIALS = 20
RULES = ProcessRules(Patience(grace=0.2, term=0.2, linger=5, strangers=0.1, tick=0.01), least_free_bytes=0)
PATIENT = ProcessRules(Patience(tick=0.01), least_free_bytes=0)
TOKEN, KEY = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567", "key-of-the-tracker"


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; give up loudly."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.01)


def ended(jobs: Jobs, job: str) -> State:
    """Wait for a job's end and return it."""
    until(lambda: not jobs.state(job, ANYBODY).alive)
    return jobs.state(job, ANYBODY)


def worker(*mode: str) -> ProcessWork:
    """Return a command of tests/core/jobs/workers.py."""
    return ProcessWork(("python", "-m", "tests.core.jobs.workers", FOLDER, *mode))


def by_hand(folder: Path, mode: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a worker as somebody without a server would."""
    command = [sys.executable, "-m", "tests.core.jobs.workers", str(folder), mode]
    return subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **environment}, check=False, capture_output=True, text=True, timeout=60
    )


def carrier(jobs: Jobs, job: str) -> int:
    """Return the number of the process that does the work, once it has said who it is."""
    folder = JobFolder(jobs.folder(job))
    until(lambda: folder.record().started is not None)
    return folder.record().process.pid


def events(jobs: Jobs, job: str) -> list[int]:
    """Return the numbers of a job's events."""
    return [event.seq for event in jobs.follow(job, limit=1_000_000).events]


def told(jobs: Jobs, job: str, name: str) -> list[object]:
    """Return what a job told under one name."""
    return [event.payload for event in jobs.follow(job).events if event.name == name]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Path]:
    """Give a folder for jobs, and leave none of their processes behind."""
    yield tmp_path / "runs"
    for path in (tmp_path / "runs").glob("*"):
        if is_job_id(path.name):
            end_by_force(path.name)


@pytest.fixture
def jobs(shelf: Path) -> Iterator[Jobs]:
    """Give jobs with hardly any patience."""
    made = Jobs(shelf, processes=RULES)
    yield made
    assert made.shutdown(PATIENCE)


def test_life_cycle(jobs: Jobs) -> None:
    """A process carries a job from the line to its success, and leaves what a thread would have left."""
    job = jobs.launch("training", {"task": "x"}, worker("quick"))
    assert jobs.state(job) in (State.QUEUED, State.RUNNING)
    assert ended(jobs, job) is State.SUCCEEDED
    view = jobs.view(job)
    assert (view.progress, view.error, view.settings) == (Progress("train", 2, 2, 0.5), None, {"task": "x"})
    assert (view.resumable, view.attempt) == (False, 1)
    assert (jobs.result_folder(job) / "adapter.txt").read_text() == "weights"
    record = json.loads((jobs.folder(job) / "job.json").read_text())
    assert (record["carrier"], record["device"]) == ("process", "cpu")
    assert record["process"]["pid"] != os.getpid()
    until(lambda: not [one for one in threading.enumerate() if one.name == "atelier-processes"])


def test_its_own_session_and_only_what_it_needs_of_the_environment(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process gets a session, no input, the variables of libraries and its own, and never the page's password."""
    monkeypatch.setenv("ATELIER_PASSWORD", "page-password")
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    work = worker("tell_environment")
    job = jobs.launch("training", {}, ProcessWork(work.arguments, {"OMP_NUM_THREADS": "1"}, {"HF_TOKEN": TOKEN}))
    assert ended(jobs, job) is State.SUCCEEDED, jobs.log(job)
    names = told(jobs, job, "environment")[0]
    assert isinstance(names, list)
    assert {"HF_TOKEN", "OMP_NUM_THREADS", "HF_HUB_OFFLINE", "ATELIER_JOB", "PATH"} <= set(names)
    assert not {"ATELIER_PASSWORD", "SOMETHING_ELSE"} & set(names)
    assert told(jobs, job, "session") == [[True, ""]]


def test_no_secret_reaches_a_file(jobs: Jobs, shelf: Path) -> None:
    """Whatever the process prints, logs, tells or fails with, its tokens are in no file, wherever a line was cut."""
    work = worker("slip")
    job = jobs.launch("training", {}, ProcessWork(work.arguments, secrets={"HF_TOKEN": TOKEN, "WANDB_API_KEY": KEY}))
    assert ended(jobs, job) is State.FAILED
    files = [file for file in shelf.rglob("*") if file.is_file()]
    assert len(files) >= 4
    for file in files:
        assert TOKEN not in file.read_text(), file.name
        assert KEY not in file.read_text(), file.name
    log = jobs.log(job)
    for words in ("printed [removed]", "half a line [removed]", "logged [removed]", "never ended [removed]"):
        assert words in log


def test_a_secret_that_would_be_written_down_is_a_mistake(jobs: Jobs) -> None:
    """A token among the arguments, or a secret under a name that says nothing, is refused: nothing is written."""
    with pytest.raises(ValueError, match="secrets"):
        jobs.launch("training", {}, ProcessWork(("python", TOKEN)))
    with pytest.raises(ValueError, match="SEED"):
        ProcessWork((), secrets={"SEED": "1234567890"})
    assert jobs.list() == []


def test_the_folder_is_filled_before_anybody_sees_it(jobs: Jobs) -> None:
    """What `fill` puts into the folder is there with the job, and what it raises leaves no job."""

    def fill(folder: Path) -> None:
        (folder / "settings.json").write_text("{}")
        assert jobs.list() == []

    def refuse(_: Path) -> None:
        raise InvalidInput("error.text_empty", name="file", limit=1)

    arguments = worker("quick").arguments
    with pytest.raises(InvalidInput):
        jobs.launch("training", {}, ProcessWork(arguments, fill=refuse))
    assert jobs.list() == []
    job = jobs.launch("training", {}, ProcessWork(arguments, fill=fill))
    assert (jobs.folder(job) / "settings.json").read_text() == "{}"
    assert ended(jobs, job) is State.SUCCEEDED


def test_the_command_that_is_shown_is_the_one_that_runs(shelf: Path) -> None:
    """The command shown, typed into a shell with the job's folder, does the job."""
    jobs = Jobs(shelf, processes=RULES)
    assert jobs.shutdown(PATIENCE) is True
    jobs = Jobs(shelf, processes=RULES)
    job = jobs.launch("training", {}, worker("count"))
    carrier(jobs, job)
    assert jobs.stop(job) is not None
    assert ended(jobs, job) is State.CANCELLED
    line = shown_command(worker("quick"), str(jobs.folder(job)))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["sh", "-c", line], cwd=PROJECT, env={**os.environ, "PATH": path}, check=False, timeout=60)
    assert (done.returncode, jobs.state(job), jobs.view(job).attempt) == (0, State.SUCCEEDED, 2)
    assert jobs.shutdown(PATIENCE)


def test_one_line_a_device(jobs: Jobs) -> None:
    """On one device the second waits and says behind what; another device's job runs beside it."""
    first, second = (jobs.launch("training", {}, worker("count")) for _ in range(2))
    other = jobs.launch("training", {}, worker("count"), device="cuda:0")
    carrier(jobs, first), carrier(jobs, other)
    assert (jobs.state(second), jobs.view(second).position) == (State.QUEUED, 1)
    assert "training" in str(jobs.view(second).waiting)
    jobs.stop(first)
    assert ended(jobs, first) is State.CANCELLED
    carrier(jobs, second)
    assert jobs.state(other) is State.RUNNING
    assert JobFolder(jobs.folder(second)).record().started >= JobFolder(jobs.folder(first)).ending().ended - 1  # type: ignore[union-attr,operator]
    jobs.stop(second), jobs.stop(other)
    assert (ended(jobs, second), ended(jobs, other)) == (State.CANCELLED, State.CANCELLED)


@pytest.mark.parametrize("name", PHASES)
def test_stop_in_every_phase(shelf: Path, name: str) -> None:
    """Whatever the work is at, it stops by itself when asked, and says what its end gave back."""
    jobs = Jobs(shelf, processes=PATIENT)
    job = jobs.launch("training", {}, worker("phase", name))
    until(lambda: (progress := jobs.view(job).progress) and progress.phase == name)
    assert jobs.stop(job) in (State.STOPPING, State.CANCELLED)
    assert ended(jobs, job) is State.CANCELLED
    assert (jobs.view(job).error, jobs.view(job).resumable) == (None, True)
    until(lambda: told(jobs, job, "note"))
    note = told(jobs, job, "note")[0]
    assert isinstance(note, dict)
    assert note["key"] == "say.job_freed"
    assert note["values"]["processes"] == 1
    assert jobs.shutdown(PATIENCE)


def test_stop_while_waiting_and_before_the_work_begins(jobs: Jobs) -> None:
    """A job in line is cancelled at once; a process that never comes to its work is ended, and is cancelled, too."""
    first, second = jobs.launch("training", {}, worker("sleep")), jobs.launch("training", {}, worker("quick"))
    until(lambda: jobs.state(first) is State.RUNNING)
    assert jobs.stop(second) is State.CANCELLED
    assert jobs.stop(first) is State.STOPPING
    assert ended(jobs, first) is State.CANCELLED
    assert jobs.view(first).error is not None
    assert processes_of(first) == []


def test_the_deaf_are_ended_with_their_children(jobs: Jobs) -> None:
    """What hears no request is told, then ended by force with helpers in sessions of their own; the words say so."""
    job = jobs.launch("training", {}, worker("deaf"))
    until(lambda: told(jobs, job, "helper"))
    helper = told(jobs, job, "helper")[0]
    assert psutil.pid_exists(helper)
    jobs.stop(job)
    assert ended(jobs, job) is State.CANCELLED
    error = jobs.view(job).error
    assert error is not None
    assert (error.key, error.values["processes"]) == ("error.job_forced", 2)
    assert "MB" in str(error)
    until(lambda: not psutil.pid_exists(helper) or psutil.Process(helper).status() == psutil.STATUS_ZOMBIE)
    assert processes_of(job) == []


def test_an_adopted_job_is_stopped_for_good(shelf: Path) -> None:
    """A server that did not start a process stops it like its own, children and all."""
    first = Jobs(shelf, processes=RULES)
    job = first.launch("training", {}, worker("deaf"))
    until(lambda: told(first, job, "helper"))
    assert first.shutdown(PATIENCE)
    assert first.state(job) is State.RUNNING, "it outlives the server that started it"
    second = Jobs(shelf, processes=RULES)
    assert second.adopt().alive == (job,)
    second.stop(job)
    assert ended(second, job) is State.CANCELLED
    assert processes_of(job) == []
    assert second.shutdown(PATIENCE)


def test_helpers_that_overstay_are_ended(shelf: Path) -> None:
    """What a job leaves running after its success is ended, and only then the next one begins."""
    jobs = Jobs(shelf, processes=ProcessRules(Patience(linger=0.2, tick=0.01), least_free_bytes=0))
    job, following = (jobs.launch("training", {}, worker(mode)) for mode in ("leave_helper", "quick"))
    assert (ended(jobs, job), ended(jobs, following)) == (State.SUCCEEDED, State.SUCCEEDED)
    assert processes_of(job) == []
    assert jobs.shutdown(PATIENCE)


@pytest.mark.parametrize(("mode", "words"), [("exit-0", "exit code 0"), ("exit-7", "exit code 7")])
def test_a_process_that_ends_without_a_word_has_failed(jobs: Jobs, mode: str, words: str) -> None:
    """An exit code without an end of its own is a failure, even 0, with the last lines of the log."""
    job = jobs.launch("training", {}, worker(mode))
    assert ended(jobs, job) is State.FAILED
    assert words in str(jobs.view(job).error)
    assert "of a process" in str(jobs.view(job).error)
    assert jobs.view(job).resumable


def test_an_exception_is_a_failure_with_its_words(jobs: Jobs) -> None:
    """What the work raises is written down by the process itself; the traceback is in the log."""
    job = jobs.launch("training", {}, worker("fail"))
    assert ended(jobs, job) is State.FAILED
    assert "KeyError" in str(jobs.view(job).error)
    assert "Traceback" in jobs.log(job)


def test_a_program_that_is_not_there(jobs: Jobs) -> None:
    """A command that cannot be started fails in words, and the next job runs."""
    job, following = jobs.launch("training", {}, ProcessWork(("no-such-program",))), None
    following = jobs.launch("training", {}, worker("quick"))
    assert ended(jobs, job) is State.FAILED
    assert "no-such-program" in str(jobs.view(job).error)
    assert ended(jobs, following) is State.SUCCEEDED


def test_a_signal_from_outside_interrupts(jobs: Jobs) -> None:
    """SIGTERM that nobody asked for ends the work in order, as interrupted; it can go on."""
    job = jobs.launch("training", {}, worker("count"))
    os.kill(carrier(jobs, job), signal.SIGTERM)
    assert ended(jobs, job) is State.INTERRUPTED
    error = jobs.view(job).error
    assert error is not None
    assert error.key == "error.job_told_to_end"
    assert jobs.view(job).resumable


def test_kill_9_of_the_worker(jobs: Jobs) -> None:
    """In twenty trials at random moments a killed process is never a success, loses at most one event, and goes on."""
    chance = random.Random(9)
    made = [jobs.launch("training", {}, worker("count"), device=f"device:{trial}") for trial in range(TRIALS)]
    for job in made:
        least = chance.choice((0, 0, 1, 3, 10, 40)) + chance.randrange(4)
        until(lambda job=job, least=least: len(events(jobs, job)) >= least)  # type: ignore[misc]
        os.kill(carrier(jobs, job), signal.SIGKILL)
        assert jobs.state(job) in (State.RUNNING, State.INTERRUPTED)
    for job in made:
        assert ended(jobs, job) is State.INTERRUPTED
        numbers = events(jobs, job)
        assert numbers == list(range(1, len(numbers) + 1))
        rows = jobs.result_folder(job) / "rows.txt"
        assert len(numbers) <= (len(rows.read_text().split()) if rows.exists() else 0) <= len(numbers) + 1
        assert "SIGKILL" in str(jobs.view(job).error)
        assert jobs.view(job).resumable
        assert jobs.resume(job) == job
    for job in made:
        assert json.loads((jobs.folder(job) / "exit-1.json").read_text())["outcome"] == "interrupted"
        assert ended(jobs, job) is State.SUCCEEDED
        assert jobs.view(job).attempt == 2
        assert jobs.follow(job, limit=1_000_000).events[-1].payload == {"number": 2}
        numbers = events(jobs, job)
        assert numbers == list(range(1, len(numbers) + 1)), "numbered on, whatever was torn"


SERVER = """
import os, sys, threading
from pathlib import Path
from core.jobs.process import FOLDER, ProcessWork
from core.jobs.runner import Jobs, Patience, ProcessRules

jobs = Jobs(Path(sys.argv[1]), processes=ProcessRules(Patience(tick=0.01), least_free_bytes=0))
for mode in ("count", "quick"):
    work = ProcessWork(("python", "-m", "tests.core.jobs.workers", FOLDER, mode))
    os.write(1, jobs.launch("training", {}, work).encode() + b"\\n")
threading.Event().wait()
"""


@pytest.mark.parametrize("trial", range(TRIALS))
def test_kill_9_of_the_server(shelf: Path, trial: int) -> None:
    """In twenty trials at random moments what a killed server ran goes on, what waited waits, and nothing is lost."""
    chance = random.Random(trial)
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(shelf)], cwd=PROJECT, stdout=subprocess.PIPE)
    assert server.stdout is not None
    running, waiting = (server.stdout.readline().decode().strip() for _ in range(2))
    looking = Jobs(shelf, processes=RULES)
    least = chance.choice((-1, 0, 5))
    pause = threading.Event()
    pause.wait(chance.random() * 0.3) if least < 0 else until(lambda: len(events(looking, running)) >= least)
    server.kill()
    server.communicate()
    jobs = Jobs(shelf, processes=RULES)
    assert set(jobs.adopt().alive) == {running, waiting}
    assert jobs.state(waiting) is State.QUEUED
    seen = len(events(jobs, running))
    until(lambda: len(events(jobs, running)) > seen)
    assert (jobs.state(running), jobs.state(waiting)) == (State.RUNNING, State.QUEUED)
    assert len(processes_of(running)) == 1
    if trial % 5:
        assert jobs.stop(waiting) is State.CANCELLED
    jobs.stop(running)
    assert ended(jobs, running) is State.CANCELLED
    assert ended(jobs, waiting) is (State.CANCELLED if trial % 5 else State.SUCCEEDED)
    numbers = events(jobs, running)
    assert numbers == list(range(1, len(numbers) + 1))
    assert jobs.shutdown(PATIENCE)


def test_what_waits_goes_back_in_line_in_order(shelf: Path) -> None:
    """After a restart the running job is adopted, the waiting ones keep their order, and a double click finds them."""
    first = Jobs(shelf, processes=RULES)
    running = first.launch("training", {}, worker("count"))
    waiting = [first.launch("training", {}, worker("quick"), once_key=f"form-{one}") for one in range(3)]
    carrier(first, running)
    assert first.shutdown(PATIENCE)
    second = Jobs(shelf, processes=RULES)
    assert second.adopt().alive == (running, *waiting)
    assert [second.view(job).position for job in waiting] == [1, 2, 3]
    assert second.launch("training", {}, worker("quick"), once_key="form-1") == waiting[1]
    second.stop(running)
    assert [ended(second, job) for job in waiting] == [State.SUCCEEDED] * 3
    began = [JobFolder(second.folder(job)).record().started or 0 for job in waiting]
    assert began == sorted(began)
    assert second.shutdown(PATIENCE)


def test_an_adopted_process_that_dies_is_interrupted(shelf: Path) -> None:
    """Nobody knows the exit code of another server's process: its death is an interruption, and the line goes on."""
    first = Jobs(shelf, processes=RULES)
    job, following = (first.launch("training", {}, worker(mode)) for mode in ("count", "quick"))
    process = carrier(first, job)
    assert first.shutdown(PATIENCE)
    second = Jobs(shelf, processes=RULES)
    second.adopt()
    os.kill(process, signal.SIGKILL)
    assert ended(second, job) is State.INTERRUPTED
    assert ended(second, following) is State.SUCCEEDED
    error = second.view(job).error
    assert error is not None
    assert error.key == "error.job_process_gone"
    assert second.shutdown(PATIENCE)


def test_what_died_while_no_server_looked(shelf: Path) -> None:
    """A start-up writes down the death of a process, ends its orphans, and the job can go on."""
    first = Jobs(shelf, processes=RULES)
    job = first.launch("training", {}, worker("deaf"))
    until(lambda: told(first, job, "helper"))
    process = carrier(first, job)
    assert first.shutdown(PATIENCE)
    os.kill(process, signal.SIGKILL)
    until(lambda: first.state(job) is State.INTERRUPTED)
    second = Jobs(shelf, processes=RULES)
    assert second.adopt().interrupted == (job,)
    assert processes_of(job) == []
    assert json.loads((second.folder(job) / "exit.json").read_text())["outcome"] == "interrupted"
    assert second.view(job).resumable
    assert second.shutdown(PATIENCE)


def test_a_start_that_nobody_wrote_down_is_taken_on(shelf: Path) -> None:
    """When a server died between the start of a process and its note, the next one takes the process on."""
    first = Jobs(shelf, processes=RULES)
    job = first.launch("training", {}, worker("sleep"))
    until(lambda: first.state(job) is State.RUNNING)
    assert first.shutdown(PATIENCE)
    (first.folder(job) / "launch.json").unlink()
    second = Jobs(shelf, processes=RULES)
    second.adopt()
    until(lambda: second.state(job) is State.RUNNING)
    assert len(processes_of(job)) == 1
    second.stop(job)
    assert ended(second, job) is State.CANCELLED
    assert second.shutdown(PATIENCE)


def test_resume_goes_on_in_the_same_folder(jobs: Jobs) -> None:
    """A further attempt keeps id, events, result and how the last one ended, and adds up the seconds."""
    job = jobs.launch("training", {}, worker("count"))
    until(lambda: len(events(jobs, job)) > 10)
    with pytest.raises(Busy, match="running"):
        jobs.resume(job)
    jobs.stop(job)
    assert ended(jobs, job) is State.CANCELLED
    seconds, seen = jobs.view(job).seconds, len(events(jobs, job))
    assert jobs.resume(job) == job
    assert ended(jobs, job) is State.SUCCEEDED
    assert len(events(jobs, job)) > seen
    assert jobs.view(job).seconds > seconds > 0
    assert (jobs.view(job).attempt, jobs.view(job).resumable) == (2, False)
    assert json.loads((jobs.folder(job) / "exit-1.json").read_text())["outcome"] == "cancelled"
    assert (jobs.result_folder(job) / "rows.txt").exists()
    with pytest.raises(InvalidInput, match="nothing to resume"):
        jobs.resume(job)


def test_what_a_thread_did_cannot_be_resumed(jobs: Jobs) -> None:
    """Work of a thread keeps nothing to go on from, and says so."""

    def work(_: JobHandle) -> None:
        raise KeyError

    job = jobs.start("batch", {}, work)
    assert ended(jobs, job) is State.FAILED
    assert not jobs.view(job).resumable
    with pytest.raises(NotAllowed, match="Start it again"):
        jobs.resume(job)


def test_double_click_launches_once(jobs: Jobs) -> None:
    """Several starts under one key are one process."""
    made = {jobs.launch("training", {}, worker("count"), once_key="form") for _ in range(3)}
    assert len(made) == 1
    job = made.pop()
    carrier(jobs, job)
    assert len(processes_of(job)) == 1
    jobs.stop(job)
    assert ended(jobs, job) is State.CANCELLED


def test_two_processes_never_work_in_one_folder(jobs: Jobs) -> None:
    """A second worker in a folder that is being worked in does nothing, and says so."""
    job = jobs.launch("training", {}, worker("count"))
    carrier(jobs, job)
    until(lambda: events(jobs, job))
    second = by_hand(jobs.folder(job), "quick")
    assert second.returncode == REFUSED
    assert "Another process" in second.stderr
    assert jobs.state(job) is State.RUNNING
    assert not (jobs.result_folder(job) / "adapter.txt").exists()
    jobs.stop(job)
    assert ended(jobs, job) is State.CANCELLED


def test_a_worker_without_a_job_says_so(tmp_path: Path) -> None:
    """A folder that holds no job is refused in words, with an exit code of its own."""
    done = by_hand(tmp_path, "quick")
    assert done.returncode == REFUSED
    assert "holds no job" in done.stderr


def test_a_second_process_beside_the_first_is_silent(jobs: Jobs) -> None:
    """Of several processes that work together only the first tells and writes the end."""
    job = jobs.launch("training", {}, worker("count"))
    carrier(jobs, job)
    jobs.stop(job)
    until(lambda: told(jobs, job, "note"))
    before = {file: file.read_bytes() for file in jobs.folder(job).glob("*.json*")}
    done = by_hand(jobs.folder(job), "fail", RANK="1")
    assert done.returncode == 1
    assert {file: file.read_bytes() for file in jobs.folder(job).glob("*.json*")} == before
    assert "KeyError" in jobs.log(job)


def test_a_disk_that_is_nearly_full_is_refused_with_numbers(shelf: Path) -> None:
    """Neither a start nor a further attempt begins where the work's own needs and a reserve do not fit."""
    free = shutil.disk_usage(shelf.parent).free
    jobs = Jobs(shelf, processes=RULES)
    work = ProcessWork(worker("quick").arguments, bytes_needed=free * 2)
    with pytest.raises(DiskFull, match=r"nearly full: .*B are free, and this job needs .*B"):
        jobs.launch("training", {}, work)
    assert jobs.list() == []
    job = jobs.launch("training", {}, worker("fail"))
    assert ended(jobs, job) is State.FAILED
    careful = Jobs(shelf, processes=ProcessRules(least_free_bytes=free * 2))
    with pytest.raises(DiskFull):
        careful.resume(job)
    assert careful.state(job) is State.FAILED
    assert jobs.shutdown(PATIENCE)
    assert careful.shutdown(PATIENCE)


def test_trainings_are_never_swept_and_the_quota_is_refused(shelf: Path) -> None:
    """Hours of work stay until somebody deletes them: beyond the quota nothing new begins."""
    jobs = Jobs(shelf, quota_bytes=10, keep_days=0, processes=RULES)
    job = jobs.launch("training", {}, worker("quick"))
    assert ended(jobs, job) is State.SUCCEEDED
    assert jobs.sweep().ids == ()
    with pytest.raises(DiskFull, match="the limit is 10 B"):
        jobs.launch("training", {}, worker("quick"))
    jobs.delete(job)
    assert ended(jobs, jobs.launch("training", {}, worker("quick"))) is State.SUCCEEDED
    assert jobs.shutdown(PATIENCE)


def test_a_full_line_is_refused(shelf: Path) -> None:
    """Beyond the longest line a launch is refused, naming what runs."""
    jobs = Jobs(shelf, most_waiting=1, processes=RULES)
    made = [jobs.launch("training", {}, worker("count"))]
    carrier(jobs, made[0])
    made.append(jobs.launch("training", {}, worker("count")))
    with pytest.raises(Busy, match="training"):
        jobs.launch("training", {}, worker("count"))
    jobs.stop(made[1]), jobs.stop(made[0])
    assert ended(jobs, made[0]) is State.CANCELLED
    assert jobs.shutdown(PATIENCE)


def test_two_servers_share_a_device(shelf: Path) -> None:
    """Another server's job on the same shelf is waited for, though only that server looks after it."""
    first, second = Jobs(shelf, processes=RULES), Jobs(shelf, processes=RULES)
    running = first.launch("training", {}, worker("count"))
    carrier(first, running)
    waiting = second.launch("training", {}, worker("quick"))
    pause = threading.Event()
    pause.wait(0.2)
    assert second.state(waiting) is State.QUEUED
    first.stop(running)
    assert (ended(first, running), ended(second, waiting)) == (State.CANCELLED, State.SUCCEEDED)
    assert first.shutdown(PATIENCE)
    assert second.shutdown(PATIENCE)


def test_a_job_of_a_dead_server_is_cancelled_in_line(shelf: Path) -> None:
    """A job that no living server has in line is cancelled at once, and does not say stopping for ever."""
    first = Jobs(shelf, processes=RULES)
    running, waiting = (first.launch("training", {}, worker("count")) for _ in range(2))
    carrier(first, running)
    assert first.shutdown(PATIENCE)
    folder = JobFolder(first.folder(waiting))
    record = json.loads((folder.path / "job.json").read_text())
    (folder.path / "job.json").write_text(json.dumps({**record, "process": {"pid": 1, "started": 1.0}}))
    second = Jobs(shelf, processes=RULES)
    assert second.state(waiting) is State.QUEUED
    assert second.stop(waiting) is State.CANCELLED
    second.stop(running)
    assert ended(second, running) is State.CANCELLED
    assert second.shutdown(PATIENCE)


def test_force_hits_nobody_else() -> None:
    """Only processes that carry the job's mark are found; others, and the one that looks, are left alone."""
    mark = {**os.environ, "ATELIER_JOB": "a" * 32}
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    ours, other = subprocess.Popen(sleeper, env=mark), subprocess.Popen(sleeper)
    until(lambda: [one.pid for one in processes_of("a" * 32)] == [ours.pid])
    held = end_by_force("a" * 32)
    assert (held.processes, held.memory_bytes > 1_000_000) == (1, True)
    assert ours.wait(PATIENCE) == -signal.SIGKILL, "its exit code is left to whoever started it"
    assert ProcessMark(other.pid, psutil.Process(other.pid).create_time()).lives()
    other.kill()
    other.wait()
