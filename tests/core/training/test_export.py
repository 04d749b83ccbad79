"""A run in one zip: plain libraries load it, and no place of this machine travels along."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from core.errors import Cancelled, NotAModel
from core.events import CancelToken
from core.training.export import export_run
from tests.core.training.finished import registry_at, train
from tests.core.training.tiny import feelings
from tests.fakes.models import tiny_bert

TEXT = "a very good film , not bad"
BRIEF: dict[str, Any] = {"max_steps": 2, "learning_rate": 0.05, "eval_strategy": "no"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train one run."""
    home = tmp_path_factory.mktemp("home")
    train(home, tiny_bert(home / "bert"), feelings(), name="feelings", **BRIEF)
    return home


def test_plain_peft_loads_what_was_unpacked(home: Path, tmp_path: Path) -> None:
    """Adapter, configuration and tokenizer answer as the run does."""
    import peft
    import torch
    import transformers

    registry = registry_at(home)
    run = registry.run("run/feelings")
    packed = export_run(run, tmp_path / "out")
    assert packed.name == "feelings.zip"
    with zipfile.ZipFile(packed) as opened:
        opened.extractall(tmp_path / "unpacked")
    config = transformers.AutoConfig.from_pretrained(tmp_path / "unpacked")
    base = transformers.AutoModelForSequenceClassification.from_pretrained(home / "bert", config=config)
    model = peft.PeftModel.from_pretrained(base, tmp_path / "unpacked").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "unpacked")
    with torch.inference_mode(), registry.borrow(registry.resolve(run.name, "text-classification")) as ours:
        inputs = tokenizer(TEXT, return_tensors="pt")
        torch.testing.assert_close(model(**inputs).logits, ours.model(**inputs).logits, rtol=0, atol=1e-5)


def test_no_place_of_this_machine_travels_along(home: Path, tmp_path: Path) -> None:
    """Neither the card nor the record nor the adapter's configuration tells where anything lay."""
    run = registry_at(home).run("run/feelings")
    with zipfile.ZipFile(export_run(run, tmp_path)) as opened:
        names = opened.namelist()
        texts = [opened.read(name).decode() for name in names if name.endswith((".json", ".md"))]
    assert {"README.md", "run.json", "adapter_model.safetensors", "adapter_config.json", "config.json"} <= set(names)
    assert "tokenizer.json" in names
    assert not [one for one in texts if str(home) in one]


def test_the_card_tells_how_it_came_about(home: Path, tmp_path: Path) -> None:
    """Task, method, labels, steps, data and how plain libraries load it."""
    run = registry_at(home).run("run/feelings")
    with zipfile.ZipFile(export_run(run, tmp_path)) as opened:
        card, record = opened.read("README.md").decode(), json.loads(opened.read("run.json"))
    assert card.startswith("---\nlibrary_name: peft\npipeline_tag: text-classification\n")
    assert record["data_hash"] in card
    for told in ("lora", "bad, good", "PeftModel.from_pretrained", "AutoModelForSequenceClassification"):
        assert told in card


def test_a_stop_leaves_no_zip(home: Path, tmp_path: Path) -> None:
    """Asked to stop, it ends with Cancelled and an empty folder."""
    run = registry_at(home).run("run/feelings")
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        export_run(run, tmp_path, cancel)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_run_is_not_packed(tmp_path: Path) -> None:
    """A result without its weights is refused by name."""
    folder = train(tmp_path, tiny_bert(tmp_path / "bert"), feelings(), name="torn", **BRIEF)
    (folder / "result" / "adapter_model.safetensors").unlink()
    with pytest.raises(NotAModel, match="run/torn"):
        export_run(registry_at(tmp_path).run("run/torn"), tmp_path / "out")
