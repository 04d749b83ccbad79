"""What a person may ask of placement: every field has "auto", and nothing is truthy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.errors import InvalidInput
from core.fields import choice, enforce

THREE_STATES = ("auto", "on", "off")
DTYPES = ("auto", "float32", "bfloat16", "float16")
ATTENTIONS = ("auto", "sdpa", "flash_attention_2", "eager", "sliced")
OFFLOADS = ("auto", "none", "model", "sequential")
QUANTISATIONS = ("none", "nf4", "int8")
DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d{1,3})?")


@dataclass(frozen=True)
class Wish:
    """How a model should be placed; what stays "auto" is the planner's choice."""

    device: str = "auto"
    dtype: str = choice("auto", DTYPES)
    attention: str = choice("auto", ATTENTIONS)
    attention_slicing: str = choice("auto", THREE_STATES)
    offload: str = choice("auto", OFFLOADS)
    quantisation: str = choice("none", QUANTISATIONS)
    vae_slicing: str = choice("auto", THREE_STATES)
    vae_tiling: str = choice("auto", THREE_STATES)

    def __post_init__(self) -> None:
        """Refuse anything but these words, and two that exclude each other."""
        if not isinstance(self.device, str) or not DEVICE.fullmatch(self.device):
            raise InvalidInput("error.not_a_device", value=self.device)
        enforce(self)
        forced = self.attention != "auto"
        clash = {"on": forced and self.attention != "sliced", "off": self.attention == "sliced"}
        if clash.get(self.attention_slicing, False):
            raise InvalidInput(
                "error.attention_contradiction", attention=self.attention, attention_slicing=self.attention_slicing
            )

    @property
    def sliced(self) -> bool:
        """True where attention slicing is asked for, in either of the two ways."""
        return self.attention == "sliced" or self.attention_slicing == "on"
