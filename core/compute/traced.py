"""The step from one token to the next, without Python: on a small model most of a token's time is the interpreter's.

After some steps a model's forward pass for one token is recorded with torch.jit.trace; from then on the same kernels
run in the same order, with the same results to the last bit, called from C++ (`python -m bench.generation`).
What cannot be recorded faithfully (another device, another kind of cache, decisions that depend on values) stays as it
is: a recording is used only if it repeats the model's own results on other sizes than it was made with.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from core.compute.shared_cache import is_plain

if TYPE_CHECKING:
    import torch

log = logging.getLogger("atelier")

STEPS_BEFORE = 24
"""A recording takes as long as about a hundred steps save, so a model first shows that it is used."""
LARGEST_MODEL = 200_000_000
"""Parameters; in larger models the kernels take so long that nobody waits for Python."""
STEADY_ROPES = frozenset({"default", "linear", "llama3"})
"""Rotary embeddings that do not depend on how long the text has become."""
SIZES = (2, 5), (3, 9)
"""(rows, tokens before) with which a recording is made, and with which it must repeat the model's own results."""


class Steps:
    """Makes the next logits of texts, and remembers each model's recordings while the model lives; one thread only."""

    def __init__(self) -> None:
        """Know no model yet."""
        self._known: WeakKeyDictionary[Any, dict[bool, _Step]] = WeakKeyDictionary()

    def next_logits(self, model: Any, ids: torch.Tensor, cache: Any, mask: torch.Tensor) -> torch.Tensor:
        """Return (rows, vocabulary) for one more token a row, (rows, 1), and add it to `cache`.

        `mask`: (rows, length of the cache with this token), 0 where there is padding.
        """
        masked = not bool(mask.all())
        steps = self._known.setdefault(model, {})
        if masked not in steps:
            steps[masked] = _Step(masked, refused=not _may_be_traced(model, cache))
        return steps[masked](model, ids, cache, mask)


@dataclass
class _Step:
    """One kind of step of one model: with padding among the rows, or without."""

    masked: bool
    refused: bool
    count: int = 0
    traced: Callable[..., Any] | None = None

    def __call__(self, model: Any, ids: torch.Tensor, cache: Any, mask: torch.Tensor) -> torch.Tensor:
        if self.traced is not None:
            return _run(self.traced, ids, cache, mask, masked=self.masked)
        logits = _plain(model, ids, cache, mask, masked=self.masked)
        self.count += 1
        if self.count == STEPS_BEFORE and not self.refused:
            self.traced = _recording(model, masked=self.masked)
        return logits


def _may_be_traced(model: Any, cache: Any) -> bool:
    config = model.config
    ropes = getattr(config, "rope_parameters", None) or {}
    return (
        model.device.type == "cpu"
        and config._attn_implementation == "sdpa"  # noqa: SLF001 transformers offers no public reader
        and is_plain(cache)
        and ropes.get("rope_type", "default") in STEADY_ROPES
        and not any(getattr(config, name, 0) for name in ("num_experts", "num_local_experts"))
        and sum(one.numel() for one in model.parameters()) <= LARGEST_MODEL
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


def _recording(model: Any, *, masked: bool) -> Callable[..., Any] | None:
    """Record the model's step; None if that fails, or if the recording does not repeat the model's own results."""
    import torch

    step = _as_module(model, masked=masked)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every size; whether they matter is tried below
            made, tried = (_example(model, *size, masked=masked) for size in SIZES)
            traced: Callable[..., Any] = torch.jit.trace(step, made, check_trace=False)  # type: ignore[no-untyped-call]
            with _as_recorded():
                same = all(map(torch.equal, traced(*tried), step(*tried)))
    except Exception as problem:  # noqa: BLE001 whatever a foreign model's code makes of being recorded
        log.info("%s is not recorded: %s", type(model).__name__, problem)
        return None
    return traced if same else None


def _as_module(model: Any, *, masked: bool) -> torch.nn.Module:
    """Return the step as a module of tensors: (ids, positions[, mask], keys and values…) → (logits, keys, values…)."""
    import torch

    class Step(torch.nn.Module):
        """Holds the model only until it is recorded."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: torch.Tensor, positions: torch.Tensor, *rest: torch.Tensor) -> tuple[torch.Tensor, ...]:
            seen = {"attention_mask": rest[0]} if masked else {}
            cache = _cache(self.model, rest[1:] if masked else rest)
            made = self.model(ids, position_ids=positions, past_key_values=cache, use_cache=True, **seen)
            return (made.logits[:, -1], *_states(cache))

    return Step().eval()


def _cache(model: Any, states: tuple[torch.Tensor, ...]) -> Any:
    """Return a cache that holds these keys and values."""
    from transformers import DynamicCache

    cache: Any = DynamicCache(config=model.config)
    for layer, keys, values in zip(cache.layers, states[::2], states[1::2], strict=True):
        layer.lazy_initialization(keys, values)
        layer.keys, layer.values = keys, values
    return cache


def _example(model: Any, rows: int, before: int, *, masked: bool) -> tuple[torch.Tensor, ...]:
    """Return arguments of a step after `before` tokens; where it is masked, the first row begins with padding."""
    import torch
    from transformers import DynamicCache

    cache: Any = DynamicCache(config=model.config)
    size = model.config.get_text_config(decoder=True).vocab_size
    tokens = torch.arange(rows * (before + 1)).view(rows, -1) * 7 % size
    model(tokens[:, :before], past_key_values=cache, use_cache=True)
    mask = torch.ones_like(tokens)
    mask[0, 0] = 0 if masked else 1
    seen = (mask[:, None, None, :].bool(),) if masked else ()
    return (tokens[:, -1:], _positions(mask), *seen, *_states(cache))
