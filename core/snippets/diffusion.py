"""The Python that draws the same picture without Atelier: diffusers, and peft where adapters are laid over."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.imaging.schedulers import AUTO, SCHEDULERS, make_scheduler
from core.quiet import quieten
from core.settings import PROJECT
from core.snippets.origin import Place, base_of_trained, file_of, place_of
from core.snippets.picture_calls import PictureCode, drawing
from core.snippets.source import Code, call, code, literal, source
from core.words import say

AUTO_CLASSES = {
    "text-to-image": "AutoPipelineForText2Image",
    "image-to-image": "AutoPipelineForImage2Image",
    "inpainting": "AutoPipelineForInpainting",
    "controlnet": "AutoPipelineForText2Image",
}
LORA_FILES = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")


def picture_python(code_of: PictureCode) -> str:
    """Return a program that draws this picture and saves it as picture.png; it needs neither Atelier nor its server.

    A starter is read from assets/starters, so run it in the project folder; a Hub model is pinned to the commit that
    drew.
    """
    return source(
        _pipeline(code_of),
        *_scheduler(code_of),
        *_overlay(code_of),
        *drawing(code_of),
        code("", 'image.save("picture.png")'),
    )


def _pipeline(it: PictureCode) -> Code:
    """Write the loading of `pipeline`, in the dtype, attention and place that ran."""
    made = AUTO_CLASSES[it.kind]
    loaded = call(f"pipeline = {made}.from_pretrained", *_name(it.place), **_loading(it))
    network, imports = _network(it)
    lines = [*network, loaded, *_taken_in(it), *_attention(it), *_memory(it)]
    return code(f"torch diffusers:{made} {imports}", *lines)


def _taken_in(it: PictureCode) -> list[str]:
    """Write how what was trained here is added to the weights themselves, so that others can be laid over them."""
    places = base_of_trained(it.provenance)[1] if it.provenance.lineage else ()
    lines = []
    for place in places:
        lines += [call("pipeline.load_lora_weights", *_name(place), **_weights_file(place)), "pipeline.fuse_lora()"]
        lines.append("pipeline.unload_lora_weights()")
    return lines


def _loading(it: PictureCode) -> dict[str, str]:
    left_out = str(say("say.component_left_out", component="safety_checker")) in it.provenance.fallbacks
    variant = _variant(it.place)
    return {
        **({"controlnet": "controlnet"} if it.kind == "controlnet" else {}),
        **({"variant": literal(variant)} if variant else {}),
        "dtype": f"torch.{it.provenance.dtype}",
        "use_safetensors": "True",
        **({"safety_checker": "None", "requires_safety_checker": "False"} if left_out else {}),
    }


def _network(it: PictureCode) -> tuple[list[str], str]:
    """Write the loading of a ControlNet; the pipeline is told of it."""
    if it.kind != "controlnet":
        return [], ""
    name, _, revision = _labels(it)[-1].rpartition("@")  # the last label of the provenance is the ControlNet's
    place = place_of(it.picture.controlnet.partition("@")[0] or name, revision)
    made = call("controlnet = ControlNetModel.from_pretrained", *_name(place), dtype=f"torch.{it.provenance.dtype}")
    return [made], "diffusers:ControlNetModel"


def _name(place: Place) -> list[str]:
    return [literal(place.name), *([f"revision={literal(place.revision)}"] if place.revision else [])]


def _variant(place: Place) -> str | None:
    """Return "fp16" for a repository that has its weights in that variant only."""
    parts = ("unet", "transformer", "vae", "text_encoder")
    files = [(f"{part}/{stem}", part) for part in parts for stem in ("diffusion_pytorch_model", "model")]
    plain = any(file_of(place, f"{file}.safetensors") for file, _ in files)
    halved = any(file_of(place, f"{file}.fp16.safetensors") for file, _ in files)
    return "fp16" if halved and not plain else None


def _attention(it: PictureCode) -> list[str]:
    network = "unet" if file_of(it.place, "unet/config.json") else "transformer"
    written = {
        "sliced": ["pipeline.enable_attention_slicing()"],
        "eager": [f"pipeline.{network}.set_default_attn_processor()"],
    }
    return written.get(it.provenance.attention, [])


def _memory(it: PictureCode) -> list[str]:
    """Write what was asked for by name, and the device that the model really was on."""
    asked, device = it.picture, it.provenance.device
    lines = [
        *(["pipeline.vae.enable_slicing()"] if asked.vae_slicing == "on" else []),
        *(["pipeline.vae.enable_tiling()"] if asked.vae_tiling == "on" else []),
    ]
    if asked.offload in {"model", "sequential"}:
        return [*lines, f"pipeline.enable_{asked.offload}_cpu_offload()"]
    return [*lines, *([f"pipeline.to({literal(device)})"] if device != "cpu" else [])]


def _scheduler(it: PictureCode) -> list[Code]:
    """Write the scheduler that was chosen by name; the model's own needs no line."""
    if it.picture.scheduler == AUTO:
        return []
    made = SCHEDULERS[it.picture.scheduler].diffusers_class
    options = {name: literal(value) for name, value in _scheduler_options(it).items()}
    line = call(f"pipeline.scheduler = {made}.from_config", "pipeline.scheduler.config", **options)
    return [code(f"diffusers:{made}", line)]


def _scheduler_options(it: PictureCode) -> dict[str, Any]:
    """Return what the class must be told beside the model's own configuration to be the very scheduler that ran."""
    chosen = SCHEDULERS[it.picture.scheduler]
    file = file_of(it.place, "scheduler/scheduler_config.json")
    if file is None:  # deleted since it drew
        return dict(chosen.options)
    import diffusers

    held = json.loads(file.read_text(encoding="utf-8"))
    quieten("diffusers")
    own = getattr(diffusers, held["_class_name"]).from_config(held)
    ran = make_scheduler(it.picture.scheduler, own)
    plain = type(ran).from_config(own.config, **chosen.options)
    inherited = {name: value for name, value in ran.config.items() if _differs(plain.config, name, value)}
    return {**chosen.options, **inherited}


def _differs(config: Mapping[str, Any], name: str, value: object) -> bool:
    return not name.startswith("_") and config.get(name) != value


def _overlay(it: PictureCode) -> list[Code]:
    """Write the adapters with their weights, and the words that were learned."""
    labels = _labels(it)
    loras, inversions = it.picture.adapters(), it.picture.inversions()
    lines: list[str] = []
    for number, lora in enumerate(loras):
        place = _overlaid(lora.name, labels[number : number + 1])
        options = {**_weights_file(place), "adapter_name": literal(f"adapter_{number}")}
        lines.append(call("pipeline.load_lora_weights", *_name(place), **options))
    if loras:
        names = [f"adapter_{number}" for number in range(len(loras))]
        lines.append(call("pipeline.set_adapters", literal(names), literal([lora.weight for lora in loras])))
    for number, inversion in enumerate(inversions, len(loras)):
        place = _overlaid(inversion.name, labels[number : number + 1])
        token = {"token": literal(inversion.token)} if inversion.token else {}
        lines.append(call("pipeline.load_textual_inversion", *_name(place), **_weights_file(place), **token))
    return [code("", *lines)] if lines else []


def _labels(it: PictureCode) -> list[str]:
    return (it.provenance.adapter or "").split(", ")


def _overlaid(name: str, labels: Sequence[str]) -> Place:
    """Return where an adapter came from; the label of the provenance, name@revision:weight, pins it."""
    revision = labels[0].removeprefix(f"{name}@").partition(":")[0] if labels else ""
    return place_of(name.partition("@")[0], revision)


def _weights_file(place: Place) -> dict[str, str]:
    """Name the file where it is known; a folder of this machine is looked into, a repository has a usual one."""
    found = [name for name in LORA_FILES if file_of(place, name)]
    if not found and place.revision is None:
        found = sorted(path.name for path in (PROJECT / place.name).glob("*.safetensors"))
    return {"weight_name": literal(found[0])} if found else {}
