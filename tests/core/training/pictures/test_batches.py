"""What a row gets depends on the seed, the step and the row alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.training.data.watch import Watch
from core.training.pictures.batches import HELD_OUT, BatchMaker
from core.training.pictures.encoding import How, Picture, encode
from tests.core.training.pictures.lessons import draw_pictures, tiny_parts


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> BatchMaker:
    """Give the batches of six pictures, cut and mirrored by chance."""
    folder, parts = tmp_path_factory.mktemp("batches"), tiny_parts("sdxl")
    pictures = [Picture(Path(row["image"]), row["caption"]) for row in draw_pictures(folder)]
    how = How(64, center_crop=False, random_flip=True)
    return BatchMaker(parts, encode(parts, pictures, how, folder, "cpu", Watch()), seed=7, noise_offset=0.1)


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Tell whether two batches are equal in every part."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_row_is_the_same_in_every_batch(maker: BatchMaker) -> None:
    """So that two processes with half the rows each see what one sees, and resuming sees what was to come."""
    together = maker.batch([0, 3, 5], step=4)
    alone = maker.batch([3], step=4)
    assert all(torch.equal(together[name][1:2], alone[name]) for name in alone)
    assert together["latents"].shape == together["noise"].shape == (3, 4, 8, 8)
    assert together["time_ids"][2, [0, 1, 4, 5]].tolist() == [70, 130, 64, 64]


def test_steps_and_seeds_differ_and_evaluations_do_not(maker: BatchMaker) -> None:
    """Learning meets other noise at each step; evaluations are comparable."""
    first, next_one = maker.batch([5], step=0), maker.batch([5], step=1)
    other = replace(maker, seed=8).batch([5], step=0)
    assert not torch.equal(first["noise"], next_one["noise"])
    assert not torch.equal(first["noise"], other["noise"])
    assert same(maker.batch([5], HELD_OUT), maker.batch([5], HELD_OUT))
    times = maker.batch(range(6), HELD_OUT)["times"].sort().values
    assert (times.diff() > 1000 / 6 / 2).all()


def test_crops_move_and_stand_still_in_evaluations(maker: BatchMaker) -> None:
    """A wide picture is cut elsewhere from step to step, by whole latents, and in its middle when measured."""
    corners = {int(maker.batch([5], step)["time_ids"][0, 3]) for step in range(30)}
    assert corners == {0, 8, 16, 24, 32, 40, 48}
    assert maker.batch([5], HELD_OUT)["time_ids"][0].tolist() == [70, 130, 0, 24, 64, 64]
