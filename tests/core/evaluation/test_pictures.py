"""Metrics of pictures: maps, boxes, CLIP-style scores and distances of distributions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
import transformers
from PIL import Image

from core.errors import InvalidInput
from core.evaluation import load
from core.evaluation.metrics.pictures import frechet_distance

MAPS = [[[1, 2], [3, 4], [5, 255]], [[2, 7], [9, 2], [3, 6]], [[2, 2, 3], [8, 2, 4], [3, 255, 2]]]
TRUE_MAPS = [[[0, 3], [5, 4], [6, 255]], [[1, 7], [9, 2], [3, 6]], [[1, 2, 2], [8, 2, 1], [3, 255, 1]]]
FOUND = {"boxes": [[258.0, 41.0, 606.0, 285.0]], "scores": [0.536], "labels": [0]}
WANTED = {"boxes": [[214.0, 41.0, 562.0, 285.0]], "labels": [0]}


def keys(name: str, **given: Any) -> list[str]:
    """Return the keys of the notes beside a score."""
    return [note.key for note in load(name).compute(**given).notes]


def test_mean_iou() -> None:
    """The example of evaluate's metric card, with every number of it."""
    scores = load("mean_iou").compute(predictions=MAPS, references=TRUE_MAPS, num_labels=10, ignore_index=255)
    assert scores["mean_iou"] == pytest.approx(0.4775, abs=1e-6)
    assert scores["mean_accuracy"] == pytest.approx(0.5916666666666666, abs=1e-6)
    assert scores["overall_accuracy"] == pytest.approx(0.5263157894736842, abs=1e-6)
    assert scores["per_category_iou"] == pytest.approx([0, 0, 0.375, 0.4, 0.5, 0, 0.5, 1, 1, 1], abs=1e-6)
    accuracy = [0, 0, 0.75, 2 / 3, 1, 0, 0.5, 1, 1, 1]
    assert scores["per_category_accuracy"] == pytest.approx(accuracy, abs=1e-6)


def test_mean_iou_renames_labels() -> None:
    """label_map works on the original labels; reduce_labels turns 0 into 255 and shifts the rest."""
    given = {"predictions": [[[0, 1]]], "references": [[[1, 0]]], "num_labels": 2, "ignore_index": 255}
    assert load("mean_iou").compute(**given, label_map={0: 1, 1: 0})["mean_iou"] == 1.0
    reduced = load("mean_iou").compute(**{**given, "references": [[[1, 2]]]}, reduce_labels=True)
    assert reduced["mean_iou"] == 1.0
    background = load("mean_iou").compute(**{**given, "references": [[[1, 0]]]}, reduce_labels=True)
    assert background["overall_accuracy"] == 1.0


def test_mean_iou_that_says_nothing_says_why() -> None:
    """A label that is nowhere is NaN and left out of the mean; everything ignored, and nothing right, are told."""
    given = {"num_labels": 2, "ignore_index": 255}
    scores = load("mean_iou").compute(predictions=[[[0]]], references=[[[0]]], **given)
    assert scores["mean_iou"] == 1.0
    assert scores.plain()["per_category_iou"] == [1.0, None]
    assert [note.values["labels"] for note in scores.notes] == ["1"]
    assert load("mean_iou").compute(predictions=[[[0]]], references=[[[0]]], **given, nan_to_num=0)["mean_iou"] == 1.0
    ignored = keys("mean_iou", predictions=[[[0, 1]]], references=[[[255, 255]]], **given)
    assert ignored == ["reason.metric_label_absent", "reason.metric_all_ignored"]
    assert keys("mean_iou", predictions=[[[0]]], references=[[[1]]], **given) == ["reason.metric_no_pixel_right"]


def test_mean_iou_refuses_maps_that_do_not_fit() -> None:
    """Other sizes, colours instead of labels, and no number of labels are refused by row."""
    for predicted, expected, words in (([[0, 1]], [[0]], "Resize"), ([[[0, 1, 2]]], [[[0, 1, 2]]], "height, width")):
        with pytest.raises(InvalidInput, match=words):
            load("mean_iou").compute(predictions=[predicted], references=[expected], num_labels=2, ignore_index=255)
    with pytest.raises(InvalidInput, match="ignore_index"):
        load("mean_iou").compute(predictions=[[[0]]], references=[[[0]]], num_labels=2)


def test_mean_average_precision() -> None:
    """The example in the documentation of TorchMetrics: 0.6 over all thresholds, 1.0 at a half and three quarters."""
    scores = load("mean_average_precision").compute(predictions=[FOUND], references=[WANTED], class_metrics=True)
    for name, value in {
        "map": 0.6,
        "map_50": 1.0,
        "map_75": 1.0,
        "map_large": 0.6,
        "mar_1": 0.6,
        "mar_100": 0.6,
    }.items():
        assert scores[name] == pytest.approx(value, abs=1e-6), name
    assert scores["classes"] == [0]
    assert scores["map_per_class"] == pytest.approx([0.6], abs=1e-6)
    assert scores.plain()["map_small"] is None
    assert [note.values["sizes"] for note in scores.notes] == ["small, medium"]


@pytest.mark.parametrize(
    ("form", "box"), [("xywh", [214.0, 41.0, 348.0, 244.0]), ("cxcywh", [388.0, 163.0, 348.0, 244.0])]
)
def test_boxes_may_be_written_in_three_ways(form: str, box: list[float]) -> None:
    """The same box gives 1.0, whatever its form."""
    given = {"predictions": [{**FOUND, "boxes": [box]}], "references": [{**WANTED, "boxes": [box]}]}
    assert load("map").compute(**given, box_format=form)["map"] == pytest.approx(1.0)


def test_boxes_that_say_nothing_say_why() -> None:
    """No box expected, none found, none right."""
    none: dict[str, Any] = {"boxes": [], "scores": [], "labels": []}
    assert keys("map", predictions=[FOUND], references=[none]) == ["reason.metric_no_boxes"]
    assert keys("map", predictions=[none], references=[WANTED]) == ["reason.metric_no_boxes"]
    far = {**FOUND, "boxes": [[0, 0, 200.0, 30.0]]}
    assert "reason.metric_no_box_right" in keys("map", predictions=[far], references=[WANTED])


@pytest.mark.parametrize(
    ("change", "words"),
    [({"scores": None}, "scores"), ({"labels": [0, 1]}, "same length"), ({"boxes": [[1, 2, 3]]}, "four numbers")],
)
def test_boxes_that_are_none_are_refused(change: dict[str, Any], words: str) -> None:
    """A missing key, lengths that differ and a box of three numbers are named by row."""
    with pytest.raises(InvalidInput, match=words):
        load("map").compute(predictions=[{**FOUND, **change}], references=[WANTED])


def test_distance_of_two_gaussians_is_the_closed_form() -> None:
    """In one dimension it is (m1 - m2)² + (s1 - s2)²; in several, that with SciPy's square root of the matrix."""
    random = np.random.default_rng(0)
    first, second = random.normal(0, 1, (500, 1)), random.normal(3, 2, (400, 1))
    expected = (first.mean() - second.mean()) ** 2 + (first.std(ddof=1) - second.std(ddof=1)) ** 2
    scores = load("fid").compute(predictions=first, references=second, feature_extractor="made up")
    assert scores["fid"] == pytest.approx(expected, abs=1e-6)
    assert scores.implementation.settings["feature_extractor"] == "made up"
    first, second = random.normal(size=(60, 5)), random.normal(size=(70, 5)) @ random.normal(size=(5, 5))
    spreads = [np.cov(one, rowvar=False) for one in (first, second)]
    root = scipy.linalg.sqrtm(spreads[0] @ spreads[1]).real
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(spreads[0] + spreads[1] - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected, abs=1e-6)


def test_distances_tell_what_to_know() -> None:
    """Few pictures are said to be few; no extractor, and one picture alone, are refused."""
    assert keys("fid", predictions=np.eye(3), references=np.eye(3)[::-1]) == [
        *(["reason.metric_perfect"] if frechet_distance(np.eye(3), np.eye(3)[::-1]) == 0 else []),
        "reason.metric_few_pictures",
    ]
    pictures = [np.zeros((4, 4, 3)), np.ones((4, 4, 3))]
    with pytest.raises(InvalidInput, match="feature_extractor"):
        load("fid").compute(predictions=pictures, references=pictures)
    with pytest.raises(InvalidInput, match="two pictures"):
        load("fid").compute(predictions=pictures[:1], references=pictures)


def test_a_function_may_extract_the_features() -> None:
    """Its name stands in the result."""

    def brightness(pictures: Any) -> list[float]:
        return [float(np.mean(picture)) for picture in pictures]

    pictures = [np.full((4, 4, 3), level) for level in (0.0, 1.0, 2.0)]
    scores = load("fid").compute(predictions=pictures, references=pictures[:2], feature_extractor=brightness)
    assert scores["fid"] == pytest.approx((1.0 - 0.5) ** 2 + (1.0 - np.sqrt(0.5)) ** 2, abs=1e-6)
    assert scores.implementation.settings["feature_extractor"] == "brightness"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tiny CLIP with random weights, a tokenizer of letters and an image processor."""
    folder = tmp_path_factory.mktemp("clip")
    letters = [*"abcdefghijklmnopqrstuvwxyz"]
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    tokenizer = transformers.CLIPTokenizer(vocab={word: place for place, word in enumerate(vocabulary)}, merges=[])
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": len(vocabulary), "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1},
        vision_config={**small, "image_size": 16, "patch_size": 8},
        projection_dim=8,
    )
    size = {"height": 16, "width": 16}
    images = transformers.CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def drawn() -> list[Image.Image]:
    """Give three pictures of noise."""
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 255, (20, 24, 3), dtype=np.uint8)) for _ in range(3)]


def test_clip_score(clip: Path, drawn: list[Image.Image]) -> None:
    """Each is w times the cosine that CLIP's own forward pass computes, and never below 0."""
    captions = ["a fox", "snow", "the deep sea"]
    scores = load("clip_score").compute(predictions=captions, images=drawn, model_name=str(clip), prefix="")
    model, processor = transformers.CLIPModel.from_pretrained(clip), transformers.CLIPProcessor.from_pretrained(clip)
    with torch.inference_mode():
        output = model.eval()(**processor(text=captions, images=drawn, return_tensors="pt", padding=True))
    cosines = (output.text_embeds * output.image_embeds).sum(-1).clamp(min=0).tolist()
    assert scores["per_image_clip_score"] == pytest.approx([2.5 * one for one in cosines], abs=1e-5)
    assert scores["clip_score"] == pytest.approx(2.5 * np.mean(cosines), abs=1e-5)


def test_a_vision_model_may_extract_the_features(clip: Path, drawn: list[Image.Image]) -> None:
    """The distance of pictures to themselves is nothing but rounding, and the model's name stands in the result."""
    scores = load("fid").compute(predictions=drawn, references=drawn, feature_extractor=str(clip))
    assert scores["fid"] == pytest.approx(0, abs=1e-6)
    assert scores.implementation.settings["feature_extractor"] == str(clip)
    assert scores.implementation.settings["features"] == 8


def test_a_model_that_is_none_is_refused(tmp_path: Path, drawn: list[Image.Image]) -> None:
    """An empty folder is no model, in words."""
    with pytest.raises(InvalidInput, match="cannot be loaded"):
        load("clip_score").compute(predictions=["a"], images=drawn[:1], model_name=str(tmp_path))
