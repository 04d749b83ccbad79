"""One job's process, watched: asked to stop, told, ended by force, and what it leaves is cleared away."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import psutil  # type: ignore[import-untyped]

from core.errors import AtelierError
from core.jobs.ends import UnwrittenEnds
from core.jobs.events import EventWriter
from core.jobs.folder import JobFolder, Snapshot
from core.jobs.process import OutlivingProcess, start_process
from core.jobs.records import Ending, ProcessMark, Record, State, interrupted_ending, sentence_to_json
from core.jobs.tree import Held, end_by_force, held_by, processes_of, tell_to_end
from core.jobs.views import end_of
from core.jobs.work import disk_is_full, end_untouched, write_ending
from core.redaction import Redactor
from core.words import Sentence, in_bytes, say

TAIL_BYTES = 2_000
TAIL_LINES = 5
"""How much of its log is quoted when a process dies without a word of its own."""


@dataclass(frozen=True)
class Patience:
    """How long a process may take, in seconds."""

    grace: float = 60.0
    """From the request to stop until it is told by SIGTERM: a step and a checkpoint take their time."""
    term: float = 15.0
    """From there until everything is ended by force."""
    linger: float = 15.0
    """To go away after its last word, with all its helpers."""
    strangers: float = 2.0
    """What another server, or a launcher, has started is left to that one for so long: it alone learns how it died."""
    tick: float = 0.2
    """Between two looks."""


@dataclass
class Watched:
    """A process that was started, or found, for a job; but for the request to stop, one thread alone changes this."""

    folder: JobFolder
    record: Record
    child: OutlivingProcess | None = None
    """None where another server started it."""
    asked: float | None = None
    told: float | None = None
    forced: bool = False
    over: float | None = None
    """Since when it has ended, by its own word or by its death."""
    overstayed: bool = False
    """It had to be ended after its work had died, so that its exit code tells nothing."""
    held: Held = field(default_factory=Held)

    def tend(self, patience: Patience, ends: UnwrittenEnds) -> bool:
        """Do what is due; True when nothing of it lives any more and its end is written down."""
        look = self._look()
        if look is None:  # deleted, or not to be read any more
            end_by_force(self.record.id)
            return self._exited()
        if look.state.alive:
            self.over = None
            if look.state is State.STOPPING:
                self._press(look, patience)
            return False
        self.over = self.over or time.monotonic()
        return self._settled(look, patience) and self._conclude(look, ends)

    def note_request(self, held: Held) -> None:
        """Count the time from here on, and remember what the processes hold before they let go."""
        if self.asked is None:
            self.held, self.asked = held, time.monotonic()

    def _exited(self) -> bool:
        return self.child is None or self.child.poll() is not None

    def _look(self) -> Snapshot | None:
        try:
            return self.folder.look()
        except (OSError, ValueError):
            return None

    def _press(self, look: Snapshot, patience: Patience) -> None:
        """Ask, wait, tell, wait, end."""
        now = time.monotonic()
        if self.asked is None:
            self.note_request(held_by(processes_of(self.record.id)))
        elif self.told is None:
            if now - self.asked >= patience.grace:
                self.told = now
                tell_to_end(heads(self.folder, look.record))
        elif not self.forced and now - self.told >= patience.term:
            self.forced = True
            self.held = end_by_force(self.record.id)

    def _settled(self, look: Snapshot, patience: Patience) -> bool:
        """Tell whether nothing lives any more; what overstays is ended by force."""
        waited = time.monotonic() - (self.over or 0.0)
        if self.child is None and look.ending is None and waited < patience.strangers:
            return False
        if look.ending is None and waited < patience.strangers and not self._exited():
            return False  # a launcher that outlives its worker says in the log what happened, and has an exit code
        left = processes_of(self.record.id)
        if left and (look.ending is None or waited >= patience.linger):
            self.overstayed = not self._exited()
            end_by_force(self.record.id)
            left = []
        return self._exited() and not left

    def _conclude(self, look: Snapshot, ends: UnwrittenEnds) -> bool:
        ending = self.folder.ending()  # its last word may have come after the look
        if ending is None and not (look := self._look() or look).state.alive and look.ending is None:
            death = self._death(look.record)
            ends.note(self.record.id, death, write_ending(self.folder, death))
        if self.asked is not None:
            self._tell_what_was_freed()
        return True

    def _death(self, record: Record) -> Ending:
        """Return the end of work that died without a word; whatever the exit code, it is no success."""
        ending = interrupted_ending(record, self.folder.tail())
        code = self.child.poll() if self.child and not self.overstayed else None
        if self.told is not None:
            return replace(ending, outcome=State.CANCELLED, error=self._force_in_words(), ended=time.time())
        if code is None:
            return ending
        if code < 0:
            return replace(ending, error=say("error.job_process_killed", signal=_signal_name(-code)), ended=time.time())
        error = say("error.job_process_failed", code=code, tail=self._last_words())
        return replace(ending, outcome=State.FAILED, error=error, ended=time.time())

    def _force_in_words(self) -> Sentence:
        seconds = time.monotonic() - (self.asked or 0.0)
        memory = in_bytes(self.held.memory_bytes)
        return say("error.job_forced", seconds=seconds, processes=self.held.processes, memory=memory)

    def _last_words(self) -> str:
        lines = end_of(self.folder.log_file, TAIL_BYTES).split("\n")
        told = [line.rsplit("\r", 1)[-1].strip() for line in lines]
        return Redactor.of({}, os.environ).text(" | ".join([line for line in told if line][-TAIL_LINES:])) or "-"

    def _tell_what_was_freed(self) -> None:
        sentence = say("say.job_freed", processes=self.held.processes, memory=in_bytes(self.held.memory_bytes))
        try:
            events = EventWriter(self.folder.events_file)
            events.append("note", sentence_to_json(sentence))
            events.close()
        except OSError as error:  # deleted meanwhile, or no room: nobody waits for this line
            logging.getLogger(__name__).warning("job %s: %s (not written: %s)", self.record.id, sentence, error)


def heads(folder: JobFolder, record: Record) -> tuple[ProcessMark | None, ...]:
    """Return the process that was started for a job and the one that does the work; often they are one.

    Before the work begins, the record names the server that keeps it in line, which is not to be told anything.
    """
    return folder.launched(), record.process if record.started is not None else None


def start_watched(folder: JobFolder, record: Record, secrets: Mapping[str, str]) -> Watched | Ending:
    """Start a job's process, or return how the job ended because that cannot be done."""
    try:
        child = start_process(folder, record, secrets)
    except OSError as error:
        if disk_is_full(error):
            return _failed(say("error.job_disk_full"))
        return _failed(say("error.job_not_started", message=str(error)))
    try:
        folder.write_launch(mark_of(child.pid))
    except OSError:
        end_by_force(record.id)
        child.wait()
        return _failed(say("error.job_disk_full"))
    return Watched(folder, record, child)


def refused(refusal: AtelierError) -> Ending:
    """Return the end of a job that a sentence kept from starting."""
    return _failed(refusal.sentence)


def mark_of(pid: int) -> ProcessMark:
    """Mark a process that was just started and not waited for: even dead, it still has its number."""
    return ProcessMark(pid, float(psutil.Process(pid).create_time()))


def cancel_untouched(folder: JobFolder, ends: UnwrittenEnds) -> None:
    """End a job whose process never was."""
    ends.note(folder.path.name, *end_untouched(folder, State.CANCELLED))


def _failed(error: Sentence) -> Ending:
    return Ending(State.FAILED, 0.0, time.time(), error)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
