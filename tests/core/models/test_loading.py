"""From a name to a model that answers as plain transformers and peft do, or to a sentence."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from core.catalogue import (
    STARTER_BASE,
    Catalogue,
    StarterBase,
    find_task,
    starter_folder,
    starter_metrics,
    starter_names,
)
from core.errors import (
    DamagedDownload,
    HubGated,
    HubMissing,
    InvalidInput,
    NotAllowed,
    NotAModel,
    UnsafeWeights,
    WrongTask,
)
from core.hub.client import Hub
from core.models import files as model_files
from core.models import folder as model_folder
from core.models.folder import is_adapter, is_whole, sha256_of, starter_base_folder, verify
from core.models.loading import Loader, longest_input
from core.models.registry import Registry
from core.placement.planner import Wish
from core.settings import Mode, Settings
from tests.fakes.hub_server import FakeHub
from tests.fakes.models import tiny_bert

TASK = "text-classification"
TEXT = "a very good film , not bad"


def registry_of(hub: Hub | None = None, settings: Settings | None = None) -> Registry:
    """Make a registry over the real loader."""
    catalogue = Catalogue(settings or Settings())
    return Registry(catalogue, Loader(catalogue, hub or Hub(offline=True)))


def ask(registry: Registry, name: str, task: str = TASK, wish: Wish | None = None) -> tuple[torch.Tensor, Any]:
    """Return the logits of one text, and the provenance."""
    with registry.borrow(registry.resolve(name, task, wish)) as model, torch.inference_mode():
        return model.model(**model.tokenizer(TEXT, return_tensors="pt")).logits.float(), model.provenance(0)


def plainly(folder: Path, head: str = "AutoModelForSequenceClassification") -> torch.Tensor:
    """Return the logits that plain transformers gives."""
    import transformers

    model = getattr(transformers, head).from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        return model(**tokenizer(TEXT, return_tensors="pt")).logits


def write_adapter(base: Path, folder: Path, base_name: str, labels: int = 2) -> torch.Tensor:
    """Write a LoRA adapter with a head of its own; returns what peft answers with it."""
    import peft
    import transformers

    torch.manual_seed(3)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=labels, ignore_mismatched_sizes=True
    )
    config = peft.LoraConfig(r=4, target_modules=["query", "value"], task_type="SEQ_CLS", init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        adapted = peft.get_peft_model(model, config).eval()
    adapted.save_pretrained(folder)
    description = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**description, "base_model_name_or_path": base_name}))
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    with torch.inference_mode():
        found: torch.Tensor = adapted(**tokenizer(TEXT, return_tensors="pt")).logits
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a tiny classifier."""
    return tiny_bert(tmp_path / "tiny")


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """Give a Hub."""
    with FakeHub() as server:
        yield server


@pytest.fixture
def online(hub: FakeHub, tmp_path: Path) -> Registry:
    """Give a registry that asks that Hub."""
    return registry_of(Hub(endpoint=hub.endpoint, cache=tmp_path / "cache"))


def test_equals_plain_transformers(folder: Path) -> None:
    """A local folder answers as from_pretrained does."""
    found, provenance = ask(registry_of(), str(folder))
    torch.testing.assert_close(found, plainly(folder), rtol=0, atol=1e-5)
    assert (provenance.device, provenance.dtype, provenance.adapter) == ("cpu", "float32", None)
    assert provenance.revision.startswith("folder-")


def adapter_by_hand(own: Path, auto: Any) -> Any:
    """Load a starter's adapter on its base, unmerged, with plain transformers and peft."""
    import peft
    import transformers

    config = transformers.AutoConfig.from_pretrained(own)
    base = auto.from_pretrained(starter_base_folder(), config=config, attn_implementation="eager")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return peft.PeftModel.from_pretrained(base, str(own)).eval()


@pytest.mark.parametrize("name", [name for name in starter_names() if is_adapter(starter_folder(name))])
def test_starters_equal_plain_transformers_and_peft(name: str) -> None:
    """A shipped starter, merged, answers as its adapter does on its base, loaded by hand."""
    import transformers

    own = starter_folder(name)
    task = starter_metrics(name)["task"]
    plain = adapter_by_hand(own, getattr(transformers, find_task(task).auto_class))
    registry = registry_of()
    with registry.borrow(registry.resolve(name, task)) as model, torch.inference_mode():
        tokens = model.tokenizer(TEXT, return_tensors="pt")
        for ours, theirs in zip(model.model(**tokens).values(), plain(**tokens).values(), strict=True):
            torch.testing.assert_close(
                ours.float(), theirs, rtol=1e-5, atol=1e-5 if model.model.dtype == torch.float32 else 0.1
            )
        assert model.provenance(0).adapter.startswith(f"{name}@")


@pytest.mark.parametrize("name", [name for name in starter_names() if is_whole(starter_folder(name))])
def test_whole_starters_equal_plain_transformers(name: str) -> None:
    """A starter that needs no base has, by its name, the weights and the words of a plain from_pretrained."""
    import transformers

    own, metrics = starter_folder(name), starter_metrics(name)
    plain = getattr(transformers, metrics["auto_class"]).from_pretrained(own)
    registry = registry_of()
    with registry.borrow(registry.resolve(name, metrics["task"])) as model:
        theirs = plain.state_dict()
        assert all(torch.equal(weight.float(), theirs[key]) for key, weight in model.model.state_dict().items())
        assert model.tokenizer(TEXT)["input_ids"] == transformers.AutoTokenizer.from_pretrained(own)(TEXT)["input_ids"]
        assert (model.provenance(0).model, model.provenance(0).adapter) == (name, None)


def test_a_starter_that_is_a_whole_model_needs_no_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of its own are loaded, and planned, where there is neither the package of the base nor a Hub."""
    starter = tiny_bert(tmp_path / "starters" / "tiny")
    (starter / "metrics.json").write_text('{"base_model": null}')
    monkeypatch.setattr("core.catalogue.STARTERS_FOLDER", starter.parent)
    monkeypatch.setattr(model_files, "starter_base_folder", lambda: None)
    registry = registry_of()
    assert registry.forecast(registry.resolve("starter/tiny", TASK)).preview.download_bytes == 0
    found, provenance = ask(registry, "starter/tiny")
    torch.testing.assert_close(found, plainly(starter), rtol=0, atol=1e-5)
    assert provenance.revision == sha256_of(starter / "model.safetensors")[:12]


def write_masked_adapter(base: Path, folder: Path, *, head: bool) -> torch.Tensor:
    """Write a LoRA adapter of a masked language model, with or without its head; returns what peft answers with it."""
    import peft
    import transformers

    torch.manual_seed(3)
    model = transformers.AutoModelForMaskedLM.from_pretrained(base)
    saved = {"modules_to_save": ["transform"]} if head else {}
    config = peft.LoraConfig(r=4, target_modules=r".*encoder.*\.(query|value)", init_lora_weights=False, **saved)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        adapted = peft.get_peft_model(model, config).eval()
    adapted.save_pretrained(folder, save_embedding_layers=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    with torch.inference_mode():
        found: torch.Tensor = adapted(**tokenizer(TEXT, return_tensors="pt")).logits
    return found


def test_an_adapter_brings_the_head_of_a_masked_language_model(tmp_path: Path) -> None:
    """Over a bare encoder it answers as with peft, without a bias for the words; one without a head does not."""
    base = tiny_bert(tmp_path / "base", "encoder")
    expected = write_masked_adapter(base, tmp_path / "adapter", head=True)
    registry = registry_of()
    found, _ = ask(registry, str(tmp_path / "adapter"), "fill-mask", Wish(device="cpu", dtype="float32"))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    with registry.borrow(registry.resolve(str(tmp_path / "adapter"), "fill-mask")) as model:
        assert model.model.get_output_embeddings().weight is model.model.get_input_embeddings().weight
    with pytest.raises(WrongTask, match="ForMaskedLM"):
        ask(registry, str(tmp_path / "adapter"))
    write_masked_adapter(base, tmp_path / "headless", head=False)
    with pytest.raises(WrongTask, match="transform"):
        ask(registry, str(tmp_path / "headless"), "fill-mask")


def test_the_encoder_under_the_head_of_a_masked_language_model(tmp_path: Path) -> None:
    """Where only the encoder is asked for, it is the adapted one, though PEFT has no name for such a task."""
    import transformers

    base = tiny_bert(tmp_path / "base", "encoder")
    write_masked_adapter(base, tmp_path / "adapter", head=True)
    registry = registry_of()
    wish = Wish(device="cpu", dtype="float32")
    with registry.borrow(registry.resolve(str(tmp_path / "adapter"), "attention", wish)) as model:
        plain = transformers.AutoModel.from_pretrained(base)
        name = "encoder.layer.0.attention.self.query.weight"
        assert not torch.equal(model.model.state_dict()[name], plain.state_dict()[name])


def test_the_hub_by_name_revision_and_adapter(hub: FakeHub, online: Registry, folder: Path, tmp_path: Path) -> None:
    """Model, model@revision, base+adapter and an adapter-only repository answer as plain libraries do."""
    expected = plainly(folder)
    adapted = write_adapter(folder, tmp_path / "adapter", "org/tiny")
    commit, adapter_commit = hub.add("org/tiny", folder), hub.add("me/adapter", tmp_path / "adapter")
    hub.repositories["org/tiny"].revisions["v1"] = commit
    for name in ("org/tiny", "org/tiny@v1", f"org/tiny@{commit}"):
        found, provenance = ask(online, name)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        assert (provenance.revision, provenance.adapter) == (commit, None)
    assert len(online.ledger()) == 1
    for name in ("org/tiny+me/adapter", "org/tiny+me/adapter@main", "me/adapter"):
        found, provenance = ask(online, name)
        torch.testing.assert_close(found, adapted, rtol=0, atol=1e-5)
        assert (provenance.revision, provenance.adapter) == (commit, f"me/adapter@{adapter_commit}")
    assert len(online.ledger()) == 3


def test_an_adapter_knows_its_labels(folder: Path, tmp_path: Path) -> None:
    """An adapter with three labels stands on a base that was saved with two."""
    expected = write_adapter(folder, tmp_path / "adapter", str(folder), labels=3)
    found, _ = ask(registry_of(), str(tmp_path / "adapter"))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_an_adapter_for_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    """A classifier's adapter is none for entities; one that names no base, or itself, says so."""
    write_adapter(folder, tmp_path / "adapter", str(folder))
    with pytest.raises(WrongTask):
        ask(registry_of(), str(tmp_path / "adapter"), "token-classification")
    for base, words in (("", "base_model_name_or_path"), (str(tmp_path / "adapter"), "adapter → adapter")):
        path = tmp_path / "adapter" / "adapter_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": base}))
        with pytest.raises(NotAModel, match=words):
            ask(registry_of(), str(tmp_path / "adapter"))


def test_an_interrupted_download_goes_on(hub: FakeHub, online: Registry, folder: Path) -> None:
    """A cut connection is taken up where it broke, and the model answers."""
    hub.add("org/tiny", folder)
    hub.cut("model.safetensors", after=5_000)
    found, _ = ask(online, "org/tiny")
    torch.testing.assert_close(found, plainly(folder), rtol=0, atol=1e-5)
    assert [request.range for request in hub.asked("GET", "model.safetensors")][-1] == "bytes=5000-"


def test_the_hub_refuses_in_words(hub: FakeHub, online: Registry, folder: Path, tmp_path: Path) -> None:
    """Gated, missing and pickle-only repositories each have their error."""
    hub.add("org/gated", folder, gated=True)
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text("{}")
    (pickled / "pytorch_model.bin").write_bytes(b"x")
    hub.add("org/pickled", pickled)
    for name, error in (("org/gated", HubGated), ("org/none", HubMissing), ("org/pickled", UnsafeWeights)):
        with pytest.raises(error):
            ask(online, name)


def test_a_wrong_model_is_refused_before_its_weights_are_fetched(
    hub: FakeHub, online: Registry, tmp_path: Path
) -> None:
    """Another head, or code of its own, costs no download; the planner says the same."""
    hub.add("org/entities", tiny_bert(tmp_path / "entities", "token-classification"))
    hub.add("org/code", tiny_bert(tmp_path / "code"), config={"auto_map": {"AutoModel": "modeling_x.X"}})
    for name, error in (("org/entities", WrongTask), ("org/code", UnsafeWeights)):
        with pytest.raises(error):
            ask(online, name)
        assert not [one for one in hub.asked("GET", "model.safetensors") if not one.range]
    with pytest.raises(WrongTask):
        online.forecast(online.resolve("org/entities", TASK))


def test_the_plan_of_an_adapter_counts_its_base(hub: FakeHub, online: Registry, folder: Path, tmp_path: Path) -> None:
    """A forecast fetches no weights, and knows the base under an adapter."""
    write_adapter(folder, tmp_path / "adapter", "org/tiny")
    hub.add("org/tiny", folder)
    hub.add("me/adapter", tmp_path / "adapter")
    alone = online.forecast(online.resolve("org/tiny", TASK)).preview
    found = online.forecast(online.resolve("me/adapter", TASK)).preview
    assert found.facts.parameters == alone.facts.parameters
    assert found.download_bytes > alone.download_bytes > 0
    assert not [one for one in hub.asked("GET", "model.safetensors") if not one.range]


def change(folder: Path, **values: Any) -> None:
    """Change config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_an_encoder_without_a_head_gives_no_random_answers(tmp_path: Path) -> None:
    """A head that the weights lack is missed, even where config.json claims it."""
    folder = tiny_bert(tmp_path / "entities", "token-classification")
    change(folder, architectures=["BertForSequenceClassification"])
    with pytest.raises(WrongTask, match="random"):
        ask(registry_of(), str(folder))
    change(folder, architectures=None)
    with pytest.raises(WrongTask, match="random"):
        ask(registry_of(), str(folder))
    ask_features = registry_of()
    with ask_features.borrow(ask_features.resolve(str(folder), "feature-extraction")) as model:
        assert type(model.model).__name__ == "BertModel"


def weights(folder: Path) -> Path:
    """Return the file with the weights."""
    return folder / "model.safetensors"


def forget_tokenizer(folder: Path) -> None:
    """Remove the tokenizer's files."""
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (folder / name).unlink()


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), NotAModel),
        (lambda folder: (folder / "config.json").write_text("[]"), NotAModel),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe\x00"), NotAModel),
        (lambda folder: (folder / "config.json").unlink(), NotAModel),
        (lambda folder: change(folder, model_type="nobody-knows"), NotAModel),
        (lambda folder: change(folder, hidden_size="wide"), NotAModel),
        (lambda folder: change(folder, hidden_size=64), NotAModel),
        (lambda folder: change(folder, architectures="Bert"), NotAModel),
        (lambda folder: change(folder, auto_map={"AutoModel": "x.X"}), UnsafeWeights),
        (lambda folder: weights(folder).write_bytes(b"nonsense, not weights"), NotAModel),
        (lambda folder: weights(folder).write_bytes(weights(folder).read_bytes()[:-9]), NotAModel),
        (lambda folder: weights(folder).unlink(), NotAModel),
        (lambda folder: weights(folder).rename(folder / "pytorch_model.bin"), UnsafeWeights),
        (lambda folder: weights(folder).rename(folder / "model-00001-of-00002.safetensors"), NotAModel),
        (forget_tokenizer, NotAModel),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_refused_in_words(folder: Path, damage: Any, error: type[Exception]) -> None:
    """Whatever is wrong with a folder, the answer is a sentence, and nothing stays in memory."""
    damage(folder)
    registry = registry_of()
    with pytest.raises(error):
        ask(registry, str(folder))
    assert registry.ledger() == []


def test_folders_by_every_way_of_writing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """./relative, ~ and absolute paths are one model; what is no folder is refused."""
    registry = registry_of()
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))
    for name in ("./tiny", "~/tiny", str(folder), f"{folder}/../tiny"):
        ask(registry, name)
    assert len(registry.ledger()) == 1
    with pytest.raises(NotAModel, match="does not exist"):
        ask(registry, "./none")
    with pytest.raises(NotAModel, match="holds no model"):
        ask(registry, str(folder.parent))


@pytest.mark.parametrize("mode", [Mode.SPACE, Mode.SHARE])
def test_visitors_get_listed_models_only(folder: Path, tmp_path: Path, mode: Mode) -> None:
    """A Space or a share link refuses folders, unlisted models, and bases that an adapter smuggles in."""
    registry = registry_of(settings=Settings(mode=mode, public=True, hub_models=("org/adapter",)))
    for name in (str(folder), "~/x", "org/unlisted"):
        with pytest.raises(NotAllowed):
            registry.resolve(name, TASK)
    write_adapter(folder, tmp_path / "adapter", str(folder))
    if mode is Mode.SPACE:
        with FakeHub() as hub:
            hub.add("org/adapter", tmp_path / "adapter")
            online = Hub(endpoint=hub.endpoint, cache=tmp_path / "cache")
            smuggling = registry_of(online, Settings(mode=mode, public=True, hub_models=("org/adapter",)))
            with pytest.raises(NotAllowed):
                ask(smuggling, "org/adapter")


def test_every_attention_answers_alike(folder: Path) -> None:
    """sdpa, eager and sliced give equal logits, and provenance names which one ran."""
    registry = registry_of()
    found = {one: ask(registry, str(folder), wish=Wish(attention=one)) for one in ("sdpa", "eager", "sliced")}
    for name, (logits, provenance) in found.items():
        torch.testing.assert_close(logits, found["eager"][0], rtol=0, atol=1e-5)
        assert name in provenance.attention
    assert len(registry.ledger()) == 3


@pytest.mark.parametrize(
    "wish", [{"attention": "flash_attention_2"}, {"quantisation": "nf4"}, {"quantisation": "int8"}]
)
def test_what_this_processor_cannot_do_is_refused(folder: Path, wish: dict[str, str]) -> None:
    """FlashAttention and bitsandbytes on a processor are refused in words before anything loads."""
    registry = registry_of()
    with pytest.raises(InvalidInput):
        ask(registry, str(folder), wish=Wish(device="cpu", **wish))
    assert registry.ledger() == []


def test_bfloat16_can_be_forced_on_a_processor(folder: Path) -> None:
    """The answer comes in bfloat16, close to float32, and says so."""
    found, provenance = ask(registry_of(), str(folder), wish=Wish(device="cpu", dtype="bfloat16"))
    assert provenance.dtype == "bfloat16"
    torch.testing.assert_close(found, plainly(folder), rtol=0, atol=0.02)


def test_the_base_is_held_against_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base of the right size and the wrong bytes is refused; a file is hashed anew when it changes."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"right")
    verify(path, sha256_of(path))
    with pytest.raises(DamagedDownload, match="damaged"):
        verify(path, STARTER_BASE.sha256)
    monkeypatch.setattr(model_files, "starter_base_folder", lambda: tmp_path)
    with pytest.raises(DamagedDownload):
        ask(registry_of(), starter_names()[0])


def test_the_base_comes_from_the_hub_where_the_package_is_missing(
    hub: FakeHub, online: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A starter finds the same bytes under the base's name on the Hub; a plan alone downloads nothing."""
    base = tiny_bert(tmp_path / "base")
    elsewhere = StarterBase("no-such-package", "x", STARTER_BASE.hub_id, sha256_of(base / "model.safetensors"))
    starters = tmp_path / "starters" / "tiny"
    expected = write_adapter(base, starters, STARTER_BASE.hub_id)
    (starters / "config.json").write_text((base / "config.json").read_text())
    (starters / "metrics.json").write_text("{}")
    monkeypatch.setattr("core.catalogue.STARTERS_FOLDER", starters.parent)
    for module in (model_files, model_folder):
        monkeypatch.setattr(module, "STARTER_BASE", elsewhere)
    hub.add(STARTER_BASE.hub_id, base)
    plan = online.forecast(online.resolve("starter/tiny", TASK))
    assert plan.preview.download_bytes > 0
    assert not [one for one in hub.asked("GET", "model.safetensors") if not one.range]
    found, provenance = ask(online, "starter/tiny")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert provenance.model == "starter/tiny"


def test_a_tokenizer_without_padding_does_not_crash(tmp_path: Path) -> None:
    """A GPT-2 classifier, whose tokenizer has no pad token, labels several texts at once as it labels each alone."""
    import transformers

    from core.events import CancelToken
    from core.tasks.text.encoder import Lane
    from core.tasks.text.text_classification import TextClassificationSettings, classify_texts

    folder = tiny_bert(tmp_path / "gpt")
    torch.manual_seed(5)
    config = transformers.GPT2Config(
        vocab_size=200, n_embd=32, n_layer=2, n_head=4, n_positions=64, eos_token_id=3, bos_token_id=2
    )
    transformers.GPT2ForSequenceClassification(config).eval().save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    told = {**json.loads(path.read_text()), "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "[SEP]"}
    path.write_text(
        json.dumps({name: value for name, value in told.items() if name not in {"pad_token", "do_lower_case"}})
    )
    registry = registry_of()
    texts = ["good", "a very good film , not bad", "the plot"]
    settings, lane = TextClassificationSettings(text="-", model=str(folder)), Lane(cancel=CancelToken())
    with registry.borrow(registry.resolve(str(folder), TASK)) as model:
        together = classify_texts(texts, settings, registry, model, lane)
        alone = [classify_texts([text], settings, registry, model, lane)[0] for text in texts]
        assert longest_input(model.tokenizer, model.model.config) == 64
    for ours, theirs in zip(together, alone, strict=True):
        assert ours[0]["score"] == pytest.approx(theirs[0]["score"], abs=1e-5)


@pytest.mark.parametrize("problem", [ValueError, OSError, KeyError, TypeError, ImportError])
def test_an_architecture_that_transformers_cannot_load_is_refused_in_words(
    folder: Path, monkeypatch: pytest.MonkeyPatch, problem: type[Exception]
) -> None:
    """Whatever from_pretrained raises for foreign files, the sentence names the model, the task and the reason."""
    import transformers

    def refuse(*_: Any, **__: Any) -> None:
        raise problem("Unrecognized something")

    monkeypatch.setattr(transformers.AutoModelForSequenceClassification, "from_pretrained", refuse)
    with pytest.raises(NotAModel, match="Unrecognized something") as caught:
        ask(registry_of(), str(folder))
    assert caught.value.sentence.key == "error.class_unusable"
    assert {"name": str(folder), "task": TASK}.items() <= caught.value.sentence.values.items()


def test_a_real_architecture_without_such_a_head_is_refused_in_words(folder: Path) -> None:
    """A vision model in a text task is told by name, not as a bug."""
    import transformers

    transformers.ViTConfig(architectures=["ViTForSequenceClassification"], pad_token_id=0).save_pretrained(folder)
    with pytest.raises(NotAModel, match="Unrecognized configuration class"):
        ask(registry_of(), str(folder))


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("starter/sentiment", "attention"),
        ("starter/entities", "feature-extraction"),
        ("starter/question-answering", "summarization"),
    ],
)
def test_the_encoder_under_a_head_can_be_looked_into(name: str, task: str) -> None:
    """A starter's adapter brings a head; where only the encoder is asked for, it is the adapted one."""
    import peft
    import transformers

    own = starter_folder(name)
    auto = getattr(transformers, find_task(starter_metrics(name)["task"]).auto_class)
    whole = auto.from_pretrained(starter_base_folder(), config=transformers.AutoConfig.from_pretrained(own))
    plain = peft.PeftModel.from_pretrained(whole, str(own)).eval().merge_and_unload().base_model
    registry = registry_of()
    wish = Wish(device="cpu", dtype="float32")
    with registry.borrow(registry.resolve(name, task, wish)) as model, torch.inference_mode():
        tokens = model.tokenizer(TEXT, return_tensors="pt")
        found, expected = model.model(**tokens).last_hidden_state, plain(**tokens).last_hidden_state
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        assert type(model.model).__name__ == "BertModel"


def test_the_encoder_under_an_adapter_that_names_its_task(folder: Path, tmp_path: Path) -> None:
    """PEFT's task_type tells the head as well as the class does."""
    write_adapter(folder, tmp_path / "adapter", str(folder), labels=3)
    registry = registry_of()
    with registry.borrow(registry.resolve(str(tmp_path / "adapter"), "attention")) as model:
        assert type(model.model).__name__ == "BertModel"
        assert model.provenance(0).adapter.startswith("adapter@")
