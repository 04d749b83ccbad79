"""Probabilities, numbers, transcripts and METEOR; the values are those of evaluate 0.4's metric cards, or cited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nltk.translate.meteor_score import meteor_score

from core.errors import InvalidInput
from core.evaluation import combine, load
from core.evaluation.metrics import meteor as meteor_file
from core.evaluation.metrics.meteor import _NoSynonyms

SIX = [[0.3, 0.5, 0.2], [0.7, 0.2, 0.1], [0.005, 0.99, 0.005], [0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [0.1, 0.7, 0.2]]
SEVERAL = [[1, 1, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 0, 1]]
CONSTANT = {"predictions": [1, 1, 1], "references": [1, 2, 3]}
HEARD = {
    "predictions": ["this is the prediction", "there is an other sample"],
    "references": ["this is the reference", "there is another one"],
}
GUIDE = "It is a guide to action which ensures that the military always obeys the commands of the party"
HEED = "It is a guide to action that ensures that the military will forever heed Party commands"


def keys(name: str, **given: Any) -> list[str]:
    """Return the keys of the notes beside a score."""
    return [note.key for note in load(name).compute(**given).notes]


def test_roc_auc() -> None:
    """The card's three examples: 0.78, 0.85 and [0.83, 0.38, 0.94]; the first is 7 of 9 pairs in the right order."""
    two = load("roc_auc").compute(references=[1, 0, 1, 1, 0, 0], prediction_scores=[0.5, 0.2, 0.99, 0.3, 0.1, 0.7])
    assert two == {"roc_auc": pytest.approx(7 / 9, abs=1e-6)}
    given = {"references": [1, 0, 1, 2, 2, 0], "prediction_scores": SIX}
    many = load("roc_auc", "multiclass").compute(**given, multi_class="ovr")
    assert round(many["roc_auc"], 2) == 0.85
    each = load("roc_auc", "multilabel").compute(references=SEVERAL, prediction_scores=SIX, average=None)
    assert [round(one, 2) for one in each["roc_auc"]] == [0.83, 0.38, 0.94]


def test_roc_auc_without_a_choice_is_refused_in_words() -> None:
    """Several classes need multi_class, as in scikit-learn; its own sentence is told."""
    with pytest.raises(InvalidInput, match="multi_class"):
        load("roc_auc", "multiclass").compute(references=[1, 0, 1, 2, 2, 0], prediction_scores=SIX)


def test_roc_auc_that_says_nothing_says_why() -> None:
    """One class, one class in a column, and a ranking upside down."""
    scores = load("roc_auc").compute(references=[1, 1], prediction_scores=[0.1, 0.9])
    assert np.isnan(scores["roc_auc"])
    assert scores.plain() == {"roc_auc": None}
    assert [note.key for note in scores.notes] == ["reason.metric_auc_one_class"]
    columns = {"references": [[1, 0], [1, 1]], "prediction_scores": [[0.1, 0.2], [0.3, 0.4]]}
    assert keys("roc_auc", **columns) == ["reason.metric_auc_one_column"]
    assert load("roc_auc").compute(**columns, average="micro").notes == ()
    assert keys("roc_auc", references=[1, 0], prediction_scores=[0.1, 0.9]) == ["reason.metric_auc_zero"]


def test_log_loss() -> None:
    """The example of scikit-learn's docstring."""
    given = {
        "references": ["spam", "ham", "ham", "spam"],
        "predictions": [[0.1, 0.9], [0.9, 0.1], [0.8, 0.2], [0.35, 0.65]],
    }
    assert load("log_loss").compute(**given)["log_loss"] == pytest.approx(0.21616187468057912, abs=1e-6)


@pytest.mark.parametrize("predictions", [[[0.5, 0.6], [0.5, 0.5]], [[1.5, -0.5], [0.5, 0.5]]])
def test_what_is_no_probability_is_refused(predictions: list[list[float]]) -> None:
    """Rows that do not sum to one, and values outside 0 to 1, are named."""
    with pytest.raises(InvalidInput, match=r"row 1.*softmax"):
        load("log_loss").compute(predictions=predictions, references=[0, 1])


@pytest.mark.parametrize(
    ("references", "options"), [([0, 0, 1, 1], {}), (["spam", "spam", "ham", "ham"], {"pos_label": "ham"})]
)
def test_brier_score(references: list[Any], options: dict[str, Any]) -> None:
    """The first example of the card, 0.3375, with numbers and with words."""
    found = load("brier_score").compute(predictions=[0.1, 0.9, 0.8, 0.3], references=references, **options)
    assert found["brier_score"] == pytest.approx(0.3375, abs=1e-6)


def test_calibration_error() -> None:
    """Both examples of the card of ece: 0.25 and 0.175."""
    even = {"references": [0, 0, 1, 1], "predictions": [0.25, 0.25, 0.75, 0.75]}
    assert load("ece").compute(**even, n_bins=2)["ece"] == pytest.approx(0.25, abs=1e-6)
    spam = {"references": ["spam", "ham", "ham", "spam"], "predictions": [0.1, 0.9, 0.8, 0.3]}
    assert load("ece").compute(**spam, pos_label="ham")["ece"] == pytest.approx(0.175, abs=1e-6)
    with pytest.raises(InvalidInput, match="ham, spam"):
        load("ece").compute(**spam)


def test_calibration_error_of_several_classes() -> None:
    """The most probable class counts: confidences 0.8 and 0.6 share no bin, and 1 and 0 are right, by hand 0.4."""
    given = {"predictions": [[0.8, 0.1, 0.1], [0.2, 0.6, 0.2]], "references": [0, 2]}
    assert load("calibration_error").compute(**given)["ece"] == pytest.approx(0.4, abs=1e-12)
    quantiles = load("ece").compute(**given, n_bins=1, equal_intervals=False)["ece"]
    assert quantiles == pytest.approx(0.2, abs=1e-12)
    with pytest.raises(InvalidInput, match="3 columns"):
        load("ece").compute(**given, labels=["a", "b", "c"])


def test_mse() -> None:
    """The card's examples: 0.375, its root, and several outputs in one value or in two."""
    given = {"predictions": [2.5, 0.0, 2, 8], "references": [3, -0.5, 2, 7]}
    assert load("mse").compute(**given) == {"mse": pytest.approx(0.375, abs=1e-6)}
    root = load("mse").compute(**given, squared=False)
    assert root == {"mse": pytest.approx(0.6123724356957945, abs=1e-6)}
    assert root.implementation.function == "sklearn.metrics.root_mean_squared_error"
    lists = {"predictions": [[0.5, 1], [-1, 1], [7, -6]], "references": [[0, 2], [-1, 2], [8, -5]]}
    assert load("mse", "multilist").compute(**lists)["mse"] == pytest.approx(0.7083333333333334, abs=1e-6)
    raw = load("mse", "multilist").compute(**lists, multioutput="raw_values")["mse"]
    assert raw == pytest.approx([0.41666667, 1.0], abs=1e-6)


def test_mae() -> None:
    """The card's examples: 0.5, and 0.75 over several outputs."""
    assert load("mae").compute(predictions=[2.5, 0.0, 2, 8], references=[3, -0.5, 2, 7]) == {"mae": pytest.approx(0.5)}
    lists = {"predictions": [[0.5, 1], [-1, 1], [7, -6]], "references": [[0, 2], [-1, 2], [8, -5]]}
    assert load("mae", "multilist").compute(**lists)["mae"] == pytest.approx(0.75)


def test_r_squared_is_a_number() -> None:
    """A float, as evaluate's is, which tells more: scikit-learn's docstring gives 0.9486081370449679."""
    found = load("r_squared").compute(predictions=[2.5, 0.0, 2, 8], references=[3, -0.5, 2, 7])
    assert found == pytest.approx(0.9486081370449679, abs=1e-6)
    assert found.plain() == {"r_squared": pytest.approx(0.9486081370449679)}
    assert found.implementation.library == "scikit-learn"


def test_correlations() -> None:
    """The cards of pearsonr (-0.74, p 0.15) and spearmanr (-0.7, p 0.19)."""
    given = {"predictions": [10, 9, 2.5, 6, 4], "references": [1, 2, 3, 4, 5]}
    straight = load("pearsonr").compute(**given, return_pvalue=True)
    assert {name: round(value, 2) for name, value in straight.items()} == {"pearsonr": -0.74, "p-value": 0.15}
    assert load("spearmanr").compute(**given) == {"spearmanr": pytest.approx(-0.7, abs=1e-6)}
    ranks = load("spearmanr").compute(**given, return_pvalue=True)
    assert round(ranks["spearmanr_pvalue"], 2) == 0.19


def test_numbers_that_say_nothing_say_why() -> None:
    """Constants, one row, no relation, the mean as a guess and perfect predictions have their reasons."""
    assert keys("pearsonr", **CONSTANT) == ["reason.metric_constant"]
    assert keys("spearmanr", predictions=[1], references=[2]) == ["reason.metric_one_row"]
    assert keys("pearsonr", predictions=[1, 2, 1], references=[1, 1, 1]) == ["reason.metric_constant"]
    assert keys("pearsonr", predictions=[1, -1, -1, 1], references=[1, 1, -1, -1]) == ["reason.metric_no_relation"]
    assert keys("r_squared", predictions=[2, 2, 2], references=[1, 2, 3]) == ["reason.metric_mean_guess"]
    assert keys("r_squared", predictions=[1, 2], references=[3, 3]) == ["reason.metric_constant"]
    assert keys("mse", predictions=[1, 2], references=[1, 2]) == ["reason.metric_perfect"]
    with pytest.raises(InvalidInput, match="must hold numbers"):
        load("mse").compute(predictions=["a"], references=[1])


@pytest.mark.parametrize(("name", "expected"), [("wer", 0.5), ("cer", 0.34146341463414637)])
@pytest.mark.parametrize("concatenate", [False, True])
def test_error_rates(name: str, expected: float, concatenate: bool) -> None:
    """The examples of the cards of wer and cer: a float, as evaluate's is."""
    found = load(name).compute(**HEARD, concatenate_texts=concatenate)
    assert found == pytest.approx(expected, abs=1e-6)
    assert found.plain() == {name: pytest.approx(expected)}


def test_error_rates_say_what_is_empty_and_what_perfect() -> None:
    """Empty predictions are counted, 0 is perfect, and references without a word are refused."""
    assert keys("wer", predictions=["", "a"], references=["x y", "a"]) == ["reason.metric_empty_predictions"]
    assert keys("cer", predictions=["a"], references=["a"]) == ["reason.metric_perfect"]
    with pytest.raises(InvalidInput, match="all references are empty"):
        load("wer").compute(predictions=["a"], references=[" "])


def test_a_number_joins_others() -> None:
    """Combined metrics name a bare number by its metric."""
    both = combine(["wer", "cer"]).compute(**HEARD)
    assert both == {"wer": pytest.approx(0.5), "cer": pytest.approx(0.34146341463414637)}


def test_meteor() -> None:
    """The example of the card and of NLTK's docstring, 0.6944, needs no synonym."""
    scores = load("meteor").compute(predictions=[GUIDE], references=[HEED])
    assert scores == {"meteor": pytest.approx(0.6944444444444445, abs=1e-6)}


def test_meteor_tells_whether_it_knew_synonyms() -> None:
    """Without WordNet the result says that only words and stems were counted."""
    scores = load("meteor").compute(predictions=["x"], references=[["y", "z"]])
    with_synonyms = scores.implementation.settings["synonyms"] == "WordNet"
    missing = [] if with_synonyms else ["reason.metric_no_wordnet"]
    assert [note.key for note in scores.notes] == ["reason.metric_nothing_common", *missing]


def test_meteor_uses_the_wordnet_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a WordNet, what it calls synonyms match, as in NLTK's own function."""

    class Lemma:
        def __init__(self, name: str) -> None:
            self.name: Callable[[], str] = lambda: name

    class Synset:
        def lemmas(self) -> list[Lemma]:
            """Return two words for one thing."""
            return [Lemma("car"), Lemma("auto")]

    class WordNet:
        def synsets(self, word: str, *_: Any) -> list[Synset]:
            """Know one thing."""
            return [Synset()] if word in {"car", "auto"} else []

    monkeypatch.setattr(meteor_file, "_wordnet", WordNet)
    expected = meteor_score([["the", "red", "car"]], ["the", "red", "auto"], wordnet=WordNet())
    scores = load("meteor").compute(predictions=["the red auto"], references=["the red car"])
    assert scores == {"meteor": pytest.approx(expected, abs=1e-12)}
    assert scores.implementation.settings["synonyms"] == "WordNet"
    assert expected > meteor_score([["the", "red", "car"]], ["the", "red", "auto"], wordnet=_NoSynonyms())
