"""Votes and rounds as tests write them down."""

from __future__ import annotations

from core.evaluation.rounds import Contestant
from core.evaluation.votes import Vote
from core.provenance import Provenance
from core.tasks.text.question import Answered
from core.tasks.text.side_by_side import SideBySideSettings
from core.words import say

BLIND = SideBySideSettings(text="Once", models=["m/a", "m/b"], blind=True)


def model(name: str) -> Contestant:
    """Return a contestant by its name."""
    return Contestant(name, "0" * 40)


def vote(models: str, choice: str) -> Vote:
    """Return a vote on models named by one letter each."""
    return Vote(1.0, None, "text-generation", tuple(map(model, models)), choice, "digest")


def answered(name: str, text: str = "Once more", *, revision: str = "r", stopped: bool = False) -> Answered:
    """Return what a model wrote."""
    ran = Provenance(name, revision, None, "cpu", "float32", "sdpa", seconds=0.5)
    return Answered(name, [{"generated_text": text}], ran, stopped=stopped)


def refused(name: str) -> Answered:
    """Return a model that has no answer."""
    return Answered(name, None, None, say("say.no_answer"))
