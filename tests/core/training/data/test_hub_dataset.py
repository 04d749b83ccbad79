"""Data sets of the Hub: names, classes, pictures, and refusals in our words."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from core.errors import HubUnreachable, InvalidInput
from core.settings import PROJECT
from core.training.data.hub_dataset import HubPlace, named_rows, read_hub_dataset
from core.training.data.watch import Watch
from tests.fakes.hub_server import FakeHub


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


READ = """
import sys
from pathlib import Path
from core.errors import AtelierError
from core.training.data.hub_dataset import HubPlace, read_hub_dataset
from core.training.data.watch import Watch

for name, split in (part.split(":") for part in sys.argv[2:]):
    try:
        found = read_hub_dataset(HubPlace(name, "", split, 1, 0), Path(sys.argv[1]), Watch())
        print(len(found.rows), sorted(found.rows[0]), found.notes[0])
    except AtelierError as refusal:
        print(type(refusal).__name__, refusal)
"""
"""In a process of its own: `datasets` takes the Hub's address when it is imported."""


def test_a_data_set_is_read_from_a_hub(tmp_path: Path) -> None:
    """Over the wire come the rows of a split; what cannot be had, and code, is refused in words."""
    repository, coded = tmp_path / "repository", tmp_path / "coded"
    for folder in (repository, coded):
        folder.mkdir()
        (folder / "train.csv").write_text("text,label\ngood,a\nbad,b\n")
    (coded / "coded.py").write_text("raise SystemExit('code of a data set was run')")
    with FakeHub() as hub:
        hub.add("datasets/org/reviews", repository)
        hub.add("datasets/org/gated", repository, gated=True)
        hub.add("datasets/org/coded", coded)
        places = ("org/reviews:train", "org/reviews:night", "org/none:train", "org/gated:train", "org/coded:train")
        told = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [sys.executable, "-c", READ, str(tmp_path / "pictures"), *places],
            cwd=PROJECT,
            env={**os.environ, **told},
            capture_output=True,
            text=True,
            check=True,
        )
    read, unsplit, missing, gated, code = done.stdout.splitlines()
    assert read == "1 ['label', 'text'] 1 of 2 rows are used, drawn by the seed 0."
    assert unsplit.startswith("BadFile The data set org/reviews cannot be read: Unknown split")
    assert missing.startswith("HubMissing The Hub has no data set org/none")
    assert gated.startswith("HubGated The data set org/gated is behind a licence.")
    assert code.startswith("BadFile The data set org/coded cannot be read: Dataset scripts are no longer supported")
