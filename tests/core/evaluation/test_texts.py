"""Entities, answers, translations and summaries; the numbers are those of the metric cards of evaluate 0.4."""

from __future__ import annotations

from typing import Any

import pytest
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.scoring import BootstrapAggregator

from core.errors import InvalidInput
from core.evaluation import load

TAGS = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
TAGGED = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
IDS = ("56e10a3be3433e1400422b22", "56d2051ce7d4791d0090260b", "5733b5344776f419006610e1")
SAID = ("1976", "Beyonce", "climate change")
KNOWN = ("1976", "Beyoncé and Bruno Mars", "climate change")
CATS = (
    "The relationship between cats and dogs is not exactly friendly.",
    "a good bookshop is just a genteel black hole that knows how to read.",
)
DOGS = (
    ["The relationship between dogs and cats is not exactly friendly."],
    ["A good bookshop is just a genteel Black Hole that knows how to read."],
)
MATCH = (
    "does this sentence match??",
    "what about this sentence?",
    "What did the TER metric user say to the developer?",
)
MATCHED = (
    ["does this sentence match", "does this sentence match!?!"],
    ["wHaT aBoUt ThIs SeNtEnCe?", "wHaT aBoUt ThIs SeNtEnCe?"],
    ["Your jokes are...", "...TERrible"],
)


def answered(texts: tuple[str, ...] = SAID, doubt: float = 0.0) -> list[dict[str, Any]]:
    """Return predictions in SQuAD's form."""
    pairs = zip(IDS, texts, strict=True)
    return [{"id": one, "prediction_text": text, "no_answer_probability": doubt} for one, text in pairs]


def asked(texts: tuple[str | None, ...] = KNOWN) -> list[dict[str, Any]]:
    """Return references in SQuAD's form; None has no answer."""
    pairs = zip(IDS, texts, strict=True)
    return [{"id": one, "answers": {"text": [text] if text else [], "answer_start": [0]}} for one, text in pairs]


def keys(name: str, **given: Any) -> list[str]:
    """Return the keys of the notes beside a score."""
    return [note.key for note in load(name).compute(**given).notes]


def test_seqeval() -> None:
    """The partial match of the card, with its dictionaries for each type."""
    scores = load("seqeval").compute(predictions=TAGGED, references=TAGS)
    assert scores == {
        "MISC": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "number": 1},
        "PER": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "number": 1},
        "overall_precision": 0.5,
        "overall_recall": 0.5,
        "overall_f1": 0.5,
        "overall_accuracy": 0.8,
    }
    assert [note.values["labels"] for note in scores.notes] == ["MISC"]


def test_seqeval_by_scheme() -> None:
    """A strict scheme gives the full match of the card 1.0, and a scheme that does not exist is refused."""
    scores = load("seqeval").compute(predictions=TAGS, references=TAGS, scheme="IOB2", mode="strict")
    assert scores["overall_f1"] == 1.0
    with pytest.raises(InvalidInput, match="BILOU"):
        load("seqeval").compute(predictions=TAGS, references=TAGS, scheme="BIO")


def test_seqeval_refuses_tags_that_do_not_align() -> None:
    """Rows of other lengths, and words instead of lists, are named by their row."""
    with pytest.raises(InvalidInput, match="Row 2 has 1"):
        load("seqeval").compute(predictions=[["O"], ["O"]], references=[["O"], ["O", "O"]])
    with pytest.raises(InvalidInput, match="predictions, row 1"):
        load("seqeval").compute(predictions=["O"], references=[["O"]])


def test_seqeval_without_entities_says_so() -> None:
    """No entity found, none to find, or none right: three different reasons for 0."""
    nothing = [["O"] * 7, ["O"] * 3]
    assert keys("seqeval", predictions=nothing, references=TAGS) == ["reason.metric_no_entities"]
    scores = load("seqeval").compute(predictions=nothing, references=nothing)
    assert (scores["overall_f1"], scores.notes[0].values["column"]) == (0.0, "references")
    assert keys("seqeval", predictions=[["B-X"]], references=[["B-Y"]]) == ["reason.metric_no_entity_right"]


def test_squad() -> None:
    """Two of three right is 66.67 in both scores, as on the card; one right is 100."""
    scores = load("squad").compute(predictions=answered(), references=asked())
    assert scores == pytest.approx({"exact_match": 66.66666666666667, "f1": 66.66666666666667}, abs=1e-6)
    assert load("squad").compute(predictions=answered(KNOWN), references=asked())["exact_match"] == 100.0


def test_squad_forgives_case_punctuation_and_articles() -> None:
    """As the official script: "The Climate Change!" is exact, and one word of two in common is an F1 of 2/3."""
    texts = ("1976", "Bruno", "The Climate  Change!")
    scores = load("squad").compute(predictions=answered(texts), references=asked(("1976", "Bruno Mars", KNOWN[2])))
    assert scores == pytest.approx({"exact_match": 200 / 3, "f1": 100 * (1 + 2 / 3 + 1) / 3}, abs=1e-6)


def test_squad_v2() -> None:
    """The partial match of the card, key by key."""
    scores = load("squad_v2").compute(predictions=answered(), references=asked())
    two_thirds = pytest.approx(66.66666666666667, abs=1e-6)
    counts = {"total": 3, "HasAns_total": 3, "best_exact_thresh": 0.0, "best_f1_thresh": 0.0}
    names = ("exact", "f1", "HasAns_exact", "HasAns_f1", "best_exact", "best_f1")
    assert scores == {**dict.fromkeys(names, two_thirds), **counts}


def test_squad_v2_counts_silence() -> None:
    """Without an answer silence is right; above the threshold a prediction counts as silence."""
    references = asked(("1976", None, "climate change"))
    scores = load("squad_v2").compute(predictions=answered(("1976", "", "nothing")), references=references)
    assert (scores["NoAns_exact"], scores["HasAns_exact"], scores["NoAns_total"]) == (100.0, 50.0, 1)
    doubted = [*answered(("1976", "wrong", "climate change"))]
    doubted[1]["no_answer_probability"] = 0.9
    scores = load("squad_v2").compute(predictions=doubted, references=references, no_answer_threshold=0.5)
    assert scores["exact"] == 100.0
    scores = load("squad_v2").compute(predictions=doubted, references=references)
    assert (scores["exact"], scores["best_exact"], scores["best_exact_thresh"]) == (pytest.approx(200 / 3), 100.0, 0.0)


def test_squad_refuses_what_it_cannot_pair() -> None:
    """Other ids, an id twice, a missing key and a question without answers are refused in words."""
    other = [{**answered()[0], "id": "x"}, *answered()[1:]]
    for predictions, references, words in (
        (other, asked(), "has no prediction"),
        ([*answered()[:2], answered()[1]], asked(), "occurs twice"),
        ([{"id": "1"}] * 3, asked(), "prediction_text"),
        (answered(), asked(("1976", None, "x")), "squad_v2"),
    ):
        with pytest.raises(InvalidInput, match=words):
            load("squad").compute(predictions=predictions, references=references)
    with pytest.raises(InvalidInput, match="no_answer_probability"):
        load("squad_v2").compute(
            predictions=[{"id": "1", "prediction_text": ""}], references=[{"id": "1", "answers": []}]
        )


def test_squad_at_zero_says_why() -> None:
    """The first wrong answer is shown, and empty ones are counted."""
    scores = load("squad").compute(predictions=answered(("1999", "", "")), references=asked())
    assert scores == {"exact_match": 0.0, "f1": 0.0}
    assert [note.key for note in scores.notes] == ["reason.metric_none_right", "reason.metric_empty_predictions"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0.25),
        ({"regexes_to_ignore": ["the ", "yell"], "ignore_case": True, "ignore_punctuation": True}, 0.5),
        ({"regexes_to_ignore": ["the ", "yell", "YELL"], "ignore_case": True, "ignore_punctuation": True}, 0.75),
        (
            {
                "regexes_to_ignore": ["the ", "yell", "YELL"],
                "ignore_case": True,
                "ignore_punctuation": True,
                "ignore_numbers": True,
            },
            1.0,
        ),
    ],
)
def test_exact_match(options: dict[str, Any], expected: float) -> None:
    """The four examples of the card of exact_match."""
    given = {
        "references": ["the cat", "theater", "YELLING", "agent007"],
        "predictions": ["cat?", "theater", "yelling", "agent"],
    }
    assert load("exact_match").compute(**given, **options)["exact_match"] == expected


def test_sacrebleu() -> None:
    """The output that the card prints, and sacreBLEU's signature beside it."""
    scores = load("sacrebleu").compute(
        predictions=["hello there general kenobi", "on our way to ankh morpork"],
        references=[["hello there general kenobi", "hello there !"], ["goodbye ankh morpork", "ankh morpork"]],
    )
    assert scores.pop("score") == pytest.approx(39.76353643835252, abs=1e-6)
    assert scores.pop("precisions") == pytest.approx([60.0, 50.0, 33.333333333333336, 25.0])
    assert scores == {"counts": [6, 4, 2, 1], "totals": [10, 8, 6, 4], "bp": 1.0, "sys_len": 10, "ref_len": 7}
    assert scores.implementation.signature.startswith("nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 84.64214891738334),
        ({"word_order": 2}, 82.87263732906315),
        ({"word_order": 2, "lowercase": True}, 92.12853119829202),
    ],
)
def test_chrf(options: dict[str, Any], expected: float) -> None:
    """The three examples of the card: chrF, chrF++ and chrF++ without case."""
    scores = load("chrf").compute(predictions=CATS, references=DOGS, **options)
    assert scores["score"] == pytest.approx(expected, abs=1e-6)
    assert (scores["char_order"], scores["word_order"], scores["beta"]) == (6, options.get("word_order", 0), 2)


@pytest.mark.parametrize(
    ("rows", "options", "expected"),
    [
        (3, {"case_sensitive": True}, (150.0, 15, 10.0)),
        (2, {"case_sensitive": True}, (62.5, 5, 8.0)),
        (2, {"normalized": True, "case_sensitive": True}, (57.14285714285714, 6, 10.5)),
        (2, {"ignore_punct": True}, (0.0, 0, 8.0)),
        (3, {"ignore_punct": True}, (100.0, 10, 10.0)),
    ],
)
def test_ter(rows: int, options: dict[str, Any], expected: tuple[float, int, float]) -> None:
    """The five examples of the card; 0 is the best, and says so."""
    scores = load("ter").compute(predictions=MATCH[:rows], references=MATCHED[:rows], **options)
    assert (scores["score"], scores["num_edits"], scores["ref_length"]) == pytest.approx(expected, abs=1e-6)
    assert [note.key for note in scores.notes] == ([] if expected[0] else ["reason.metric_perfect"])


def test_bleu() -> None:
    """The output that the card prints: the shortest reference gives the length."""
    scores = load("bleu").compute(
        predictions=["hello there general kenobi", "foo bar foobar"],
        references=[["hello there general kenobi", "hello there!"], ["foo bar foobar"]],
    )
    assert scores == {
        "bleu": 1.0,
        "precisions": [1.0, 1.0, 1.0, 1.0],
        "brevity_penalty": 1.0,
        "length_ratio": pytest.approx(1.1666666666666667),
        "translation_length": 7,
        "reference_length": 6,
    }


def test_bleu_smoothed_and_short() -> None:
    """Lin and Och's smoothing adds one to both counts; a shorter translation pays exp(1 - 1/ratio).

    By hand: one row "the cat sat" against "the cat sat down" has precisions (3+1)/(3+1), (2+1)/(2+1), (1+1)/(1+1) and
    (0+1)/(0+1), so that the penalty exp(1 - 4/3) is all there is.
    """
    scores = load("bleu").compute(predictions=["the cat sat"], references=["the cat sat down"], smooth=True)
    assert scores["bleu"] == pytest.approx(0.7165313105737893, abs=1e-6)
    plain = load("bleu").compute(predictions=["the cat sat"], references=["the cat sat down"])
    assert (plain["bleu"], [note.key for note in plain.notes]) == (0.0, ["reason.metric_too_short"])
    short = load("bleu").compute(predictions=["a b"], references=["a b c"], max_order=2, tokenizer=str.split)
    assert short["bleu"] == pytest.approx(0.6065306597126334, abs=1e-6)
    assert short.implementation.settings["tokenizer"] == "split"


def test_references_must_be_as_many_in_each_row() -> None:
    """SacreBLEU cannot pair rows of one and of two references, and the sentence says so."""
    with pytest.raises(InvalidInput, match="1, 2"):
        load("sacrebleu").compute(predictions=["a", "b"], references=[["a"], ["b", "c"]])


def test_rouge() -> None:
    """The example of the card, and rouge_score's own aggregate of others."""
    given = {"predictions": ["hello there", "general kenobi"], "references": ["hello there", "general kenobi"]}
    assert load("rouge").compute(**given) == {"rouge1": 1.0, "rouge2": 1.0, "rougeL": 1.0, "rougeLsum": 1.0}
    predictions, references = (
        ["the cats sat\nquietly there", "a b c d"],
        ["a cat was sitting\nthere quietly", "a c b d"],
    )
    scorer, aggregator = (
        RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=True),
        BootstrapAggregator(),
    )
    for one, other in zip(references, predictions, strict=True):
        aggregator.add_scores(scorer.score(one, other))
    expected = {name: value.mid.fmeasure for name, value in aggregator.aggregate().items()}
    found = load("rouge").compute(predictions=predictions, references=references, use_stemmer=True)
    assert found == pytest.approx(expected, abs=1e-6)


def test_rouge_of_each_row() -> None:
    """The card's output format without aggregation: the best of several references counts."""
    given = {"predictions": ["hello goodbye", "ankh morpork"], "references": [["goodbye", "hello"], ["general kenobi"]]}
    scores = load("rouge").compute(**given, rouge_types=["rouge1", "rougeL"], use_aggregator=False)
    assert scores == {"rouge1": pytest.approx([2 / 3, 0.0]), "rougeL": pytest.approx([2 / 3, 0.0])}
    with pytest.raises(InvalidInput, match="rougeLsum"):
        load("rouge").compute(**given, rouge_types=["rouge_1"])


def test_rouge_splits_as_it_is_told() -> None:
    """For Chinese a tokenizer of characters finds what rouge_score's own, for Latin letters, does not."""
    given = {"predictions": ["今天很好"], "references": ["今天不好"]}
    assert load("rouge").compute(**given, tokenizer=list)["rouge1"] == pytest.approx(0.75)
    assert keys("rouge", **given) == ["reason.metric_nothing_common"]


def test_no_overlap_says_why() -> None:
    """Empty predictions and missing n-grams are different reasons."""
    assert keys("sacrebleu", predictions=["", " "], references=["a", "b"]) == ["reason.metric_empty_predictions"]
    assert keys("bleu", predictions=["x y z u v"], references=["a b c d e"]) == ["reason.metric_no_ngram"]
    both = keys("chrf", predictions=["", "x"], references=["a", "b"])
    assert both == ["reason.metric_empty_predictions", "reason.metric_nothing_common"]


def test_texts_must_be_texts() -> None:
    """A number, a gap and an empty list of references are named by row and column."""
    for predictions, references, words in (
        (["a", 3], ["a", "b"], "predictions, row 2"),
        (["a", "b"], ["a", None], "references, row 2"),
        (["a"], [[]], "references, row 1"),
    ):
        with pytest.raises(InvalidInput, match=words):
            load("chrf").compute(predictions=predictions, references=references)
