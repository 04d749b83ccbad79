"""Each committed starter loads with plain transformers and peft, and does what its card says."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BatchEncoding,
    PreTrainedTokenizerBase,
)
from transformers.utils import ModelOutput

from recipes import _scratch_run
from recipes._base import base_folder
from recipes._run import NAMES, recipe_module
from recipes.nli import entailment

pytestmark = [
    pytest.mark.starters,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]

STARTERS = Path(__file__).parents[2] / "assets" / "starters"
MADE = [name for name in NAMES if (STARTERS / name / "metrics.json").exists()]
LARGEST_FILE = 10_000_000
SAMPLE = 200
CLASSES = {
    "sentiment": AutoModelForSequenceClassification,
    "nli": AutoModelForSequenceClassification,
    "entities": AutoModelForTokenClassification,
    "question-answering": AutoModelForQuestionAnswering,
    "fill-mask": AutoModelForMaskedLM,
}


@cache
def starter(name: str) -> PeftModel:
    """Load a committed starter the way its card shows."""
    folder = STARTERS / name
    config = AutoConfig.from_pretrained(folder)
    base = CLASSES[name].from_pretrained(base_folder(), config=config, dtype=torch.float32)
    return PeftModel.from_pretrained(base, folder).eval()


@cache
def tokenizer() -> PreTrainedTokenizerBase:
    """Return the base model's tokenizer."""
    return AutoTokenizer.from_pretrained(base_folder())


def run(name: str, *texts: str) -> tuple[BatchEncoding, ModelOutput]:
    """Return the tokens of a text or a pair and what the starter makes of them."""
    inputs = tokenizer()(*texts, return_tensors="pt")
    with torch.inference_mode():
        return inputs, starter(name)(**inputs)


def label(name: str, *texts: str) -> str:
    """Return the most likely label."""
    _, output = run(name, *texts)
    return starter(name).config.id2label[int(output.logits.argmax())]


def answer(question: str, context: str) -> str:
    """Return the best span of the context."""
    inputs, output = run("question-answering", question, context)
    spans = output.start_logits[0, :, None] + output.end_logits[0, None, :]
    spans[torch.ones_like(spans).tril(-1).bool()] = float("-inf")
    outside = torch.tensor([part != 1 for part in inputs.sequence_ids()])
    spans[outside], spans[:, outside] = float("-inf"), float("-inf")
    start, end = divmod(int(spans.argmax()), spans.shape[1])
    return context[inputs.token_to_chars(start).start : inputs.token_to_chars(end).end]


def entity_words(text: str) -> dict[str, str]:
    """Return the words that are part of an entity, with its type."""
    inputs, output = run("entities", text)
    names = starter("entities").config.id2label
    found: dict[str, str] = {}
    for word, best in zip(inputs.word_ids(), output.logits[0].argmax(-1).tolist(), strict=True):
        if word is not None:
            start, end = inputs.word_to_chars(word)
            found.setdefault(text[start:end], names[best].split("-")[-1])
    return {word: kind for word, kind in found.items() if kind != "O"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I love this!", "POSITIVE"),
        ("The service was terrible.", "NEGATIVE"),
        ("Great food, friendly staff, we will come back.", "POSITIVE"),
        ("A complete waste of two hours.", "NEGATIVE"),
        ("It broke after one day and nobody answered my emails.", "NEGATIVE"),
        ("Not bad at all, I was pleasantly surprised.", "POSITIVE"),
        ("I didn't enjoy this at all.", "NEGATIVE"),
        ("THE BEST CONCERT OF MY LIFE", "POSITIVE"),
    ],
)
def test_sentiment_of_everyday_sentences(text: str, expected: str) -> None:
    """Everyday sentences, typed as people type, come out right."""
    assert label("sentiment", text) == expected


def test_entities_of_a_plain_sentence() -> None:
    """People and places are found, verbs are not."""
    found = entity_words("Angela Merkel met Bill Gates in Berlin before flying to Washington.")
    assert found["Merkel"] == found["Gates"] == "PER"
    assert found["Berlin"] == found["Washington"] == "LOC"
    assert "met" not in found
    assert "flying" not in found


def test_entities_of_an_organisation() -> None:
    """Organisations are told from places."""
    found = entity_words("She left Microsoft for a job at Google in Zurich.")
    assert found["Microsoft"] == found["Google"] == "ORG"
    assert found["Zurich"] == "LOC"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Where was the bridge built?", "Porto"),
        ("Who designed the bridge?", "Elena Duarte"),
        ("When was it opened?", "1886"),
    ],
)
def test_answers_from_a_short_text(question: str, expected: str) -> None:
    """Where, who and when are answered from a short text."""
    context = (
        "The old iron bridge was built in Porto. It was designed by Elena Duarte, an engineer, and "
        "opened to the public in 1886."
    )
    assert expected in answer(question, context)


@pytest.mark.parametrize(
    ("premise", "hypothesis", "expected"),
    [
        ("A man is playing a guitar on stage.", "A man is playing an instrument.", "entailment"),
        ("A man is playing a guitar on stage.", "The man is asleep in bed.", "contradiction"),
        ("Two children are running on the beach.", "The children are siblings on holiday.", "neutral"),
    ],
)
def test_entailment_of_simple_pairs(premise: str, hypothesis: str, expected: str) -> None:
    """One clear pair of each kind is recognised."""
    assert label("nli", premise, hypothesis) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("book me a flight to rome for next weekend", "travel"),
        ("how long do i boil the potatoes", "cooking"),
        ("my car needs new tires", "cars"),
    ],
)
def test_topics_by_name(text: str, expected: str) -> None:
    """Texts go under the right one of four named topics."""
    topics = ["travel", "cooking", "cars", "politics"]
    best = entailment(starter("nli"), [text], topics)[0].argmax()
    assert topics[best] == expected


def test_embeddings_bring_like_meanings_together() -> None:
    """Two login problems are more alike than a login and a soup."""
    texts = ["How do I reset my password?", "I forgot my login details.", "The soup needs more salt."]
    model = AutoModel.from_pretrained(base_folder(), dtype=torch.float32).eval()
    inputs = tokenizer()(texts, padding=True, return_tensors="pt")
    mask = inputs["attention_mask"].unsqueeze(-1)
    with torch.inference_mode():
        vectors = (model(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)
    vectors = torch.nn.functional.normalize(vectors, dim=-1)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


@pytest.mark.skipif(
    "fill-mask" not in MADE, reason="assets/starters/fill-mask is not made yet; make starters builds it"
)
def test_a_gap_in_a_saying_is_filled() -> None:
    """The word that everybody expects in the first line of a tale is the first guess."""
    inputs, output = run("fill-mask", "Once upon a [MASK], there was a little girl.")
    place = inputs.input_ids[0].tolist().index(tokenizer().mask_token_id)
    assert tokenizer().decode(output.logits[0, place].argmax()) == "time"


@pytest.mark.parametrize("name", MADE)
def test_card_states_every_measured_value(name: str) -> None:
    """Every value of metrics.json stands in the card, with its interval."""
    metrics = json.loads((STARTERS / name / "metrics.json").read_text(encoding="utf-8"))
    card = (STARTERS / name / "README.md").read_text(encoding="utf-8")
    for row in metrics["measurements"]:
        assert f"| {row['name']} | {row['value']} | {row['ci95'][0]} – {row['ci95'][1]} |" in card


@pytest.mark.parametrize("name", MADE)
def test_files_are_small_enough_to_ship(name: str) -> None:
    """No file is over 10 MB."""
    assert all(file.stat().st_size < LARGEST_FILE for file in (STARTERS / name).iterdir())


@pytest.mark.skipif("ATELIER_DATA" not in os.environ, reason="ATELIER_DATA names no data folder")
@pytest.mark.parametrize("name", sorted(set(CLASSES).intersection(MADE)))
def test_a_sample_scores_as_recorded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first measurement, repeated on some of its rows, agrees with the recorded interval.

    The sample's own interval is wider than the recorded one, so agreeing means that they overlap.
    """
    module = recipe_module(name)
    recorded = json.loads((STARTERS / name / "metrics.json").read_text(encoding="utf-8"))["measurements"][0]
    whole = module.read
    monkeypatch.setattr(module, "read", lambda *place: _sample(whole(*place)))
    monkeypatch.setattr(module, "_topic_scores", lambda *_: [], raising=False)  # slow, and not the first one
    again = module.measure(starter(name), Path(os.environ["ATELIER_DATA"]))[0]
    assert again.name == recorded["name"]
    assert again.ci95[0] <= recorded["ci95"][1]
    assert recorded["ci95"][0] <= again.ci95[1]


@pytest.mark.skipif("ATELIER_DATA" not in os.environ, reason="ATELIER_DATA names no data folder")
@pytest.mark.parametrize("name", [name for name in _scratch_run.NAMES if (STARTERS / name / "metrics.json").exists()])
def test_a_sample_of_what_was_trained_from_scratch_scores_as_recorded(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every measurement of a model of our own, repeated on some of its rows, agrees with the recorded interval."""
    module = recipe_module(name)
    recorded = json.loads((STARTERS / name / "metrics.json").read_text(encoding="utf-8"))["measurements"]
    whole = module.read
    monkeypatch.setattr(module, "read", lambda *place: _sample(whole(*place)))
    model, own_tokenizer = _scratch_run.load_starter(module.RECIPE, STARTERS / name)
    for before, again in zip(
        recorded, module.measure(model, own_tokenizer, Path(os.environ["ATELIER_DATA"])), strict=True
    ):
        assert again.name == before["name"]
        assert again.ci95[0] <= before["ci95"][1]
        assert before["ci95"][0] <= again.ci95[1]


def _sample(table: pd.DataFrame) -> pd.DataFrame:
    return table.sample(min(SAMPLE, len(table)), random_state=13)
