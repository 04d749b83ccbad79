"""Which parameters learn: low-rank adapters beside layers of the networks, or the networks themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.training.choices import AUTO
from core.training.pictures.parts import PictureParts
from core.training.settings import TrainSettings
from core.training.targets import choose_targets, layers_of
from core.training.tasks import FULL

if TYPE_CHECKING:
    import torch

ADAPTER = "default"
HALF = {"bf16": "bfloat16", "fp16": "float16"}


def prepare_to_learn(parts: PictureParts, settings: TrainSettings, *, on_gpu: bool) -> tuple[int, int]:
    """Let the right parameters learn, in float32; return how many do, and how many there are.

    On a GPU whatever stands still goes to half precision with a half `precision`, as in diffusers' own script. Raises
    InvalidInput for layers that are not there, and for a rank above one that was named.
    """
    import torch
    from diffusers.training_utils import cast_training_params

    everything = sum(one.numel() for network in parts.networks.values() for one in network.parameters())
    half = HALF.get(settings.precision) if on_gpu else None
    if half:
        for network in parts.networks.values():
            network.to(dtype=getattr(torch, half))
    learning = {name: one for name, one in parts.networks.items() if name == "unet" or settings.train_text_encoder}
    if settings.method == FULL:
        for network in learning.values():
            network.requires_grad_(requires_grad=True)
    else:
        _lay_adapters(learning, settings)
    cast_training_params(list(learning.values()), torch.float32)
    if settings.gradient_checkpointing == "on":
        _save_memory(learning)
    return sum(one.numel() for network in learning.values() for one in _learning(network)), everything


def save_result(parts: PictureParts, settings: TrainSettings, folder: Path) -> None:
    """Write what was learnt: adapters for diffusers' `load_lora_weights`, or a model for its `from_pretrained`."""
    if settings.method == FULL:
        _save_pipeline(parts, folder)
        return
    layers = {
        f"{name}_lora_layers": adapter_state(network)
        for name, network in parts.networks.items()
        if hasattr(network, "peft_config")
    }
    type(parts.pipeline).save_lora_weights(folder, **layers)


def adapter_state(network: Any) -> dict[str, torch.Tensor]:
    """Return a network's adapters with lora_alpha / r multiplied in, so that readers that know no alpha draw the same.

    Under peft's own names: under diffusers' older ones the layers of attention are not found again.
    """
    from peft.utils import get_peft_model_state_dict

    scales = {name: module.scaling[ADAPTER] for name, module in network.named_modules() if hasattr(module, "scaling")}
    found: Mapping[str, torch.Tensor] = get_peft_model_state_dict(network, adapter_name=ADAPTER)
    state = {}
    for name, tensor in found.items():
        layer, _, rest = name.partition(".lora_")
        held = tensor * scales[layer] if rest.startswith("B") else tensor
        state[name] = held.detach().float().cpu().contiguous()
    return state


def _lay_adapters(networks: Mapping[str, Any], settings: TrainSettings) -> None:
    for name, network in networks.items():
        targets = _targets(network, settings, required=name == "unet")
        network.add_adapter(_configuration(settings, targets), adapter_name=ADAPTER)


def _targets(network: Any, settings: TrainSettings, *, required: bool) -> tuple[str, ...]:
    """Return the layers to adapt; what was named for the UNet may be missing from a text encoder, which is proposed."""
    layers = layers_of(network, settings.known_task)
    try:
        return tuple(choose_targets(layers, settings).modules)
    except InvalidInput:
        if required:
            raise
    return tuple(choose_targets(layers, replace(settings, target_modules=AUTO)).modules)


def _configuration(settings: TrainSettings, targets: tuple[str, ...]) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=settings.r,
        lora_alpha=settings.lora_alpha or 2 * settings.r,
        lora_dropout=settings.lora_dropout,
        use_rslora=settings.use_rslora,
        use_dora=settings.use_dora,
        target_modules=list(targets),
    )


def _save_memory(networks: Mapping[str, Any]) -> None:
    for name, network in networks.items():
        if name == "unet":
            network.enable_gradient_checkpointing()
        else:
            network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _save_pipeline(parts: PictureParts, folder: Path) -> None:
    """Write the whole pipeline, its weights laid out as they were before the CPU's own way."""
    import torch

    for network in (*parts.networks.values(), parts.vae):
        network.to(dtype=torch.float32, memory_format=torch.contiguous_format)
    parts.pipeline.save_pretrained(folder, safe_serialization=True)


def _learning(network: Any) -> list[Any]:
    return [one for one in network.parameters() if one.requires_grad]
