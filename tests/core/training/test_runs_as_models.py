"""A finished run is a model: base and adapter by one name, with where it came from, or a sentence why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from core.atelier import open_atelier
from core.catalogue import Source
from core.errors import InvalidInput, NotAModel, UnknownName, WrongTask
from core.models.registry import Registry
from core.settings import Settings
from core.training.base import base_spec, look_at
from core.training.defaults import DataShape
from core.training.record import read_run
from core.training.settings import TrainSettings
from tests.core.training.finished import registry_at, train
from tests.core.training.tiny import feelings
from tests.fakes.models import tiny_bert, tiny_llama

TASK = "text-classification"
TEXT = "a very good film , not bad"
BRIEF: dict[str, Any] = {"max_steps": 3, "learning_rate": 0.05, "eval_strategy": "no", "warmup_steps": 0}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the base."""
    return tiny_bert(tmp_path_factory.mktemp("base") / "bert")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """Train one run by LoRA, once; tests that change it take a copy."""
    home = tmp_path_factory.mktemp("trained")
    train(home, model, feelings(), name="first", **BRIEF)
    return home


@pytest.fixture
def home(tmp_path: Path, trained: Path) -> Path:
    """Copy the home with that run."""
    shutil.copytree(trained, tmp_path / "home")
    return tmp_path / "home"


def result_of(home: Path) -> Path:
    """Return the result of the only run."""
    (folder,) = (home / "runs").iterdir()
    return folder / "result"


def logits(registry: Registry, name: str, task: str = TASK) -> Any:
    """Return the logits of one text as numbers, and the provenance."""
    import torch

    with registry.borrow(registry.resolve(name, task)) as found, torch.inference_mode():
        answer = found.model(**found.tokenizer(TEXT, return_tensors="pt"))
        return answer.logits.float().flatten().tolist(), found.provenance(0)


def plainly(base: Path, result: Path) -> Any:
    """Return the logits that plain transformers and peft give."""
    import peft
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(result)
    whole = transformers.AutoModelForSequenceClassification.from_pretrained(base, config=config)
    adapted = peft.PeftModel.from_pretrained(whole, result).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(result)
    with torch.inference_mode():
        return adapted(**tokenizer(TEXT, return_tensors="pt")).logits.flatten().tolist()


def test_a_run_answers_as_its_base_with_its_adapter(trained: Path, model: Path) -> None:
    """The registry's numbers are those of plain transformers and peft, and the provenance says what it came from."""
    registry = registry_at(trained)
    found, provenance = logits(registry, "run/first")
    assert found == pytest.approx(plainly(model, result_of(trained)), abs=1e-5)
    run = registry.run("run/first")
    base = read_run(run.result).base
    assert provenance.model == "run/first"
    assert provenance.adapter == f"run/first@{run.revision}"
    assert provenance.lineage == (f"{model}@{base.revision}", f"run/first@{run.revision}")
    assert provenance.as_dict()["lineage"] == list(provenance.lineage)


@pytest.mark.parametrize("method", ["full", "ia3", "prefix-tuning"])
def test_runs_of_every_kind_answer(tmp_path: Path, model: Path, method: str) -> None:
    """A model of its own, scaled layers and learnt inputs give other numbers than the base, by the run's name."""
    folder = train(tmp_path, model, feelings(), name=method, method=method, **BRIEF)
    found, provenance = logits(registry_at(tmp_path), f"run/{method}")
    untaught, _ = logits(registry_at(tmp_path), str(model))
    assert found != pytest.approx(untaught, abs=1e-4)
    assert provenance.lineage[-1] == f"run/{method}@{folder.name[:12]}"
    assert (provenance.adapter is None) is (method == "full")


def test_training_goes_on_from_a_run(home: Path) -> None:
    """The second stands on the first, with labels of its own; its record and its provenance name both."""
    first = registry_at(home).run("run/first")
    rows = [{**row, "label": f"{row['label']}{place % 2}"} for place, row in enumerate(feelings())]
    folder = train(home, "run/first", rows, name="second", **BRIEF)
    made = read_run(folder / "result")
    assert (made.continues, made.base.source) == ("run/first", "run")
    found, provenance = logits(registry_at(home), "run/second")
    assert len(found) == 4
    labels = [one.partition("@")[0] for one in provenance.lineage]
    assert labels[1:] == ["run/first", "run/second"]
    assert provenance.adapter == f"run/first@{first.revision}, run/second@{folder.name[:12]}"


def test_a_run_goes_on_as_it_was(home: Path, model: Path) -> None:
    """What a training begins with is the first run's own answers, not those of its base."""
    import torch

    from core.models.files import Finder
    from core.training.network import load_network, read_tokenizer

    registry = registry_at(home)
    spec = registry.resolve("run/first", TASK)
    files = registry.fetch(spec)
    tokenizer = read_tokenizer(files, spec.name)
    network = load_network(TrainSettings(model="run/first"), spec, files, ("bad", "good"), tokenizer)
    assert network.fresh == ()
    with torch.inference_mode():
        found = network.model.eval()(**tokenizer(TEXT, return_tensors="pt")).logits.flatten().tolist()
    assert found == pytest.approx(plainly(model, result_of(home)), abs=1e-5)
    assert issubclass(type(registry), Registry)
    assert Finder is not None


def test_a_plan_looks_at_a_run(trained: Path) -> None:
    """Facts and configuration are there without loading anything: its labels are the run's own."""
    registry = registry_at(trained)
    settings = TrainSettings(model="run/first")
    spec = base_spec(settings, registry.resolve)
    base = look_at(spec, registry._loader)  # type: ignore[arg-type]
    assert (base.spec.source, base.name, base.download_bytes) == (Source.RUN, "run/first", 0)
    assert sorted(base.config["id2label"].values()) == ["bad", "good"]


def test_nothing_goes_on_from_learnt_inputs(tmp_path: Path, model: Path) -> None:
    """Prefix tuning changed no weight: a training on top of it is refused in words."""
    train(tmp_path, model, feelings(), name="prefix", method="prefix-tuning", **BRIEF)
    with pytest.raises(InvalidInput) as refusal:
        train(tmp_path, "run/prefix", feelings(), name="more", **BRIEF)
    assert refusal.value.sentence.key == "error.train_continues_prompts"
    desk = open_atelier(Settings(home=tmp_path)).train_desk
    with pytest.raises(InvalidInput) as planned:
        desk.plan(TrainSettings(model="run/prefix", dataset="samples/reviews"), DataShape(9, 1), measured=False)
    assert planned.value.sentence.key == "error.train_continues_prompts"


def test_a_chat_template_comes_with_the_run(tmp_path: Path) -> None:
    """A model without a template that was taught conversations is asked with the one it learnt from."""
    model = tiny_llama(tmp_path / "llama")
    talks = [
        {"messages": [{"role": "user", "content": f"say {n}"}, {"role": "assistant", "content": f"it is {n}"}]}
        for n in range(12)
    ]
    train(tmp_path, model, talks, name="talks", task="text-generation", **BRIEF)
    registry = registry_at(tmp_path)
    assert "run/talks" in registry.choices("chat")
    with registry.borrow(registry.resolve("run/talks", "chat")) as loaded:
        assert loaded.tokenizer.chat_template


def test_another_task_is_refused(trained: Path) -> None:
    """A classifier does not mark words: refused before anything is loaded, in the forecast, too."""
    registry = registry_at(trained)
    spec = registry.resolve("run/first", "token-classification")
    with pytest.raises(WrongTask), registry.borrow(spec):
        pass
    with pytest.raises(WrongTask):
        registry.forecast(spec)
    assert registry.forecast(registry.resolve("run/first", TASK)).placement


def test_a_run_without_its_weights_is_refused(home: Path) -> None:
    """The sentence names the run and the file that is missing."""
    (result_of(home) / "adapter_model.safetensors").unlink()
    with pytest.raises(NotAModel, match=r"run/first.*adapter_model\.safetensors"):
        logits(registry_at(home), "run/first")


def test_damaged_weights_are_refused(home: Path) -> None:
    """An adapter that was cut off is no adapter."""
    weights = result_of(home) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(NotAModel):
        logits(registry_at(home), "run/first")


def test_a_deleted_run_is_gone_at_once(home: Path) -> None:
    """Although it is still in memory, its name no longer means anything."""
    registry = registry_at(home)
    spec = registry.resolve("run/first", TASK)
    with registry.borrow(spec):
        pass
    shutil.rmtree(result_of(home).parent)
    with pytest.raises(UnknownName), registry.borrow(spec):
        pass


def test_a_run_whose_base_is_gone_or_another_is_refused(home: Path) -> None:
    """Deleted, or deleted and trained anew under the same name: neither is what the second run learnt on."""
    first = result_of(home).parent
    train(home, "run/first", feelings(), name="second", **BRIEF)
    shutil.move(first, home / "aside")
    with pytest.raises(NotAModel) as refusal:
        logits(registry_at(home), "run/second")
    assert refusal.value.sentence.key == "error.run_base_gone"
    other = home / "runs" / ("0" * 32)
    shutil.move(home / "aside", other)
    job = json.loads((other / "job.json").read_text())
    (other / "job.json").write_text(json.dumps({**job, "id": other.name}))
    with pytest.raises(NotAModel) as refusal:
        logits(registry_at(home), "run/second")
    assert refusal.value.sentence.key == "error.run_base_changed"
