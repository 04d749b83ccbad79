"""Which files of a diffusers pipeline are loaded, told from names alone."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import NotAModel, UnsafeWeights
from core.hub.adapter_files import choose_adapter_file
from core.hub.pipeline_files import choose_pipeline_files
from core.hub.repository import RepoFile

INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "image_encoder": [None, None],
    "requires_safety_checker": True,
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
SMALL = (
    *("model_index.json", "scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt"),
    *("text_encoder/config.json", "unet/config.json", "vae/config.json"),
)
WEIGHTS = (
    "text_encoder/model.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
)
CLUTTER = (
    *("v1-5-pruned-emaonly.safetensors", "v1-5-pruned.ckpt", "README.md", "unet/diffusion_pytorch_model.bin"),
    *("text_encoder/flax_model.msgpack", "unet/diffusion_pytorch_model.non_ema.safetensors", "vae/model.onnx"),
    *("unet/diffusion_pytorch_model.fp16.safetensors", "vae_1_0/diffusion_pytorch_model.safetensors"),
    *("vae_1_0/config.json", "unet/diffusion_pytorch_model.bin.index.json", "safety_checker/config.json"),
    "safety_checker/pytorch_model.bin",
)


def files(*names: str) -> tuple[RepoFile, ...]:
    """Describe files of one byte."""
    return tuple(RepoFile(name, 1) for name in names)


def names(found: tuple[RepoFile, ...]) -> set[str]:
    """Return their names."""
    return {file.name for file in found}


def fp16(name: str) -> str:
    """Return the name of the half-precision variant."""
    return name.replace(".safetensors", ".fp16.safetensors")


def test_one_set_of_weights_for_each_component() -> None:
    """Of a repository with the usual clutter, the components' full safetensors and small files are loaded."""
    found = choose_pipeline_files(INDEX, files(*SMALL, *WEIGHTS, *CLUTTER), "org/sd")
    assert names(found.weights) == set(WEIGHTS)
    assert names(found.companions) == set(SMALL)
    assert found.variant is None
    assert names(found.weights_of("unet")) == {"unet/diffusion_pytorch_model.safetensors"}


def test_a_safety_checker_that_is_only_pickled_is_left_out() -> None:
    """What can be done without is left out, and its name is told; with safetensors it is loaded."""
    without = choose_pipeline_files(INDEX, files(*SMALL, *WEIGHTS, "safety_checker/pytorch_model.bin"), "org/sd")
    assert without.left_out == ("safety_checker",)
    own = choose_pipeline_files(INDEX, files(*SMALL, *WEIGHTS, "safety_checker/model.safetensors"), "org/sd")
    assert own.left_out == ()
    assert "safety_checker/model.safetensors" in names(own.weights)


def test_a_variant_is_taken_where_there_is_nothing_else() -> None:
    """One component with half precision only: then every component that has it is loaded so, as diffusers does."""
    there = (fp16(WEIGHTS[1]), WEIGHTS[0], WEIGHTS[2], fp16(WEIGHTS[2]))
    found = choose_pipeline_files(INDEX, files(*SMALL, *there), "org/sd")
    assert found.variant == "fp16"
    assert names(found.weights) == {WEIGHTS[0], fp16(WEIGHTS[1]), fp16(WEIGHTS[2])}


def test_variants_that_do_not_fill_all_gaps_are_refused() -> None:
    """A pipeline that no single variant completes cannot be loaded."""
    there = (fp16(WEIGHTS[0]), WEIGHTS[1].replace(".s", ".bf16.s"), WEIGHTS[2])
    with pytest.raises(NotAModel, match="variant"):
        choose_pipeline_files(INDEX, files(*SMALL, *there), "org/sd")


@pytest.mark.parametrize("variant", ["", "fp16"])
def test_shards_bring_their_index(variant: str) -> None:
    """All shards of a component are loaded, with the index of these shards and of no others."""
    dot = f".{variant}" if variant else ""
    shards = [f"unet/diffusion_pytorch_model{dot}-0000{one}-of-00002.safetensors" for one in (1, 2)]
    index = f"unet/diffusion_pytorch_model.safetensors.index{dot}.json"
    others = ("text_encoder/model.safetensors.index.json", "unet/diffusion_pytorch_model.safetensors.index.bf16.json")
    there = files(*SMALL, WEIGHTS[0], WEIGHTS[2], *shards, index, *others)
    found = choose_pipeline_files(INDEX, there, "org/sd")
    assert names(found.weights_of("unet")) == set(shards)
    assert names(found.companions) == {*SMALL, index}
    with pytest.raises(NotAModel, match="unet"):
        choose_pipeline_files(INDEX, files(*SMALL, WEIGHTS[0], WEIGHTS[2], shards[0]), "org/sd")


@pytest.mark.parametrize(
    ("there", "error"),
    [
        ((*SMALL, WEIGHTS[0], WEIGHTS[2]), NotAModel),
        ((*SMALL, WEIGHTS[0], WEIGHTS[2], "unet/diffusion_pytorch_model.bin"), UnsafeWeights),
    ],
)
def test_a_component_without_safetensors_is_refused(there: tuple[str, ...], error: type[Exception]) -> None:
    """Missing weights are named, pickled ones are not opened."""
    with pytest.raises(error, match="unet"):
        choose_pipeline_files(INDEX, files(*there), "org/sd")


@pytest.mark.parametrize(
    ("index", "more"),
    [
        ({**INDEX, "_class_name": ["my_pipeline", "MyPipeline"]}, ()),
        ({**INDEX, "unet": ["my_unet", "MyUNet"]}, ("unet/my_unet.py",)),
    ],
)
def test_code_of_its_own_is_refused(index: dict[str, Any], more: tuple[str, ...]) -> None:
    """A pipeline or a component in the repository's own Python is never loaded."""
    with pytest.raises(UnsafeWeights, match="Python code"):
        choose_pipeline_files(index, files(*SMALL, *WEIGHTS, *more), "org/sd")


@pytest.mark.parametrize("index", [{}, {"_class_name": 3}, {"_class_name": "X"}, {**INDEX, "../x": ["a", "b"]}])
def test_an_index_that_is_none_is_refused(index: dict[str, Any]) -> None:
    """Without a class and components, or with a component outside the folder, there is no pipeline."""
    with pytest.raises(NotAModel, match="model_index"):
        choose_pipeline_files(index, files(*SMALL, *WEIGHTS), "org/sd")


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        (("my-style.safetensors", "README.md", "sample.png"), "my-style.safetensors"),
        (("my-style.safetensors", "pytorch_lora_weights.safetensors"), "pytorch_lora_weights.safetensors"),
        (("learned_embeds.safetensors", "learned_embeds.bin", "x/y.safetensors"), "learned_embeds.safetensors"),
    ],
)
def test_the_file_of_an_adapter(there: tuple[str, ...], chosen: str) -> None:
    """An adapter is the file of the usual name, or the only one in the root."""
    assert choose_adapter_file(files(*there), "org/style").name == chosen


@pytest.mark.parametrize(
    ("there", "error"),
    [
        (("a.safetensors", "b.safetensors"), NotAModel),
        (("learned_embeds.bin",), UnsafeWeights),
        (("README.md", "unet/diffusion_pytorch_model.safetensors"), NotAModel),
    ],
)
def test_no_single_adapter(there: tuple[str, ...], error: type[Exception]) -> None:
    """Several files of unknown names, pickles and nothing at all are refused, the candidates named."""
    with pytest.raises(error, match="org/style") as refusal:
        choose_adapter_file(files(*there), "org/style")
    assert there[0] in str(refusal.value) or there[0] == "README.md"
