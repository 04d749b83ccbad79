"""Data sets of the Hub: names, classes, pictures, and refusals in our words."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from core.errors import HubUnreachable, InvalidInput
from core.training.data.hub_dataset import HubPlace, named_rows, read_hub_dataset
from core.training.data.watch import Watch


def _place(name: str) -> HubPlace:
    return HubPlace(name, "", "train", 0, 0)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b/c", "/etc", "https://x/y", "a/..", "core/training"])
def test_names_that_are_none_are_refused(tmp_path: Path, name: str) -> None:
    """Nothing is asked for a name that cannot be a data set's, nor read from a folder that is called like one."""
    with pytest.raises(InvalidInput):
        read_hub_dataset(_place(name), tmp_path, Watch())


def test_a_hub_that_is_silent_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, a data set that is not here is refused with the way out."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnreachable, match="upload a file"):
        read_hub_dataset(_place("somebody/something"), tmp_path, Watch())


def test_classes_get_their_names_and_pictures_their_files(tmp_path: Path) -> None:
    """A number becomes its class's name, -1 no label, a list of numbers tags, and a picture a file of ours."""
    from datasets import ClassLabel, Dataset, Features, Image, List, Value

    held = io.BytesIO()
    Picture.new("RGB", (4, 4), "red").save(held, "PNG")
    kinds = Features(
        {
            "text": Value("string"),
            "label": ClassLabel(names=["bad", "good"]),
            "ner": List(ClassLabel(names=["O", "B-PER"])),
            "image": Image(),
        }
    )
    cells: dict[str, list[Any]] = {
        "text": ["a", "b"],
        "label": [1, -1],
        "ner": [[1, 0], [0]],
        "image": [{"bytes": held.getvalue(), "path": None}, {"bytes": b"broken", "path": None}],
    }
    problems: dict[int, Any] = {}
    first, second = named_rows(Dataset.from_dict(cells, features=kinds), tmp_path, problems)
    assert (first["label"], second["label"]) == ("good", None)
    assert (first["ner"], second["ner"]) == (["B-PER", "O"], ["O"])
    with Picture.open(first["image"]) as kept:
        assert kept.size == (4, 4)
    assert list(problems) == [1]
