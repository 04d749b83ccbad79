"""Which model answered, from where, on what and in which time: every result carries it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

MIXED = "bf16-mixed"
"""The dtype of float32 weights under bfloat16 autocast, by the name that Lightning gives it."""


@dataclass(frozen=True)
class Provenance:
    """Selected = used: these values are read from the model that ran, never from the request."""

    model: str
    revision: str
    adapter: str | None
    device: str
    dtype: str
    attention: str
    seed: int | None = None
    seconds: float = 0.0
    fallbacks: tuple[str, ...] = ()
    lineage: tuple[str, ...] = ()
    """For a model that was trained here: what it came from, the first weights first, it itself last."""
    places: tuple[tuple[str, str], ...] = field(default=(), repr=False, compare=False)
    """Where the runs among these lie on this machine, by label; never told to anybody but the code beside a result."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON: model revision adapter device dtype attention seed seconds fallbacks, and any lineage."""
        told = {**asdict(self), "seconds": round(self.seconds, 4), "fallbacks": list(self.fallbacks)}
        lineage, _ = told.pop("lineage"), told.pop("places")
        return {**told, "lineage": list(lineage)} if lineage else told
