"""Zero-shot classification equals the transformers pipeline, and refuses in words what it cannot do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from transformers import pipeline

from core.errors import InvalidInput, WrongTask
from core.models.registry import Registry
from core.settings import LIMITS
from core.tasks.text.encoder import INTERACTIVE
from core.tasks.text.zero_shot_classification import (
    TASK,
    ZeroShotClassificationSettings,
    classify_texts_zero_shot,
    classify_zero_shot,
    fill,
)
from tests.core.tasks.text.conftest import Borrow, MakeModel

TEXTS = (
    "ada lovelace works in london .",
    "bad",
    "not good ? 🦜 不好 اللغة 영화",
    "we love it , we hate it " * 6,
)
LABELS = "film, london, love, a very long label of many words, 好"


def asked(model: str, **values: Any) -> ZeroShotClassificationSettings:
    """Return settings for a local model in float32, with the pipeline's own template, whatever ours would be."""
    usual = {"text": TEXTS[0], "labels": LABELS, "hypothesis_template": "This example is {}."}
    given = {**usual, "model": model, "dtype": "float32", **values}
    return ZeroShotClassificationSettings(**given)


def close(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Tell whether two results are the same but for rounding in their scores."""
    assert list(ours) == list(theirs)
    assert (ours["sequence"], ours["labels"]) == (theirs["sequence"], theirs["labels"])
    return ours["scores"] == pytest.approx(theirs["scores"], abs=1e-4)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("labels", [LABELS, "film", "film,love"])
@pytest.mark.parametrize(
    "names", [None, ("ENTAILMENT", "neutral", "contradiction"), ("not_entailment", "Entailment")], ids=str
)
def test_equals_the_pipeline(
    registry: Registry, make_model: MakeModel, names: tuple[str, ...] | None, labels: str, multi_label: bool
) -> None:
    """Order and scores are the pipeline's: one label or many, each for itself or against each other, any NLI head."""
    model = make_model("nli", names)
    reference = pipeline(TASK, model=model)
    for text in TEXTS:
        settings = asked(model, text=text, labels=labels, multi_label=multi_label)
        assert close(classify_zero_shot(settings, registry).result, reference(text, labels, multi_label=multi_label))


def test_contradiction_is_found_by_its_name(registry: Registry, make_model: MakeModel) -> None:
    """A head that names contradiction in the middle is read by that name, so a certain yes is no maybe."""
    usual = make_model("nli", ("contradiction", "neutral", "entailment"))
    mixed = make_model("nli", ("neutral", "contradiction", "entailment"))
    odd = classify_zero_shot(asked(mixed, multi_label=True), registry).result
    assert odd["scores"] != classify_zero_shot(asked(usual, multi_label=True), registry).result["scores"]
    # the two models have the same weights: what the second calls contradiction is the first's neutral
    renamed = make_model("nli", ("x", "contradiction", "entailment"))
    assert odd["scores"] == classify_zero_shot(asked(renamed, multi_label=True), registry).result["scores"]


def test_a_template_is_used(registry: Registry, make_model: MakeModel) -> None:
    """The hypothesis is the template with the label, as in the pipeline, escaped brackets included."""
    model, template = make_model("nli"), "{{it}} is {} , not a film"
    reference = pipeline(TASK, model=model)(TEXTS[0], LABELS, hypothesis_template=template)
    assert close(classify_zero_shot(asked(model, hypothesis_template=template), registry).result, reference)


def test_a_long_text_is_cut_and_the_label_is_not(registry: Registry, make_model: MakeModel) -> None:
    """Of a text beyond the model's length the end is left out and said so; scores are the pipeline's."""
    model, text = make_model("nli"), "ada lovelace works in london . " * 300
    answer = classify_zero_shot(asked(model, text=text), registry)
    assert close(answer.result, pipeline(TASK, model=model)(text, LABELS))
    assert "this text has 1,8" in str(answer.notes[0])
    assert str(answer.notes[0]) in answer.provenance.fallbacks


def test_many_at_once_equal_one_by_one(registry: Registry, make_model: MakeModel, borrowed: Borrow) -> None:
    """Company changes nothing, whatever the lengths and however many labels."""
    settings = asked(make_model("nli"))
    alone = [classify_zero_shot(replace(settings, text=text), registry).result for text in TEXTS]
    with borrowed(settings, TASK) as model:
        together = classify_texts_zero_shot([*TEXTS, ""] * 20, settings, registry, model, INTERACTIVE)
        assert classify_texts_zero_shot([], settings, registry, model, INTERACTIVE) == []
    assert [one["sequence"] for one in together] == [*TEXTS, ""] * 20
    for place, ours in enumerate(together):
        assert place % 5 == 4 or close(ours, alone[place % 5])


def test_all_labels_go_in_one_request(
    registry: Registry, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty labels are one request to the model, not fifty."""
    sizes: list[int] = []
    submit = registry.batcher.submit

    def counting(group: Any, items: Any, run: Any, **named: Any) -> list[Any]:
        sizes.append(len(items))
        return submit(group, items, run, **named)

    monkeypatch.setattr(registry.batcher, "submit", counting)
    labels = ",".join(f"label {number}" for number in range(LIMITS.labels))
    assert len(classify_zero_shot(asked(make_model("nli"), labels=labels), registry).scores) == LIMITS.labels
    assert sizes == [LIMITS.labels]


def test_labels_are_trimmed_and_merged() -> None:
    """Blank labels are dropped, doubles merged, the order kept; the commas of other scripts count."""
    settings = asked("any", labels=" sports ,, politics，sports、 科学\nSports,")
    assert settings.label_list == ("sports", "politics", "科学", "Sports")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"text": ""}, "no text yet"),
        ({"text": "a" * 1_000_000}, "1,000,000 characters; at most 50,000"),
        ({"labels": ""}, "no label yet"),
        ({"labels": " , ,,,\n"}, "no label yet"),
        ({"labels": ",".join(f"label{number}" for number in range(1000))}, "1,000 labels are too many; at most 50"),
        ({"labels": "a" * 1_000_000}, "at most 10,000"),
        ({"multi_label": "false"}, "must be true or false"),
        ({"hypothesis_template": "This example is about it."}, "must hold {}"),
        ({"hypothesis_template": " "}, "no text yet"),
        ({"hypothesis_template": "{} " * 1000}, "at most 500"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(values: dict[str, Any], said: str) -> None:
    """Each refusal is a sentence with the numbers."""
    with pytest.raises(InvalidInput, match=said):
        asked("any", **values)


@pytest.mark.parametrize(
    "template",
    ["{0}", "{label}", "{0.__class__}", "{.__class__}", "{[0]}", "{!r}", "{:>99999999}", "{", "}", "{} {", "{{}}", "a"],
)
def test_a_template_takes_the_label_only(template: str) -> None:
    """Attributes, indices, widths, conversions and unbalanced brackets are refused."""
    with pytest.raises(InvalidInput, match="hypothesis_template"):
        fill(template, "label")


@pytest.mark.parametrize("label", ["sports", "{}", "{0.__class__}", "%s", "🦜"])
def test_a_label_is_never_read_as_a_template(label: str) -> None:
    """The label stands where {} stood, as it is, as often as it is asked for."""
    assert fill("{{{}}} or {}", label) == f"{{{label}}} or {label}"


def test_a_label_that_leaves_no_room_is_refused(registry: Registry, make_model: MakeModel) -> None:
    """A label as long as the model's window is refused with the numbers of that model."""
    with pytest.raises(InvalidInput, match="takes 211 tokens; with this model at most 124"):
        classify_zero_shot(asked(make_model("nli"), labels="film, " + "good " * 201), registry)


def test_a_model_without_entailment_is_refused(registry: Registry, make_model: MakeModel) -> None:
    """A sentiment model is refused with its labels, instead of answering nonsense."""
    with pytest.raises(WrongTask, match="NEGATIVE, POSITIVE"):
        classify_zero_shot(asked(make_model("sequence-classification")), registry)


def test_the_result_is_json(registry: Registry, make_model: MakeModel) -> None:
    """Numbers are plain floats, and the provenance names the model."""
    answer = classify_zero_shot(asked(make_model("nli")), registry)
    assert json.loads(json.dumps(answer.result)) == answer.result
    assert answer.provenance.model == make_model("nli")
    assert sum(answer.result["scores"]) == pytest.approx(1, abs=1e-5)
