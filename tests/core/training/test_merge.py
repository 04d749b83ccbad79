"""Merging a run into its base: what is written answers as the two did, or is thrown away with the numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import Cancelled, InvalidInput
from core.events import CancelToken
from core.training.merge import FOLDER, MergeRefused, Verdict, judge, merge_run, merged_of, refuse_difference
from core.training.probes import ask, probe_texts
from tests.core.training.finished import registry_at, train
from tests.core.training.tiny import feelings
from tests.fakes.models import tiny_bert, tiny_llama, tiny_t5

BRIEF: dict[str, Any] = {"max_steps": 3, "learning_rate": 0.05, "eval_strategy": "no", "warmup_steps": 0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train one run by LoRA, once."""
    home = tmp_path_factory.mktemp("trained")
    train(home, tiny_bert(home / "bert"), feelings(), name="first", **BRIEF)
    return home


@pytest.fixture
def home(tmp_path: Path, trained: Path) -> Path:
    """Copy the home with that run."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    return tmp_path


def test_the_merged_model_stands_alone(home: Path) -> None:
    """Plain transformers loads it and answers as base and adapter do; a card and the numbers lie beside it."""
    import peft
    import transformers

    registry = registry_at(home)
    run = registry.run("run/first")
    merged = merge_run("run/first", registry)
    assert merged.folder == run.folder / FOLDER
    model = transformers.AutoModelForSequenceClassification.from_pretrained(merged.folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(merged.folder)
    config = transformers.AutoConfig.from_pretrained(run.result)
    base = transformers.AutoModelForSequenceClassification.from_pretrained(run.base.id, config=config)
    adapted = peft.PeftModel.from_pretrained(base, run.result).eval()
    texts = probe_texts(run.folder)
    verdict = judge(ask(adapted, tokenizer, texts), ask(adapted, tokenizer, texts), ask(model, tokenizer, texts))
    assert verdict.difference < 1e-5
    assert merged.verdict.difference <= merged.verdict.tolerance * merged.verdict.scale
    assert merged.verdict.moved > 0.01
    assert merged.verdict.probes == len(texts) > 5
    assert sorted(model.config.label2id) == ["bad", "good"]
    card = (merged.folder / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: text-classification" in card
    assert str(home) not in card
    assert merged.size_bytes > 10_000


def test_a_merge_is_made_once(home: Path) -> None:
    """Asked again, it is the same folder, unchanged; before the first time there is none."""
    registry = registry_at(home)
    run = registry.run("run/first")
    assert merged_of(run) is None
    first = merge_run("run/first", registry)
    written = (first.folder / "model.safetensors").stat().st_mtime_ns
    assert merge_run("run/first", registry) == first
    assert (first.folder / "model.safetensors").stat().st_mtime_ns == written


def test_an_adapter_that_changes_nothing_is_refused(home: Path) -> None:
    """Its matrices are zero and its head is the base's: the sentence says so, and nothing is left behind."""
    from safetensors.torch import load_file, save_file

    registry = registry_at(home)
    run = registry.run("run/first")
    file = run.result / "adapter_model.safetensors"
    own = load_file(Path(run.base.id) / "model.safetensors")
    held = {name: torch.zeros_like(one) for name, one in load_file(file).items()}
    for name in held:
        if "classifier" in name:
            held[name] = own["classifier." + name.rpartition(".")[2]].clone()
    save_file(held, file, metadata={"format": "pt"})
    with pytest.raises(MergeRefused) as refusal:
        merge_run("run/first", registry)
    assert refusal.value.sentence.key == "error.merge_is_base"
    assert not [one for one in run.folder.iterdir() if FOLDER in one.name]


def test_weights_that_were_written_wrongly_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies on the disk is asked, not what is in memory: one changed number that matters is noticed."""
    from safetensors.torch import load_file, save_file

    from core.training.merge_text import TextMerge

    save = TextMerge.save

    def spoil(self: TextMerge, folder: Path) -> None:
        save(self, folder)
        held = load_file(folder / "model.safetensors")
        held["classifier.bias"][0] += 0.1
        save_file(held, folder / "model.safetensors", metadata={"format": "pt"})

    monkeypatch.setattr(TextMerge, "save", spoil)
    registry = registry_at(home)
    with pytest.raises(MergeRefused) as refusal:
        merge_run("run/first", registry)
    assert refusal.value.sentence.key == "error.merge_differs"
    assert merged_of(registry.run("run/first")) is None


@pytest.mark.parametrize(
    ("difference", "moved", "key"),
    [
        (0.0, 1.0, None),
        (0.9e-3, 1.0, None),
        (1.1e-3, 1.0, "error.merge_differs"),
        (float("nan"), 1.0, "error.merge_differs"),
        (0.0, 0.9e-5, "error.merge_is_base"),
        (0.0, float("nan"), "error.merge_is_base"),
    ],
)
def test_the_limits_are_parts_of_the_largest_output(
    trained: Path, difference: float, moved: float, key: str | None
) -> None:
    """With outputs up to 10, merged may differ by 0.001 and must differ from the base by 0.00001; NaN never passes."""
    run = registry_at(trained).run("run/first")
    verdict = Verdict(probes=5, difference=difference, moved=moved, largest=10.0)
    if key is None:
        refuse_difference(run, verdict)
        return
    with pytest.raises(MergeRefused) as refusal:
        refuse_difference(run, verdict)
    assert refusal.value.sentence.key == key


@pytest.mark.parametrize(("method", "key"), [("full", "error.merge_full"), ("prefix-tuning", "error.merge_prompts")])
def test_what_cannot_be_merged(tmp_path: Path, trained: Path, method: str, key: str) -> None:
    """A whole model and learnt inputs are refused with what to do instead."""
    train(tmp_path, trained / "bert", feelings(), name="other", method=method, **BRIEF)
    with pytest.raises(InvalidInput) as refusal:
        merge_run("run/other", registry_at(tmp_path))
    assert refusal.value.sentence.key == key


def test_a_stop_leaves_nothing_behind(home: Path) -> None:
    """Asked to stop as soon as it begins to compare, it ends with Cancelled and no draft."""
    cancel, registry = CancelToken(), registry_at(home)
    with pytest.raises(Cancelled):
        merge_run("run/first", registry, lambda told: cancel.cancel() if told.phase == "merge" else None, cancel)
    assert not [one for one in registry.run("run/first").folder.iterdir() if FOLDER in one.name]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("llama", {"task": "text-generation", "method": "ia3"}),
        ("llama", {"task": "text-generation", "use_dora": True, "use_rslora": True}),
        ("t5", {"task": "translation"}),
    ],
    ids=str,
)
def test_models_that_write_are_merged(tmp_path: Path, trained: Path, kind: str, values: dict[str, Any]) -> None:
    """Decoders and encoder-decoders, scaled layers and DoRA."""
    rows = [{"text": row["text"], "source": row["text"], "target": row["text"][:8]} for row in feelings()]
    used = ("source", "target") if kind == "t5" else ("text",)
    rows = [{name: row[name] for name in used} for row in rows]
    model = tiny_t5(tmp_path / "m", trained / "bert") if kind == "t5" else tiny_llama(tmp_path / "m")
    train(tmp_path, model, rows, name="writer", **BRIEF, **values)
    merged = merge_run("run/writer", registry_at(tmp_path))
    assert merged.verdict.moved > 100 * merged.verdict.difference
    assert json.loads((merged.folder / "merge.json").read_text())["run"] == "run/writer"
