"""Borrowing: lazy, once, never evicted while used, and gone when released."""

from __future__ import annotations

import errno
import gc
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.catalogue import Catalogue, ModelSpec, Source
from core.errors import Busy, Cancelled, NotAModel, NotEnoughMemory, UnknownName
from core.events import CancelToken, Progress
from core.hub.client import Hub
from core.hub.safetensors_header import count_parameters
from core.machine.devices import Device, Hardware
from core.machine.memory import resident_bytes
from core.models.files import ModelFiles, Preview
from core.models.loading import LoadedModel, Loader
from core.models.registry import Freed, Registry
from core.placement.model_facts import Working
from core.placement.planner import ModelFacts, Placement, Wish
from core.settings import Settings
from tests.fakes.hub_server import FakeHub
from tests.fakes.models import tiny_bert

MB = 1_000_000
TASK = "text-classification"


class ScriptedModel:
    """Weights by name only."""

    def __init__(self) -> None:
        """Look like a model to provenance."""
        self.config = SimpleNamespace(_attn_implementation="sdpa")
        self.device, self.dtype = "cpu", "torch.float32"


@dataclass(frozen=True)
class ScriptedLoaded(LoadedModel):
    """A model of a size that nobody had to allocate."""

    size: int = 0

    @property
    def tensor_bytes(self) -> int:
        """The scripted size."""
        return self.size


@dataclass
class ScriptedLoader:
    """Loads what the script says: sizes by name, a gate to wait at, failures to raise; counts the loads."""

    sizes: dict[str, int] = field(default_factory=dict)
    gate: threading.Event | None = None
    failures: list[BaseException] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    junk: list[weakref.ref[ScriptedModel]] = field(default_factory=list)
    kind: str = "encoder"

    def locate(self, spec: ModelSpec, report: Any = None, cancel: CancelToken | None = None) -> ModelFiles:  # noqa: ARG002
        """Wait at the gate, as a download would; a stop request is heard."""
        self.began.release()
        while self.gate and not self.gate.wait(0.01):
            if cancel:
                cancel.check()
        return ModelFiles(Path(), Path(), spec.revision or "r1")

    def facts(self, spec: ModelSpec, files: ModelFiles) -> ModelFacts:  # noqa: ARG002
        """Count four bytes a parameter."""
        return ModelFacts(parameters=self.sizes.get(spec.name, MB) // 4, kind=self.kind)

    def preview(self, spec: ModelSpec, cancel: CancelToken | None = None) -> Preview:  # noqa: ARG002
        """Look from outside."""
        return Preview(self.facts(spec, ModelFiles(Path(), Path(), "r1")), "r1", 0)

    def load(self, spec: ModelSpec, files: ModelFiles, placement: Placement) -> LoadedModel:
        """Make a model, or fail with half of one in hand."""
        self.loads.append(spec.name)
        model = ScriptedModel()
        if self.failures:
            self.junk.append(weakref.ref(model))
            raise self.failures.pop(0)
        return ScriptedLoaded(spec, files, placement, model, None, 128, 0.0, size=self.sizes.get(spec.name, MB))


@dataclass
class Machine:
    """A processor with so much memory, less what is resident; counts how often somebody looked."""

    total: int = 1000 * MB
    looks: int = 0
    registry: Registry | None = None

    def __call__(self) -> Hardware:
        """Look."""
        self.looks += 1
        held = sum(row.measured_bytes for row in self.registry.ledger()) if self.registry else 0
        return Hardware((Device("cpu", 0, "test", self.total, self.total - held),), cores=2)


def scripted(loader: ScriptedLoader, total: int = 1000 * MB, **options: Any) -> Registry:
    """Make a registry over a scripted loader and machine."""
    machine = Machine(total)
    machine.registry = Registry(Catalogue(Settings()), loader, probe=machine, **options)
    return machine.registry


def spec(name: str, task: str = TASK, **options: Any) -> ModelSpec:
    """Ask for a scripted model."""
    return ModelSpec(name, Source.HUB, task, **options)


def use(registry: Registry, *names: str) -> None:
    """Borrow each once."""
    for name in names:
        with registry.borrow(spec(name)):
            pass


def names(registry: Registry) -> list[str]:
    """Return what is resident, most recently used first."""
    return [row.name for row in registry.ledger()]


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run `work(0 … count - 1)` at once; returns results, or the exceptions."""

    def outcome(place: int) -> Any:
        try:
            return work(place)
        except Exception as problem:  # noqa: BLE001 the test looks at it
            return problem

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(outcome, range(count)))


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_nothing_happens_before_the_first_borrow() -> None:
    """A registry, a resolved name and a forecast load nothing."""
    loader = ScriptedLoader()
    registry = scripted(loader)
    assert registry.forecast(spec("a")).placement
    assert (loader.loads, registry.ledger()) == ([], [])


def test_many_borrowers_one_load() -> None:
    """Eight threads that want one model at once cause one load and share one object."""
    loader = ScriptedLoader(gate=threading.Event())
    registry = scripted(loader)

    def borrow(_: int) -> int:
        with registry.borrow(spec("a")) as model:
            return id(model.model)

    threading.Timer(0.2, loader.gate.set).start()
    assert len(set(in_threads(8, borrow))) == 1
    assert loader.loads == ["a"]
    assert registry.ledger()[0].borrowed == 0


def test_whoever_waits_for_a_load_is_told() -> None:
    """Who loads and who waits for that load hear of it, and of its end; a model that is here is lent without a word."""
    loader = ScriptedLoader(gate=threading.Event())
    registry = scripted(loader)
    told: list[list[Progress]] = [[], []]

    def borrow(place: int) -> None:
        with registry.borrow(spec("a"), report=told[place].append):
            pass

    def open_the_gate() -> None:
        until(lambda: bool(told[0] or told[1]))
        loader.gate.set()

    opener = threading.Thread(target=open_the_gate)
    opener.start()
    in_threads(2, borrow)
    opener.join()
    assert told == [[Progress("load", 0, 0), Progress("compute", 0, 0)]] * 2
    borrow(0)
    assert len(told[0]) == 2


def test_a_failed_load_fails_all_and_leaves_nothing() -> None:
    """All waiting borrowers get the same error, nothing of the model stays, and the next try works."""
    problem = NotAModel("error.no_weights")
    loader = ScriptedLoader(gate=threading.Event(), failures=[problem])
    registry = scripted(loader)

    def borrow(_: int) -> None:
        with registry.borrow(spec("a")):
            pass

    threading.Timer(0.3, loader.gate.set).start()
    found = in_threads(4, borrow)
    assert all(one is problem for one in found)
    assert [junk() for junk in loader.junk] == [None], "the error keeps half a model alive"
    assert registry.ledger() == []
    use(registry, "a")
    assert loader.loads == ["a", "a"]


@pytest.mark.parametrize("problem", [TimeoutError("slow disk"), RuntimeError("x"), KeyError("x")])
def test_any_error_of_a_load_reaches_its_borrower(problem: Exception) -> None:
    """An error that is none of ours is passed on as it is, even one that looks like waiting too long."""
    registry = scripted(ScriptedLoader(failures=[problem]))
    with pytest.raises(type(problem)):
        use(registry, "a")
    use(registry, "a")


RAN_OUT = [MemoryError(), RuntimeError("CUDA out of memory."), OSError(errno.ENOMEM, "Cannot allocate memory")]


@pytest.mark.parametrize("problem", RAN_OUT)
def test_memory_that_runs_out_against_the_plan_sends_idle_models_away_once(problem: Exception) -> None:
    """Idle neighbours go, the load is tried once more, and the result says so."""
    loader = ScriptedLoader()
    registry = scripted(loader)
    use(registry, "a", "b")
    loader.failures.append(problem)
    with registry.borrow(spec("c")) as model:
        (note,) = model.provenance(0).fallbacks
    assert "a, b" in note
    assert (names(registry), loader.loads) == (["c"], ["a", "b", "c", "c"])
    assert [junk() for junk in loader.junk] == [None]


def test_a_second_try_that_leads_to_a_lent_model_lends_that_one() -> None:
    """Where memory ran out on the GPU and the processor has the same model, that stays on the books, and is lent."""
    loader, gpu_free = ScriptedLoader(), [900 * MB]

    def probe() -> Hardware:
        gpu = Device("cuda", 0, "gpu", 1000 * MB, gpu_free[0], compute_capability=(7, 0))
        return Hardware((Device("cpu", 0, "cpu", 9000 * MB, 9000 * MB), gpu), cores=2)

    def run_out(*args: Any) -> LoadedModel:
        loader.load = load
        gpu_free[0] = 0  # somebody else has taken it meanwhile
        raise MemoryError(args)

    registry = Registry(Catalogue(Settings()), loader, probe=probe)
    with registry.borrow(spec("neighbour", wish=Wish(dtype="float32"))):
        pass
    with registry.borrow(spec("a", wish=Wish(device="cpu", dtype="float32"))) as held:
        load, loader.load = loader.load, run_out
        with registry.borrow(spec("a", wish=Wish(dtype="float32"))) as model:
            assert model.model is held.model
            assert [(row.name, row.device, row.borrowed) for row in registry.ledger()] == [("a", "cpu", 2)]
    assert registry.ledger()[0].borrowed == 0


@pytest.mark.parametrize("idle", [True, False])
def test_memory_that_stays_short_is_a_sentence_with_its_holders(*, idle: bool) -> None:
    """The second failure, or the first where nothing could go, is NotEnoughMemory and names who holds memory."""
    loader = ScriptedLoader()
    registry = scripted(loader)
    with registry.borrow(spec("held")):
        if idle:
            use(registry, "idle")
        loader.failures += [MemoryError(), MemoryError()]
        with pytest.raises(NotEnoughMemory, match=r"ran out while “c”.*held \(1\.0 MB\)"):
            use(registry, "c")
    assert loader.loads.count("c") == (2 if idle else 1)
    assert names(registry) == ["held"]


@pytest.mark.parametrize("how", ["cancel", "interrupt"])
def test_when_the_loading_thread_gives_up_another_takes_over(how: str) -> None:
    """A borrower who waited on somebody's load gets the model though that one was stopped or interrupted."""
    loader = ScriptedLoader(gate=threading.Event(), failures=[KeyboardInterrupt()] if how == "interrupt" else [])
    registry, stop, outcomes = scripted(loader), CancelToken(), []

    def owner() -> None:
        try:
            with registry.borrow(spec("a"), cancel=stop):
                outcomes.append("owner got it")
        except (Cancelled, KeyboardInterrupt) as problem:
            outcomes.append(type(problem).__name__)

    first = threading.Thread(target=owner)
    first.start()
    loader.began.acquire()
    waiter = ThreadPoolExecutor(1).submit(use, registry, "a")
    until(lambda: not waiter.done() and len(registry._loading) == 1)
    time.sleep(0.05)
    if how == "cancel":
        stop.cancel()
        first.join(20)
    loader.gate.set()
    first.join(20)
    waiter.result(20)
    assert outcomes == ["Cancelled" if how == "cancel" else "KeyboardInterrupt"]
    assert names(registry) == ["a"]


def test_a_waiting_borrower_can_be_stopped() -> None:
    """A stop request is heard while somebody else loads, and does not disturb that load."""
    loader = ScriptedLoader(gate=threading.Event())
    registry, stop = scripted(loader), CancelToken()
    with ThreadPoolExecutor(2) as pool:
        owner = pool.submit(use, registry, "a")
        loader.began.acquire()
        stop.cancel()
        with pytest.raises(Cancelled), registry.borrow(spec("a"), cancel=stop):
            pass
        loader.gate.set()
        owner.result(20)
    assert names(registry) == ["a"]


def test_the_oldest_idle_model_goes_first_and_memory_is_read_again() -> None:
    """Room is made one model at a time, in the order of last use, looking at the machine before each step."""
    sizes = {"a": 300 * MB, "b": 300 * MB, "c": 300 * MB, "big": 500 * MB}
    registry = scripted(ScriptedLoader(sizes))
    use(registry, "a", "b", "c", "a")
    assert [(row.name, row.goes_next) for row in registry.ledger()] == [("a", 3), ("c", 2), ("b", 1)]
    looks = registry._probe.looks
    use(registry, "big")
    assert names(registry) == ["big", "a"]
    assert registry._probe.looks - looks >= 3


def test_a_borrowed_model_never_goes() -> None:
    """What is in use stays, and the refusal says what is needed, what is free, who holds the rest, and what to do."""
    registry = scripted(ScriptedLoader({"a": 600 * MB, "idle": 100 * MB, "big": 700 * MB}))
    use(registry, "idle")
    with registry.borrow(spec("a")):
        with pytest.raises(NotEnoughMemory) as caught:
            use(registry, "big")
        said = str(caught.value)
        assert sorted(names(registry)) == ["a", "idle"], "nothing goes where all together would not be enough"
    assert all(word in said for word in ("840.0 MB", "400.0 MB", "a (600.0 MB)", "Wait until they are idle"))
    use(registry, "big")
    assert names(registry) == ["big", "idle"]


def test_an_idle_gpu_model_goes_before_the_processor_is_used() -> None:
    """A slower way is the last resort; a model on another device stays."""
    loader = ScriptedLoader({"a": 600 * MB, "b": 600 * MB, "small": 10 * MB})
    registry: Registry

    def probe() -> Hardware:
        held = {"cuda:0": 0, "cpu": 0}
        for row in registry.ledger():
            held[row.device] += row.measured_bytes
        gpu = Device("cuda", 0, "gpu", 1000 * MB, 1000 * MB - held["cuda:0"], compute_capability=(7, 0))
        return Hardware((Device("cpu", 0, "cpu", 9000 * MB, 9000 * MB - held["cpu"]), gpu), cores=2)

    registry = Registry(Catalogue(Settings()), loader, probe=probe)
    with registry.borrow(spec("small", wish=Wish(device="cpu"))):
        pass
    for name in ("a", "b"):
        with registry.borrow(spec(name, wish=Wish(dtype="float32"))) as model:
            assert model.placement.device == "cuda:0"
        del model  # who keeps a model keeps its memory taken
    assert names(registry) == ["b", "small"]


def test_two_that_do_not_fit_together_both_get_their_turn() -> None:
    """Threads that push each other's model out all come to an end: whoever loads a model has it."""
    registry = scripted(ScriptedLoader({"a": 600 * MB, "b": 600 * MB}))

    def turns(place: int) -> int:
        done = 0
        while done < 20:
            try:
                use(registry, "ab"[place % 2])
            except NotEnoughMemory:
                continue
            done += 1
        return done

    assert in_threads(4, turns) == [20] * 4


def test_the_budget_bounds_all_models_together() -> None:
    """A bound of the instance's own counts before the machine's memory does."""
    registry = scripted(ScriptedLoader({"a": 300 * MB, "b": 300 * MB, "c": 500 * MB}), budget_bytes=500 * MB)
    use(registry, "a", "b")
    assert names(registry) == ["b"]
    with pytest.raises(NotEnoughMemory, match=r"500\.0 MB"):
        use(registry, "c")
    assert names(registry) == ["b"]


def test_the_forecast_says_what_borrowing_then_does() -> None:
    """Who would go is who goes; a refusal is told, not raised, and nothing was loaded for it."""
    registry = scripted(ScriptedLoader({"a": 300 * MB, "b": 300 * MB, "c": 500 * MB, "huge": 5000 * MB}))
    use(registry, "a", "b")
    found = registry.forecast(spec("c"))
    assert (found.evicts, found.refusal) == (("a",), None)
    assert "6.0 GB" in str(registry.forecast(spec("huge")).refusal)
    assert names(registry) == ["b", "a"]
    use(registry, "c")
    assert names(registry) == ["c", "b"]


def test_working_memory_is_found_for_a_resident_model() -> None:
    """A big request on a model that is already here lets idle neighbours go, or is refused and given back."""
    registry = scripted(ScriptedLoader({"a": 300 * MB, "b": 300 * MB}))
    use(registry, "a", "b")
    with registry.borrow(spec("a"), working=600 * MB):
        assert names(registry) == ["a"]
        with (
            pytest.raises(NotEnoughMemory, match=r"700\.0 MB are free"),
            registry.borrow(spec("a"), working=800 * MB),
        ):
            pass
    assert registry.ledger()[0].borrowed == 0


def test_working_memory_counts_when_a_model_is_loaded() -> None:
    """What a use needs beside the weights makes an idle neighbour go, or is refused before anything loads."""
    loader = ScriptedLoader({"a": 300 * MB, "b": 300 * MB})
    registry = scripted(loader)
    use(registry, "a")
    with pytest.raises(NotEnoughMemory), registry.borrow(spec("b"), working=800 * MB):
        pass
    assert (names(registry), loader.loads) == (["a"], ["a"])
    with registry.borrow(spec("b"), working=600 * MB):
        assert names(registry) == ["b"]


def takes(megabytes: int) -> Callable[[ModelFacts], Working]:
    """Need so much beside the weights, whatever the model."""
    return lambda _: Working(fixed_bytes=megabytes * MB)


def test_working_memory_may_follow_from_the_facts() -> None:
    """A need that only the model's facts tell is refused in numbers before a load, and on a model that is here."""
    loader = ScriptedLoader({"a": 300 * MB})
    registry = scripted(loader)
    with pytest.raises(NotEnoughMemory, match=r"1\.1 GB.*1\.0 GB"), registry.borrow(spec("a"), working=takes(800)):
        pass
    assert loader.loads == []
    with registry.borrow(spec("a"), working=takes(600)) as model:
        del model
    wanted = spec("a", wish=Wish(dtype="float32"))  # another spec, the same model
    for one in (spec("a"), wanted):
        with pytest.raises(NotEnoughMemory, match=r"800\.0 MB.*700\.0 MB are free"), registry.borrow(one, takes(800)):
            pass
    assert [(row.name, row.borrowed) for row in registry.ledger()] == [("a", 0)]
    assert loader.loads == ["a"]


def test_a_small_use_is_planned_as_the_forecast_says_and_asks_nobody_later() -> None:
    """A use below the rule of thumb changes no plan, and on a model that is here nobody looks at the machine for it."""
    registry = scripted(ScriptedLoader({"a": 300 * MB}))
    predicted = registry.forecast(spec("a")).placement
    with registry.borrow(spec("a"), takes(1)) as model:
        assert predicted
        assert model.placement.predicted_bytes == predicted.predicted_bytes == 360 * MB
        del model
    looks = registry._probe.looks
    with registry.borrow(spec("a"), takes(60)):
        assert registry._probe.looks == looks


def test_a_use_that_fits_does_not_wait_for_a_load() -> None:
    """While another model is being loaded, a large use of one that is here is lent at once if there is room."""
    loader = ScriptedLoader({"a": 300 * MB})
    registry = scripted(loader)
    use(registry, "a")
    assert registry._one_load.acquire(timeout=20)  # somebody loads
    with registry.borrow(spec("a"), takes(600)) as model:
        assert model.spec.name == "a"
    registry._one_load.release()


def test_specs_that_mean_the_same_share_one_model() -> None:
    """Two wishes and two tasks that lead to one class, dtype and device are one model in memory, however full it is."""
    loader = ScriptedLoader({"a": 600 * MB})
    registry = scripted(loader)
    with registry.borrow(spec("a")) as first, registry.borrow(spec("a", wish=Wish(dtype="float32"))) as second:
        assert first.model is second.model
        with registry.borrow(spec("a", "zero-shot-classification")) as third:
            assert third.model is first.model
        assert registry.ledger()[0].borrowed == 2
    assert loader.loads == ["a"]


def test_nobody_waits_for_a_plan_or_a_look_at_a_folder() -> None:
    """While one borrower plans or reads a folder, the ledger answers others."""
    answered: list[bool] = []
    registry: Registry

    def ask() -> None:
        asking = threading.Thread(target=registry.ledger)
        asking.start()
        asking.join(0 if False in answered else 2)
        answered.append(not asking.is_alive())

    class AskingFacts(ModelFacts):
        @property
        def count(self) -> int:
            ask()
            return self.parameters

    class AskingFiles(ModelFiles):
        def changed(self) -> bool:
            ask()
            return False

    class AskingLoader(ScriptedLoader):
        def locate(self, spec: ModelSpec, report: Any = None, cancel: CancelToken | None = None) -> ModelFiles:
            return AskingFiles(**vars(super().locate(spec, report, cancel)))

        def facts(self, spec: ModelSpec, files: ModelFiles) -> ModelFacts:
            return AskingFacts(**vars(super().facts(spec, files)))

    registry = scripted(AskingLoader())
    use(registry, "a", "a")
    with registry.borrow(spec("a", wish=Wish(dtype="float32"))):
        pass
    assert len(registry.ledger()) == 1
    assert set(answered) == {True}


@pytest.mark.parametrize(
    "other",
    [
        {"revision": "r2"},
        {"wish": Wish(dtype="bfloat16")},
        {"wish": Wish(attention="eager")},
        {"task": "token-classification"},
        {"name": "b"},
    ],
)
def test_whatever_changes_the_result_is_another_model(other: dict[str, Any]) -> None:
    """Revision, dtype, attention, head and name keep models apart."""
    registry = scripted(ScriptedLoader())
    with registry.borrow(spec("a")) as first, registry.borrow(replace(spec("a"), **other)) as second:
        assert first.model is not second.model
    assert len({row.id for row in registry.ledger()}) == 2


def test_an_encoder_decoder_that_writes_is_not_the_one_that_embeds() -> None:
    """Summaries and vectors of one encoder-decoder come from two classes, so from two models."""
    registry = scripted(ScriptedLoader(kind="encoder-decoder"))
    with (
        registry.borrow(spec("t5", "summarization")) as writes,
        registry.borrow(spec("t5", "feature-extraction")) as reads,
    ):
        assert writes.model is not reads.model


def test_release_says_why_not() -> None:
    """A model in use, an unknown one, and one whose memory somebody holds are told apart."""
    registry = scripted(ScriptedLoader({"a": 5 * MB}))
    with registry.borrow(spec("a")) as held:
        (row,) = registry.ledger()
        with pytest.raises(Busy, match="in use"):
            registry.release(row.id)
        assert registry.release_all() == []
    with pytest.raises(Busy, match="still holds"):
        registry.release(row.id)
    del held
    registry.release(row.id)
    assert registry.ledger() == []
    with pytest.raises(UnknownName):
        registry.release(row.id)
    use(registry, "a", "b")
    gc.collect()
    assert {freed.name: freed.tensor_bytes for freed in registry.release_all()} == {"a": 5 * MB, "b": MB}


def test_what_could_not_be_freed_stays_on_the_books() -> None:
    """An unloaded model that something holds is shown and counted, lent to nobody, and tried again."""
    registry = scripted(ScriptedLoader({"a": 300 * MB, "b": 300 * MB}), budget_bytes=500 * MB)
    with registry.borrow(spec("a")) as held:
        pass
    ((refused, _, _, why),) = map(astuple_of_freed, registry.release_all())
    assert (refused, why) == ("a", "error.unload_failed")
    (row,) = registry.ledger()
    assert (row.name, row.leaving, row.measured_bytes, row.goes_next) == ("a", True, 300 * MB, None)
    with pytest.raises(UnknownName), registry.borrow_resident(row.id):
        pass
    with pytest.raises(NotEnoughMemory, match=r"a \(300\.0 MB\)"):
        use(registry, "b")
    del held
    gc.collect()
    assert registry.ledger() == []
    use(registry, "b")


def astuple_of_freed(freed: Freed) -> tuple[str, int, int, str | None]:
    """Write a release as name, bytes, bytes, and the key of the refusal."""
    return freed.name, freed.tensor_bytes, freed.process_bytes, freed.refusal.key if freed.refusal else None


def test_release_all_tries_again_what_was_held() -> None:
    """Once nobody holds it, the next release of all frees what the first could not."""
    registry = scripted(ScriptedLoader({"a": 5 * MB}))
    with registry.borrow(spec("a")) as held:
        pass
    assert [one.refusal is None for one in registry.release_all()] == [False]
    box = [held]
    del held
    threading.Timer(0.2, box.clear).start()
    assert [(one.name, one.tensor_bytes, one.refusal) for one in registry.release_all()] == [("a", 5 * MB, None)]
    assert registry.ledger() == []


def test_a_release_waits_for_those_who_are_just_leaving() -> None:
    """A thread that has returned the model, but not yet left its frame, does not spoil the release."""
    registry, leave = scripted(ScriptedLoader()), threading.Event()
    returned = threading.Event()

    def linger() -> None:
        with registry.borrow(spec("a")) as model:
            assert model
        returned.set()
        leave.wait(20)

    thread = threading.Thread(target=linger)
    thread.start()
    returned.wait(20)
    threading.Timer(0.2, leave.set).start()
    assert registry.release(registry.ledger()[0].id).tensor_bytes == MB
    thread.join(20)


def test_a_model_of_the_ledger_is_lent_without_loading() -> None:
    """What was released meanwhile is not quietly loaded again."""
    loader = ScriptedLoader()
    registry = scripted(loader)
    use(registry, "a")
    resident = registry.ledger()[0].id
    with registry.borrow_resident(resident) as model:
        assert (model.spec.name, registry.ledger()[0].borrowed) == ("a", 1)
        del model
    registry.release(resident)
    with pytest.raises(UnknownName), registry.borrow_resident(resident):
        pass
    assert loader.loads == ["a"]


# From here on with real weights.


def write_adapter(base: Path, folder: Path, seed: int = 1) -> Path:
    """Write a LoRA adapter with a head of its own."""
    import peft
    import torch
    import transformers

    torch.manual_seed(seed)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(base)
    config = peft.LoraConfig(r=4, target_modules=["query", "value"], task_type="SEQ_CLS", init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        peft.get_peft_model(model, config).save_pretrained(folder)
    return folder


@pytest.fixture
def real() -> Registry:
    """Give a registry that loads local folders."""
    catalogue = Catalogue(Settings())
    return Registry(catalogue, Loader(catalogue, Hub(offline=True)))


def logits(registry: Registry, wanted: ModelSpec) -> Any:
    """Ask the model one thing."""
    import torch

    with registry.borrow(wanted) as model, torch.inference_mode():
        return model.model(**model.tokenizer("a very good film", return_tensors="pt")).logits


def test_selected_is_used_under_concurrency(real: Registry, tmp_path: Path) -> None:
    """Eight threads over three models: each answer is the named model's own, and its provenance names that one."""
    import torch

    specs = [real.resolve(str(tiny_bert(tmp_path / str(seed), seed=seed)), TASK) for seed in range(3)]
    alone = [logits(real, one) for one in specs]

    def ask(thread: int) -> bool:
        fine = True
        for turn in range(6):
            place = (thread + turn) % 3
            with real.borrow(specs[place]) as model:
                fine &= model.provenance(0).model == specs[place].name == real.resolve(specs[place].name, TASK).name
            fine &= torch.equal(logits(real, specs[place]), alone[place])
            if turn == thread % 6:
                real.release_all()
        return fine

    assert in_threads(8, ask) == [True] * 8


def test_a_released_model_is_gone(real: Registry, tmp_path: Path) -> None:
    """After a release nothing refers to the model; the bytes reported are those of its tensors."""
    wanted = real.resolve(str(tiny_bert(tmp_path / "m")), TASK)
    with real.borrow(wanted) as model:
        reference, size = weakref.ref(model.model), model.tensor_bytes
        del model
    logits(real, wanted)
    freed = real.release(real.ledger()[0].id)
    assert (reference(), freed.tensor_bytes) == (None, size)
    assert size >= count_parameters((tmp_path / "m").glob("*.safetensors")) * 4


def test_load_and_unload_leave_the_process_as_it_was(real: Registry, tmp_path: Path) -> None:
    """Twenty cycles of a real model leave the process within 5 % of its size after the third."""
    wanted = real.resolve(str(tiny_bert(tmp_path / "m")), TASK)
    sizes = []
    for _ in range(20):
        logits(real, wanted)
        real.release_all()
        sizes.append(resident_bytes())
    assert sizes[-1] < 1.05 * sizes[2]


def test_a_folder_that_was_written_anew_is_loaded_anew(real: Registry, tmp_path: Path) -> None:
    """Who trains again into the same folder gets the new model."""
    import torch

    wanted = real.resolve(str(tiny_bert(tmp_path / "m", seed=1)), TASK)
    before = logits(real, wanted)
    tiny_bert(tmp_path / "m", seed=2)
    assert not torch.equal(logits(real, wanted), before)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    """Serve a tiny model as org/tiny."""
    with FakeHub() as server:
        server.add("org/tiny", tiny_bert(tmp_path / "served"))
        yield server


def test_provenance_names_the_commit_and_a_moved_branch_changes_nothing(hub: FakeHub, tmp_path: Path) -> None:
    """The revision of a result is the commit that answered, as long as that model is in memory."""
    catalogue = Catalogue(Settings())
    registry = Registry(catalogue, Loader(catalogue, Hub(endpoint=hub.endpoint, cache=tmp_path / "cache")))
    first = hub.repositories["org/tiny"].revisions["main"]
    wanted = registry.resolve("org/tiny", TASK)
    with registry.borrow(wanted) as model:
        assert model.provenance(0).revision == first
        del model
    second = "f" * 40
    hub.repositories["org/tiny"].revisions["main"] = second
    hub.repositories["org/tiny"].commits.add(second)
    with registry.borrow(wanted) as model:
        assert model.provenance(0).revision == first
        del model
    with registry.borrow(registry.resolve(f"org/tiny@{first}", TASK)):
        assert len(registry.ledger()) == 1
    registry.release_all()
    with registry.borrow(wanted) as model:
        assert model.provenance(0).revision == second


def test_an_adapter_never_leaks(real: Registry, tmp_path: Path) -> None:
    """With, without, with, and two adapters on one base: each answers as it does alone."""
    import torch
    import transformers

    base = tiny_bert(tmp_path / "base")
    for seed in (1, 2):
        write_adapter(base, tmp_path / f"adapter{seed}", seed)
    folders = ["base", "adapter1", "base", "adapter2", "adapter1", "base"]
    specs = [real.resolve(str(tmp_path / name), TASK) for name in folders]
    found = [logits(real, one) for one in specs]
    reference = transformers.AutoModelForSequenceClassification.from_pretrained(base).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    with torch.inference_mode():
        expected = reference(**tokenizer("a very good film", return_tensors="pt")).logits
    assert torch.equal(found[0], expected)
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[0], found[5])
    assert torch.equal(found[1], found[4])
    assert not torch.allclose(found[0], found[1])
    assert not torch.allclose(found[1], found[3])
    assert {row.adapter.partition("@")[0] if row.adapter else None for row in real.ledger()} == {
        None,
        "adapter1",
        "adapter2",
    }
