"""Trainings of tiny pipelines, from pictures to what the Images tab draws with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.atelier import open_atelier
from core.errors import Cancelled, InvalidInput
from core.imaging.text_to_image import TextToImageSettings, text_to_image
from core.settings import Settings
from core.training.checkpoints import newest_whole
from core.training.pictures.studio import open_studio
from tests.core.training.pictures.lessons import Job, Trained, Trains, listeners, settings, work_in
from tests.fakes.pipelines import tiny_pipeline

ADAPTER = "pytorch_lora_weights.safetensors"


def drawn(pipeline: Any) -> np.ndarray:
    """Return a picture of a pipeline."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(3)
    found: np.ndarray = pipeline("a red square", num_inference_steps=2, generator=generator, output_type="np").images
    return found


@pytest.fixture(scope="module")
def adapted(trains: Trains) -> Trained:
    """Give a Stable Diffusion whose UNet and text encoder were adapted, with an average of the weights."""
    return trains(train_text_encoder=True, use_ema=True, lora_alpha=6)


def test_a_training_tells_what_every_training_tells(adapted: Trained) -> None:
    """Losses, evaluations, samples, checkpoints, and the phases that came before."""
    assert set(adapted.job.phases) == {"encode", "train", "evaluate", "draw"}
    assert [one["step"] for one in adapted.job.payloads("metrics")] == [1, 2, 3, 4]
    assert [one["step"] for one in adapted.job.payloads("evaluation")] == [2, 4]
    assert [one["step"] for one in adapted.job.payloads("checkpoint")] == [2, 4]
    assert newest_whole(adapted.folder / "checkpoints").step == 4
    samples = adapted.job.payloads("samples")
    assert [one["prompts"] for one in samples] == [["a white square"]] * 2
    assert all((adapted.result / name).stat().st_size > 0 for one in samples for name in one["files"])
    assert adapted.studio.trainable < adapted.studio.total / 10


def test_the_adapter_draws_with_the_plain_library_as_it_did_while_it_learned(adapted: Trained) -> None:
    """load_lora_weights reads it, its scale included, and the picture is the trained networks' own."""
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(tiny_pipeline("sd"))
    plain = drawn(pipeline)
    pipeline.load_lora_weights(adapted.result)
    with_adapter = drawn(pipeline)
    for network in adapted.studio.parts.networks.values():
        network.eval()
    assert np.abs(with_adapter - plain).max() > 1e-3
    assert np.abs(with_adapter - drawn(adapted.studio.parts.pipeline)).max() < 1e-4
    names = load_file(adapted.result / ADAPTER)
    assert {name.split(".")[0] for name in names} == {"unet", "text_encoder"}


def test_the_images_tab_draws_with_it_under_its_path(adapted: Trained, tmp_path: Path) -> None:
    """A finished adapter is one that can be laid over its base, and the result names it."""
    registry = open_atelier(Settings(home=tmp_path)).registry
    asked = {"model": str(tiny_pipeline("sd")), "prompt": "a cat", "num_inference_steps": 2, "width": 64, "height": 64}
    pictures = [
        text_to_image(TextToImageSettings(**asked, seed=7, loras=loras), registry)
        for loras in ("", str(adapted.result))
    ]
    assert pictures[1].provenance.adapter is not None
    first, second = (np.asarray(one.pictures[0].image, dtype=float) for one in pictures)
    assert np.abs(first - second).max() > 0


def test_the_average_is_what_stays(adapted: Trained) -> None:
    """Checkpoints keep both; the adapter is the average, of which an evaluation was made."""
    newest = newest_whole(adapted.folder / "checkpoints").folder
    assert newest is not None
    weights, average = (load_file(newest / name) for name in ("model.safetensors", "average.safetensors"))
    name = next(name for name in weights if "lora_B" in name and name.startswith("unet"))
    assert not torch.equal(weights[name], average[name])
    saved = load_file(adapted.result / ADAPTER)[name.replace(".default", "")]
    assert torch.allclose(saved, average[name] * 6 / 2, atol=1e-6)


def test_going_on_after_a_stop_gives_the_same_weights(trains: Trains, tmp_path: Path) -> None:
    """Stopped at step 3 and taken up at its checkpoint, a training ends as if it had never stopped."""
    whole = trains(use_ema=True, center_crop=False, random_flip=True)
    chosen = settings(use_ema=True, center_crop=False, random_flip=True)
    job = Job()

    class StopAtThree:
        """Asks to stop."""

        def on_step_begin(self, moment: Any) -> None:
            """Ask while the third step runs."""
            if moment.state.global_step == 2:
                job.cancel.cancel()

    first = open_studio(work_in(tmp_path, job, chosen), (*listeners(job), StopAtThree()))
    with pytest.raises(Cancelled):
        first.trainer.train()
    found = newest_whole(tmp_path / "checkpoints")
    assert found.step == 2
    again = Job()
    second = open_studio(work_in(tmp_path, again, chosen), listeners(again))
    assert "encode" not in again.phases
    second.trainer.train(resume_from_checkpoint=str(found.folder))
    second.save(tmp_path / "result")
    assert [one["step"] for one in again.payloads("metrics")] == [3, 4]
    assert [one["loss"] for one in again.payloads("metrics")] == pytest.approx(whole.losses[2:], rel=1e-5)
    expected, got = (load_file(folder / ADAPTER) for folder in (whole.result, tmp_path / "result"))
    assert all(torch.allclose(got[name], expected[name], atol=1e-6) for name in expected)


def test_a_stop_is_heard_while_samples_are_drawn(tmp_path: Path) -> None:
    """Between two steps of a drawing."""
    job = Job()
    studio = open_studio(work_in(tmp_path, job, settings()), listeners(job))
    real = job.report

    def stop_when_drawing(progress: Any) -> None:
        real(progress)
        if progress.phase == "draw":
            job.cancel.cancel()

    job.report = stop_when_drawing  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        studio.trainer.train()
    assert not (tmp_path / "result" / "samples" / "step-000002-0.png").exists()


def test_stable_diffusion_xl_learns(trains: Trains) -> None:
    """Both text encoders' states and the sizes reach its UNet; the adapter loads into the plain pipeline."""
    trained = trains("sdxl", precision="bf16", gradient_checkpointing="on", use_dora=True)
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(tiny_pipeline("sdxl"))
    plain = drawn(pipeline)
    pipeline.load_lora_weights(trained.result)
    assert np.abs(drawn(pipeline) - plain).max() > 1e-3
    assert "read_captions" in trained.job.phases
    assert np.isfinite(trained.losses).all()


def test_a_whole_unet_learns_and_loads_as_a_pipeline(trains: Trains) -> None:
    """Without rows held out samples are drawn at checkpoints; text encoder and VAE stay as they were."""
    trained = trains(method="full", held_out=0, eval_strategy="no", validation_fraction=0, learning_rate=1e-3)
    assert [one["step"] for one in trained.job.payloads("samples")] == [2, 4, 6]
    base = diffusers.StableDiffusionPipeline.from_pretrained(tiny_pipeline("sd"))
    taught = diffusers.StableDiffusionPipeline.from_pretrained(trained.result)
    assert not torch.equal(taught.unet.conv_in.weight, base.unet.conv_in.weight)
    same = zip(taught.vae.state_dict().values(), base.vae.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in same)
    assert np.abs(drawn(taught) - drawn(base)).max() > 1e-4


def test_the_loss_falls_from_where_the_base_is(trains: Trains) -> None:
    """A fresh adapter changes nothing; after some steps on a few pictures it is better than none."""
    quick: dict[str, Any] = {"r": 4, "sample_count": 0, "load_best_model_at_end": False}
    begun = trains(max_steps=1, learning_rate=1e-12, eval_steps=1, save_steps=1, **quick)
    trained = trains(
        max_steps=40, learning_rate=2e-2, target_modules="all-linear", eval_steps=40, save_steps=40, **quick
    )
    before, after = (one.job.payloads("evaluation")[-1]["eval_loss"] for one in (begun, trained))
    assert after < 0.95 * before


@pytest.mark.parametrize(
    ("values", "words"),
    [({"target_modules": "to_nothing"}, "to_nothing"), ({"r": 64, "target_modules": "to_q"}, "64")],
)
def test_layers_that_are_not_there_and_ranks_above_them_are_refused(
    values: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """The names there are, or the largest rank, are in the sentence."""
    with pytest.raises(InvalidInput, match=words):
        open_studio(work_in(tmp_path, Job(), settings(**values)))
