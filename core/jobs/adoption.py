"""What a start-up finds: jobs that died without a word, jobs that live on, and jobs that still wait."""

from __future__ import annotations

import logging

from core.jobs.folder import Snapshot
from core.jobs.lines import ProcessLines, waits_in_line
from core.jobs.records import Carrier, Record, State, interrupted_ending
from core.jobs.shelf import JobShelf
from core.jobs.twins import Twins
from core.jobs.views import Adopted
from core.jobs.work import write_ending


def adopt_all(shelf: JobShelf, lines: ProcessLines, twins: Twins) -> Adopted:
    """Write down deaths, look after what lives, and put back in line what waits for a process, in its order."""
    dead, alive = [], []
    for look in sorted(shelf.looks(), key=lambda look: look.record.place):
        if look.state is State.INTERRUPTED and look.ending is None:
            dead.append(look.record.id)
            with shelf.skipping(look.record.id):
                _write_down_death(shelf, lines, look.record)
        elif look.state.alive:
            alive.append(look.record.id)
            twins.remember(look.record)
            with shelf.skipping(look.record.id):
                _look_after(lines, look)
    return Adopted(tuple(dead), tuple(alive))


def _write_down_death(shelf: JobShelf, lines: ProcessLines, record: Record) -> None:
    folder = shelf.job(record.id)
    if record.carrier is Carrier.PROCESS:
        lines.clear(record.id)
    if not write_ending(folder, interrupted_ending(record, folder.tail())):
        # Nothing is lost: the state stays computed from the dead process.
        logging.getLogger(__name__).warning("job %s: its end could not be written", record.id)


def _look_after(lines: ProcessLines, look: Snapshot) -> None:
    if look.record.carrier is not Carrier.PROCESS:
        return
    if waits_in_line(look):
        lines.take(look)
    else:
        lines.watch(look)
