"""What every text task can be asked besides its text: which model, and how it shall run."""

from __future__ import annotations

from dataclasses import dataclass, fields

from core.catalogue import ModelSpec
from core.errors import InvalidInput
from core.fields import choice, enforce
from core.placement import Wish
from core.registry import Registry


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The model by name ("" = the task's starter) and the wishes about device, dtype and attention."""

    model: str = ""
    device: str = "auto"
    dtype: str = choice("auto", ("auto", "float32", "float16", "bfloat16"))
    attention: str = choice("auto", ("auto", "sdpa", "flash_attention_2", "eager", "sliced"))
    quantisation: str = choice("none", ("none", "nf4", "int8"))

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits."""
        enforce(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in {"bool", bool} and not isinstance(value, bool):  # "false" is a true string
                raise InvalidInput("error.not_a_flag", name=field.name, value=value)

    def spec(self, registry: Registry, task: str) -> ModelSpec:
        """Return the model that these options mean for `task`."""
        wish = Wish(device=self.device, dtype=self.dtype, attention=self.attention, quantisation=self.quantisation)
        return registry.resolve(self.model, task, wish)
