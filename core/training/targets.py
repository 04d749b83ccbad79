"""Which layers an adapter is laid over: what the model itself has, what is proposed, and what was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput
from core.fields import comma_separated
from core.training.choices import AUTO
from core.training.settings import TrainSettings
from core.training.tasks import ADALORA, IA3, TrainTask

ALL_LINEAR = "all-linear"
PATTERN = re.compile(r"[*\[\](){}|\\^$+?]")
"""Signs that no module's name has, so that they make a regular expression of it."""
IN_UNETS = ("to_q", "to_k", "to_v", "to_out.0")
"""What diffusers' own script adapts of a UNet."""
IN_CLIP = ("q_proj", "k_proj", "v_proj", "out_proj")
"""And of its text encoders."""
KEYS_AND_VALUES = ("key", "k_proj", "k", "k_lin", "to_k", "value", "v_proj", "v", "v_lin", "to_v")
JOINT = ("query_key_value", "c_attn", "qkv_proj", "Wqkv", "in_proj")
"""Layers that are query, key and value in one."""
SECOND_FEED_FORWARD = ("output.dense", "down_proj", "fc2", "lin2", "wo", "mlp.c_proj", "dense_4h_to_h", "ff.net.2")
MOST_NAMES = 40


@dataclass(frozen=True)
class Layer:
    """One layer that can be adapted."""

    name: str
    inputs: int
    outputs: int
    parameters: int

    @property
    def short(self) -> str:
        """Return the end of its name that tells its role: "query", "to_out.0"."""
        parts = self.name.split(".")
        return ".".join(parts[-2:]) if parts[-1].isdigit() else parts[-1]

    @property
    def largest_rank(self) -> int:
        """Return the rank beyond which two matrices hold no less than the layer."""
        return min(self.inputs, self.outputs)


@dataclass(frozen=True)
class LayerGroup:
    """All layers of one role, as the form shows them."""

    name: str
    count: int
    inputs: int
    outputs: int
    parameters: int
    proposed: bool
    example: str
    """The whole name of the first."""


@dataclass(frozen=True)
class Targets:
    """What will be adapted."""

    modules: tuple[str, ...]
    """Names, or ends of names, for peft's `target_modules`."""
    layers: tuple[Layer, ...]
    feedforward: tuple[str, ...] = ()
    """IA³ only: those whose input is scaled and not their output."""


def layers_of(model: Any, task: TrainTask) -> tuple[Layer, ...]:
    """Return the linear layers of a model, those that write its answer (head, vocabulary) left out, in their order."""
    import torch
    from transformers.pytorch_utils import Conv1D

    last = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    found = []
    for name, module in model.named_modules():
        if module is last or name.split(".")[0] in task.head:
            continue
        if isinstance(module, torch.nn.Linear):
            found.append(Layer(name, module.in_features, module.out_features, module.weight.numel()))
        elif isinstance(module, Conv1D):
            inputs, outputs = module.weight.shape
            found.append(Layer(name, int(inputs), int(outputs), module.weight.numel()))
    return tuple(found)


def layer_groups(layers: Sequence[Layer], settings: TrainSettings) -> tuple[LayerGroup, ...]:
    """Return the layers by role, with what is proposed for the method marked."""
    proposed = {layer.short for layer in _proposed(layers, settings)}
    groups: dict[str, list[Layer]] = {}
    for layer in layers:
        groups.setdefault(layer.short, []).append(layer)
    return tuple(_grouped(name, several, proposed=name in proposed) for name, several in groups.items())


def choose_targets(layers: Sequence[Layer], settings: TrainSettings) -> Targets:
    """Return what `target_modules` means for these layers.

    Raises InvalidInput for a name or pattern that matches nothing, with the names there are, and for a rank above a
    layer that was named; where we choose, layers too small for the rank are left alone.
    """
    chosen = tuple(_asked_for(layers, settings))
    _refuse_rank(chosen, rank_of(settings))
    if settings.method == IA3:
        second = tuple(layer for layer in chosen if _ends_in(layer.name, SECOND_FEED_FORWARD))
        return Targets(_names(chosen, layers), chosen, _names(second, layers))
    return Targets(_names(chosen, layers), chosen)


def rank_of(settings: TrainSettings) -> int:
    """Return the rank that a layer must have room for; 0 for methods without one, and while it is not chosen."""
    if settings.method == IA3:
        return 0
    return max(settings.init_r, settings.target_r) if settings.method == ADALORA else settings.r


def _asked_for(layers: Sequence[Layer], settings: TrainSettings) -> list[Layer]:
    wanted = settings.target_modules.strip() or AUTO
    if wanted in (AUTO, ALL_LINEAR):
        return _large_enough(_proposed(layers, settings) if wanted == AUTO else layers, rank_of(settings))
    if PATTERN.search(wanted):
        return _matching(wanted, layers)
    found: dict[str, Layer] = {}
    for name in comma_separated(wanted):
        ends = {layer.name: layer for layer in layers if _ends_in(layer.name, (name,))}
        if not ends:
            raise InvalidInput("error.train_targets_missing", wanted=name, names=_listed(layers))
        found |= ends
    return [layer for layer in layers if layer.name in found]


def _matching(wanted: str, layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers whose whole names match, as peft's `target_modules` of one string does."""
    try:
        pattern = re.compile(wanted)
    except re.error as problem:
        raise InvalidInput("error.train_targets_no_pattern", wanted=wanted, reason=str(problem)) from problem
    found = [layer for layer in layers if pattern.fullmatch(layer.name)]
    if not found:
        raise InvalidInput("error.train_targets_missing", wanted=wanted, names=_listed(layers))
    return found


def _proposed(layers: Sequence[Layer], settings: TrainSettings) -> list[Layer]:
    """Return what is adapted where nobody says: of a UNet its attention, else all layers; for IA³, as its authors did.

    QLoRA (arXiv 2305.14314, figure 2) found that adapters on every layer are what equals full training.
    """
    if settings.task == "text-to-image":
        return [layer for layer in layers if _ends_in(layer.name, (*IN_UNETS, *IN_CLIP))]
    if settings.method == IA3:
        return _for_ia3(layers)
    return list(layers)


def _for_ia3(layers: Sequence[Layer]) -> list[Layer]:
    """Return keys, values and the second layer of the feed-forward (arXiv 2205.05638)."""
    found = [layer for layer in layers if _ends_in(layer.name, (*KEYS_AND_VALUES, *JOINT))]
    second = [layer for layer in layers if _ends_in(layer.name, SECOND_FEED_FORWARD) and "attention" not in layer.name]
    return [layer for layer in layers if layer in found or layer in second] or list(layers)


def _large_enough(layers: Sequence[Layer], rank: int) -> list[Layer]:
    fitting = [layer for layer in layers if layer.largest_rank >= rank]
    return fitting or list(layers)


def _refuse_rank(layers: Sequence[Layer], rank: int) -> None:
    smallest = min(layers, key=lambda layer: layer.largest_rank, default=None)
    if smallest and rank > smallest.largest_rank:
        size = f"{smallest.inputs} × {smallest.outputs}"
        raise InvalidInput(
            "error.train_rank_above_layer", rank=rank, layer=smallest.name, size=size, limit=smallest.largest_rank
        )


def _names(chosen: Sequence[Layer], layers: Sequence[Layer]) -> tuple[str, ...]:
    """Return short names where they mean exactly the chosen layers, else whole ones."""
    short = tuple(dict.fromkeys(layer.short for layer in chosen))
    meant = {layer.name for layer in layers if _ends_in(layer.name, short)}
    return short if meant == {layer.name for layer in chosen} else tuple(layer.name for layer in chosen)


def _ends_in(name: str, ends: Sequence[str]) -> bool:
    return any(name == end or name.endswith(f".{end}") for end in ends)


def _grouped(name: str, layers: Sequence[Layer], *, proposed: bool) -> LayerGroup:
    return LayerGroup(
        name=name,
        count=len(layers),
        inputs=max(layer.inputs for layer in layers),
        outputs=max(layer.outputs for layer in layers),
        parameters=sum(layer.parameters for layer in layers),
        proposed=proposed,
        example=layers[0].name,
    )


def _listed(layers: Sequence[Layer]) -> str:
    names = list(_different(layer.short for layer in layers))
    more = ", …" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _different(names: Iterator[str]) -> Iterator[str]:
    yield from dict.fromkeys(names)
