"""Looking into a loaded model."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.catalogue import Catalogue
from core.errors import Cancelled, UnknownName
from core.events import CancelToken
from core.hub.client import Hub
from core.models.diagnosis import PROBE, RUNS, diagnose
from core.models.loading import Loader
from core.models.registry import Registry
from core.settings import Settings
from tests.fakes.models import tiny_bert, vocabulary_of_tiny_bert


@pytest.fixture
def registry() -> Registry:
    """Give a registry over the real loader."""
    catalogue = Catalogue(Settings())
    return Registry(catalogue, Loader(catalogue, Hub(offline=True)))


def resident(registry: Registry, folder: Path, task: str) -> str:
    """Load a folder and return its id in the ledger."""
    with registry.borrow(registry.resolve(str(folder), task)):
        return registry.ledger()[0].id


def test_the_figures_are_right(registry: Registry, tmp_path: Path) -> None:
    """Parameters, layers, labels and lengths are those of the model; the latencies are in order."""
    import transformers

    folder = tiny_bert(tmp_path / "tiny")
    plain = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    found = diagnose(resident(registry, folder, "text-classification"), registry)
    assert found.parameters == found.trainable == plain.num_parameters()
    assert (found.architecture, found.layers, found.hidden_size) == ("BertForSequenceClassification", 2, 32)
    assert (found.vocabulary, found.max_length) == (len(vocabulary_of_tiny_bert()), 128)
    assert found.labels == ("NEGATIVE", "POSITIVE")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert found.probe_tokens == len(tokenizer(PROBE)["input_ids"])
    assert 0 < found.latency_min_seconds <= found.latency_median_seconds <= found.latency_max_seconds
    assert found.provenance.seconds >= RUNS * found.latency_min_seconds
    assert registry.ledger()[0].borrowed == 0


def test_an_encoder_decoder_is_timed_by_its_encoder(registry: Registry, tmp_path: Path) -> None:
    """A model that writes has no labels, and its reading half is what the probe runs through."""
    import transformers

    folder = tiny_bert(tmp_path / "bart")
    config = transformers.BartConfig(
        vocab_size=200, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64,
    )  # fmt: skip
    transformers.BartForConditionalGeneration(config).save_pretrained(folder)
    found = diagnose(resident(registry, folder, "summarization"), registry)
    assert (found.architecture, found.labels, found.layers) == ("BartForConditionalGeneration", (), 2)


def passes_of(registry: Registry, at_pass: Callable[[int], None]) -> Any:
    """Tell `at_pass` the number of each forward pass of the model in memory, from within it; returns the counter."""
    count = itertools.count(1)
    with registry.borrow_resident(registry.ledger()[0].id) as loaded:
        return loaded.model.register_forward_hook(lambda *_: at_pass(next(count)))


def test_others_compute_between_two_passes(registry: Registry, tmp_path: Path) -> None:
    """Who asks during a diagnosis waits for one pass, not for all of them."""
    found = resident(registry, tiny_bert(tmp_path / "tiny"), "text-classification")
    order: list[str] = []

    def at_pass(number: int) -> None:
        order.append("pass")
        if number == 3:
            ask = threading.Thread(target=registry.batcher.submit, args=("other", [1], other))
            ask.start()
            asked.append(ask)
            while not registry.batcher._waiting:
                time.sleep(0.001)

    def other(items: Sequence[int]) -> Sequence[int]:
        order.append("other")
        return items

    asked: list[threading.Thread] = []
    passes_of(registry, at_pass)
    diagnose(found, registry)
    asked[0].join(60)
    assert order == [*["pass"] * 3, "other", *["pass"] * (RUNS - 2)]


def test_a_diagnosis_stops_after_the_pass_that_runs(registry: Registry, tmp_path: Path) -> None:
    """A cancelled diagnosis computes nothing more, and gives its model back."""
    found = resident(registry, tiny_bert(tmp_path / "tiny"), "text-classification")
    cancel, passed = CancelToken(), list[int]()

    def at_pass(number: int) -> None:
        passed.append(number)
        if number == 3:
            cancel.cancel()

    passes_of(registry, at_pass)
    with pytest.raises(Cancelled):
        diagnose(found, registry, cancel)
    assert passed == [1, 2, 3]
    assert registry.ledger()[0].borrowed == 0


def test_a_model_that_was_released_is_not_loaded_again(registry: Registry, tmp_path: Path) -> None:
    """The answer is that it is gone."""
    gone = resident(registry, tiny_bert(tmp_path / "tiny"), "text-classification")
    registry.release(gone)
    with pytest.raises(UnknownName, match="no longer"):
        diagnose(gone, registry)
    assert registry.ledger() == []
