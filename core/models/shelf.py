"""Where the registry keeps its models: those that can be lent, and those unloaded that something still holds."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core.errors import Busy, NotEnoughMemory, UnknownName
from core.models.ledger import Entry, ModelKey, Resident
from core.words import Sentence, in_bytes, say


@dataclass(frozen=True)
class Leaving:
    """An unloaded model; until nothing refers to it any more its bytes are taken, and its line stays."""

    line: Resident
    model: Callable[[], object | None]
    """Returns what of it is still held, like a weak reference."""


def _any_of(holders: Sequence[object]) -> Callable[[], object | None]:
    """Return a weak reference to several objects: it is dead when all of them are."""
    references = [weakref.ref(one) for one in holders]
    return lambda: next((one for reference in references if (one := reference()) is not None), None)


class ModelShelf:
    """The books: every byte of a model is on them until the model is gone."""

    def __init__(self) -> None:
        """Begin empty; `lock` guards `entries` and is held by whoever reads several of them."""
        self.lock = threading.RLock()
        self.entries: dict[ModelKey, Entry] = {}
        self._leaving: list[Leaving] = []

    def lines(self) -> list[Resident]:
        """Return the ledger: most recently used first, then what something still holds."""
        with self.lock:
            order = {entry.key: place for place, entry in enumerate(self.idle(), start=1)}
            entries = sorted(self.entries.values(), key=lambda entry: entry.last_used, reverse=True)
            return [*(entry.line(order.get(entry.key)) for entry in entries), *(one.line for one in self._held())]

    def idle(self) -> list[Entry]:
        """Return what could go, least recently used first."""
        with self.lock:
            idle = [entry for entry in self.entries.values() if not entry.borrowed]
            return sorted(idle, key=lambda entry: entry.last_used)

    def find(self, resident_id: str) -> Entry:
        """Return a model that can be lent; raises UnknownName."""
        with self.lock:
            for entry in self.entries.values():
                if entry.key.id == resident_id:
                    return entry
        raise UnknownName("error.not_resident")

    @property
    def held_bytes(self) -> int:
        """Bytes that all models take, unloaded ones that something still holds included."""
        with self.lock:
            here = sum(entry.measured_bytes for entry in self.entries.values())
            return here + sum(one.line.measured_bytes for one in self._held())

    def short_of_memory(self, why: Sentence) -> NotEnoughMemory:
        """Return the refusal for the reason `why`, with those who hold memory and cannot go: name and size each."""
        with self.lock:
            lent = [entry.in_words for entry in self.entries.values() if entry.borrowed]
            held = [*lent, *(f"{one.line.name} ({in_bytes(one.line.measured_bytes)})" for one in self._held())]
        whole = say("error.memory_held", why=why, holders=", ".join(held)) if held else why
        return NotEnoughMemory(whole.key, **whole.values)

    def leaving_ids(self) -> list[str]:
        """Return the ids of unloaded models that something still holds."""
        with self.lock:
            return list(dict.fromkeys(one.line.id for one in self._held()))

    def device_of(self, resident_id: str) -> str:
        """Return where a model of the ledger is; raises UnknownName."""
        with self.lock:
            one = self._unloaded(resident_id)
            return one.line.device if one else self.find(resident_id).key.device

    def take_off(self, resident_id: str) -> Leaving:
        """Drop an idle model, or return one that was dropped before; raises UnknownName, or Busy while it is lent."""
        with self.lock:
            known = self._unloaded(resident_id)
            if known and all(entry.key.id != resident_id for entry in self.entries.values()):
                return known
            entry = self.find(resident_id)
            if entry.borrowed:
                raise Busy("error.still_borrowed", name=entry.key.name, borrowers=entry.borrowed)
            line = replace(entry.line(None), leaving=True, reasons=(say("say.still_held"),))
            leaving = Leaving(line, _any_of(entry.loaded.holders))
            self._leaving = [*self._held(), leaving]
            del self.entries[entry.key]
            return leaving

    def forget(self, leaving: Leaving) -> None:
        """Strike off what is gone."""
        with self.lock:
            self._leaving = [one for one in self._leaving if one is not leaving]

    def _unloaded(self, resident_id: str) -> Leaving | None:
        return next((one for one in self._leaving if one.line.id == resident_id), None)

    def _held(self) -> list[Leaving]:
        return [one for one in self._leaving if one.model() is not None]
