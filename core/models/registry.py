"""What is in memory: models are borrowed, loaded once, counted in bytes, and evicted when room is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from core.catalogue import Catalogue, ModelSpec
from core.collector import paused_collector
from core.compute.batching import Batcher
from core.errors import Busy, Cancelled, NotEnoughMemory, UnknownName
from core.events import CancelToken, Progress
from core.machine.devices import Hardware
from core.machine.hardware import Watch, used_bytes
from core.machine.memory import ran_out
from core.models.forecast import Forecast, Idle, Room, Situation, find_room, forecast
from core.models.ledger import Entry, Freed, ModelKey, Resident
from core.models.loading import LoadedModel, ModelFiles, ModelLoader, Report
from core.models.promises import Promises
from core.models.shelf import ModelShelf
from core.placement.model_facts import Needs, Working, to_plan
from core.placement.planner import ModelFacts, Placement, Wish
from core.runs import Run
from core.unload import is_gone, let_go
from core.words import Sentence, in_bytes, say

__all__ = ["Freed", "ModelKey", "Registry", "Resident"]

CANCEL_CHECK_SECONDS = 0.1  # how often a waiting borrower looks whether somebody asked it to stop
LINGER_SECONDS = 2.0  # how long an unload waits for threads that are just leaving the model


@dataclass(frozen=True)
class _Request:
    spec: ModelSpec
    working: int | Needs
    cancel: CancelToken
    report: Report | None

    def tell(self, phase: str) -> None:
        """Say what goes on, where nobody knows how long it takes."""
        if self.report:
            self.report(Progress(phase, 0, 0))


class Registry:
    """The one place that holds models; `with registry.borrow(spec) as model:` is the only way to one."""

    def __init__(
        self,
        catalogue: Catalogue,
        loader: ModelLoader,
        probe: Callable[[], Hardware] | None = None,
        budget_bytes: int | None = None,
    ) -> None:
        """Keep who knows names, files and hardware; `budget_bytes` bounds all models together (None = the machine)."""
        self._catalogue = catalogue
        self._loader = loader
        self._probe = probe or Watch()
        self._budget_bytes = budget_bytes
        self._shelf = ModelShelf()
        self._lock = self._shelf.lock  # never held while something loads; _one_load, where both, is taken first
        self._one_load = threading.Lock()
        self._keys: dict[ModelSpec, ModelKey] = {}
        self._loading: dict[ModelSpec, Future[None]] = {}
        self._promises = Promises()
        self.batcher = Batcher()

    def resolve(self, name: str, task: str, wish: Wish | None = None) -> ModelSpec:
        """Return what a typed model name means here (see Catalogue.resolve)."""
        return self._catalogue.resolve(name, task, wish)

    def choices(self, task: str) -> list[str]:
        """Return the models that are offered for a task (see Catalogue.choices)."""
        return self._catalogue.choices(task)

    def run(self, name: str) -> Run:
        """Return a finished training (see Catalogue.run)."""
        return self._catalogue.run(name)

    @contextmanager
    def borrow(
        self,
        spec: ModelSpec,
        working: int | Needs = 0,
        cancel: CancelToken | None = None,
        report: Report | None = None,
    ) -> Iterator[LoadedModel]:
        """Lend the model, loading it first if need be; it cannot be evicted until the block ends.

        `working`: what this use needs beside the weights, in bytes or as it follows from the model's facts (0 = the
        planner's rule of thumb); raises NotEnoughMemory, with the numbers, if that is not to be had.
        """
        entry = self._take(_Request(spec, working, cancel or CancelToken(), report))
        with self._lent(entry) as model:
            yield model

    def fetch(self, spec: ModelSpec, report: Report | None = None, cancel: CancelToken | None = None) -> ModelFiles:
        """Bring the files of `spec` here and load nothing (an adapter's is `weights[0]`); raises what `borrow` does."""
        return self._loader.locate(spec, report, cancel)

    @contextmanager
    def promise(self, model: LoadedModel, needed: int, cancel: CancelToken | None = None) -> Iterator[None]:
        """Keep `needed` bytes beside a borrowed model until the block ends, whatever others compute meanwhile.

        Idle models go for it; raises NotEnoughMemory, with the numbers and what is promised to others, if that is not
        enough.
        """
        device = model.placement.device
        if not self._promises.make(device, needed, self._unused_on(device)):
            with self._alone(cancel or CancelToken()):
                while not self._promises.make(device, needed, self._unused_on(device)):
                    self._evict(self._neighbour(device, needed, self._short_for_writing).id)
        try:
            yield
        finally:
            self._promises.end(device, needed)

    @contextmanager
    def borrow_resident(self, resident_id: str) -> Iterator[LoadedModel]:
        """Lend a model of the ledger; loads nothing: raises UnknownName if it is gone."""
        with self._lock:
            entry = self._shelf.find(resident_id)
            entry.borrowed += 1
        with self._lent(entry) as model:
            yield model

    def ledger(self) -> list[Resident]:
        """Return what is in memory, most recently used first; what could not be freed stays, marked as leaving."""
        return self._shelf.lines()

    def hardware(self) -> Hardware:
        """Return the machine with its free memory as it is now."""
        return self._probe()

    def forecast(self, spec: ModelSpec, cancel: CancelToken | None = None, working: int | Needs = 0) -> Forecast:
        """Return what borrowing `spec` for a use would do (see `borrow`), without loading or downloading weights."""
        preview = self._loader.preview(spec, cancel)
        return forecast(preview, spec.wish, self._situation(), to_plan(preview.facts, working))

    def release(self, resident_id: str) -> Freed:
        """Unload one idle model; raises UnknownName if it is not here, Busy while it is used or its memory is held."""
        device = self._shelf.device_of(resident_id)
        before = used_bytes(self._probe().device(device))
        with self._lock:
            leaving = self._shelf.take_off(resident_id)
            self._keys = {spec: key for spec, key in self._keys.items() if key.id != resident_id}
        if not is_gone(leaving.model, LINGER_SECONDS):
            raise Busy("error.unload_failed", name=leaving.line.name)
        self._shelf.forget(leaving)
        return Freed(
            leaving.line.name, leaving.line.measured_bytes, max(before - used_bytes(self._probe().device(device)), 0)
        )

    def release_all(self) -> list[Freed]:
        """Unload every idle model; borrowed ones stay, and what could not be freed is named with the reason."""
        ids = dict.fromkeys([*(entry.key.id for entry in self._shelf.idle()), *self._shelf.leaving_ids()])
        return [freed for one in ids if (freed := self._unload_or_say_why(one))]

    def _unload_or_say_why(self, resident_id: str) -> Freed | None:
        try:
            return self.release(resident_id)
        except UnknownName:  # it went a moment ago
            return None
        except Busy as problem:
            return Freed(problem.sentence.values["name"], 0, 0, problem.sentence)

    @contextmanager
    def _lent(self, entry: Entry) -> Iterator[LoadedModel]:
        try:
            yield entry.loaded
        finally:
            self._give_back(entry)

    def _give_back(self, entry: Entry) -> None:
        with self._lock:
            entry.borrowed -= 1
            entry.last_used = time.monotonic()

    def _take(self, request: _Request) -> Entry:
        """Return the entry, counted as borrowed; whoever finds it loading waits for that load."""
        while True:
            request.cancel.check()
            outdated = self._outdated(request.spec)
            with self._lock:
                entry = self._known(request.spec)
                if entry and entry.key != outdated:
                    entry.borrowed += 1
                    break
                entry = None  # an outdated model must not be held here while its memory is wanted
                loading = self._loading.get(request.spec)
                if loading is None:
                    mine = self._loading[request.spec] = Future()
            if loading is None:
                entry = self._load_for_everybody(request, mine)
                break
            request.tell("load")
            _wait(loading, request.cancel)
            request.tell("compute")
        self._make_room_to_work(entry, request)
        return entry

    def _known(self, spec: ModelSpec) -> Entry | None:
        """Return the model that this spec has meant so far."""
        key = self._keys.get(spec)
        return self._shelf.entries.get(key) if key else None

    def _outdated(self, spec: ModelSpec) -> ModelKey | None:
        """Return the key of that model if its folder holds another one by now; folders are read without the lock."""
        with self._lock:
            entry = self._known(spec)
        return entry.key if entry and entry.loaded.files.changed() else None

    def _load_for_everybody(self, request: _Request, future: Future[None]) -> Entry:
        """Load once; every waiting borrower gets the same model, or the same error; nobody else's stop or exit."""
        try:
            entry = self._load(request)
        except BaseException as problem:
            let_go(problem)
            with self._lock:
                del self._loading[request.spec]
            future.set_exception(problem if isinstance(problem, Exception) else Cancelled("error.cancelled"))
            raise
        with self._lock:
            self._keys[request.spec] = entry.key
            del self._loading[request.spec]
        future.set_result(None)
        request.tell("compute")
        return entry

    def _load(self, request: _Request) -> Entry:
        spec = request.spec
        files = self._loader.locate(spec, request.report, request.cancel)
        facts = self._loader.facts(spec, files)
        request.tell("load")
        with self._alone(request.cancel):
            if shared := self._share(spec, files, facts):
                return shared
            with paused_collector():  # the first load imports torch and transformers
                loaded = self._load_here(request, files, facts)
            key = ModelKey.of(spec, files, facts, loaded.placement)
            return self._put_on_the_books(
                Entry(key, loaded, loaded.placement.predicted_bytes, loaded.tensor_bytes, facts)
            )

    def _put_on_the_books(self, fresh: Entry) -> Entry:
        """Keep what was loaded; where memory ran out and led to a model that is here already, borrow that one."""
        with self._lock:
            known = self._shelf.entries.setdefault(fresh.key, fresh)
            known.borrowed += known is not fresh
            return known

    def _load_here(self, request: _Request, files: ModelFiles, facts: ModelFacts) -> LoadedModel:
        """Load where there is room; if memory runs out against the plan, let idle neighbours go, once, and say so."""
        spec, working = request.spec, to_plan(facts, request.working)
        placement = self._make_room(spec, facts, working)
        try:
            return self._try_to_load(spec, files, placement)
        except NotEnoughMemory as problem:
            let_go(problem)
            neighbours = [one for one in self._situation().idle if one.device == placement.device]
            gone = [one.name for one in neighbours if self._evict(one.id)]
            if not gone:
                raise
        loaded = self._try_to_load(spec, files, self._make_room(spec, facts, working))
        note = say("say.loaded_after_unloading", device=placement.device, names=", ".join(gone))
        return replace(loaded, fallbacks=(*loaded.fallbacks, str(note)))

    def _try_to_load(self, spec: ModelSpec, files: ModelFiles, placement: Placement) -> LoadedModel:
        try:
            with self._promises.kept(placement.device, placement.predicted_bytes):
                return self._loader.load(spec, files, placement)
        except (MemoryError, RuntimeError, OSError) as problem:
            if not ran_out(problem):
                raise
            let_go(problem)
            why = say("error.memory_ran_out", name=spec.name, device=placement.device)
            raise self._shelf.short_of_memory(why) from problem

    @contextmanager
    def _alone(self, cancel: CancelToken) -> Iterator[None]:
        """Let one load at a time look for room: two would both count the same free bytes."""
        while not self._one_load.acquire(timeout=CANCEL_CHECK_SECONDS):
            cancel.check()
        try:
            cancel.check()
            yield
        finally:
            self._one_load.release()

    def _share(self, spec: ModelSpec, files: ModelFiles, facts: ModelFacts) -> Entry | None:
        """Borrow the model that another spec has loaded, if this one would be placed just so, were it not here."""
        situation = self._situation()
        with self._lock:
            here = tuple(self._shelf.entries.values())
        for entry in (one for one in here if (one.key.name, one.key.revision) == (spec.name, files.revision)):
            there = replace(situation, idle=tuple({*situation.idle, entry.as_idle}))
            with suppress(NotEnoughMemory):
                best = find_room(facts, spec.wish, there.without(there.idle)).placement
                if ModelKey.of(spec, files, facts, best) == entry.key and self._lend(entry):
                    return entry
        return None

    def _lend(self, entry: Entry) -> bool:
        """Count one borrower more, unless the model went while somebody made up his mind."""
        with self._lock:
            here = self._shelf.entries.get(entry.key) is entry
            entry.borrowed += here
            return here

    def _make_room(self, spec: ModelSpec, facts: ModelFacts, working: int | Working) -> Placement:
        """Plan; let one idle model go at a time, and read the memory again after each."""
        while True:
            room = self._find_room(spec, facts, working)
            if not room.goes:
                return room.placement
            self._evict(room.goes[0].id)

    def _find_room(self, spec: ModelSpec, facts: ModelFacts, working: int | Working) -> Room:
        try:
            return find_room(facts, spec.wish, self._situation(), working)
        except NotEnoughMemory as problem:
            raise self._shelf.short_of_memory(problem.sentence) from problem

    def _make_room_to_work(self, entry: Entry, request: _Request) -> None:
        """Let idle neighbours go until a borrowed model has its working memory; gives it back if that cannot be.

        A usual use, for which the plan kept room, asks nobody; only one that finds too little waits while others load.
        """
        device = entry.key.device
        try:
            needed = entry.bytes_for(request.working)
            if needed <= entry.bytes_for(0) or needed <= self._free_on(device):
                return
            with self._alone(request.cancel):
                while self._free_on(device) < needed:
                    self._evict(self._neighbour(device, needed, self._short_for_working).id)
        except BaseException:
            self._give_back(entry)
            raise

    def _unused_on(self, device: str) -> int:
        """Return the bytes that nobody has taken; some of them may be promised."""
        return self._probe().device(device).free_bytes

    def _free_on(self, device: str) -> int:
        """Return the bytes that are neither taken nor promised."""
        return max(self._unused_on(device) - self._promises.on(device)[0], 0)

    def _neighbour(self, device: str, needed: int, why: Callable[[str, int], Sentence]) -> Idle:
        """Return the idle model that goes next on a device; raises NotEnoughMemory if all of them were too little."""
        idle = [one for one in self._situation().idle if one.device == device]
        if idle and self._free_on(device) + sum(one.measured_bytes for one in idle) >= needed:
            return idle[0]
        raise self._shelf.short_of_memory(why(device, needed))

    def _short_for_working(self, device: str, needed: int) -> Sentence:
        return say("say.no_room_to_work", device=device, needed=in_bytes(needed), free=in_bytes(self._free_on(device)))

    def _short_for_writing(self, device: str, needed: int) -> Sentence:
        promised, others = self._promises.on(device)
        numbers = {"needed": needed, "free": self._unused_on(device), "promised": promised}
        in_words = {name: in_bytes(count) for name, count in numbers.items()}
        return say("say.no_room_to_write", device=device, others=others, **in_words)

    def _situation(self) -> Situation:
        hardware = self._unpromised(self._probe())
        with self._lock:
            left = None if self._budget_bytes is None else self._budget_bytes - self._shelf.held_bytes
            return Situation(hardware, tuple(entry.as_idle for entry in self._shelf.idle()), left)

    def _unpromised(self, hardware: Hardware) -> Hardware:
        """Return the machine without the memory that is spoken for."""
        devices = (
            replace(one, free_bytes=max(one.free_bytes - self._promises.on(one.label)[0], 0))
            for one in hardware.devices
        )
        return replace(hardware, devices=tuple(devices))

    def _evict(self, resident_id: str) -> bool:
        """Unload one model to make room; if it was borrowed, is held or went meanwhile, the caller looks again."""
        with suppress(Busy, UnknownName):
            self.release(resident_id)
            return True
        return False


def _wait(future: Future[None], cancel: CancelToken) -> None:
    """Wait for somebody's load; if only they gave up, return, so that the caller tries on its own."""
    while not wait((future,), timeout=CANCEL_CHECK_SECONDS).done:
        cancel.check()
    with suppress(Cancelled):
        future.result()
