"""The registry's visible state: one line a model in memory, and what a release gave back."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import cast

from core.catalogue import ModelSpec
from core.machine.devices import Device, Kind
from core.models.forecast import Idle
from core.models.loading import LoadedModel, ModelFiles, auto_class_name
from core.placement.model_facts import ModelFacts, Needs, Working
from core.placement.planner import Placement
from core.placement.prediction import Way, working_bytes
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
    remedies: tuple[str, ...] = ()
    """How a pipeline's VAE decodes and where its weights lie meanwhile: who forces these gets a model that does so."""

    @classmethod
    def of(cls, spec: ModelSpec, files: ModelFiles, facts: ModelFacts, placement: Placement) -> ModelKey:
        """Read the key from what will be loaded."""
        return cls(
            name=spec.name,
            revision=files.revision,
            auto_class=auto_class_name(spec.task, encoder_decoder=facts.kind == "encoder-decoder"),
            adapters=tuple(filter(None, (files.adapter_label,))),
            device=placement.device,
            dtype=placement.dtype,
            quantisation=placement.quantisation,
            attention=placement.attention,
            remedies=placement.remedies,
        )

    @property
    def id(self) -> str:
        """A short name that may cross the wire."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Resident:
    """One line of the ledger: a model in memory."""

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
    leaving: bool = False
    """Unloaded, but something still holds its memory; a release may be tried again."""


@dataclass(frozen=True)
class Freed:
    """What a release gave back, in bytes: the model's tensors, and by how much its device's used memory shrank."""

    name: str
    tensor_bytes: int
    process_bytes: int
    refusal: Sentence | None = None
    """Why nothing came back, where others were released and this one could not be."""


@dataclass
class Entry:
    """A model in memory, as the registry keeps it."""

    key: ModelKey
    loaded: LoadedModel
    predicted_bytes: int
    measured_bytes: int
    facts: ModelFacts
    borrowed: int = 1
    """Whoever loads it has it."""
    last_used: float = field(default_factory=time.monotonic)

    @property
    def as_idle(self) -> Idle:
        """What the planner must know of it."""
        offloaded = self.loaded.placement.offload != "none"
        return Idle(self.key.id, self.key.name, "cpu" if offloaded else self.key.device, self.measured_bytes)

    def bytes_for(self, working: int | Needs) -> int:
        """Return what a use takes beside the weights, where and how this model runs; 0 = the rule of thumb."""
        if not callable(working) and working:
            return working
        kind, _, index = self.key.device.partition(":")
        placement = self.loaded.placement
        way = Way(
            Device(cast("Kind", kind), int(index or 0), kind, 0, 0),
            self.key.dtype,
            self.key.attention,
            placement.vae_slicing,
            placement.vae_tiling,
        )
        return working_bytes(self.facts, working(self.facts) if callable(working) else Working(), way)

    @property
    def in_words(self) -> str:
        """Name and size: bert-base (438.0 MB)."""
        return f"{self.key.name} ({in_bytes(self.measured_bytes)})"

    def line(self, goes_next: int | None) -> Resident:
        """Return the ledger's line."""
        loaded, key = self.loaded, self.key
        return Resident(
            id=key.id,
            name=key.name,
            task=loaded.spec.task,
            revision=key.revision,
            adapter=loaded.files.adapter_label,
            device=key.device,
            dtype=key.dtype,
            attention=loaded.attention,
            predicted_bytes=self.predicted_bytes,
            measured_bytes=self.measured_bytes,
            borrowed=self.borrowed,
            idle_seconds=0.0 if self.borrowed else time.monotonic() - self.last_used,
            load_seconds=loaded.load_seconds,
            goes_next=goes_next,
            reasons=loaded.placement.reasons,
        )
