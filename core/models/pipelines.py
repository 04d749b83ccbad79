"""A diffusion pipeline in memory: loaded by diffusers, placed as planned, and read back for what its results name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.catalogue import ModelSpec
from core.errors import NotAModel
from core.hub.pipeline_files import PipelineFiles
from core.models.files import ModelFiles
from core.models.run_files import PICTURE_LORA
from core.models.weights import in_words
from core.placement.planner import Placement
from core.quiet import quieten
from core.words import say

if TYPE_CHECKING:
    import torch

DENOISERS = ("unet", "transformer", "prior")
"""The components that take the noise away, by the names that diffusers gives them."""
CONVOLUTIONAL = ("unet", "vae", "controlnet")
"""Components whose convolutions are several times faster on a processor in the channels_last memory format."""


def load_pipeline(spec: ModelSpec, files: ModelFiles, placement: Placement) -> tuple[Any, tuple[str, ...]]:
    """Load a pipeline and apply its placement; the second value says what was left out or done differently.

    Raises NotAModel, WrongTask, InvalidInput, or what says that memory ran out.
    """
    import diffusers
    import torch

    parts = files.pipeline
    if parts is None:
        raise NotAModel("error.pipeline_without_index", name=spec.name)
    quieten("diffusers")
    with in_words(spec, "diffusers"):
        pipeline = diffusers.DiffusionPipeline.from_pretrained(
            files.folder,
            dtype=getattr(torch, placement.dtype),
            variant=parts.variant,
            use_safetensors=True,
            local_files_only=True,
            **_without(parts),
        )
        pipeline.set_progress_bar_config(disable=True)
        for adapter in files.adapters:
            _take_in(pipeline, adapter)
        _place(pipeline, placement)
    return pipeline, tuple(str(say("say.component_left_out", component=name)) for name in parts.left_out)


def load_network(spec: ModelSpec, files: ModelFiles, placement: Placement) -> tuple[Any, tuple[str, ...]]:
    """Load a ControlNet and apply its placement; raises what `load_pipeline` raises."""
    import diffusers
    import torch

    quieten("diffusers")
    with in_words(spec, "diffusers"):
        network: Any = diffusers.ControlNetModel.from_pretrained(
            files.folder,
            dtype=getattr(torch, placement.dtype),
            use_safetensors=True,
            local_files_only=True,
        )
        attend(network, placement.attention)
        network.to(placement.device)
        _lay_channels_last([network], placement)
    return network, ()


def is_pipeline(model: object) -> bool:
    """Tell whether a loaded model is a pipeline of several components."""
    return isinstance(getattr(model, "components", None), dict)


def networks_of(model: Any) -> dict[str, torch.nn.Module]:
    """Return the neural networks of a pipeline by component, or {"": model} for anything else."""
    if not is_pipeline(model):
        return {"": model}
    import torch

    return {name: one for name, one in model.components.items() if isinstance(one, torch.nn.Module)}


def denoiser_of(pipeline: Any) -> Any:
    """Return the network that takes the noise away: a UNet or a transformer."""
    found = (getattr(pipeline, name, None) for name in DENOISERS)
    return next(one for one in found if one is not None)


def attention_of(model: Any) -> str:
    """Return the attention that a pipeline's denoiser, or a ControlNet, really runs: sdpa, eager or sliced."""
    network = denoiser_of(model) if is_pipeline(model) else model
    names = {type(one).__name__ for one in getattr(network, "attn_processors", {}).values()}
    if any(name.startswith("Sliced") for name in names):
        return "sliced"
    return "eager" if names & {"AttnProcessor", "AttnAddedKVProcessor"} else "sdpa"


def _take_in(pipeline: Any, adapter: Path) -> None:
    """Add a LoRA that was trained here to the weights themselves: others can then be laid over them for a drawing."""
    pipeline.load_lora_weights(adapter, weight_name=PICTURE_LORA[0], local_files_only=True, use_safetensors=True)
    adapted = [name for name, one in networks_of(pipeline).items() if getattr(one, "peft_config", None)]
    pipeline.fuse_lora(components=adapted)
    pipeline.unload_lora_weights()


def _without(parts: PipelineFiles) -> dict[str, Any]:
    """Return what from_pretrained is told of components that are left out."""
    if not parts.left_out:
        return {}
    names = {one.name for one in parts.components}
    unused = () if "image_encoder" in names or "feature_extractor" not in names else ("feature_extractor",)
    return {**dict.fromkeys((*parts.left_out, *unused)), "requires_safety_checker": False}


def _place(pipeline: Any, placement: Placement) -> None:
    """Apply every choice of the planner; offload takes the components to the device itself, when they are needed."""
    attend(denoiser_of(pipeline), placement.attention)
    if placement.vae_slicing:
        pipeline.vae.enable_slicing()
    if placement.vae_tiling:
        pipeline.vae.enable_tiling()
    _lay_channels_last([one for name, one in networks_of(pipeline).items() if name in CONVOLUTIONAL], placement)
    if placement.offload == "model":
        pipeline.enable_model_cpu_offload(device=placement.device)
    elif placement.offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=placement.device)
    else:
        pipeline.to(placement.device)


def attend(network: Any, attention: str) -> None:
    """Give a denoiser or ControlNet this attention: eager, sliced, or sdpa, which diffusers has chosen already."""
    if attention == "eager":
        network.set_default_attn_processor()
    elif attention == "sliced":
        network.set_attention_slice(list(map(_slice_of, _heads_of(network))))


def _heads_of(network: Any) -> list[int]:
    """Return how many slices each attention layer can be cut into, in the order in which diffusers counts them."""
    return [one.sliceable_head_dim for one in network.modules() if hasattr(one, "sliceable_head_dim")]


def _slice_of(heads: int) -> int:
    """Return how many heads a slice holds: half of them, as diffusers' "auto", which one single head would break."""
    return max(heads // 2, 1)


def _lay_channels_last(networks: Sequence[Any], placement: Placement) -> None:
    """Lay the weights of convolutions out as the processor reads them fastest; the numbers stay the same."""
    import torch

    if placement.device == "cpu":
        for network in networks:
            network.to(memory_format=torch.channels_last)
