"""Several models asked the same: each in its place, refusals among them, seeds shared, stops between and within."""

from __future__ import annotations

from typing import Any

import pytest

from core.catalogue import Catalogue
from core.errors import AtelierError
from core.evaluation.rounds import Contestant
from core.events import CancelToken
from core.hub.client import Hub
from core.models.loading import Loader
from core.models.registry import Registry
from core.settings import Mode, Settings
from core.tasks.text.encoder import Lane
from core.tasks.text.question import TASKS, Answered
from core.tasks.text.side_by_side import SideBySideSettings, ask_side_by_side, resident_of
from tests.fakes.chat_server import ANSWER, FakeChatServer
from tests.fakes.models import tiny_bert, tiny_chat, tiny_llama
from tests.fakes.translators import tiny_marian

LONG = 200
"""Tokens, as many as a tiny model has room for."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give tiny models by what they can do."""
    folder = tmp_path_factory.mktemp("models")
    heads = ("sequence-classification", "token-classification", "question-answering", "masked-lm")
    made = {head: str(tiny_bert(folder / head, head)) for head in heads}
    writers = {"llama": tiny_llama(folder / "llama"), "other": tiny_llama(folder / "other", seed=1)}
    more = {"chat": tiny_chat(folder / "chat"), "marian": tiny_marian(folder / "marian")}
    return made | {name: str(path) for name, path in (writers | more).items()}


def asked(registry: Registry, lane: Lane | None = None, **values: Any) -> list[Answered]:
    """Ask, and wait for all."""
    return list(ask_side_by_side(SideBySideSettings(**{"text": "a great film", **values}), registry, lane or Lane()))


def test_each_answers_in_its_place(registry: Registry, models: dict[str, str]) -> None:
    """Results are the task's own, with what ran, what it takes in memory, and what loading took of the time."""
    first, again = asked(registry, models=[models["llama"], models["other"]]), asked(registry, models=[models["llama"]])
    assert [one.model for one in first] == [models["llama"], models["other"]]
    assert first[0].result[0]["generated_text"].startswith("a great film")
    assert first[0].result != first[1].result
    assert all(one.provenance and one.measured_bytes and one.measured_bytes > 0 for one in first)
    assert 0 < first[0].load_seconds <= first[0].provenance.seconds if first[0].provenance else False
    assert again[0].load_seconds == 0.0
    assert again[0].result == first[0].result


@pytest.mark.parametrize(
    ("task", "name", "values"),
    [
        ("text-classification", "sequence-classification", {}),
        ("token-classification", "token-classification", {}),
        ("question-answering", "question-answering", {"question": "what is great?"}),
        ("fill-mask", "masked-lm", {"text": "a [MASK] film"}),
        ("text-generation", "llama", {}),
        ("chat", "chat", {}),
        ("translation", "marian", {"max_new_tokens": 8}),
        ("summarization", "masked-lm", {"text": "A film. A great film. Nobody came."}),
    ],
)
def test_every_task_can_be_asked(
    registry: Registry, models: dict[str, str], task: str, name: str, values: dict[str, Any]
) -> None:
    """A model of the task answers; one that nobody can load says so beside it."""
    one, other = asked(registry, task=task, models=[models[name], "starter/nothing"], **values)
    assert one.refusal is None, str(one.refusal)
    assert one.result
    assert (other.result, other.provenance) == (None, None)
    assert other.refusal
    assert other.refusal.key == "error.unknown_starter"


def test_every_task_is_tried() -> None:
    """The list above has all of them."""
    marks = test_every_task_can_be_asked.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {row[0] for row in marks} == set(TASKS)


def test_all_are_asked_with_one_seed(registry: Registry, models: dict[str, str]) -> None:
    """A seed that is left to chance is drawn once: no model has better luck."""
    answers = asked(registry, models=[models["llama"], models["other"]], do_sample=True, temperature=1.5)
    seeds = {one.provenance.seed for one in answers if one.provenance}
    assert len(seeds) == 1
    assert None not in seeds


def test_a_stop_between_two_models_loads_nothing_more(registry: Registry, models: dict[str, str]) -> None:
    """What is there stays; the rest is marked as stopped."""
    cancel, answers = CancelToken(), []
    registry.release_all()
    settings = SideBySideSettings(text="Once", models=[models["llama"], models["other"], "starter/nothing"])
    for one in ask_side_by_side(settings, registry, Lane(cancel=cancel)):
        answers.append(one)
        cancel.cancel()
    assert [one.refusal.key if one.refusal else "" for one in answers] == ["", "say.side_stopped", "say.side_stopped"]
    assert [one.stopped for one in answers] == [False, True, True]
    assert models["other"] not in {row.name for row in registry.ledger()}


def test_a_stop_within_a_model_keeps_what_it_wrote(registry: Registry, models: dict[str, str]) -> None:
    """The text ends within a token, marked as stopped, and is told while it grows."""
    cancel, heard = CancelToken(), []

    def told(text: str) -> None:
        heard.append(text)
        cancel.cancel()

    settings = SideBySideSettings(text="Once", models=[models["llama"], models["other"]], max_new_tokens=LONG)
    first, second = ask_side_by_side(settings, registry, Lane(cancel=cancel), told)
    assert first.refusal is None, str(first.refusal)
    assert heard[0].startswith("Once")
    assert first.stopped
    assert first.result[0]["generated_text"].startswith("Once")
    assert len(first.result[0]["generated_text"]) < LONG
    assert second.refusal
    assert second.stopped


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"text": " "}, "error.text_empty"),
        ({"task": "question-answering"}, "error.text_empty"),
        ({"task": "feature-extraction"}, "error.not_an_option"),
        ({"task": "nonsense"}, "error.unknown_task"),
        ({"models": list("abcde")}, "error.side_models"),
        ({"models": "a, b, a"}, "error.side_twice"),
        ({"models": 5}, "error.side_names"),
        ({"models": ["a", 5]}, "error.side_names"),
        ({"blind": True, "models": ["a"]}, "error.side_blind_alone"),
        ({"blind": True, "models": ["a", "b"], "task": "fill-mask"}, "error.side_blind_task"),
        ({"blind": "false", "models": ["a", "b"]}, "error.not_a_flag"),
        ({"max_new_tokens": 0}, "error.number_outside"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict[str, Any], key: str) -> None:
    """Before any model is asked, in words."""
    with pytest.raises(AtelierError) as refusal:
        SideBySideSettings(**{"text": "Once", **values})
    assert refusal.value.sentence.key == key


def test_names_come_as_a_list_or_with_commas() -> None:
    """Both are the same; none is the task's starter, and an older task name is today's."""
    assert SideBySideSettings(text="x", models=" a,b ,").models == ("a", "b")
    assert SideBySideSettings(text="x", models=["a", "b"]).models == ("a", "b")
    found = SideBySideSettings(text="x", task="sentiment-analysis")
    assert (found.task, found.models) == ("text-classification", ("starter/sentiment",))


def test_a_model_that_is_not_in_memory_takes_nothing_there(registry: Registry, models: dict[str, str]) -> None:
    """Of a model elsewhere, or one that has gone, no bytes are told."""
    (one,) = asked(registry, models=[models["llama"]])
    assert one.provenance
    assert resident_of(registry.ledger(), one.provenance)
    registry.release_all()
    assert resident_of(registry.ledger(), one.provenance) is None


def test_a_model_elsewhere_answers_beside_one_here(
    registry: Registry, models: dict[str, str], chat_server: FakeChatServer
) -> None:
    """It is told where it is, and takes nothing of this machine's memory."""
    here, there = asked(registry, task="chat", models=[models["chat"], chat_server.name()])
    assert there.refusal is None, str(there.refusal)
    assert here.measured_bytes
    assert (there.measured_bytes, there.load_seconds) == (None, 0.0)
    assert there.result[0]["generated_text"][-1]["content"] == "".join(ANSWER)
    assert Contestant.of(there).name == chat_server.name()
    assert Contestant.of(here).name == models["chat"]


def test_a_stranger_gets_what_the_registry_offers(models: dict[str, str]) -> None:
    """Behind a share link starters answer; folders, unlisted ids, runs and servers refuse, each in its own column."""
    catalogue = Catalogue(Settings(mode=Mode.SHARE))
    strange = Registry(catalogue, Loader(catalogue, Hub(offline=True)))
    values = {"task": "text-classification", "text": "A fine film."}
    first = asked(
        strange, models=["starter/sentiment", models["sequence-classification"], "no/body", "run/x"], **values
    )
    (server,) = asked(strange, models=["http://localhost:1/v1#m"], **values)
    keys = [one.refusal.key if one.refusal else "" for one in (*first, server)]
    closed = "error.not_in_this_mode"
    assert keys == ["", closed, "error.model_not_listed", closed, closed]
