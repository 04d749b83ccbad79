"""What is in memory: models are borrowed, loaded once, counted in bytes, and evicted when room is needed."""

from __future__ import annotations

import hashlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, TimeoutError as NotYet
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from core.batching import Batcher
from core.catalogue import Catalogue, ModelSpec, find_task
from core.errors import Busy, Cancelled, NotEnoughMemory, UnknownName
from core.events import CancelToken
from core.devices import Hardware
from core.forecast import Forecast, Idle, forecast
from core.hardware import probe
from core.loading import LoadedModel, ModelFiles, Preview, Report
from core.unload import return_memory_to_system
from core.memory import resident_bytes
from core.placement import ModelFacts, Placement, Wish, plan
from core.words import Sentence, in_bytes


@dataclass(frozen=True)
class ModelKey:
    """Everything that changes a result: two specs with one key share one model in memory."""

    name: str
    revision: str
    auto_class: str
    adapters: tuple[str, ...]
    device: str
    dtype: str
    quantisation: str
    attention: str

    @property
    def id(self) -> str:
        """A short name that may cross the wire."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Resident:
    """One line of the ledger: a model in memory, or on its way there."""

    id: str
    name: str
    task: str
    revision: str
    adapter: str | None
    device: str
    dtype: str
    attention: str
    predicted_bytes: int
    measured_bytes: int
    borrowed: int
    idle_seconds: float
    load_seconds: float
    goes_next: int | None
    """Place in the order of eviction (1 = first); None while borrowed."""
    reasons: tuple[Sentence, ...]


@dataclass(frozen=True)
class Freed:
    """What a release gave back, in bytes: the model's tensors, and what the process shrank by."""

    name: str
    tensor_bytes: int
    process_bytes: int


class ModelLoader(Protocol):
    """What the registry needs of a loader; tests bring scripted ones."""

    def locate(self, spec: ModelSpec, report: Report | None = None, cancel: CancelToken | None = None) -> ModelFiles:
        """Find the files."""

    def facts(self, spec: ModelSpec, files: ModelFiles) -> ModelFacts:
        """Read what the planner must know."""

    def preview(self, spec: ModelSpec, cancel: CancelToken | None = None) -> Preview:
        """Look at it from outside."""

    def load(self, spec: ModelSpec, files: ModelFiles, placement: Placement) -> LoadedModel:
        """Bring it into memory."""


@dataclass
class _Entry:
    key: ModelKey
    loaded: LoadedModel
    predicted_bytes: int
    measured_bytes: int
    borrowed: int = 0
    last_used: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class _Request:
    spec: ModelSpec
    working_bytes: int
    cancel: CancelToken
    report: Report | None


class Registry:
    """The one place that holds models; `with registry.borrow(spec) as model:` is the only way to one."""

    def __init__(
        self,
        catalogue: Catalogue,
        loader: ModelLoader,
        probe: Callable[[], Hardware] = probe,
        budget_bytes: int | None = None,
    ) -> None:
        """Keep who knows names, files and hardware; `budget_bytes` bounds all models together (None = the machine)."""
        self._catalogue = catalogue
        self._loader = loader
        self._probe = probe
        self._budget_bytes = budget_bytes
        self._lock = threading.RLock()
        self._one_load = threading.Lock()
        self._entries: dict[ModelKey, _Entry] = {}
        self._keys: dict[ModelSpec, ModelKey] = {}
        self._loading: dict[ModelSpec, Future[None]] = {}
        self.batcher = Batcher()

    def resolve(self, name: str, task: str, wish: Wish | None = None) -> ModelSpec:
        """Return what a typed model name means here (see Catalogue.resolve)."""
        return self._catalogue.resolve(name, task, wish)

    @contextmanager
    def borrow(
        self,
        spec: ModelSpec,
        working_bytes: int = 0,
        cancel: CancelToken | None = None,
        report: Report | None = None,
    ) -> Iterator[LoadedModel]:
        """Lend the model, loading it first if need be; it cannot be evicted until the block ends."""
        entry = self._take(_Request(spec, working_bytes, cancel or CancelToken(), report))
        try:
            yield entry.loaded
        finally:
            with self._lock:
                entry.borrowed -= 1
                entry.last_used = time.monotonic()

    def ledger(self) -> list[Resident]:
        """Return what is in memory, most recently used first."""
        with self._lock:
            order = {entry.key: place for place, entry in enumerate(self._idle(), start=1)}
            entries = sorted(self._entries.values(), key=lambda entry: entry.last_used, reverse=True)
            return [_resident(entry, order.get(entry.key)) for entry in entries]

    def forecast(self, spec: ModelSpec, cancel: CancelToken | None = None) -> Forecast:
        """Return what borrowing `spec` would do, without loading or downloading weights."""
        preview = self._loader.preview(spec, cancel)
        with self._lock:
            idle = [Idle(entry.key.name, entry.key.device, entry.measured_bytes) for entry in self._idle()]
        return forecast(preview, self._probe(), spec.wish, idle, self._budget_left())

    def release(self, resident_id: str) -> Freed:
        """Unload one idle model; raises UnknownName if it is not here, Busy while it is borrowed."""
        with self._lock:
            entry = next((entry for entry in self._entries.values() if entry.key.id == resident_id), None)
            if entry is None:
                raise UnknownName("error.not_resident")
            if entry.borrowed:
                raise Busy("error.still_borrowed", name=entry.key.name, borrowers=entry.borrowed)
        return self._unload(entry)

    def release_all(self) -> list[Freed]:
        """Unload every idle model; borrowed ones stay."""
        with self._lock:
            idle = self._idle()
        return [self._unload(entry) for entry in idle]

    def loaded(self, resident_id: str) -> ModelSpec:
        """Return the spec behind a line of the ledger; raises UnknownName if it is gone."""
        with self._lock:
            for entry in self._entries.values():
                if entry.key.id == resident_id:
                    return entry.loaded.spec
        raise UnknownName("error.not_resident")

    def _take(self, request: _Request) -> _Entry:
        while True:
            request.cancel.check()
            with self._lock:
                if entry := self._resident(request.spec):
                    entry.borrowed += 1
                    return entry
                future = self._loading.get(request.spec)
                mine = future is None
                if future is None:
                    future = self._loading[request.spec] = Future()
            if mine:
                self._load_for_everybody(request, future)
            _wait(future, request.cancel)

    def _resident(self, spec: ModelSpec) -> _Entry | None:
        key = self._keys.get(spec)
        return self._entries.get(key) if key else None

    def _load_for_everybody(self, request: _Request, future: Future[None]) -> None:
        """Load once; every waiting borrower gets the same model, or the same error."""
        try:
            key = self._load(request)
        except BaseException as problem:  # noqa: BLE001 whatever it was, the others must not wait forever
            with self._lock:
                del self._loading[request.spec]
            future.set_exception(problem)
            return
        with self._lock:
            self._keys[request.spec] = key
            del self._loading[request.spec]
        future.set_result(None)

    def _load(self, request: _Request) -> ModelKey:
        spec = request.spec
        files = self._loader.locate(spec, request.report, request.cancel)
        facts = self._loader.facts(spec, files)
        with self._one_load:  # two loads at once would both count the same free bytes
            request.cancel.check()
            placement = self._make_room(spec, facts, request.working_bytes)
            key = _key(spec, files, placement)
            with self._lock:
                if key in self._entries:
                    return key
            loaded = self._loader.load(spec, files, placement)
            entry = _Entry(key, loaded, placement.predicted_bytes, loaded.tensor_bytes)
            with self._lock:
                self._entries[key] = entry
        return key

    def _make_room(self, spec: ModelSpec, facts: ModelFacts, working_bytes: int) -> Placement:
        """Plan; while it does not fit, let the least recently used idle model go and read the memory again."""
        while True:
            try:
                return self._plan(spec, facts, working_bytes)
            except NotEnoughMemory as problem:
                with self._lock:
                    idle = self._idle()
                    held = [entry for entry in self._entries.values() if entry.borrowed]
                if idle:
                    with suppress(Busy):  # somebody borrowed it meanwhile: look again
                        self._unload(idle[0])
                elif held:
                    holders = ", ".join(f"{entry.key.name} ({in_bytes(entry.measured_bytes)})" for entry in held)
                    raise NotEnoughMemory("error.memory_held", why=problem.sentence, holders=holders) from problem
                else:
                    raise

    def _plan(self, spec: ModelSpec, facts: ModelFacts, working_bytes: int) -> Placement:
        hardware = self._probe()
        return plan(facts, hardware, spec.wish, working_bytes=working_bytes, budget_bytes=self._budget_left())

    def _budget_left(self) -> int | None:
        if self._budget_bytes is None:
            return None
        with self._lock:
            return self._budget_bytes - sum(entry.measured_bytes for entry in self._entries.values())

    def _idle(self) -> list[_Entry]:
        return sorted((entry for entry in self._entries.values() if not entry.borrowed), key=lambda entry: entry.last_used)

    def _unload(self, entry: _Entry) -> Freed:
        """Drop every reference, collect, give the pages back, and measure."""
        before = resident_bytes()
        with self._lock:
            if entry.borrowed:
                raise Busy("error.still_borrowed", name=entry.key.name, borrowers=entry.borrowed)
            self._entries.pop(entry.key, None)
            self._keys = {spec: key for spec, key in self._keys.items() if key != entry.key}
        name, tensor_bytes = entry.key.name, entry.measured_bytes
        alive = weakref.ref(entry.loaded.model)
        del entry.__dict__["loaded"]
        return_memory_to_system()
        if alive() is not None:
            raise Busy("error.unload_failed", name=name)
        return Freed(name, tensor_bytes, before - resident_bytes())


def _wait(future: Future[None], cancel: CancelToken) -> None:
    """Wait for somebody's load; if only they gave up, return, so that the caller tries on its own."""
    while True:
        try:
            return future.result(timeout=0.1)
        except NotYet:
            cancel.check()
        except Cancelled:
            return cancel.check()


def _key(spec: ModelSpec, files: ModelFiles, placement: Placement) -> ModelKey:
    return ModelKey(
        name=spec.name,
        revision=files.revision,
        auto_class=find_task(spec.task).auto_class,
        adapters=tuple(filter(None, (files.adapter_label,))),
        device=placement.device,
        dtype=placement.dtype,
        quantisation=placement.quantisation,
        attention=placement.attention,
    )


def _resident(entry: _Entry, goes_next: int | None) -> Resident:
    loaded, key = entry.loaded, entry.key
    return Resident(
        id=key.id,
        name=key.name,
        task=loaded.spec.task,
        revision=key.revision,
        adapter=loaded.files.adapter_label,
        device=key.device,
        dtype=key.dtype,
        attention=loaded.attention,
        predicted_bytes=entry.predicted_bytes,
        measured_bytes=entry.measured_bytes,
        borrowed=entry.borrowed,
        idle_seconds=0.0 if entry.borrowed else time.monotonic() - entry.last_used,
        load_seconds=loaded.load_seconds,
        goes_next=goes_next,
        reasons=loaded.placement.reasons,
    )
