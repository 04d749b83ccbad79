"""Rounds and votes: whose they are, once each, what is written down, and what gives way."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import AtelierError, Busy, DiskFull, InvalidInput, UnknownName
from core.evaluation.rounds import MOST_ROUNDS_EACH, Contestant, Rounds, can_be_judged, input_digest
from core.evaluation.votes import Votes, within
from tests.core.evaluation.voting import BLIND, answered, refused

ALICE, BOB = "alice's secret", "bob's secret"
BOTH = (answered("m/a", "Once a"), answered("m/b", "Once b"))


def lines(folder: Path) -> list[dict[str, object]]:
    """Return what is on disk."""
    return [json.loads(line) for line in (folder / "votes.jsonl").read_text().splitlines()]


def test_a_vote_says_who_stood_there_as_the_server_knows_it(tmp_path: Path) -> None:
    """Task, models with revision in the order of their columns, the choice: nothing of it comes from the voter."""
    votes = Votes(tmp_path)
    shown = votes.rounds.open(ALICE, BLIND, BOTH)
    judged = votes.cast(ALICE, shown.id, "B")
    (vote,) = votes.of_task("text-generation")
    assert vote.models == tuple(Contestant(one.model, "r") for one in shown.answers)
    assert vote.winner == Contestant(shown.answers[1].model, "r")
    assert (judged.choice, judged.answers) == ("B", shown.answers)
    assert votes.of_task("chat") == []


def test_neither_text_nor_visitor_is_written_down(tmp_path: Path) -> None:
    """Of input, answers and owner the file has digests, or nothing."""
    votes, asked = Votes(tmp_path), replace(BLIND, text="my secret text")
    votes.cast(ALICE, votes.rounds.open(ALICE, asked, BOTH).id, "equal")
    written = (tmp_path / "votes.jsonl").read_text()
    assert "secret" not in written
    assert "Once" not in written
    assert input_digest(asked) in written
    assert input_digest(asked) != input_digest(BLIND)


def test_columns_are_drawn_by_chance() -> None:
    """Over many rounds each model stands in each column."""
    rounds = Rounds()
    first = {rounds.open(None, BLIND, BOTH).answers[0].model for _ in range(64)}
    assert first == {"m/a", "m/b"}


def test_models_that_refused_are_no_columns() -> None:
    """They are told with the names; two that answered can be judged, one alone cannot."""
    answers = [refused("m/x"), *BOTH]
    shown = Rounds().open(None, BLIND, answers)
    assert shown.letters == "AB"
    assert shown.choices == ("A", "B", "equal", "bad")
    assert [one.model for one in shown.silent] == ["m/x"]
    assert can_be_judged(answers)
    assert not can_be_judged([refused("m/x"), BOTH[0]])


def test_what_was_stopped_or_is_one_model_twice_is_not_judged() -> None:
    """Half an answer loses for no fault of its own, and a model cannot win against itself."""
    assert not can_be_judged([BOTH[0], answered("m/b", stopped=True)])
    assert not can_be_judged([BOTH[0], answered("m/a", "otherwise")])
    assert can_be_judged([BOTH[0], answered("m/a", revision="another")])


def test_a_round_is_judged_once(tmp_path: Path) -> None:
    """Of many votes at the same moment one counts, and the others are told so."""
    votes, ends = Votes(tmp_path), []
    shown = votes.rounds.open(ALICE, BLIND, BOTH)

    def try_it() -> None:
        try:
            votes.cast(ALICE, shown.id, "A")
            ends.append("kept")
        except Busy as refusal:
            ends.append(refusal.sentence.key)

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(ends) == [*["error.side_judged"] * 7, "kept"]
    assert len(lines(tmp_path)) == 1


def test_nobody_votes_on_anothers_round(tmp_path: Path) -> None:
    """Another visitor's round, one that never was and an id that makes no sense are the same unknown."""
    votes = Votes(tmp_path)
    shown = votes.rounds.open(ALICE, BLIND, BOTH)
    for owner, id_ in ((BOB, shown.id), (None, shown.id), (ALICE, "0" * 32), (ALICE, "../x"), (BOB, "")):
        with pytest.raises(UnknownName) as refusal:
            votes.cast(owner, id_, "A")
        assert refusal.value.sentence.key == "error.side_unknown"
    assert votes.cast(ALICE, "", "A").id == shown.id


@pytest.mark.parametrize("choice", ["C", "a", "", "m/a", "AB", "both"])
def test_only_what_was_offered_can_be_said(tmp_path: Path, choice: str) -> None:
    """A column that is not there, or a model's name, is refused with what can be said; then it may be judged still."""
    votes = Votes(tmp_path)
    shown = votes.rounds.open(ALICE, BLIND, BOTH)
    with pytest.raises(InvalidInput, match="A, B, equal, bad"):
        votes.cast(ALICE, shown.id, choice)
    assert votes.cast(ALICE, shown.id, "bad").choice == "bad"


def test_a_vote_that_no_disk_takes_may_be_cast_again(tmp_path: Path) -> None:
    """The refusal says why; once there is room the same round takes its vote."""
    folder = tmp_path / "votes"
    folder.write_text("in the way")
    votes = Votes(folder)
    shown = votes.rounds.open(ALICE, BLIND, BOTH)
    with pytest.raises(DiskFull):
        votes.cast(ALICE, shown.id, "A")
    folder.unlink()
    votes.cast(ALICE, shown.id, "A")
    assert len(votes.of_task("text-generation")) == 1


def test_a_torn_line_costs_itself_alone(tmp_path: Path) -> None:
    """What a sudden death or somebody's editor left is passed over, and the next vote begins a line of its own."""
    votes = Votes(tmp_path)
    votes.cast(None, votes.rounds.open(None, BLIND, BOTH).id, "A")
    whole = (tmp_path / "votes.jsonl").read_bytes()
    strange = b'{"seq":2,"time":1,"name":"vote","payload":{"task":"text-generation","models":[3],"choice":"A"}}\n'
    (tmp_path / "votes.jsonl").write_bytes(whole + strange + whole[:40])
    again = Votes(tmp_path)
    again.cast(None, again.rounds.open(None, BLIND, BOTH).id, "B")
    assert [one.choice for one in again.of_task("text-generation")] == ["A", "B"]


def test_the_oldest_rounds_of_a_visitor_are_forgotten(tmp_path: Path) -> None:
    """A visitor's rounds are bounded, and take nobody else's place."""
    votes = Votes(tmp_path)
    kept = votes.rounds.open(BOB, BLIND, BOTH)
    own = [votes.rounds.open(ALICE, BLIND, BOTH) for _ in range(MOST_ROUNDS_EACH + 1)]
    with pytest.raises(UnknownName):
        votes.cast(ALICE, own[0].id, "A")
    assert votes.cast(ALICE, own[1].id, "A")
    assert votes.cast(BOB, kept.id, "A")


def test_beyond_the_quota_those_who_voted_most_give_way(tmp_path: Path) -> None:
    """Who voted once keeps that vote; of who filled the file the newest stay; the file stays within its quota."""
    quota = 5_000
    votes = Votes(tmp_path, quota_bytes=quota)
    votes.cast(BOB, votes.rounds.open(BOB, BLIND, BOTH).id, "bad")
    for _ in range(60):
        votes.cast(ALICE, votes.rounds.open(ALICE, BLIND, BOTH).id, "A")
    found = votes.of_task("text-generation")
    assert [one.choice for one in found].count("bad") == 1
    assert 5 < len(found) < 60
    assert (tmp_path / "votes.jsonl").stat().st_size <= quota + 500
    assert [one.time for one in found] == sorted(one.time for one in found)


def test_a_full_file_is_shared_alike() -> None:
    """Each owner keeps the newest of theirs, up to the same share."""
    sizes = [("a", 10)] * 6 + [("b", 10)] * 2 + [("a", 10)]
    assert within(sizes, 60) == {4, 5, 6, 7, 8} | {3}
    assert within(sizes, 20) == {7, 8}
    assert within(sizes, 1_000) == set(range(9))


def test_votes_are_kept_over_a_restart(tmp_path: Path) -> None:
    """Another instance over the same folder knows the votes; a round that waits for its vote is gone."""
    votes = Votes(tmp_path)
    votes.cast(None, votes.rounds.open(None, BLIND, BOTH).id, "A")
    waiting = votes.rounds.open(None, BLIND, BOTH)
    again = Votes(tmp_path)
    assert len(again.of_task("text-generation")) == 1
    with pytest.raises(AtelierError):
        again.cast(None, waiting.id, "A")
