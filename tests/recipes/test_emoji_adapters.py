"""The adapter and the ControlNet over the emoji starter, on a starter of random weights."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline, StableDiffusionPipeline
from PIL import Image, ImageDraw

from recipes import emoji, emoji_edges, emoji_lora
from recipes._emoji_autoencoder import Shape, encoded, new_autoencoder, normalise
from recipes._emoji_base import Base
from recipes._emoji_data import Emoji, as_values
from recipes._emoji_diffusion import DenoiserShape, new_denoiser
from recipes._emoji_loop import Schedule
from recipes._emoji_measure import Asked
from recipes._emoji_text import TextShape, new_text_encoder, new_tokenizer

NAMES = ("red heart", "pizza", "cat face")
TEXT = TextShape(vocabulary=600, hidden=16, layers=1, heads=2, common_words=20)
SCHEDULE = Schedule(steps=2, batch_size=2, learning_rate=0.05, warmup_steps=1, average_decay=0.0, save_every=1)
ASKED = Asked(prompts=2, each=2, steps=2)
# diffusers' own, about a tensor that numpy reads
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def drawing(row: int) -> np.ndarray:
    """Return a coloured disc on white."""
    image = Image.new("RGB", (64, 64), "white")
    colour = [(200, 20, 20), (20, 150, 20), (20, 20, 200)][row]
    ImageDraw.Draw(image).ellipse((10 + 4 * row, 10, 50, 50), fill=colour)
    return np.asarray(image)


@pytest.fixture(scope="module")
def known() -> Emoji:
    """Give three emoji."""
    drawings = torch.from_numpy(np.stack([drawing(row) for row in range(3)])).permute(0, 3, 1, 2).contiguous()
    return Emoji(NAMES, (("love",), ("food",), ("animal",)), ("Symbols",) * 3, ("heart",) * 3, drawings)


@pytest.fixture(scope="module")
def folder(known: Emoji, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a saved starter of random weights."""
    place = tmp_path_factory.mktemp("starters") / "emoji"
    tokenizer = new_tokenizer(known, TEXT)
    autoencoder = new_autoencoder(Shape(widths=(8, 8, 8, 8), groups=4), seed=1).eval()
    normalise(autoencoder, encoded(autoencoder, known.drawings)[0])
    shape = DenoiserShape(widths=(32, 32), heads=2)
    parts = (autoencoder, new_text_encoder(tokenizer, TEXT, 1), tokenizer, new_denoiser(shape, 16, 8, 1))
    emoji.save_pipeline(parts, place)
    return place


@pytest.fixture
def base(folder: Path, known: Emoji) -> Base:
    """Give that starter as adapters are trained on it."""
    return Base.of(folder, known)


def picture(pipeline: StableDiffusionPipeline, *inputs: object) -> np.ndarray:
    """Return one drawing."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(3)
    return pipeline("pizza", *inputs, num_inference_steps=2, generator=generator, output_type="np").images


def test_a_trained_adapter_loads_into_the_plain_pipeline_and_out_again(
    base: Base, folder: Path, tmp_path: Path
) -> None:
    """With it the drawing changes, without it not a pixel has; the starter's own weights were never touched."""
    before = copy.deepcopy(base.pipeline.unet.state_dict())
    emoji_lora.train(tmp_path / "emoji-lora", tmp_path / "work", base, SCHEDULE)
    after = base.pipeline.unet.state_dict()
    own = {name: name.replace(".base_layer", "") for name in after if "lora" not in name}
    assert all(torch.equal(after[name], before[plain]) for name, plain in own.items())
    assert [file.name for file in (tmp_path / "emoji-lora").iterdir()] == ["pytorch_lora_weights.safetensors"]
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    plain = picture(pipeline)
    pipeline.load_lora_weights(tmp_path / "emoji-lora")
    assert np.abs(picture(pipeline) - plain).max() > 1e-3
    pipeline.unload_lora_weights()
    assert np.array_equal(picture(pipeline), plain)


def test_an_adapters_colours_are_measured_on_both_sides_and_told(base: Base, tmp_path: Path) -> None:
    """The card shows the sheet, and a colourfulness for drawings with the adapter, without it, and real emoji."""
    place = tmp_path / "emoji-lora"
    facts = emoji_lora.train(place, tmp_path / "work", Base.of(Path(base.pipeline.name_or_path), base.emoji), SCHEDULE)
    findings = emoji_lora.compare(place, base, ASKED)
    emoji_lora.record(place, findings, facts)
    card = (place / "README.md").read_text(encoding="utf-8")
    assert [row.note.split(";")[0] for row in findings.measurements] == [
        "with the adapter",
        "without it",
        "real emoji",
    ]
    assert findings.measurements[2].value == pytest.approx(
        float(emoji_lora.colourfulness(as_values(base.emoji.drawings)).mean()), abs=1e-4
    )
    assert "![](contact_sheet.png)" in card
    assert (place / "contact_sheet.png").exists()


def test_grey_has_no_colour_and_keeps_its_brightness(known: Emoji) -> None:
    """What the adapter learns from has equal channels, white stays white, and refusals go by what is left."""
    grey = emoji_lora.in_grey(known.drawings)
    assert emoji_lora.colourfulness(as_values(grey)).max() == 0
    assert emoji_lora.colourfulness(as_values(known.drawings)).min() > 0
    assert grey[0, :, 0, 0].tolist() == [255] * 3
    assert grey[0, :, 30, 30].tolist() == [round(0.299 * 200 + 0.587 * 20 + 0.114 * 20)] * 3
    assert emoji_lora.refusal([{"value": 0.1}, {"value": 0.3}]) is None
    assert emoji_lora.refusal([{"value": 0.2}, {"value": 0.3}])


def test_a_trained_network_leads_the_plain_pipeline(base: Base, folder: Path, tmp_path: Path) -> None:
    """It loads from the folder, its edges change the drawing, and at strength 0 they do not."""
    facts = emoji_edges.train(tmp_path / "emoji-edges", tmp_path / "work", base, SCHEDULE)
    network = ControlNetModel.from_pretrained(tmp_path / "emoji-edges")
    assert network.dtype == torch.float32
    plain = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    led = StableDiffusionControlNetPipeline.from_pipe(plain, controlnet=network)
    hint = emoji_edges.edges_of(base.emoji.drawings[:1]).expand(-1, 3, -1, -1)
    assert np.abs(picture(led, hint) - picture(plain)).max() > 1e-3
    again = emoji_edges.train(tmp_path / "again", tmp_path / "work", base, SCHEDULE)
    assert (facts["resumed_at"], again["resumed_at"]) == (0, SCHEDULE.steps)

    findings = emoji_edges.compare(tmp_path / "emoji-edges", base, ASKED)
    emoji_edges.record(tmp_path / "emoji-edges", findings, facts)
    assert "edge_recall" in (tmp_path / "emoji-edges" / "README.md").read_text(encoding="utf-8")
    assert [row.n for row in findings.measurements] == [4] * 4


def test_edges_near_those_asked_for_count(known: Emoji) -> None:
    """A drawing recalls all of its own edges, those of a disc elsewhere in part, and white none."""
    hints = emoji_edges.edges_of(known.drawings)
    assert hints.unique().tolist() == [0, 1]
    own = emoji_edges.edge_recall(as_values(known.drawings), hints)
    other = emoji_edges.edge_recall(as_values(known.drawings[[2, 2, 2]]), hints)
    assert own.tolist() == [1, 1, 1]
    assert 0 < other[0] < 1
    assert emoji_edges.edge_recall(torch.ones(3, 3, 64, 64), hints).tolist() == [0, 0, 0]
    assert emoji_edges.refusal([{"value": 0}, {"value": 0}, {"value": 0.5}, {"value": 0.4}]) is None
    assert emoji_edges.refusal([{"value": 0}, {"value": 0}, {"value": 0.42}, {"value": 0.4}])
