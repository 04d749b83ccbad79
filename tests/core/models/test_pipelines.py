"""Diffusion pipelines in the registry: from a folder, a starter or the Hub to a placed pipeline, and out again."""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import catalogue
from core.catalogue import Catalogue
from core.errors import InvalidInput, NotAModel, UnsafeWeights, WrongTask
from core.hub.client import Hub
from core.models.diagnosis import diagnose
from core.models.loading import Loader
from core.models.pipelines import denoiser_of
from core.models.registry import Registry
from core.placement.model_facts import picture_needs
from core.placement.planner import Wish
from core.settings import Settings
from tests.fakes.hub_server import FakeHub
from tests.fakes.pipelines import (
    FAMILIES,
    index_of,
    tiny_controlnet,
    tiny_depth,
    tiny_inversion,
    tiny_lora,
    tiny_pipeline,
    tiny_pose,
)

TASK = "text-to-image"
TASKS = (TASK, "image-to-image", "inpainting")
WEIGHTS = (".safetensors", ".bin", ".msgpack", ".ckpt")
each_family = pytest.mark.parametrize("family", FAMILIES)


def registry_of(hub: Hub | None = None) -> Registry:
    """Make a registry over the real loader."""
    known = Catalogue(Settings())
    return Registry(known, Loader(known, hub or Hub(offline=True)))


def drawn(pipeline: Any) -> Any:
    """Return a picture of two steps as numbers."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(7)
    options = {"num_inference_steps": 2, "width": 64, "height": 64, "output_type": "np"}
    return pipeline("a red heart", generator=generator, **options).images[0]


def plainly(folder: Path) -> Any:
    """Return the picture that plain diffusers draws."""
    import diffusers

    return drawn(diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True))


def draw(registry: Registry, name: str, wish: Wish | None = None) -> Any:
    """Return the picture of a borrowed pipeline."""
    with registry.borrow(registry.resolve(name, TASK, wish)) as model:
        return drawn(model.model)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """Give a Hub."""
    with FakeHub() as server:
        yield server


@pytest.fixture
def online(hub: FakeHub, tmp_path: Path) -> Registry:
    """Give a registry that asks that Hub."""
    return registry_of(Hub(endpoint=hub.endpoint, cache=tmp_path / "cache"))


@pytest.fixture
def cluttered(tmp_path: Path) -> Path:
    """Give a Stable Diffusion as repositories hold it: pickles, checkpoints, variants, and a pickled safety checker."""
    folder = shutil.copytree(tiny_pipeline("sd"), tmp_path / "sd")
    index = {**index_of(folder), "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    for name in (
        "sd-v1.safetensors",
        "sd-v1.ckpt",
        "README.md",
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "text_encoder/flax_model.msgpack",
        "safety_checker/pytorch_model.bin",
        "safety_checker/config.json",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"clutter")
    return folder


@each_family
def test_equals_plain_diffusers(family: str) -> None:
    """A borrowed pipeline draws what plain diffusers draws, to the rounding of another memory format."""
    found = draw(registry_of(), str(tiny_pipeline(family)))
    np.testing.assert_allclose(found, plainly(tiny_pipeline(family)), atol=2e-4)


@each_family
def test_the_three_picture_tasks_share_one_resident(family: str) -> None:
    """Text to image, image to image and inpainting borrow the same pipeline, and the ledger shows it once."""
    registry = registry_of()
    seen = []
    for task in TASKS:
        with registry.borrow(registry.resolve(str(tiny_pipeline(family)), task)) as model:
            seen.append(model.model)
    assert seen[0] is seen[1] is seen[2]
    (line,) = registry.ledger()
    whole = [
        one for part in seen[0].components.values() if isinstance(part, torch.nn.Module) for one in part.parameters()
    ]
    assert line.measured_bytes >= sum(one.nbytes for one in whole)
    assert (line.device, line.dtype, line.attention) == ("cpu", "float32", "sdpa")


@pytest.mark.parametrize("attention", ["sdpa", "eager", "sliced"])
@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_every_attention_draws_the_same(family: str, attention: str) -> None:
    """SDPA, eager and sliced attention are really set, read back from the layers, and agree."""
    registry = registry_of()
    folder = str(tiny_pipeline(family))
    with registry.borrow(registry.resolve(folder, TASK, Wish(attention=attention))) as model:
        kinds = {type(one).__name__ for one in denoiser_of(model.model).attn_processors.values()}
        assert kinds == {
            {"sdpa": "AttnProcessor2_0", "eager": "AttnProcessor", "sliced": "SlicedAttnProcessor"}[attention]
        }
        assert model.attention == model.provenance(0).attention == attention
        found = drawn(model.model)
    np.testing.assert_allclose(found, plainly(tiny_pipeline(family)), atol=2e-4)


def test_a_transformer_has_no_sliced_form() -> None:
    """Attention slicing is refused in words where the denoiser is a transformer."""
    registry = registry_of()
    with (
        pytest.raises(InvalidInput, match="slic"),
        registry.borrow(registry.resolve(str(tiny_pipeline("flux")), TASK, Wish(attention_slicing="on"))),
    ):
        pass


def test_what_is_forced_is_applied_and_has_a_resident_of_its_own() -> None:
    """VAE slicing, VAE tiling and the dtype are set as wished, and another wish does not get that model."""
    registry = registry_of()
    folder = str(tiny_pipeline("sd"))
    with registry.borrow(registry.resolve(folder, TASK)) as plain:
        pass
    wish = Wish(vae_slicing="on", vae_tiling="on", dtype="bfloat16")
    with registry.borrow(registry.resolve(folder, TASK, wish)) as forced:
        assert (forced.model.vae.use_slicing, forced.model.vae.use_tiling) == (True, True)
        assert forced.provenance(0).dtype == "bfloat16"
    assert (plain.model.vae.use_slicing, plain.model.vae.use_tiling) == (False, False)
    assert len(registry.ledger()) == 2
    with registry.borrow(registry.resolve(folder, TASK)) as again:
        assert again.model is plain.model


def test_offload_needs_a_gpu() -> None:
    """Offload to the processor from the processor is refused in words."""
    registry = registry_of()
    spec = registry.resolve(str(tiny_pipeline("sd")), TASK, Wish(offload="model", device="cpu"))
    with pytest.raises(InvalidInput, match="offload"), registry.borrow(spec):
        pass


def test_convolutions_are_laid_out_for_the_processor() -> None:
    """UNet and VAE lie in the channels_last format."""
    registry = registry_of()
    with registry.borrow(registry.resolve(str(tiny_pipeline("sd")), TASK)) as model:
        weights = (model.model.unet.conv_in.weight, model.model.vae.decoder.conv_in.weight)
        assert all(one.is_contiguous(memory_format=torch.channels_last) for one in weights)


def test_release_frees_every_network() -> None:
    """After a release no network of the pipeline lives on, and the ledger is empty."""
    registry = registry_of()
    with registry.borrow(registry.resolve(str(tiny_pipeline("sdxl")), TASK)) as model:
        parts = [weakref.ref(one) for one in model.model.components.values() if isinstance(one, torch.nn.Module)]
    del model
    (freed,) = registry.release_all()
    assert freed.refusal is None
    assert [one() for one in parts] == [None] * len(parts)
    assert registry.ledger() == []


def test_a_network_that_something_holds_stays_on_the_books() -> None:
    """The pipeline object alone is not the memory: who still holds its UNet keeps its line in the ledger."""
    registry = registry_of()
    with registry.borrow(registry.resolve(str(tiny_pipeline("sd")), TASK)) as model:
        unet = model.model.unet
    del model
    (freed,) = registry.release_all()
    assert freed.refusal is not None
    assert [line.leaving for line in registry.ledger()] == [True]
    del unet
    assert registry.ledger() == []


def test_a_controlnet_is_lent() -> None:
    """A ControlNet is a model of its own, with its own line."""
    registry = registry_of()
    with registry.borrow(registry.resolve(str(tiny_controlnet("sd")), "controlnet")) as model:
        assert type(model.model).__name__ == "ControlNetModel"
        assert (model.attention, model.provenance(0).dtype) == ("sdpa", "float32")
    assert registry.ledger()[0].task == "controlnet"


def test_conditions_models_are_lent_with_their_image_processors() -> None:
    """A depth and a pose model come with what prepares their pictures, without torchvision."""
    from PIL import Image

    picture = Image.new("RGB", (64, 48), "red")
    registry = registry_of()
    with registry.borrow(registry.resolve(str(tiny_depth()), "depth-estimation")) as model, torch.inference_mode():
        assert model.model(**model.tokenizer(images=picture, return_tensors="pt")).predicted_depth.ndim == 3
    boxes = [[[0.0, 0.0, 64.0, 48.0]]]
    with registry.borrow(registry.resolve(str(tiny_pose()), "keypoint-detection")) as model, torch.inference_mode():
        answer = model.model(**model.tokenizer(images=picture, boxes=boxes, return_tensors="pt"))
        (person,) = model.tokenizer.post_process_pose_estimation(answer, boxes=boxes)[0]
        assert person["keypoints"].shape == (17, 2)


@pytest.mark.parametrize("family", ["sd", "flux"])
def test_a_pipeline_is_diagnosed_by_its_text_encoder(family: str) -> None:
    """The figures count the whole pipeline; what is timed is reading the probe sentence."""
    registry = registry_of()
    with registry.borrow(registry.resolve(str(tiny_pipeline(family)), TASK)) as model:
        networks = [one for one in model.model.components.values() if isinstance(one, torch.nn.Module)]
        parameters = sum(one.numel() for network in networks for one in network.parameters())
    found = diagnose(registry.ledger()[0].id, registry)
    assert (found.parameters, found.max_length) == (parameters, 77)
    assert found.architecture.endswith("Pipeline")
    assert found.latency_median_seconds


def test_a_controlnet_is_diagnosed_without_times() -> None:
    """What reads no text is counted and not timed."""
    registry = registry_of()
    with registry.borrow(registry.resolve(str(tiny_controlnet("sd")), "controlnet")):
        pass
    found = diagnose(registry.ledger()[0].id, registry)
    assert found.parameters > 0
    assert (found.probe_tokens, found.latency_median_seconds) == (None, None)


@pytest.mark.parametrize(
    ("name", "task"),
    [
        (partial(tiny_pipeline, "sd"), "controlnet"),
        (partial(tiny_pipeline, "flux"), "text-classification"),
        (tiny_controlnet, TASK),
        (tiny_depth, TASK),
        (tiny_controlnet, "depth-estimation"),
    ],
)
def test_another_kind_of_model_is_refused(name: Callable[[], Path], task: str) -> None:
    """A pipeline is no ControlNet, a ControlNet no pipeline, and neither reads texts."""
    registry = registry_of()
    with pytest.raises(WrongTask), registry.borrow(registry.resolve(str(name()), task)):
        pass
    with pytest.raises(WrongTask):
        registry.forecast(registry.resolve(str(name()), task))


def test_adapters_are_fetched_and_never_lent() -> None:
    """A LoRA is found by its folder or its file, an inversion by its folder; borrowed alone they are refused."""
    registry = registry_of()
    file = tiny_lora() / "pytorch_lora_weights.safetensors"
    for named in (tiny_lora(), file):
        found = registry.fetch(registry.resolve(str(named), "lora"))
        assert (found.weights, found.folder) == ([file], file.parent)
    inversion = registry.fetch(registry.resolve(str(tiny_inversion()), "textual-inversion"))
    assert inversion.weights == [tiny_inversion() / "learned_embeds.safetensors"]
    spec = registry.resolve(str(tiny_lora()), "lora")
    with pytest.raises(WrongTask, match="laid over"), registry.borrow(spec):
        pass
    with pytest.raises(WrongTask, match="laid over"):
        registry.forecast(spec)
    assert registry.ledger() == []


def test_a_damaged_adapter_is_told_when_it_is_fetched(tmp_path: Path) -> None:
    """A file cut short is named before anything is laid over a model."""
    whole = (tiny_lora() / "pytorch_lora_weights.safetensors").read_bytes()
    (tmp_path / "style.safetensors").write_bytes(whole[: len(whole) // 2])
    registry = registry_of()
    with pytest.raises(NotAModel, match=r"style\.safetensors"):
        registry.fetch(registry.resolve(str(tmp_path), "lora"))


def test_starters_of_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shipped pipeline, ControlNet and LoRA are found by their names; a revision names their weights."""
    made = {"emoji": tiny_pipeline("sd"), "emoji-edges": tiny_controlnet("sd"), "emoji-lora": tiny_lora("sd")}
    for name, folder in made.items():
        shutil.copytree(folder, tmp_path / name)
        (tmp_path / name / "metrics.json").write_text("{}")
    monkeypatch.setattr(catalogue, "STARTERS_FOLDER", tmp_path)
    registry = registry_of()
    with registry.borrow(registry.resolve("", TASK)) as model:
        assert model.spec.name == "starter/emoji"
        assert len(model.files.revision) == 12
    with registry.borrow(registry.resolve("", "controlnet")) as model:
        assert model.spec.name == "starter/emoji-edges"
    assert registry.fetch(registry.resolve("", "lora")).weights[0].parent.name == "emoji-lora"


def test_the_plan_knows_what_a_picture_needs() -> None:
    """The forecast counts components and grows with the picture; it is the placement that borrowing then makes."""
    registry = registry_of()
    spec = registry.resolve(str(tiny_pipeline("sd")), TASK)
    small, large = (registry.forecast(spec, working=picture_needs(side, side)) for side in (64, 512))
    assert small.placement
    assert large.placement
    assert large.placement.predicted_bytes > small.placement.predicted_bytes
    facts = small.preview.facts
    assert 0 < facts.largest_component_parameters < facts.parameters
    assert (facts.picture.factor, facts.picture.side, facts.picture.channels) == (8, 8, 16)
    with registry.borrow(spec, picture_needs(512, 512)) as model:
        assert model.placement.parts == large.placement.parts


@each_family
def test_a_pipeline_of_the_hub(family: str, hub: FakeHub, online: Registry) -> None:
    """It is planned from small files and headers, downloaded, loaded, and draws like the folder it came from."""
    hub.add("org/picture", tiny_pipeline(family))
    spec = online.resolve("org/picture", TASK)
    found = online.forecast(spec)
    assert found.placement
    assert not [one for one in hub.requests if one.method == "GET" and one.path.endswith(WEIGHTS) and not one.range]
    local = registry_of().forecast(registry_of().resolve(str(tiny_pipeline(family)), TASK))
    assert found.preview.facts == local.preview.facts
    assert found.preview.download_bytes > local.preview.facts.stored_bytes
    np.testing.assert_allclose(draw(online, "org/picture"), plainly(tiny_pipeline(family)), atol=2e-4)
    assert online.forecast(spec).preview.download_bytes == 0


def test_only_what_is_loaded_is_downloaded(hub: FakeHub, online: Registry, cluttered: Path) -> None:
    """Pickles, checkpoints and variants stay on the Hub, as the plan promised; the result says what was left out."""
    hub.add("org/sd", cluttered)
    promised = online.forecast(online.resolve("org/sd", TASK)).preview.download_bytes
    with online.borrow(online.resolve("org/sd", TASK)) as model:
        assert model.model.safety_checker is None
        assert "safety_checker" in model.provenance(0).fallbacks[0]
        came = [path for path in model.files.folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in came} == {".json", ".safetensors"}
    assert not {path.name for path in came} & {"sd-v1.safetensors", "diffusion_pytorch_model.fp16.safetensors"}
    looked_into = (model.files.folder / "model_index.json").stat().st_size
    assert promised + looked_into == sum(path.stat().st_size for path in came)


def test_a_pipeline_is_found_again_offline(hub: FakeHub, online: Registry, tmp_path: Path) -> None:
    """What was downloaded once is lent without the network."""
    hub.add("org/sd", tiny_pipeline("sd"))
    draw(online, "org/sd")
    there = registry_of(Hub(endpoint=hub.endpoint, cache=tmp_path / "cache", offline=True))
    with there.borrow(there.resolve("org/sd", TASK)) as model:
        assert type(model.model).__name__ == "StableDiffusionPipeline"


def test_half_precision_alone_is_enough(hub: FakeHub, online: Registry, tmp_path: Path) -> None:
    """A repository with fp16 variants only is loaded from them, in the dtype that was planned."""
    import diffusers

    folder = tmp_path / "half"
    whole = diffusers.DiffusionPipeline.from_pretrained(tiny_pipeline("sd"), dtype=torch.float16)
    whole.save_pretrained(folder, variant="fp16")
    hub.add("org/half", folder)
    with online.borrow(online.resolve("org/half", TASK)) as model:
        assert model.provenance(0).dtype == "float32"
        assert {path.suffixes[0] for path in model.files.weights} == {".fp16"}
        found = drawn(model.model)
    np.testing.assert_allclose(found, plainly(tiny_pipeline("sd")), atol=0.05)


def test_pickles_and_code_are_refused_before_anything_is_fetched(
    hub: FakeHub, online: Registry, cluttered: Path
) -> None:
    """A component that is only pickled, and a pipeline with code of its own, cost no download."""
    (cluttered / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (cluttered / "unet" / "diffusion_pytorch_model.fp16.safetensors").unlink()
    hub.add("org/pickled", cluttered)
    with pytest.raises(UnsafeWeights, match="unet"):
        online.forecast(online.resolve("org/pickled", TASK))
    index = {**index_of(cluttered), "_class_name": ["pipeline", "Mine"]}
    (cluttered / "model_index.json").write_text(json.dumps(index))
    hub.add("org/code", cluttered)
    with pytest.raises(UnsafeWeights, match="code"), online.borrow(online.resolve("org/code", TASK)):
        pass
    assert not [one for one in hub.requests if one.path.endswith(WEIGHTS)]


def test_a_pipeline_of_another_kind_is_refused_before_its_weights_are_fetched(
    hub: FakeHub, online: Registry, cluttered: Path
) -> None:
    """What draws no pictures, a video or sound pipeline, costs no download of weights."""
    (cluttered / "model_index.json").write_text(
        json.dumps({**index_of(cluttered), "_class_name": "TextToVideoSDPipeline"})
    )
    hub.add("org/video", cluttered)
    with pytest.raises(WrongTask, match="TextToVideoSDPipeline"), online.borrow(online.resolve("org/video", TASK)):
        pass
    assert not [one for one in hub.requests if one.path.endswith(WEIGHTS)]


def test_an_adapter_of_the_hub(hub: FakeHub, online: Registry, tmp_path: Path) -> None:
    """One file is downloaded of a repository that holds more, and its commit is its revision."""
    folder = shutil.copytree(tiny_lora(), tmp_path / "lora")
    for name in ("README.md", "sample.png", "optimizer.bin", "step-500/pytorch_lora_weights.safetensors"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"clutter")
    commit = hub.add("org/style", folder)
    found = online.fetch(online.resolve("org/style", "lora"))
    assert found.revision == commit
    assert [path.name for path in found.folder.rglob("*") if path.is_file()] == ["pytorch_lora_weights.safetensors"]
