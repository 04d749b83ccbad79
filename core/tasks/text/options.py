"""What every text task can be asked besides its text: which model, and how it shall run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from core.catalogue import ModelSpec
from core.errors import InvalidInput
from core.fields import choice, enforce
from core.models.registry import Registry
from core.placement.wish import ATTENTIONS, DTYPES, QUANTISATIONS, THREE_STATES, Wish


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a model shall run: the wishes about device, dtype and attention."""

    device: str = "auto"
    dtype: str = choice("auto", DTYPES)
    attention: str = choice("auto", ATTENTIONS)
    attention_slicing: str = choice("auto", THREE_STATES)
    quantisation: str = choice("none", QUANTISATIONS)

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits."""
        enforce(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in {"bool", bool} and not isinstance(value, bool):  # "false" is a true string
                raise InvalidInput("error.not_a_flag", name=field.name, value=value)

    @property
    def wishes(self) -> dict[str, Any]:
        """The wishes by name, as another task's settings take them."""
        return {name: getattr(self, name) for name in WISHES}

    @property
    def wish(self) -> Wish:
        """The wishes as the planner takes them."""
        return Wish(**self.wishes)


WISHES = tuple(field.name for field in fields(RunOptions))
"""The fields that become a Wish."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions(RunOptions):
    """The model by name ("" = the task's starter), and how it shall run."""

    model: str = ""

    def spec(self, registry: Registry, task: str) -> ModelSpec:
        """Return the model that these options mean for `task`."""
        return registry.resolve(self.model, task, self.wish)
