"""Which pipelines can be taught, and what is said of the others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.catalogue import ModelSpec, Source
from core.errors import InvalidInput, WrongTask
from core.models.files import folder_files
from core.training.pictures.parts import load_parts
from tests.core.training.pictures.lessons import base_of, tiny_parts
from tests.fakes.pipelines import tiny_pipeline


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_known_pipelines_are_read(family: str) -> None:
    """Their family, their size, and networks that stand still until they are told to learn."""
    parts = tiny_parts(family)
    assert (parts.family, parts.factor, parts.resolution(0), parts.resolution(96)) == (family, 8, 64, 96)
    assert len(parts.networks) == len(parts.tokenizers) + 1
    assert not any(one.requires_grad for network in parts.networks.values() for one in network.parameters())
    with pytest.raises(InvalidInput, match="Set resolution to 96"):
        parts.resolution(100)


@pytest.mark.parametrize("family", ["sd3", "flux"])
def test_other_pipelines_are_refused_by_name(family: str) -> None:
    """Nothing is loaded of what is trained otherwise."""
    with pytest.raises(WrongTask, match="StableDiffusionXLPipeline"):
        load_parts(*base_of(family))


def test_other_noise_and_other_inputs_are_refused(tmp_path: Path) -> None:
    """A flow's noise is no diffusion's, and a UNet for filling in reads more than latents."""
    shutil.copytree(tiny_pipeline("sd"), tmp_path / "flow")
    index = json.loads((tmp_path / "flow" / "model_index.json").read_text(encoding="utf-8"))
    index["scheduler"] = ["diffusers", "EDMEulerScheduler"]
    (tmp_path / "flow" / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    (tmp_path / "flow" / "scheduler" / "scheduler_config.json").write_text("{}", encoding="utf-8")
    spec = ModelSpec(str(tmp_path / "flow"), Source.FOLDER, "text-to-image")
    with pytest.raises(WrongTask, match="EDMEulerScheduler"):
        load_parts(spec, folder_files(tmp_path / "flow"))
