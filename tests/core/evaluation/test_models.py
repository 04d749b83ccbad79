"""Metrics that ask a model: tiny ones of random weights, beside the plain library one text at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from core.catalogue import Catalogue
from core.errors import InvalidInput
from core.evaluation import load
from core.evaluation.lending import lender
from core.hub.client import Hub
from core.models.loading import Loader
from core.models.registry import Registry
from core.settings import Settings
from tests.fakes.models import tiny_bert, tiny_llama

TEXTS = ["Once upon a time there was a fox.", "A fox!", "The snow lay deep, and nobody came 今天."]


@pytest.fixture(scope="module")
def registry() -> Registry:
    """Give a real registry that loads local folders."""
    return Registry(Catalogue(Settings()), Loader(Catalogue(Settings()), Hub(offline=True)))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a tiny causal model whose tokens are bytes."""
    return str(tiny_llama(tmp_path_factory.mktemp("llama") / "tiny"))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a tiny encoder."""
    return str(tiny_bert(tmp_path_factory.mktemp("bert") / "tiny", "encoder"))


def plain_losses(folder: str, texts: list[str], *, start: bool) -> list[float]:
    """Return the mean loss of each text, computed alone by the plain library."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    losses = []
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        row = torch.tensor([[tokenizer.bos_token_id, *ids] if start else ids])
        with torch.inference_mode():
            losses.append(float(model(input_ids=row, labels=row).loss))
    return losses


@pytest.mark.parametrize("start", [True, False])
@pytest.mark.parametrize("side", ["right", "left"])
def test_perplexity(registry: Registry, llama: str, start: bool, side: str) -> None:
    """Exp of each text's own loss and the mean of these, whichever side a batch is padded on."""
    spec = registry.resolve(llama, "text-generation")
    with registry.borrow(spec) as model:
        before, model.tokenizer.padding_side = model.tokenizer.padding_side, side
        found = load("perplexity", registry=registry).compute(predictions=TEXTS, model_id=llama, add_start_token=start)
        model.tokenizer.padding_side = before
    expected = [math.exp(loss) for loss in plain_losses(llama, TEXTS, start=start)]
    assert found["perplexities"] == pytest.approx(expected, rel=1e-5)
    assert found["mean_perplexity"] == pytest.approx(np.mean(expected), rel=1e-5)
    assert found.implementation.settings["provenance"]["model"] == llama


@pytest.mark.parametrize("start", [True, False])
def test_bits_per_byte(registry: Registry, llama: str, start: bool) -> None:
    """All nats over all bytes of UTF-8 that carry loss; here every token is one byte."""
    found = load("bits_per_byte", registry=registry).compute(predictions=TEXTS, model_id=llama, add_start_token=start)
    counts = [len(text.encode()) - (0 if start else 1) for text in TEXTS]
    losses = plain_losses(llama, TEXTS, start=start)
    nats = sum(loss * count for loss, count in zip(losses, counts, strict=True))
    assert found["bits_per_byte"] == pytest.approx(nats / sum(counts) / math.log(2), rel=1e-5)


def test_long_texts_are_cut_and_said(registry: Registry, llama: str) -> None:
    """Beyond max_length only the beginning counts, and a note says of how many texts."""
    found = load("perplexity", registry=registry).compute(predictions=TEXTS, model_id=llama, max_length=9)
    expected = [math.exp(loss) for loss in plain_losses(llama, [text[:8] for text in TEXTS], start=True)]
    assert found["perplexities"] == pytest.approx(expected, rel=1e-5)
    assert [(note.key, note.values["count"]) for note in found.notes] == [("reason.metric_cut", 2)]


def test_what_cannot_be_expected_is_refused(registry: Registry, llama: str) -> None:
    """A text of one token without a start token has nothing to score, and says which row."""
    with pytest.raises(InvalidInput, match="row 2"):
        load("perplexity", registry=registry).compute(predictions=["ab", "a"], model_id=llama, add_start_token=False)


def nearest(folder: str, predicted: str, expected: str, layer: int) -> tuple[float, float]:
    """Return precision and recall of BERTScore as its paper writes them, token by token in plain loops."""
    model, tokenizer = (one.from_pretrained(folder) for one in (transformers.AutoModel, transformers.AutoTokenizer))
    sides = []
    for text in (predicted, expected):
        inputs = tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            states = model.eval()(**inputs, output_hidden_states=True).hidden_states[layer][0]
        sides.append((states / states.norm(dim=-1, keepdim=True)).numpy())
    means = []
    for one, other in (sides, sides[::-1]):
        means.append(float(np.mean([max(token @ near for near in other) for token in one[1:-1]])))
    return means[0], means[1]


@pytest.mark.parametrize("layer", [1, 2])
def test_bertscore(registry: Registry, bert: str, layer: int) -> None:
    """Each token's nearest one by cosine, averaged; [CLS] and [SEP] may be near but are not averaged."""
    predictions = ["the film was good", "ada lives in london"]
    references = ["a great film", "ada lovelace works in paris ."]
    found = load("bertscore", registry=registry).compute(
        predictions=predictions, references=references, model_type=bert, num_layers=layer, lang="en"
    )
    for row, (predicted, expected) in enumerate(zip(predictions, references, strict=True)):
        precision, recall = nearest(bert, predicted, expected, layer)
        assert found["precision"][row] == pytest.approx(precision, abs=1e-6)
        assert found["recall"][row] == pytest.approx(recall, abs=1e-6)
        assert found["f1"][row] == pytest.approx(2 * precision * recall / (precision + recall), abs=1e-6)
    assert f"_L{layer}_no-idf" in found["hashcode"]


def test_bertscore_takes_the_best_reference_and_says_what_is_empty(registry: Registry, bert: str) -> None:
    """The reference that is equal gives 1; an empty prediction gives 0 and is counted."""
    given: dict[str, Any] = {"predictions": ["the film", ""], "references": [["awful plot", "the film"], ["a", "b"]]}
    found = load("bertscore", registry=registry).compute(**given, model_type=bert)
    assert found["f1"] == pytest.approx([1.0, 0.0], abs=1e-6)
    assert [note.key for note in found.notes] == ["reason.metric_empty_predictions"]


def test_bertscore_refuses_what_it_does_not_have(registry: Registry, bert: str) -> None:
    """There are no baselines here, and no layer that the model lacks."""
    given: dict[str, Any] = {"predictions": ["a"], "references": ["a"], "model_type": bert}
    with pytest.raises(InvalidInput, match="rescale_with_baseline"):
        load("bertscore", registry=registry).compute(**given, rescale_with_baseline=True)
    with pytest.raises(InvalidInput, match="num_layers"):
        load("bertscore", registry=registry).compute(**given, num_layers=3)


def test_without_a_registry_a_metric_opens_one() -> None:
    """A script names no registry; the metric then has its own, and the same for every call."""
    own = lender(None)
    assert own() is own()
    assert own() is not lender(None)()
