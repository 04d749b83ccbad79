"""The Generate panel: what it draws, and its endpoint as programs use it: streamed, stopped, refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from transformers import pipeline

from core.provenance import Provenance
from core.tasks.text.text_generation import Candidate, Continuation, Generation, Piece, TextGenerationSettings
from core.words import dictionary, say
from tabs._events import Visit
from tabs._generation_form import _apply
from tabs.text.generation import _show, _sketch
from tests.fakes.models import tiny_llama
from tests.serving import Served, until

PROVENANCE = Provenance("m", "r", None, "cpu", "float32", "sdpa", 1, 0.5)
LONG = {"max_new_tokens": 250, "min_new_tokens": 250, "num_return_sequences": 8}
MARKUP = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a tiny causal language model."""
    return str(tiny_llama(tmp_path_factory.mktemp("model") / "llama"))


@pytest.fixture
def client(served: Served, tmp_path: Path) -> Iterator[Client]:
    """Give a client of the shared app."""
    made = Client(served.address, ssl_verify=False, verbose=False, download_files=tmp_path)
    yield made
    made.close()


def written(*pieces: Piece, text: str = "", rest: str = "") -> Generation:
    """Return a generation of one row."""
    row = Continuation(text or "".join(piece.text for piece in pieces), "eos", len(pieces) + len(rest), pieces, rest)
    return Generation("Once", (row,), 0.25, 40.0, PROVENANCE)


def drawn(answer: Generation) -> str:
    """Return the panel's view of it."""
    return _show(answer, TextGenerationSettings(prompt="Once"), Visit())


def test_each_token_opens_its_candidates() -> None:
    """A token is a disclosure whose list holds the candidates with their probabilities, spaces made visible."""
    html = drawn(written(Piece(" a", 0.625, (Candidate(" a", 0.625), Candidate("\n", 0.25)))))
    assert html.count("<details") == 1
    assert "--sure:62%" in html
    assert 'data-branch=" a"' in html
    assert "·a</button>62.5%" in html
    assert "⏎</button>25.0%" in html


def test_markup_stays_text() -> None:
    """Neither a prompt nor a token nor a candidate becomes markup."""
    html = drawn(written(Piece(MARKUP, 0.5, (Candidate(MARKUP, 0.5),)))) + _sketch(
        [MARKUP], TextGenerationSettings(prompt=MARKUP)
    )
    assert "<img" not in html
    assert 'onerror="' not in html


def test_a_text_without_candidates_is_plain() -> None:
    """Where no candidates were asked for it stands there as it is."""
    assert "<details" not in drawn(written(Piece("a", 1.0)))
    assert "a long text" in drawn(written(text="a long text"))


def test_a_long_text_ends_plain() -> None:
    """What is written behind the last token with candidates stands there, too, and it is said where they end."""
    html = drawn(written(Piece(" a", 0.625, (Candidate(" a", 0.625),)), rest=" <b>"))
    assert html.count("<details") == 1
    assert "</details> &lt;b&gt;</div>" in html
    assert str(say("say.first_candidates", shown=1, count=5)) in html
    assert str(say("say.first_candidates", shown=1, count=1)) not in drawn(
        written(Piece("a", 1.0, (Candidate("a", 1.0),)))
    )


def test_speed_and_end_are_told() -> None:
    """Under the text stand why it ended, how many tokens, how fast, and how soon the first one came."""
    html = drawn(written(Piece("a", 1.0)))
    assert str(say("say.ended_eos")) in html
    assert "1 tokens, 40.0 per second; the first after 0.25 s" in html


def test_a_preset_sets_every_control_it_touches() -> None:
    """A preset returns a value for each control that any preset sets: the others go back to their defaults."""
    greedy, creative = _apply(Visit(), "greedy"), _apply(Visit(), "creative")
    assert len(greedy) == len(creative) == 7
    assert 1.2 in creative
    assert 1.2 not in greedy


def test_it_answers_like_the_pipeline(client: Client, story: str) -> None:
    """`result` is what transformers.pipeline returns for the same model, prompt and settings."""
    _, code, result, provenance, details = client.predict(
        "Once", model=story, do_sample=False, max_new_tokens=12, api_name="/text_generation"
    )
    assert result == pipeline("text-generation", model=story)("Once", do_sample=False, max_new_tokens=12)
    assert "pipeline(" in code
    assert provenance["model"] == story
    assert provenance["seed"] is None
    (row,) = details["continuations"]
    assert (row["reason"], row["count"], len(row["tokens"][0]["candidates"])) == ("length", 12, 5)
    assert details["tokens_per_second"] > 0 < details["first_token_seconds"]


def test_it_is_streamed(client: Client, story: str) -> None:
    """Programs, too, get the text while it grows; the last update is the whole answer."""
    job = client.submit("Once", model=story, **LONG, api_name="/text_generation")
    view, _, result, _, details = job.result(timeout=120)
    grown = [update[0] for update in job.outputs()]
    assert len(grown) > 1
    assert result[0]["generated_text"].startswith("Once")
    assert grown[-1] == view
    assert [row["count"] for row in details["continuations"]] == [250] * 8


def test_a_stop_on_the_page_keeps_what_was_written(served: Served, story: str) -> None:
    """Stop answers with the text so far, its code, its provenance and the reason; the event ends with the same."""
    with httpx.Client(base_url=f"{served.address}/gradio_api", timeout=120) as browser:
        session = run_in_a_page(browser, story)
        with browser.stream("GET", "/queue/data", params={"session_hash": session}) as news:
            lines = (json.loads(line.removeprefix("data: ")) for line in news.iter_lines() if line)
            next(one for one in lines if one["msg"] == "process_generating")
            stop = {"data": [], "session_hash": session}
            shown = browser.post("/run/text_generation_stop", json=stop).json()["data"]
            ended = next(one for one in lines if one["msg"] == "process_completed")["output"]
    view, code, result, provenance, details = shown
    assert str(say("say.ended_stopped")) in view
    assert "pipeline(" in code
    assert result[0]["generated_text"].startswith("Once")
    assert provenance["model"] == story
    assert {row["reason"] for row in details["continuations"]} == {"stopped"}
    assert all(0 < row["count"] < 250 for row in details["continuations"])
    assert ended["data"][2] == result


def test_a_stop_of_nothing_changes_nothing(served: Served) -> None:
    """A page that runs nothing keeps what it shows."""
    stop = {"data": [], "session_hash": uuid4().hex}
    answer = httpx.post(f"{served.address}/gradio_api/run/text_generation_stop", json=stop, timeout=60).json()
    assert [one["__type__"] for one in answer["data"]] == ["update"] * 5
    assert "value" not in json.dumps(answer["data"])


def test_a_cancelled_request_stops_writing(client: Client, served: Served, tmp_path: Path) -> None:
    """After a client's cancel nobody borrows the model any more, while the same text would be written for minutes."""
    endless = str(tiny_llama(tmp_path / "endless"))
    for name, key in (("config.json", "max_position_embeddings"), ("tokenizer_config.json", "model_max_length")):
        path = Path(endless) / name
        path.write_text(json.dumps({**json.loads(path.read_text()), key: 100_000}))
    asked = {**LONG, "max_new_tokens": 4096, "min_new_tokens": 4096}
    job = client.submit("Once", model=endless, **asked, api_name="/text_generation")
    until(lambda: len(job.outputs()) > 0 or job.done())
    assert served.borrowers() == 1
    job.cancel()
    until(lambda: served.borrowers() == 0, seconds=20)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"prompt": " "}, "error.text_empty"),
        ({"min_new_tokens": 50, "max_new_tokens": 10}, "error.new_tokens_crossed"),
        ({"do_sample": False, "num_return_sequences": 2}, "error.greedy_has_one_sequence"),
        ({"early_stopping": True}, "error.early_stopping_needs_beams"),
        ({"num_beams": 2, "num_return_sequences": 3}, "error.more_sequences_than_beams"),
    ],
    ids=str,
)
def test_bad_settings_are_refused_in_words(client: Client, story: str, values: dict[str, object], key: str) -> None:
    """Limits and contradictions are sentences, not warnings in a log."""
    with pytest.raises(AppError) as caught:
        client.predict(**{"prompt": "Once", "model": story, **values}, api_name="/text_generation")
    assert re.fullmatch(re.sub(r"\\\{.+?\\\}", ".+", re.escape(dictionary("en")[key])), str(caught.value))


def test_a_number_outside_is_refused_with_its_name(client: Client, story: str) -> None:
    """The settings answer, not the control: which one, and what is allowed."""
    with pytest.raises(AppError, match=r"max_new_tokens.*4,?096"):
        client.predict("Once", model=story, max_new_tokens=0, api_name="/text_generation")


def run_in_a_page(browser: httpx.Client, story: str) -> str:
    """Press Run as a page does, for a long text; returns the page's session."""
    config = browser.get("/info").json()["named_endpoints"]["/text_generation"]["parameters"]
    values = {one["parameter_name"]: one.get("parameter_default") for one in config}
    body = {"data": list({**values, "prompt": "Once", "model": story, **LONG}.values()), "session_hash": uuid4().hex}
    entries = browser.get(str(browser.base_url).replace("/gradio_api/", "/config")).json()["dependencies"]
    index = next(one["id"] for one in entries if one["api_name"] == "text_generation")
    browser.post("/queue/join", json={**body, "fn_index": index}).raise_for_status()
    return str(body["session_hash"])
