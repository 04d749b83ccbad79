"""Text classification equals the transformers pipeline, in whatever company a text is computed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from transformers import pipeline

from core.errors import InvalidInput, WrongTask
from core.models.registry import Registry
from core.settings import LIMITS
from core.tasks.text.encoder import INTERACTIVE, encode, pack
from core.tasks.text.text_classification import TASK, TextClassificationSettings, classify_text, classify_texts
from tests.core.tasks.text.conftest import Borrow, MakeModel

TEXTS = (
    "the film was great , we love it !",
    "bad",
    "ada lovelace lives in london ? 🦜 不好 اللغة 영화 " * 3,
    "not good " * 20,
    "the actor was very bad and the plot is awful .",
)
LABELS = ("joy", "anger", "fear", "love", "surprise", "sadness", "calm")


def asked(model: str, **values: Any) -> TextClassificationSettings:
    """Return settings for a local model in float32, whatever the machine would choose."""
    return TextClassificationSettings(**{"text": TEXTS[0], "model": model, "dtype": "float32", **values})


def close(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    """Tell whether two results are the same but for rounding in their scores."""
    assert [one["label"] for one in ours] == [one["label"] for one in theirs]
    return [one["score"] for one in ours] == pytest.approx([one["score"] for one in theirs], abs=1e-4)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"problem_type": "single_label_classification"},
        {"problem_type": "multi_label_classification"},
        {"problem_type": "regression"},
    ],
    ids=["unsaid", "single", "multi", "regression"],
)
@pytest.mark.parametrize("top_k", [1, 3, 100])
def test_equals_the_pipeline(registry: Registry, make_model: MakeModel, config: dict[str, Any], top_k: int) -> None:
    """Labels, order and scores are those of the transformers pipeline, for every kind of problem and every top_k."""
    model = make_model("sequence-classification", LABELS, **config)
    reference = pipeline(TASK, model=model)
    for text in TEXTS:
        assert close(classify_text(asked(model, text=text, top_k=top_k), registry).result, reference(text, top_k=top_k))


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none"])
def test_a_named_function_equals_the_pipelines(registry: Registry, make_model: MakeModel, function: str) -> None:
    """function_to_apply means what it means in the pipeline."""
    model = make_model("sequence-classification", LABELS)
    reference = pipeline(TASK, model=model)
    ours = classify_text(asked(model, top_k=100, function_to_apply=function), registry).result
    assert close(ours, reference(TEXTS[0], top_k=None, function_to_apply=function))


def test_a_single_label_gets_a_sigmoid(registry: Registry, make_model: MakeModel) -> None:
    """A model with one label answers with its sigmoid, as the pipeline does."""
    model = make_model("sequence-classification", ("toxic",))
    assert close(classify_text(asked(model), registry).result, pipeline(TASK, model=model)(TEXTS[0]))


def test_many_at_once_equal_one_by_one(registry: Registry, make_model: MakeModel, borrowed: Borrow) -> None:
    """Company changes nothing: a batch of mixed lengths gives each text its own answer, in order."""
    settings = asked(make_model("sequence-classification", LABELS), top_k=7)
    alone = [classify_text(replace(settings, text=text), registry).result for text in TEXTS]
    with borrowed(settings, TASK) as model:
        together = classify_texts(TEXTS * 30, settings, registry, model, INTERACTIVE)
    assert len(together) == 30 * len(TEXTS)
    for ours, theirs in zip(together, alone * 30, strict=True):
        assert close(ours, theirs)


def test_no_texts_no_answers(registry: Registry, make_model: MakeModel, borrowed: Borrow) -> None:
    """An empty batch is an empty list."""
    settings = asked(make_model("sequence-classification", LABELS))
    with borrowed(settings, TASK) as model:
        assert classify_texts([], settings, registry, model, INTERACTIVE) == []


def test_threads_do_not_share_a_cut(make_model: MakeModel, borrowed: Borrow) -> None:
    """Two threads that tokenize at once get their own texts: one long and cut, one short and whole."""
    settings = asked(make_model("sequence-classification", LABELS))
    with borrowed(settings, TASK) as model, ThreadPoolExecutor(4) as threads:
        texts = ["the film " * 400, "the film " * 40] * 40
        lengths = [(len(one[0].ids), one[0].length) for one in threads.map(lambda text: encode(model, [text]), texts)]
    assert set(lengths[::2]) == {(128, 802)}
    assert set(lengths[1::2]) == {(82, 82)}


def test_a_long_text_is_cut_and_said_so(registry: Registry, make_model: MakeModel) -> None:
    """A text beyond the model's length is answered from its beginning, with a note that says how much was read."""
    model = make_model("sequence-classification", LABELS)
    answer = classify_text(asked(model, text="great film " * 500), registry)
    reference = pipeline(TASK, model=model)
    assert close(answer.result, reference("great film " * 500, top_k=5, truncation=True))
    assert str(answer.notes[0]) == "The model reads at most 128 tokens; this text has 1,002, so its end was left out."
    assert answer.provenance.fallbacks[-1:] == (str(answer.notes[0]),)


def test_the_result_names_what_ran(registry: Registry, make_model: MakeModel) -> None:
    """Provenance holds the model, its device, dtype and attention; everything is JSON."""
    model = make_model("sequence-classification", LABELS)
    answer = classify_text(asked(model, attention="eager"), registry)
    said = json.loads(json.dumps(answer.provenance.as_dict()))
    assert (said["model"], said["dtype"], said["attention"]) == (model, "float32", "eager")
    assert json.loads(json.dumps(answer.result)) == answer.result


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"text": ""}, "no text yet"),
        ({"text": " \n\t"}, "no text yet"),
        ({"text": "a" * 1_000_000}, f"1,000,000 characters; at most {LIMITS.text_characters:,}"),
        ({"top_k": 0}, "between 1 and 100"),
        ({"top_k": 1.5}, "whole number"),
        ({"function_to_apply": "tanh"}, "not one of"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(values: dict[str, Any], said: str) -> None:
    """Each refusal is a sentence with the numbers."""
    with pytest.raises(InvalidInput, match=said):
        asked("any", **values)


def test_a_model_of_another_task_is_refused(registry: Registry, make_model: MakeModel) -> None:
    """A model without a classification head is refused by its own name, before it answers at random."""
    with pytest.raises(WrongTask, match="BertForTokenClassification"):
        classify_text(asked(make_model("token-classification")), registry)


@pytest.mark.parametrize("lengths", [[], [5], [1, 9, 3, 7, 2, 2, 8], [3000, 1, 1]])
def test_packing_keeps_every_text_and_the_budget(lengths: list[int]) -> None:
    """Each text is in exactly one group, and no group of several is larger than allowed when padded."""
    groups = list(pack(lengths, tokens_at_once=20))
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    assert all(len(group) == 1 or len(group) * max(lengths[place] for place in group) <= 20 for group in groups)
