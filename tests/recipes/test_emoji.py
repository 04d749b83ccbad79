"""The parts of the emoji recipe, in tiny shapes over drawings made here."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor2_0
from PIL import Image, ImageDraw
from torch import nn

from recipes import _emoji_measure, emoji
from recipes._emoji_autoencoder import Shape, encoded, new_autoencoder, normalise, reconstructed
from recipes._emoji_data import Alteration, Emoji, altered, as_bytes, as_values, mirrored, read_emoji
from recipes._emoji_diffusion import (
    NOISE,
    TIMES,
    DenoiserShape,
    ExactAttention,
    Noiser,
    drawn_prompts,
    drawn_times,
    new_denoiser,
)
from recipes._emoji_loop import CHECKPOINT, Learner, Schedule, Training
from recipes._emoji_measure import Asked, look_alikes, ranks, recognition
from recipes._emoji_prompts import prompts
from recipes._emoji_text import LONGEST, TextShape, Wording, narrowed, new_tokenizer, token_rows

NAMES = ("red heart", "blue heart", "pizza", "cat face", "grinning face", "right arrow")
TINY_TEXT = TextShape(vocabulary=700, hidden=32, layers=1, heads=2, common_words=40, phrases=10)
TINY_NETWORK = DenoiserShape(widths=(32, 32), heads=2)


class PowerCutError(RuntimeError):
    """What ends a training before its time."""


def drawing(row: int) -> Image.Image:
    """Return a drawing on a clear ground, 72 pixels a side."""
    image = Image.new("RGBA", (72, 72))
    pen = ImageDraw.Draw(image)
    pen.ellipse((8 + row, 8, 60, 60 - 3 * row), fill=(40 * row, 255 - 40 * row, 90, 255))
    return image


def as_file(image: Image.Image) -> dict[str, object]:
    """Return a picture as the tables hold it."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def table(names: tuple[str, ...], drawings: list[Image.Image]) -> pd.DataFrame:
    """Return a table as the data folder has it."""
    groups = ["Symbols" if "arrow" in name else "Smileys & Emotion" for name in names]
    return pd.DataFrame(
        {
            "name": names,
            "group": groups,
            "subgroup": ["cat-face"] * len(names),
            "keywords": [np.array([name.replace(" ", "_"), "love_it", "Food"], dtype=object) for name in names],
            "image": [as_file(image) for image in drawings],
        }
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give a data folder of a few drawings, one of them twice and one without a name."""
    folder = tmp_path / "data" / "noto_emoji"
    folder.mkdir(parents=True)
    drawings = [drawing(row) for row in range(len(NAMES))]
    names = (*NAMES, "pizza with a longer name", "")
    table(names, [*drawings, drawings[2], drawing(9)]).to_parquet(folder / "base.parquet")
    table(("cat: dark", "cat: light"), [drawing(7), drawing(8)]).to_parquet(folder / "skin_tones.parquet")
    return tmp_path / "data"


@pytest.fixture
def known(data: Path) -> Emoji:
    """Give those drawings as the recipe reads them."""
    return read_emoji(data)


def test_each_drawing_is_read_once_under_its_shortest_name_on_white(known: Emoji) -> None:
    """Rows without a name, and a drawing's longer names, are left out; what was clear is white."""
    assert known.names == NAMES
    assert known.keywords[0] == ("love it", "food")
    assert known.drawings.shape == (len(NAMES), 3, 64, 64)
    assert known.drawings[:, :, 0, 0].eq(255).all()
    assert torch.equal(as_bytes(as_values(known.drawings)), known.drawings)


def test_alterations_keep_the_ground_white_and_signs_unmirrored(known: Emoji) -> None:
    """What moves in from outside is white, each drawing changes, and an arrow never points the other way."""
    values = as_values(known.drawings)
    moved = altered(values, Alteration(shift=0.2, scale=0.2), torch.Generator().manual_seed(1))
    assert moved[:, :, 0, 0].min() > 0.999
    assert (moved - values).abs().amax(dim=(1, 2, 3)).gt(0.1).all()
    flipped = [mirrored(values, known.may_be_mirrored, torch.Generator().manual_seed(seed)) for seed in range(8)]
    assert all(torch.equal(found[-1], values[-1]) for found in flipped)
    assert any(torch.equal(found[0], values[0].flip(2)) for found in flipped)


def test_nothing_altered_is_the_drawing_itself(known: Emoji) -> None:
    """With no alteration allowed, resampling gives the drawing back."""
    values = as_values(known.drawings)
    same = altered(values, Alteration(0, 0, 0, 0, 0), torch.Generator().manual_seed(1))
    assert torch.allclose(same, values, atol=1e-5)


def test_prompts_begin_with_the_name_and_are_drawn_by_the_seed(known: Emoji) -> None:
    """The first prompt is the name; others say it in other words, with nothing left to fill in."""
    asked = prompts(known, seed=3)
    assert [row[0] for row in asked] == list(NAMES)
    assert asked == prompts(known, seed=3) != prompts(known, seed=4)
    assert not any("{" in text for row in asked for text in row)
    assert any("cat face" not in text and ("love it" in text or "food" in text) for text in asked[3])


def test_the_vocabulary_keeps_the_words_of_names_whole(known: Emoji) -> None:
    """A name's words are a token each whatever their case, any other text is pieces, and long prompts are cut."""
    tokenizer = new_tokenizer(known, TINY_TEXT)
    assert len(tokenizer) <= TINY_TEXT.vocabulary
    assert tokenizer.convert_ids_to_tokens(tokenizer("Red  HEART")["input_ids"])[1:-1] == ["red</w>", "heart</w>"]
    assert tokenizer.unk_token_id not in tokenizer("xylophone für 猫")["input_ids"][1:-1]
    rows = token_rows(tokenizer, ["red heart " * 100, ""])
    assert rows.shape == (2, LONGEST)
    assert rows[0, -1] == rows[1, 1] == tokenizer.eos_token_id
    assert rows[:, 0].eq(tokenizer.bos_token_id).all()


def test_narrowed_vectors_keep_their_neighbours() -> None:
    """The directions that are kept are those in which vectors differ; missing ones are filled with nothing."""
    wide = torch.zeros(5, 40)
    wide[:, 7] = torch.tensor([0.0, 1.0, 4.0, 9.0, 16.0])
    found = narrowed(wide, 2)
    assert found.shape == (5, 2)
    assert found.square().mean().item() == pytest.approx(1, rel=1e-4)
    steps = found[:, 0].diff().abs()
    assert torch.allclose(steps / steps[0], torch.tensor([1.0, 3.0, 5.0, 7.0]), rtol=1e-3)


SCHEDULE = Schedule(steps=9, batch_size=4, learning_rate=0.05, warmup_steps=2, average_decay=0.5, save_every=2)


def trained(folder: Path, cut_at: int | None = None) -> tuple[dict, list[torch.Tensor]]:
    """Train a small network on random numbers, with a power cut if asked for."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    steps = count()

    def lesson(generator: torch.Generator) -> torch.Tensor:
        if next(steps) == cut_at:
            raise PowerCutError
        seen = torch.randn(SCHEDULE.batch_size, 3, generator=generator)
        return (network(seen).float().sum(dim=1) - seen.sum(dim=1)).square().mean()

    facts = Training(Learner(network, lesson, slow=(network[2],)), SCHEDULE, folder).run()
    return facts, [one.detach().clone() for one in network.parameters()]


def test_a_training_that_was_cut_ends_with_the_same_weights(tmp_path: Path) -> None:
    """It goes on at its last checkpoint, and the averages of its weights are those of an unbroken run."""
    facts, whole = trained(tmp_path / "whole")
    with pytest.raises(PowerCutError):
        trained(tmp_path / "cut", cut_at=5)
    resumed, again = trained(tmp_path / "cut")
    assert (facts["resumed_at"], resumed["resumed_at"], resumed["steps"]) == (0, 4, SCHEDULE.steps)
    assert all(torch.equal(one, other) for one, other in zip(whole, again, strict=True))


def test_a_finished_training_is_not_taken_up_again(tmp_path: Path) -> None:
    """Its average is put back without a step, and the file stays as it is."""
    _, whole = trained(tmp_path)
    before = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    _, again = trained(tmp_path, cut_at=0)
    assert all(torch.equal(one, other) for one, other in zip(whole, again, strict=True))
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == before


def test_the_rate_rises_and_falls() -> None:
    """It is highest when it is warm, and close to nothing at the end."""
    schedule = Schedule(steps=100, batch_size=1, learning_rate=2.0, warmup_steps=10)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[9] > 1.9
    assert rates[99] < 0.001
    assert schedule.shortened(8).save_every == 4


def test_normalised_latents_decode_to_the_same_pictures(known: Emoji) -> None:
    """Each channel gets mean 0 and deviation 1, samples get it too, and no picture changes."""
    autoencoder = new_autoencoder(Shape(widths=(8, 16), groups=4), seed=2).eval()
    before = reconstructed(autoencoder, known.drawings)
    means, deviations = encoded(autoencoder, known.drawings)
    normalise(autoencoder, means)
    after, spreads = encoded(autoencoder, known.drawings)
    assert torch.allclose(after.mean(dim=(0, 2, 3)), torch.zeros(8), atol=1e-4)
    assert torch.allclose(after.std(dim=(0, 2, 3)), torch.ones(8), atol=1e-4)
    assert torch.allclose(spreads / deviations, (1 / means.std(dim=(0, 2, 3)))[:, None, None], rtol=1e-3)
    assert torch.allclose(reconstructed(autoencoder, known.drawings), before, atol=1e-4)


def test_noise_is_mixed_as_the_library_mixes_it() -> None:
    """Noisy latents and velocities equal the scheduler's, the last step is noise alone, and weights are min-SNR's."""
    torch.manual_seed(0)
    latents, noise = torch.randn(2, 4, 8, 2, 2).unbind()
    times = torch.tensor([0, 300, 700, TIMES - 1])
    noisy, velocity, weight = Noiser.on(torch.device("cpu")).mixed(latents, noise, times)
    scheduler = DDPMScheduler(**NOISE)
    assert torch.allclose(noisy, scheduler.add_noise(latents, noise, times), atol=1e-6)
    assert torch.allclose(velocity, scheduler.get_velocity(latents, noise, times), atol=1e-6)
    assert torch.allclose(noisy[-1], noise[-1], atol=1e-3)
    ratio = scheduler.alphas_cumprod[times] / (1 - scheduler.alphas_cumprod[times])
    assert torch.allclose(weight.flatten(), ratio.clamp(max=5) / (ratio + 1), rtol=1e-4)


def test_times_and_prompts_are_drawn_evenly() -> None:
    """One time lies in each equal part of the range, and about every second prompt is the name."""
    generator = torch.Generator().manual_seed(1)
    times = drawn_times(10, generator)
    assert sorted((times // 100).tolist()) == list(range(10))
    words = Wording(torch.zeros(1, 6, LONGEST), torch.zeros(0), torch.zeros(0), torch.zeros(0))
    chosen = drawn_prompts(words, torch.zeros(2000, dtype=torch.long), generator)
    assert 0.45 < chosen.eq(0).float().mean() < 0.55
    assert set(chosen.tolist()) == set(range(6))


def test_exact_attention_is_the_plain_attention() -> None:
    """The processor that trains fast answers as the library's own, with and without a prompt."""
    denoiser = new_denoiser(TINY_NETWORK, hidden=16, side=8, seed=1).eval()
    torch.manual_seed(0)
    inputs = (torch.randn(2, 8, 8, 8), torch.tensor([5, 900]), torch.randn(2, LONGEST, 16))
    with torch.no_grad():
        denoiser.set_attn_processor(AttnProcessor2_0())
        plain = denoiser(*inputs).sample
        denoiser.set_attn_processor(ExactAttention())
        assert torch.allclose(denoiser(*inputs).sample, plain, atol=1e-5)


class Seer(nn.Module):
    """Answers with the scores that it was given, drawing after drawing."""

    def __init__(self, scores: torch.Tensor) -> None:
        """Keep scores (drawings, emoji)."""
        super().__init__()
        self.scores = nn.Parameter(scores)

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        """Return them."""
        return self.scores


def test_a_rank_counts_the_wrong_ones_before_the_best_right_one() -> None:
    """Right ones never stand in each other's way."""
    scores = torch.tensor([[0.9, 0.5, 0.7, 0.1], [0.9, 0.5, 0.7, 0.1]])
    assert ranks(Seer(scores), torch.zeros(2, 3, 4, 4), [[1], [3]]) == [2, 3]
    assert ranks(Seer(scores), torch.zeros(2, 3, 4, 4), [[1, 2], [0, 3]]) == [1, 0]


def test_recognition_is_counted_by_prompt_with_and_without_look_alikes(known: Emoji) -> None:
    """Top-1 and top-5 are shares of drawings, n is the prompts', and a look-alike counts in the lenient rows only."""
    drawings = known.drawings.clone()
    drawings[1] = drawings[0]
    twins = replace(known, drawings=drawings)
    assert look_alikes(twins)[:3] == [[0, 1], [0, 1], [2]]
    # Two drawings each of rows 0 and 2: 0 is seen as its twin and as itself, 2 is seen last and first.
    scores = torch.tensor(
        [[5.0, 9, 1, 1, 1, 1], [9.0, 5, 1, 1, 1, 1], [2.0, 2, 1, 2, 2, 2], [0.0, 0, 9, 0, 0, 0]], dtype=torch.float
    )
    found = recognition(Seer(scores), twins, torch.zeros(4, 3, 8, 8), [0, 2], Asked(each=2))
    assert [(row.name, row.value, row.n) for row in found] == [
        ("top1", 0.5, 2),
        ("top5", 0.75, 2),
        ("top1", 0.75, 2),
        ("top5", 0.75, 2),
    ]
    assert "1 of the 2 have any" in found[2].note


def tiny_plan(steps: int) -> emoji.Plan:
    """Return a plan of seconds."""
    once = Schedule(steps=steps, batch_size=4, learning_rate=1e-3, warmup_steps=1, save_every=1)
    return emoji.Plan(
        text=TINY_TEXT,
        autoencoder=Shape(widths=(8, 8, 8, 8), groups=4),
        denoiser=TINY_NETWORK,
        teach_text=once,
        teach_autoencoder=once,
        teach_denoiser=once,
        teach_classifier=once,
        asked=Asked(prompts=2, each=2, steps=2),
    )


def drawn_bytes(pipeline: StableDiffusionPipeline) -> np.ndarray:
    """Return one drawing."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(5)
    return pipeline("red heart", num_inference_steps=3, generator=generator, output_type="np").images


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' own, about a tensor
def test_a_trained_starter_loads_with_the_plain_library(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained in two goes, it is saved in half precision, loads as float32 in every part, and draws what it drew."""
    calls: list[StableDiffusionPipeline] = []
    save = StableDiffusionPipeline.save_pretrained

    def kept(pipeline: StableDiffusionPipeline, folder: Path) -> None:
        save(pipeline, folder)
        calls.append(pipeline)

    monkeypatch.setattr(StableDiffusionPipeline, "save_pretrained", kept)
    plan, folder = tiny_plan(2), tmp_path / "starter"
    facts = emoji.train(folder, tmp_path / "work", data, plan)
    assert {part["steps"] for part in facts["parts"].values()} == {2}
    loaded = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    networks = (loaded.unet, loaded.vae, loaded.text_encoder)
    assert {next(network.parameters()).dtype for network in networks} == {torch.float32}
    made = calls[0]
    for network in (made.unet, made.vae, made.text_encoder):
        network.float()
    assert np.allclose(drawn_bytes(loaded), drawn_bytes(made), atol=1e-5)

    again = tmp_path / "again"
    emoji.train(again, tmp_path / "work", data, plan)
    file = "unet/diffusion_pytorch_model.safetensors"
    assert (again / file).read_bytes() == (folder / file).read_bytes()
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".json", ".safetensors", ".txt"}


def test_findings_become_a_card_with_sheets(tmp_path: Path, known: Emoji) -> None:
    """The card names its numbers and shows both sheets, which are there."""
    values = as_values(known.drawings)
    rows = [(name, (values[row], values[row])) for row, name in enumerate(NAMES)]
    measurements = recognition(Seer(torch.eye(6)), known, values, range(6), Asked(each=1))
    findings = emoji.Findings(measurements, rows, rows, Asked())
    part = {"steps": 2, "seconds": 60}
    training = {
        "emoji": 6,
        "parameters": {"denoiser": 10, "autoencoder": 20, "text encoder": 30},
        "parts": {"denoiser": part},
        "settings": {"teach_denoiser": {"batch_size": 4}, "text": {"vocabulary": 700}},
    }
    emoji.record(tmp_path, findings, training)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| noto_emoji base | 6 | top1 | 1.0 | 1.0 – 1.0 | exact name" in card
    for name in ("contact_sheet.png", "free_prompts.png"):
        assert f"![]({name})" in card
        with Image.open(tmp_path / name) as image:
            assert image.width > 64
    assert emoji.refusal([{"name": "top5", "value": 0.1}])
    assert emoji.refusal([{"name": "top5", "value": 0.9}]) is None


def test_the_classifier_recognises_what_it_learned(tmp_path: Path, known: Emoji) -> None:
    """After some steps the real drawings are told from each other."""
    schedule = Schedule(steps=40, batch_size=12, learning_rate=3e-3, warmup_steps=5, average_decay=0.9)
    classifier = _emoji_measure.train_classifier(known, schedule, tmp_path)
    found = ranks(classifier, as_values(known.drawings), [[row] for row in range(len(known))])
    assert found.count(0) >= 5
