"""Latents and states that are computed once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import Cancelled
from core.events import CancelToken
from core.training.data.watch import Watch
from core.training.pictures.captions import read_texts
from core.training.pictures.encoding import How, Picture, encode
from core.training.pictures.files import as_values, read_sized
from core.training.pictures.parts import PictureParts
from tests.core.training.pictures.lessons import tiny_parts

HOW = How(64, base="tiny@1", data_hash="h")
ROUNDING = 2e-3
"""Group norms raise the rounding of plain areas, which differs with the pictures beside; mirrored ones are 0.9 off."""


@pytest.fixture(scope="module")
def parts() -> PictureParts:
    """Give a tiny pipeline."""
    return tiny_parts("sdxl")


def pictures(rows: list[dict[str, Any]]) -> tuple[Picture, ...]:
    """Return the rows as pictures."""
    return tuple(Picture(Path(row["image"]), row["caption"]) for row in rows)


def test_latents_are_the_vaes_and_states_the_encoders(
    parts: PictureParts, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    """What is read from disk is what would be computed; a mirrored picture is encoded mirrored."""
    held = encode(parts, pictures(rows), replace(HOW, random_flip=True), tmp_path, "cpu", Watch())
    values = as_values(read_sized(Path(rows[3]["image"]), 64, center_crop=True).image)[None]
    with torch.no_grad():
        plain, mirrored = (parts.vae.encode(one).latent_dist for one in (values, values.flip(3)))
    mean, deviation = held.latents(3).chunk(2)
    assert torch.allclose(mean, plain.mean[0], atol=ROUNDING)
    assert torch.allclose(deviation, plain.std[0], atol=ROUNDING)
    assert torch.allclose(held.latents(3, flipped=True)[:4], mirrored.mean[0], atol=ROUNDING)
    assert held.told(3) == (70, 110, 0, (round(110 * 64 / 70) - 64) // 2)
    states, pooled = held.states(3)
    read = read_texts(parts, [rows[3]["caption"]])
    assert torch.allclose(states, read.tokens[0], atol=1e-5)
    assert pooled is not None
    assert read.pooled is not None
    assert torch.allclose(pooled, read.pooled[0], atol=1e-5)


def test_nothing_is_computed_twice(
    parts: PictureParts, rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time the file is found, other settings have one of their own, and no states where none are kept."""
    encode(parts, pictures(rows), HOW, tmp_path, "cpu", Watch())
    whole = encode(parts, pictures(rows), replace(HOW, center_crop=False, states=False), tmp_path, "cpu", Watch())
    assert not whole.has_states
    assert whole.latents(5).shape == (8, 8, round(130 * 64 / 70) // 8)
    assert len(list(tmp_path.glob("encoded-*.bin"))) == 2
    monkeypatch.setattr(type(parts.vae), "encode", None)
    again = encode(parts, pictures(rows), HOW, tmp_path, "cpu", Watch())
    assert again.latents(0).shape == (8, 8, 8)


def test_a_stop_is_heard_while_pictures_are_encoded(
    parts: PictureParts, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    """What was written until then is not trusted later."""
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        encode(parts, pictures(rows), HOW, tmp_path, "cpu", Watch(cancel=cancel))
    encode(parts, pictures(rows), HOW, tmp_path, "cpu", Watch())
