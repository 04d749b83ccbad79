"""The Side by side tab: what it draws, and its three endpoints as programs use them, with real starters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from core.atelier import open_atelier
from core.errors import Cancelled
from core.evaluation.ranking import rank
from core.evaluation.rounds import Rounds
from core.events import CancelToken
from core.settings import Settings
from core.tasks.text.question import TASKS
from core.tasks.text.side_by_side import SideBySideSettings
from core.words import say
from tabs._answers import draw_answer
from tabs._events import Visit
from tabs.side_by_side._desk import Desk, choices_of
from tabs.side_by_side._ranking_view import draw_ranking
from tabs.side_by_side._view import draw_unfinished, show_answers, show_round
from tests.core.evaluation.voting import BLIND, answered, refused, vote
from tests.fakes.models import tiny_llama
from tests.serving import Served

MARKUP = '<img src=x onerror="alert(1)">'
STORIES = "starter/stories"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give another causal language model."""
    return str(tiny_llama(tmp_path_factory.mktemp("model") / "other"))


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[Client]:
    """Give a client of the shared app."""
    made = Client(served.address, ssl_verify=False, verbose=False)
    yield made
    made.close()


def refusal(client: Client, /, *arguments: Any, **values: Any) -> str:
    """Return the sentence with which the app refuses."""
    with pytest.raises(AppError) as caught:
        client.predict(*arguments, **values)
    return str(caught.value)


# What is drawn


def test_blind_columns_tell_nobody() -> None:
    """Neither the view nor its JSON has a name, a revision, a device or a time before the vote; afterwards both do."""
    answers = [answered("m/one", "Once a"), answered("m/two", "Once b"), refused("m/three")]
    shown = Rounds().open(None, BLIND, answers)
    view, told = show_round(shown, Visit())
    for secret in ("m/one", "m/two", "m/three", "float32", "0.5"):
        assert secret not in view + str(told)
    assert [set(one) for one in told["answers"]] == [{"column", "result"}] * 2
    assert (told["choices"], told["silent"]) == (["A", "B", "equal", "bad"], 1)
    assert view.count("data-vote=") == 4
    view, told = show_round(replace(shown, choice="A"), Visit())
    assert "A · m/" in view
    assert "m/three" in view
    assert "data-vote=" not in view
    assert view.count('class="better"') == 1
    assert {one["model"] for one in told["answers"]} == {"m/one", "m/two"}
    assert told["choice"] == "A"


def test_markup_stays_text() -> None:
    """Neither a name nor an answer becomes markup."""
    answers = [answered(MARKUP, MARKUP), answered("m/b", MARKUP)]
    drawn = show_answers(BLIND, answers, Visit())[0] + draw_unfinished(BLIND, [], "", Visit())
    asked = SideBySideSettings(text=MARKUP, models=[MARKUP])
    drawn += draw_unfinished(asked, [], MARKUP, Visit()) + show_round(Rounds().open(None, BLIND, answers), Visit())[0]
    assert "<img" not in drawn


def test_each_task_has_its_drawing() -> None:
    """The result of every task that can be compared is drawn; a conversation as its last message."""
    results: dict[str, Any] = {
        "text-classification": [{"label": "good", "score": 0.5}],
        "token-classification": [{"entity_group": "PER", "start": 0, "end": 3}],
        "question-answering": {"answer": "Ada", "score": 0.5, "start": 0, "end": 3},
        "fill-mask": [{"token_str": "red", "score": 0.25}],
        "text-generation": [{"generated_text": "Ada went"}],
        "translation": [{"translation_text": "oui"}],
        "summarization": [{"summary_text": "short"}],
        "chat": [{"generated_text": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}],
    }
    seen = dict(zip(results, ("good", "PER", "Ada", "red", "Ada went", "oui", "short", "Hello."), strict=True))
    assert set(results) == set(TASKS)
    for task, result in results.items():
        assert seen[task] in draw_answer(task, result, "Ada", Visit())
    assert "Hi" not in draw_answer("chat", results["chat"], "Hi", Visit())
    nothing = {"answer": "", "score": 0.5, "start": 0, "end": 0}
    assert str(say("say.no_answer")) in draw_answer("question-answering", nothing, "Ada", Visit())


def test_thoughts_are_folded() -> None:
    """What a chat model thought comes before its answer, closed, whether its template opened the tag or it did."""
    for text in ("<think>hm</think>Yes.", "hm</think>Yes."):
        said = [{"generated_text": [{"role": "assistant", "content": text}]}]
        drawn = draw_answer("chat", said, "", Visit())
        assert "<details>" in drawn
        assert '<p class="answer">Yes.</p>' in drawn


def test_the_ranking_has_a_table_a_group() -> None:
    """With places, intervals, counts, and what the numbers are."""
    found = rank("chat", [*[vote("ab", "A")] * 6, *[vote("ab", "B")] * 5, vote("xy", "equal")], draws=50)
    view, told = draw_ranking(found, Visit())
    assert view.count("<table") == 2
    assert "Bradley-Terry" in unescape(view)
    assert [one["votes"] for one in told["models"]] == [11, 11, 1, 1]
    assert str(say("say.ranking_empty", task="chat")) in unescape(draw_ranking(rank("chat", []), Visit())[0])


def test_every_task_has_a_word() -> None:
    """The list of tasks shows the words of their panels, and means the field's names."""
    assert [value for _, value in choices_of(TASKS)] == list(TASKS)


def test_the_form_shows_what_the_task_has(tmp_path: Path) -> None:
    """Another task offers its own models and settings; what it knows of the chosen models stays chosen."""
    desk = Desk(open_atelier(Settings(home=tmp_path)))
    models, *rest = desk.other_task(Visit(), "question-answering", ["starter/stories"])
    assert models["value"] == ["starter/question-answering"]
    assert {name for name, one in zip(desk.VARYING, rest, strict=True) if one["visible"]} == {"question"}
    assert rest[1]["value"] is False
    models, *rest = desk.other_task(Visit(), "chat", ["starter/stories", "no/body"])
    assert models["value"] == ["starter/stories"]
    seen = {name for name, one in zip(desk.VARYING, rest, strict=True) if one["visible"]}
    assert seen == {"blind", "max_new_tokens", "do_sample", "temperature", "seed"}
    assert desk.opened(Visit(), "translation", [])["value"] == ["starter/translate-en-fr"]
    assert desk.opened(Visit(), "translation", ["no/body"])["value"] == ["no/body"]


def test_a_stopped_round_has_no_vote(tmp_path: Path, other: str) -> None:
    """Names are shown at once; stopped before anything is there, it is over like any stopped work."""
    atelier, cancel = open_atelier(Settings(home=tmp_path)), CancelToken()
    values = {"text": "Once", "models": [STORIES, other], "blind": True, "max_new_tokens": 4}
    waiting = str(say("say.side_waiting", done=1, total=2))

    def stop_after_one(drawn: Callable[[], Any]) -> None:
        if waiting in drawn()[0]:
            cancel.cancel()

    view, told = Desk(atelier).side_by_side(Visit(cancel=cancel, show=stop_after_one), **values)
    assert told["id"] is None
    assert [one["stopped"] for one in told["answers"]] == [False, True]
    assert str(say("say.side_stopped")) in view
    with pytest.raises(Cancelled):
        Desk(atelier).side_by_side(Visit(cancel=cancel), **values)


# What comes back


def test_starters_answer_side_by_side(client: Client) -> None:
    """Two starters label the same text, each with what ran; a third name that is none refuses in its own column."""
    names = ["starter/sentiment", "starter/nli", "starter/nothing"]
    values = {"task": "text-classification", "models": names}
    job = client.submit(text="What a wonderful evening", **values, api_name="/side_by_side")
    view, told = job.result(timeout=120)
    assert [one["model"] for one in told["answers"]] == names
    assert told["answers"][0]["result"][0]["label"] == "POSITIVE"
    assert told["answers"][0]["provenance"]["model"] == "starter/sentiment"
    assert all(one["measured_bytes"] > 0 for one in told["answers"][:2])
    assert told["answers"][2]["refusal"]
    assert told["answers"][2]["refusal"] in unescape(view)
    assert (told["id"], told["blind"]) == (None, False)
    assert len(job.outputs()) > 1


def test_a_blind_vote_from_question_to_ranking(client: Client, other: str) -> None:
    """Names come with the vote, once; the ranking then counts it."""
    before = client.predict(task="text-generation", api_name="/ranking")[1]["votes"]
    asked = {"models": [STORIES, other], "blind": True, "max_new_tokens": 8}
    view, shown = client.predict(text="Once upon a time", **asked, api_name="/side_by_side")
    assert [set(one) for one in shown["answers"]] == [{"column", "result"}] * 2
    assert STORIES not in view
    assert refusal(client, choice="C", id=shown["id"], api_name="/side_by_side_vote").startswith("choice")
    view, told = client.predict(choice="A", id=shown["id"], api_name="/side_by_side_vote")
    assert {one["model"] for one in told["answers"]} == {STORIES, other}
    assert [one["result"] for one in told["answers"]] == [one["result"] for one in shown["answers"]]
    assert STORIES in view
    assert str(say("error.side_judged")) in refusal(client, choice="B", id=shown["id"], api_name="/side_by_side_vote")
    view, ranking = client.predict(task="text-generation", api_name="/ranking")
    assert ranking["votes"] == before + 1
    assert {STORIES, other} <= {one["name"] for one in ranking["models"]}
    assert STORIES in view


def test_blind_needs_two_answers(client: Client) -> None:
    """Where only one model answers there is nothing to judge: names are shown at once, and it is said why."""
    asked = {"models": [STORIES, "starter/nothing"], "blind": True, "max_new_tokens": 4}
    view, told = client.predict(text="Once", **asked, api_name="/side_by_side")
    assert told["id"] is None
    assert told["answers"][0]["model"] == STORIES
    assert str(say("say.side_not_judged")) in unescape(view)


def test_the_starter_answers_where_nobody_is_named(client: Client) -> None:
    """No models are the task's own starter; a task without a vote says so."""
    _, told = client.predict(text="A fine day.", task="text-classification", api_name="/side_by_side")
    assert [one["model"] for one in told["answers"]] == ["starter/sentiment"]
    view, ranking = client.predict(task="text-classification", api_name="/ranking")
    assert "text-classification" in view
    assert ranking["models"] == []


def test_an_id_that_is_nobodys_is_unknown(client: Client) -> None:
    """So is one that makes no sense."""
    for id_ in ("0" * 32, "../votes", "x" * 5_000):
        assert str(say("error.side_unknown")) in refusal(client, choice="A", id=id_, api_name="/side_by_side_vote")
