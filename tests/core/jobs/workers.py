"""Real processes that carry a job as a script tells them: `python -m tests.core.jobs.workers FOLDER MODE`."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from core.events import Progress
from core.jobs.attempts import attempt_number
from core.jobs.child import carry_here
from core.jobs.work import JobHandle

PAUSE = 0.002
PHASES = ("download", "tokenize", "train", "evaluate", "save")


def quick(job: JobHandle) -> None:
    """Report once and make one file."""
    job.report(Progress("train", 2, 2, 0.5))
    (job.result_folder / "adapter.txt").write_text("weights")


def count(job: JobHandle) -> None:
    """Count without end, in a file and in events, in turn; a further attempt ends at once."""
    if attempt_number(job.folder) > 1:
        job.emit("attempt", {"number": attempt_number(job.folder)})
        return
    with (job.result_folder / "rows.txt").open("ab", buffering=0) as rows:
        row = 0
        while True:
            row += 1
            job.cancel.check()
            rows.write(b"%d\n" % row)
            job.emit("row", {"row": row, "text": "x" * 300}) if row % 2 else job.report(Progress("train", row, 0, 1.0))
            time.sleep(PAUSE)


def phase(job: JobHandle) -> None:
    """Come to the phase that the command names, and stay there until somebody asks to stop."""
    for name in PHASES:
        job.report(Progress(name, 0, 1))
        while name == sys.argv[3]:
            job.cancel.check()
            time.sleep(PAUSE)


def deaf(job: JobHandle) -> None:
    """Hear nothing, with a helper in a session of its own that would outlive everybody."""
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    job.emit("helper", helper.pid)
    while True:
        time.sleep(1)


def leave_helper(job: JobHandle) -> None:
    """Succeed, and leave a helper behind."""
    job.emit("helper", subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)


def fail(job: JobHandle) -> None:
    """Fail as Python does."""
    raise KeyError(job.cancel.cancelled)


def slip(job: JobHandle) -> None:
    """Let every secret of the environment slip in every way there is."""
    held = " ".join((os.environ["HF_TOKEN"], os.environ["WANDB_API_KEY"]))
    print("printed", held)  # noqa: T201 this is what is tried
    sys.stderr.write(f"half a line {held[:9]}")
    sys.stderr.write(f"{held[9:]} and its end\r")
    logging.getLogger("library").warning("logged %s", held)
    job.log(held)
    job.emit("note", {held: held})
    print("never ended", held, end="")  # noqa: T201 the same
    raise RuntimeError(held)


def tell_environment(job: JobHandle) -> None:
    """Tell the names of what the environment holds, and who one is."""
    job.emit("environment", sorted(os.environ))
    job.emit("session", [os.getsid(0) == os.getpid(), sys.stdin.read()])


MODES: Mapping[str, Callable[[JobHandle], None]] = {
    one.__name__: one for one in (quick, count, phase, deaf, leave_helper, fail, slip, tell_environment)
}


def main() -> int:
    """Do what the command says; `exit-7` dies with that code, `sleep` never comes to the work."""
    mode = sys.argv[2]
    if mode.startswith("exit-"):
        sys.stdout.write("the last words\nof a process")
        sys.stdout.flush()
        os._exit(int(mode.removeprefix("exit-")))
    if mode == "sleep":
        time.sleep(600)
    return carry_here(sys.argv[1], MODES[mode])


if __name__ == "__main__":
    sys.exit(main())
