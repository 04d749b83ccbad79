"""What a loaded model is made of and how fast it answers."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

from core.events import CancelToken
from core.models.loading import LoadedModel
from core.models.pipelines import is_pipeline, networks_of
from core.models.registry import Registry
from core.provenance import Provenance

RUNS = 20
PROBE = "The quick brown fox jumps over the lazy dog."


@dataclass(frozen=True)
class Diagnosis:
    """Counts of numbers and tokens; seconds for one forward pass of the probe sentence."""

    architecture: str
    parameters: int
    trainable: int
    vocabulary: int
    max_length: int
    layers: int | None
    hidden_size: int | None
    labels: tuple[str, ...]
    probe_tokens: int | None
    """None where the model reads no text; then nothing is timed."""
    latency_median_seconds: float | None
    latency_min_seconds: float | None
    latency_max_seconds: float | None
    provenance: Provenance


def diagnose(resident_id: str, registry: Registry, cancel: CancelToken | None = None) -> Diagnosis:
    """Look into a model of the ledger and time RUNS forward passes, each a turn of its own in the compute thread.

    Raises UnknownName if the model is gone, and Cancelled at most one pass after `cancel` is set.
    """
    started = time.perf_counter()
    with registry.borrow_resident(resident_id) as model:
        tokens = _probe(model)
        seconds = _latencies(model, tokens, registry, cancel) if tokens is not None else []
        parameters = [one for network in networks_of(model.model).values() for one in network.parameters()]
        config = model.model.config
        return Diagnosis(
            architecture=type(model.model).__name__,
            parameters=sum(one.numel() for one in parameters),
            trainable=sum(one.numel() for one in parameters if one.requires_grad),
            vocabulary=0 if tokens is None else len(model.tokenizer),
            max_length=model.max_length,
            layers=getattr(config, "num_hidden_layers", None),
            hidden_size=getattr(config, "hidden_size", None),
            labels=_labels(model),
            probe_tokens=None if tokens is None else tokens["input_ids"].shape[1],
            latency_median_seconds=statistics.median(seconds) if seconds else None,
            latency_min_seconds=min(seconds, default=None),
            latency_max_seconds=max(seconds, default=None),
            provenance=model.provenance(time.perf_counter() - started),
        )


def _probe(model: LoadedModel) -> Any:
    """Return the probe sentence in tokens, or None for a model that reads no text."""
    if not model.max_length:
        return None
    return model.tokenizer(PROBE, return_tensors="pt").to(model.device)


def _latencies(model: LoadedModel, tokens: Any, registry: Registry, cancel: CancelToken | None) -> list[float]:
    """Return the seconds of each pass but the first, which warms up."""
    return [_time_alone(model, tokens, registry, cancel) for _ in range(RUNS + 1)][1:]


def _labels(model: LoadedModel) -> tuple[str, ...]:
    """Return the names of the head's outputs; a model without a head has none (transformers invents two)."""
    has_head = type(model.model).__name__.endswith("Classification")
    return tuple(model.model.config.id2label.values()) if has_head else ()


def _time_alone(model: LoadedModel, tokens: Any, registry: Registry, cancel: CancelToken | None) -> float:
    """Return the seconds of one pass; whoever waits for the compute thread computes between two of them."""
    (seconds,) = registry.batcher.submit(object(), [tokens], lambda alone: [_time(model, *alone)], cancel=cancel)
    return float(seconds)


def _time(model: LoadedModel, tokens: Any) -> float:
    import torch

    reader = _reader(model.model)
    with torch.inference_mode():
        started = time.perf_counter()
        _synchronise(reader(**tokens))
        return time.perf_counter() - started


def _reader(model: Any) -> Any:
    """Return the part that reads text: a pipeline's text encoder, the encoder of two halves, or the whole model."""
    if is_pipeline(model):
        return model.text_encoder
    return model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model


def _synchronise(output: object) -> None:
    """Wait for an accelerator: copying one number to the host does, on every kind of device."""
    first = next(iter(output.values()))  # type: ignore[attr-defined]
    first.flatten()[0].item()
