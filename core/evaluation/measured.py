"""One metric on one model's answers: its numbers, what can be resampled, and who computed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from core.evaluation.loading import recipes
from core.evaluation.resampling import Tally
from core.evaluation.tasks import averaged
from core.words import Sentence


@dataclass(frozen=True)
class Measured:
    """One metric on one model's answers."""

    name: str
    values: Mapping[str, float]
    """Numbers by their keys, the one that counts first."""
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    """What can be resampled, by the same keys."""
    implementation: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Sentence, ...] = ()
    lower_is_better: bool = False
    refusal: Sentence | None = None
    """Why there are no numbers."""

    @property
    def key(self) -> str:
        """The key that counts."""
        return next(iter(self.values), "")


def measured_by(name: str, scores: Any, tallies: Mapping[str, Tally | None], keys: Sequence[str] = ()) -> Measured:
    """Put together what a metric of core.evaluation returned: its single numbers, `keys` first."""
    plain = scores.plain()
    wanted = [*keys, *(key for key in plain if key not in keys)]
    values = {key: float(plain[key]) for key in wanted if isinstance(plain.get(key), Real)}
    return Measured(
        name,
        values,
        {key: one for key, one in tallies.items() if one is not None},
        scores.implementation.as_dict(),
        scores.notes,
        recipes()[averaged(name)[0] if averaged(name) else name].lower_is_better,  # type: ignore[index]
    )
