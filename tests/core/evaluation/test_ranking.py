"""Strengths from votes: closed forms, an independent fit, what order and names change, and what is said of doubt."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from core.catalogue import Catalogue
from core.evaluation.ranking import CENTRE, PRIOR, SCALE, Rated, rank, strengths, tellable
from core.evaluation.rounds import BAD, EQUAL, Contestant
from core.evaluation.votes import Vote
from core.hub.client import Hub
from core.models.loading import Loader
from core.models.registry import Registry
from core.settings import Mode, Settings
from tests.core.evaluation.voting import model, vote

NEARLY_NONE = 1e-6
STRENGTH = {"a": 1.2, "b": 0.6, "c": 0.0, "d": -0.6, "e": -1.2}
"""In log-odds."""


def ratings(votes: list[Vote], **values: Any) -> dict[str, float]:
    """Return each model's rating by its name."""
    return {one.model.name: one.rating for one in rank("text-generation", votes, **values).rated}


def of(name: str, votes: list[Vote]) -> Rated:
    """Return one model's place."""
    return next(one for one in rank("text-generation", votes).rated if one.model.name == name)


def drawn_votes(strength: dict[str, float], count: int, beside: int, seed: int) -> list[Vote]:
    """Draw votes as Luce's choice model does: each answer wins with its share of the strengths that stand there."""
    chance, votes = random.Random(seed), []
    for _ in range(count):
        names = chance.sample(sorted(strength), beside)
        winner = chance.choices(range(beside), [math.exp(strength[name]) for name in names])[0]
        votes.append(vote("".join(names), "ABCD"[winner]))
    return votes


def test_two_models_have_a_closed_form() -> None:
    """30 wins of 40 are odds of 3 : 1, which is 400 log10(3) points; the usual prior moves that by a third of one."""
    votes = [*[vote("ab", "A")] * 20, *[vote("ba", "B")] * 10, *[vote("ab", "B")] * 10]
    found = ratings(votes, prior=NEARLY_NONE, draws=10)
    assert found["a"] - found["b"] == pytest.approx(400 * math.log10(3), abs=1e-3)
    assert found["a"] + found["b"] == pytest.approx(2 * CENTRE)
    usual = ratings(votes, draws=10)
    assert usual["a"] - usual["b"] == pytest.approx(400 * math.log10(3), abs=0.5)


@pytest.mark.parametrize("choice", [EQUAL, BAD])
def test_nobody_better_is_half_a_win_each(choice: str) -> None:
    """20 wins and 20 such votes are 30 of 40."""
    votes = [*[vote("ab", "A")] * 20, *[vote("ab", choice)] * 20]
    found = ratings(votes, prior=NEARLY_NONE, draws=10)
    assert found["a"] - found["b"] == pytest.approx(400 * math.log10(3), abs=1e-3)
    assert (of("a", votes).won, of("a", votes).drawn, of("a", votes).lost) == (20, 20, 0)
    assert (of("b", votes).won, of("b", votes).drawn, of("b", votes).lost) == (0, 20, 20)


def test_it_is_logistic_regression() -> None:
    """scikit-learn, asked for the same likelihood with the prior as rows of their own, finds the same strengths."""
    wins = np.random.default_rng(1).integers(0, 9, (5, 5)).astype(float)
    np.fill_diagonal(wins, 0)
    places = [(one, other) for one in range(5) for other in range(5) if one != other]
    rows = [np.eye(5)[one] - np.eye(5)[other] for one, other in places] + [*np.eye(5), *np.eye(5)]
    labels = [1] * len(places) + [1] * 5 + [0] * 5
    weights = [wins[place] for place in places] + [PRIOR / 2] * 10
    fitted = LogisticRegression(C=np.inf, fit_intercept=False, solver="newton-cholesky", tol=1e-12)
    fitted.fit(np.array(rows), labels, sample_weight=weights)
    assert strengths(wins[None], PRIOR)[0] == pytest.approx(fitted.coef_[0], abs=1e-6)


@pytest.mark.parametrize("beside", [2, 4])
def test_drawn_strengths_are_found_again(beside: int) -> None:
    """Many votes drawn from known strengths give these back, whether two or four answers stood beside each other."""
    votes = drawn_votes(STRENGTH, 8_000, beside, seed=3)
    found = rank("text-generation", votes, draws=50)
    assert [one.model.name for one in found.rated] == list("abcde")
    for one in found.rated:
        assert one.rating == pytest.approx(CENTRE + SCALE * STRENGTH[one.model.name], abs=15)


def test_intervals_hold_what_they_promise() -> None:
    """Of 100 intervals of 95 %, from 200 votes on three answers each, some 95 hold the strength that was drawn from."""
    held = [
        one.interval is not None and one.interval.low < CENTRE + SCALE * STRENGTH[one.model.name] < one.interval.high
        for seed in range(20)
        for one in rank("text-generation", drawn_votes(STRENGTH, 200, 3, seed), draws=200).rated
    ]
    assert len(held) == 100
    assert 88 <= sum(held) <= 99


def test_the_order_of_votes_changes_nothing() -> None:
    """Ratings and intervals are the same, to the last bit, in whatever order votes and their columns come."""
    votes = drawn_votes({"a": 0.5, "b": 0.0, "c": -0.5}, 60, 2, seed=5)
    turned = [Vote(one.time, one.owner, one.task, one.models[::-1], "BA"["AB".index(one.choice)], "") for one in votes]
    again = random.Random(0).sample([*turned[:30], *votes[30:]], 60)
    assert rank("text-generation", again) == rank("text-generation", votes)


def test_names_carry_their_strength_along() -> None:
    """Called otherwise, a model keeps its rating."""
    votes = drawn_votes({"a": 0.5, "b": 0.0, "c": -0.5}, 60, 2, seed=5)
    names = str.maketrans("abc", "cab")
    other = [vote("".join(one.name for one in each.models).translate(names), each.choice) for each in votes]
    found, renamed = ratings(votes), ratings(other)
    for name, rating in found.items():
        assert renamed[name.translate(names)] == pytest.approx(rating, abs=1e-6)


def test_a_model_that_never_lost_stays_finite_and_is_told() -> None:
    """Ten wins of ten have no largest likelihood: the prior gives a number, and it is said whose doing that is."""
    votes = [vote("ab", "A")] * 10
    found = rank("text-generation", votes)
    assert [(one.open_ended, one.interval) for one in found.rated] == [(True, None)] * 2
    assert 1_000 < found.rated[0].rating < 2_000
    assert "say.ranking_open_ended" in {note.key for note in found.notes}


def test_only_who_stands_outside_the_circle_is_open_ended() -> None:
    """a, b and c beat each other in turn; d lost to one of them and beat nobody."""
    votes = [vote("ab", "A"), vote("bc", "A"), vote("ca", "A"), vote("ad", "A")]
    assert {one.model.name for one in rank("text-generation", votes).rated if one.open_ended} == {"d"}


def test_groups_that_never_met_have_scales_of_their_own() -> None:
    """Each group has the mean of 1000, the larger one comes first, and a note says that they cannot be compared."""
    votes = [vote("abc", "A"), vote("abc", "B"), vote("xy", "A"), vote("xy", EQUAL)]
    found = rank("text-generation", votes)
    assert {one.model.name: one.group for one in found.rated} == {"a": 1, "b": 1, "c": 1, "x": 2, "y": 2}
    for group in (1, 2):
        assert np.mean([one.rating for one in found.rated if one.group == group]) == pytest.approx(CENTRE)
    assert "say.ranking_groups" in {note.key for note in found.notes}
    joined = rank("text-generation", [*votes, vote("ax", "A")])
    assert joined.groups == 1


def test_too_few_votes_are_told() -> None:
    """Below ten votes the note names the model, and it gets no interval."""
    votes = [*[vote("ab", "A")] * 15, *[vote("ab", "B")] * 15, vote("ac", "A")]
    found = rank("text-generation", votes)
    few = next(note for note in found.notes if note.key == "say.ranking_few")
    assert few.values["names"] == "c"
    assert {one.model.name: one.interval is None for one in found.rated} == {"a": False, "b": False, "c": True}
    assert found.as_dict()["models"][-1]["low"] is None


def test_no_votes_no_models() -> None:
    """Nothing is ranked by nothing."""
    found = rank("chat", [])
    assert (found.rated, found.groups, found.as_dict()["models"]) == ((), 0, [])


def test_a_link_tells_no_folder(tmp_path: Path) -> None:
    """What this instance does not offer is not told of; at home everything is, and what has gone since, too."""
    folder = Contestant(str(tmp_path), "r")
    votes = [
        Vote(1.0, None, "text-generation", (folder, Contestant("starter/stories", "r")), "A", ""),
        Vote(1.0, None, "text-generation", (Contestant("run/gone", "r"), Contestant("starter/gone", "r")), "A", ""),
        Vote(1.0, None, "text-generation", (Contestant("openai-community/gpt2", "r"), model("starter/gone")), "B", ""),
    ]
    told = {}
    for mode in (Mode.LOCAL, Mode.SHARE):
        catalogue = Catalogue(Settings(mode=mode, home=tmp_path))
        told[mode] = tellable(votes, Registry(catalogue, Loader(catalogue, Hub(offline=True))))
    assert told[Mode.LOCAL] == votes
    assert told[Mode.SHARE] == votes[2:]
