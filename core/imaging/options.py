"""What every picture can be asked besides its own input: which model, how many steps, and how it shall run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from core import fields
from core.catalogue import ModelSpec
from core.errors import InvalidInput
from core.imaging.schedulers import SCHEDULER_NAMES
from core.models.registry import Registry
from core.placement.wish import DTYPES, OFFLOADS, THREE_STATES, Wish
from core.settings import LIMITS

WISHES = ("device", "dtype", "attention_slicing", "vae_slicing", "vae_tiling", "offload")
"""The fields of DrawingOptions that become a Wish."""
AXES = ("none", "seed", "num_inference_steps", "guidance_scale", "scheduler")
"""What may differ along one side of a grid."""
LARGEST_SEED = 2**32 - 1
"""What other tools write into their pictures goes up to here."""
LARGEST_WEIGHT = 4.0

_WEIGHTED = re.compile(r"(?P<name>[^:].*?)(?::(?P<weight>[-+]?(?:\d+\.?\d*|\.\d+)))?")


@dataclass(frozen=True)
class WeightedAdapter:
    """One LoRA adapter by name, and how strongly it counts (1 = as it was trained)."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class NamedInversion:
    """One textual inversion by name, and the word that stands for it in a prompt ("" = the one in its file)."""

    name: str
    token: str = ""


@dataclass(frozen=True, kw_only=True)
class DrawingOptions:
    """The model by name ("" = the task's starter), the field's generation settings, and the wishes about placement."""

    prompt: str = fields.text(limit=LIMITS.prompt_characters, optional=True)
    negative_prompt: str = fields.text(limit=LIMITS.prompt_characters, optional=True)
    model: str = ""
    scheduler: str = fields.choice("auto", SCHEDULER_NAMES)
    num_inference_steps: int = fields.number(20, low=1, high=LIMITS.inference_steps)
    guidance_scale: float = fields.number(5.0, low=0.0, high=30.0, step=0.1)
    """How closely the prompt is followed; up to 1 there is no guidance, and the negative prompt has no effect."""
    num_images_per_prompt: int = fields.number(1, low=1, high=LIMITS.pictures_at_once)
    width: int = fields.number(0, low=0, high=LIMITS.picture_side)
    """Pixels; 0 = the model's own size."""
    height: int = fields.number(0, low=0, high=LIMITS.picture_side)
    """Pixels; 0 = the model's own size."""
    seed: int = fields.number(-1, low=-1, high=LARGEST_SEED)
    """-1 draws one; the pictures of one prompt have seed, seed + 1, …"""
    loras: str = fields.text(limit=2_000, optional=True)
    """Adapters laid over the model: "id:weight, id:weight"; without a weight it is 1."""
    textual_inversions: str = fields.text(limit=2_000, optional=True)
    """Words learned from pictures: "id, id:<token>"; without a token it is the one in the file."""
    x_axis: str = fields.choice("none", AXES)
    x_values: str = fields.text(limit=1_000, optional=True)
    """What the columns of a grid have, separated by commas."""
    y_axis: str = fields.choice("none", AXES)
    y_values: str = fields.text(limit=1_000, optional=True)
    """What the rows of a grid have, separated by commas."""
    device: str = "auto"
    dtype: str = fields.choice("auto", DTYPES)
    attention_slicing: str = fields.choice("auto", THREE_STATES)
    vae_slicing: str = fields.choice("auto", THREE_STATES)
    vae_tiling: str = fields.choice("auto", THREE_STATES)
    offload: str = fields.choice("auto", OFFLOADS)

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits, and adapters that cannot be read."""
        fields.enforce(self)
        _refuse_too_many_pixels(self.width, self.height)
        self.adapters()
        self.inversions()

    def wish(self) -> Wish:
        """Return how the model shall be placed."""
        return Wish(**{name: getattr(self, name) for name in WISHES})

    def spec(self, registry: Registry, task: str) -> ModelSpec:
        """Return the model that these options mean for `task`."""
        return registry.resolve(self.model, task, self.wish())

    def adapters(self) -> tuple[WeightedAdapter, ...]:
        """Return the LoRA adapters in the order given; raises InvalidInput for one that is there twice."""
        found = tuple(_weighted(part) for part in fields.comma_separated(self.loras))
        _refuse_twice([one.name for one in found], "loras")
        return found

    def inversions(self) -> tuple[NamedInversion, ...]:
        """Return the textual inversions in the order given; raises InvalidInput for one that is there twice."""
        found = tuple(_named(part) for part in fields.comma_separated(self.textual_inversions))
        _refuse_twice([one.name for one in found], "textual_inversions")
        return found


def _weighted(part: str) -> WeightedAdapter:
    found = _WEIGHTED.fullmatch(part)
    if found is None:
        raise InvalidInput("error.lora_unreadable", value=part, limit=LARGEST_WEIGHT)
    weight = float(found["weight"] or 1.0)
    if not math.isfinite(weight) or abs(weight) > LARGEST_WEIGHT:
        raise InvalidInput("error.lora_weight", name=found["name"], value=found["weight"], limit=LARGEST_WEIGHT)
    return WeightedAdapter(found["name"].strip(), weight)


def _named(part: str) -> NamedInversion:
    name, separator, token = part.partition(":")
    return NamedInversion(name.strip(), token.strip()) if separator else NamedInversion(part)


def _refuse_twice(names: list[str], field: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput("error.adapter_twice", name=twice, field=field)


def _refuse_too_many_pixels(width: int, height: int) -> None:
    if width * height > LIMITS.picture_pixels:
        raise InvalidInput("error.too_many_pixels", width=width, height=height, limit=LIMITS.picture_pixels)
