"""The step from one token to the next, without Python: on a small model most of a token's time is the interpreter's.

After some steps a model's forward pass for one token is recorded by TorchScript's tracer; from then on the same kernels
run in the same order, with the same results to the last bit, called from C++ (`python -m bench.generation`).
What cannot be recorded faithfully (another device, another kind of cache, decisions that depend on values) stays as it
is: a recording is used only if it repeats the model's own results on other sizes than it was made with.
Everybody whose text is being written waits for a recording, so it is made only of a model whose steps are short.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from core.compute.shared_cache import is_plain

if TYPE_CHECKING:
    import torch

log = logging.getLogger("atelier")

STEPS_BEFORE = 24
"""Steps before a recording, so that a model first shows that it is used, and how long its steps take."""
RECORDING_STEPS = 40
"""Steps in the time that a recording takes, at most. Measured with Llamas on one core: 40 of 20 ms (30 narrow layers),
18 of 10 ms (6 layers of 256), 8 of 113 ms (SmolLM2-135M's shape: 0.9 s); trying it at the next step takes less.
"""
LONGEST_PAUSE = 1.0
"""Seconds that texts may stand still for a recording. Where it would take longer, the kernels take most of each step,
or the processor is so busy that it is tried again later.
"""
STEADY_ROPES = frozenset({"default", "linear", "llama3"})
"""Rotary embeddings that do not depend on how long the text has become."""
RECORDED_WITH, TRIED_WITH = (2, 5), (3, 9)
"""(rows, tokens before) with which a recording is made, and with which it must repeat the model's own results."""


class Steps:
    """Makes the next logits of texts, and remembers each model's recordings while the model lives; one thread only."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Know no model yet; `clock` gives seconds."""
        self._known: WeakKeyDictionary[Any, dict[bool, _Step]] = WeakKeyDictionary()
        self._clock = clock

    def next_logits(self, model: Any, ids: torch.Tensor, cache: Any, mask: torch.Tensor) -> torch.Tensor:
        """Return (rows, vocabulary) for one more token a row, (rows, 1), and add it to `cache`.

        `mask`: (rows, length of the cache with this token), 0 where there is padding.
        """
        masked = not bool(mask.all())
        steps = self._known.setdefault(model, {})
        if masked not in steps:
            steps[masked] = _Step(masked, self._clock, refused=not _may_be_traced(model, cache))
        return steps[masked](model, ids, cache, mask)


@dataclass
class _Step:
    """One kind of step of one model: with padding among the rows, or without."""

    masked: bool
    clock: Callable[[], float]
    refused: bool
    count: int = 0
    seconds: float = 0.0
    """What so many steps took."""
    recorded: Callable[..., Any] | None = None
    """A recording that was not tried yet."""
    traced: Callable[..., Any] | None = None

    def __call__(self, model: Any, ids: torch.Tensor, cache: Any, mask: torch.Tensor) -> torch.Tensor:
        if self.traced is not None:
            return _run(self.traced, ids, cache, mask, masked=self.masked)
        began = self.clock()
        logits = _plain(model, ids, cache, mask, masked=self.masked)
        self.count += 1
        self.seconds += self.clock() - began
        if not self.refused:
            self._prepare(model, cache)
        return logits

    def _prepare(self, model: Any, cache: Any) -> None:
        """Record at one step and try the recording at the next, so that between two tokens there is one of both."""
        if self.recorded is not None:
            self.traced = _faithful(self.recorded, model, cache, masked=self.masked)
            self.recorded, self.refused = None, self.traced is None
        elif self.count == STEPS_BEFORE:
            if self.seconds / self.count * RECORDING_STEPS <= LONGEST_PAUSE:
                self.recorded = _recording(model, cache, masked=self.masked)
                self.refused = self.recorded is None
            self.count, self.seconds = 0, 0.0


def _may_be_traced(model: Any, cache: Any) -> bool:
    config = model.config
    ropes = getattr(config, "rope_parameters", None) or {}
    return (
        model.device.type == "cpu"
        and config._attn_implementation == "sdpa"  # noqa: SLF001 transformers offers no public reader
        and is_plain(cache)
        and ropes.get("rope_type", "default") in STEADY_ROPES
        and not any(getattr(config, name, 0) for name in ("num_experts", "num_local_experts"))
    )


def _plain(model: Any, ids: torch.Tensor, cache: Any, mask: torch.Tensor, *, masked: bool) -> torch.Tensor:
    """Let the model itself make the step."""
    padded = {"attention_mask": mask, "position_ids": _positions(mask)} if masked else {}
    logits: torch.Tensor = model(ids, past_key_values=cache, use_cache=True, **padded).logits[:, -1]
    return logits


def _run(
    traced: Callable[..., Any], ids: torch.Tensor, cache: Any, mask: torch.Tensor, *, masked: bool
) -> torch.Tensor:
    seen = (mask[:, None, None, :].bool(),) if masked else ()
    with _as_recorded():
        made: tuple[torch.Tensor, ...] = traced(ids, _positions(mask), *seen, *_states(cache))
    logits, *states = made
    for layer, keys, values in zip(cache.layers, states[::2], states[1::2], strict=True):
        layer.keys, layer.values = keys, values
    return logits


def _as_recorded() -> Any:
    """Run without the executor's rewriting, which takes a tenth of a second at the second call, to save little."""
    import torch

    return torch.jit.optimized_execution(should_optimize=False)  # type: ignore[attr-defined]


def _positions(mask: torch.Tensor) -> torch.Tensor:
    return mask.sum(1, keepdim=True) - 1


def _states(cache: Any) -> list[torch.Tensor]:
    return [state for layer in cache.layers for state in (layer.keys, layer.values)]


def _recording(model: Any, cache: Any, *, masked: bool) -> Callable[..., Any] | None:
    """Record the model's step, with keys and values out of `cache`; None if the model's code does not let that be done.

    It is a function with the weights as constants, in a unit of its own: of a module, torch.jit.trace looks at all
    methods of all parts first, which takes longer than the recording itself, and what it makes of a function stays
    in memory for good.
    """
    import torch
    from torch._C import CompilationUnit

    step = _function(model, masked=masked)
    try:
        example = _example(model, cache, RECORDED_WITH, masked=masked)
        with warnings.catch_warnings(), _as_constants(model):
            warnings.simplefilter("ignore")  # the tracer warns of every size; whether they matter is tried later
            graph, _ = torch._C._create_graph_by_tracing(step, example, _unnamed, strict=True, force_outplace=False)  # noqa: SLF001 what torch.jit.trace itself calls
    except Exception as problem:  # noqa: BLE001 whatever a foreign model's code makes of being recorded
        log.info("%s is not recorded: %s", type(model).__name__, problem)
        return None
    recorded: Callable[..., Any] = CompilationUnit().create_function("step", graph)
    return recorded


def _unnamed(_: torch.Tensor) -> str:
    """Return no name for a value in the recording; to look for its name among Python's variables takes time."""
    return ""


def _faithful(traced: Callable[..., Any], model: Any, cache: Any, *, masked: bool) -> Callable[..., Any] | None:
    """Return the recording if it repeats the model's own results; its first run takes longer than others, too."""
    import torch

    try:
        example = _example(model, cache, TRIED_WITH, masked=masked)
        with _as_recorded():
            same = all(map(torch.equal, traced(*example), _function(model, masked=masked)(*example)))
    except Exception as problem:  # noqa: BLE001 a recording may fail in any way on other sizes
        log.info("%s is not written from its recording: %s", type(model).__name__, problem)
        return None
    return traced if same else None


@contextmanager
def _as_constants(model: Any) -> Iterator[None]:
    """Let no weight ask for gradients: a function that is recorded may hold no such tensors."""
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    try:
        for weight in learning:
            weight.requires_grad_(requires_grad=False)
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(requires_grad=True)


def _function(model: Any, *, masked: bool) -> Callable[..., tuple[torch.Tensor, ...]]:
    """Return the step as a function: (ids, positions[, mask], keys and values…) → (logits, keys, values…)."""

    def step(ids: torch.Tensor, positions: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen = {"attention_mask": rest[0]} if masked else {}
        cache = _cache(model, rest[1:] if masked else rest)
        made = model(ids, position_ids=positions, past_key_values=cache, use_cache=True, **seen)
        return (made.logits[:, -1], *_states(cache))

    return step


def _cache(model: Any, states: tuple[torch.Tensor, ...]) -> Any:
    """Return a cache that holds these keys and values.

    While it is recorded a length is a tensor, with which transformers would lay out the mask that it leaves out of the
    model's own step; with that mask other kernels run where several heads share their keys.
    """
    from transformers import DynamicCache

    cache: Any = DynamicCache(config=model.config)
    length = int(states[0].shape[-2])
    cache.get_query_offset = lambda *_: length
    for layer, keys, values in zip(cache.layers, states[::2], states[1::2], strict=True):
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
    return cache


def _example(model: Any, cache: Any, size: tuple[int, int], *, masked: bool) -> tuple[torch.Tensor, ...]:
    """Return arguments of a step of (rows, tokens before); where it is masked, the first row begins with padding.

    The keys and values are some of the first text in `cache`, for another text would have to be read for them.
    """
    import torch

    (rows, before), vocabulary = size, model.config.get_text_config(decoder=True).vocab_size
    tokens = torch.arange(before, rows * (before + 1), before + 1)[:, None] * 7 % vocabulary
    mask = torch.ones(rows, before + 1, dtype=torch.long)
    mask[0, 0] = 0 if masked else 1
    seen = (mask[:, None, None, :].bool(),) if masked else ()
    places = torch.arange(rows)[:, None] + torch.arange(before)
    states = (state[0][:, places % state.shape[2]].transpose(0, 1).contiguous() for state in _states(cache))
    return (tokens, _positions(mask), *seen, *states)
