"""A text goes on: as the pipeline writes it, with its candidates, streamed, stopped, refused in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import pipeline

from core.catalogue import Catalogue
from core.compute.decoding import Token, Writing, Written
from core.errors import Cancelled, InvalidInput, NotEnoughMemory
from core.events import CancelToken, Progress
from core.hub.client import Hub
from core.machine.hardware import Device, Hardware
from core.models.loading import LoadedModel, Loader
from core.models.registry import Registry
from core.settings import Settings
from core.tasks.text.encoder import Lane
from core.tasks.text.sampling import arguments
from core.tasks.text.text_generation import (
    MOST_PIECES,
    TASK,
    TEXTS_TOGETHER,
    TextGenerationSettings,
    _continuation,
    continue_texts,
    generate_text,
)
from core.tasks.text.writing import UNFINISHED, _bytes_beside_others
from tests.fakes.models import tiny_llama, tiny_spaced_llama

PROMPT = "Once upon a time"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a tiny causal language model."""
    return str(tiny_llama(tmp_path_factory.mktemp("model") / "llama"))


def by_pipeline(model: str, settings: TextGenerationSettings) -> list[dict[str, str]]:
    """Return what the plain library writes with the same seed."""
    write = pipeline("text-generation", model=model, device="cpu")
    stops = {"stop_strings": settings.stop_strings, "tokenizer": write.tokenizer} if settings.stop else {}
    torch.manual_seed(settings.seed)
    found: list[dict[str, str]] = write(settings.prompt, **arguments(settings), **stops)
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"do_sample": False},
        {"temperature": 1.3, "top_k": 20},
        {"num_return_sequences": 3},
        {"do_sample": False, "num_beams": 4, "num_return_sequences": 2},
        {"num_beams": 3, "length_penalty": 2.0, "early_stopping": True},
    ],
    ids=str,
)
def test_it_equals_the_pipeline(story: str, registry: Registry, options: dict[str, Any]) -> None:
    """The same model, settings and seed give the very text of transformers' pipeline."""
    settings = TextGenerationSettings(prompt=PROMPT, model=story, seed=11, max_new_tokens=30, **options)
    made = generate_text(settings, registry)
    assert made.result == by_pipeline(story, settings)
    assert made.provenance.seed == (11 if settings.do_sample else None)


def test_it_is_told_as_it_grows(story: str, registry: Registry) -> None:
    """Each telling goes on where the one before ended, and the last one is nearly the whole."""
    told: list[Sequence[str]] = []
    settings = TextGenerationSettings(prompt=PROMPT, model=story, seed=3, max_new_tokens=25)
    made = generate_text(settings, registry, told=told.append)
    texts = [one for (one,) in told]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert made.continuations[0].text.startswith(texts[-1])


def test_every_token_has_its_candidates(story: str, registry: Registry) -> None:
    """The pieces together are the text; greedy takes the first of its candidates."""
    settings = TextGenerationSettings(prompt=PROMPT, model=story, do_sample=False, max_new_tokens=12, candidates=4)
    (row,) = generate_text(settings, registry).continuations
    assert len(row.tokens) == 12
    assert "".join(token.text for token in row.tokens) == row.text.rstrip(UNFINISHED)
    assert all(len(token.candidates) == 4 and token.candidates[0][1] == token.probability for token in row.tokens)


def test_a_stop_string_ends_the_text(story: str, registry: Registry) -> None:
    """A text ends with the first of the strings that it was to stop at, where the plain library's does."""
    asked = {"prompt": PROMPT, "model": story, "seed": 11, "max_new_tokens": 30}
    (whole,) = generate_text(TextGenerationSettings(**asked), registry).continuations
    string = next(sign for sign in whole.text[4:] if sign.isascii() and sign.isalnum())
    settings = TextGenerationSettings(**asked, stop=f"never there\n{string}")
    made = generate_text(settings, registry)
    assert made.result == by_pipeline(story, settings)
    assert (made.continuations[0].reason, made.continuations[0].text.endswith(string)) == ("stop", True)
    assert made.continuations[0].count < whole.count


def test_the_end_is_no_text(story: str, registry: Registry) -> None:
    """A special token adds nothing to the text and is told by its name, chosen or as a candidate."""
    with registry.borrow(registry.resolve(story, TASK)) as model:
        end, name = model.tokenizer.eos_token_id, model.tokenizer.eos_token
        ids = [*model.tokenizer(" one", add_special_tokens=False)["input_ids"], end]
        row = _continuation(model, [], [Token(id_, 0.5, ((end, 0.4), (id_, 0.1))) for id_ in ids], "eos")
    assert "".join(piece.text for piece in row.tokens) == row.text == " one"
    assert [piece.special for piece in row.tokens] == [""] * (len(ids) - 1) + [name]
    assert all(piece.candidates[0] == ("", 0.4, name) for piece in row.tokens)


def test_settings_without_effect_are_named(story: str, registry: Registry) -> None:
    """Where no token is drawn, the settings of drawing that somebody chose are said to play no part."""
    settings = TextGenerationSettings(
        prompt=PROMPT, model=story, do_sample=False, temperature=2.0, top_k=3, max_new_tokens=3, seed=7
    )
    (note,) = generate_text(settings, registry).notes
    assert str(note).startswith("temperature, top_k, seed played no part: do_sample is off")


def test_a_models_own_beams_are_not_ours(tmp_path: Path, registry: Registry) -> None:
    """Beams that a model's own file asks for are not used, neither here nor in the code that is shown."""
    folder = tiny_llama(tmp_path / "llama")
    path = folder / "generation_config.json"
    held = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**held, "num_beams": 4}))
    settings = TextGenerationSettings(prompt=PROMPT, model=str(folder), do_sample=False, max_new_tokens=20)
    assert generate_text(settings, registry).result == by_pipeline(str(folder), settings)


def test_pieces_are_whole_characters(story: str, registry: Registry) -> None:
    """Of a character of several tokens the last one has all; the pieces together are the text."""
    text = " é🎬 and 한국어."
    with registry.borrow(registry.resolve(story, TASK)) as model:
        ids, prompt = (model.tokenizer(one, add_special_tokens=False)["input_ids"] for one in (text, PROMPT))
        row = _continuation(model, prompt, [Token(id_, 0.5, ((id_, 0.5),)) for id_ in ids], "eos")
    assert len(ids) > len(text)
    assert row.text == "".join(piece.text for piece in row.tokens) == text
    assert all(piece.candidates == ((piece.text, 0.5, ""),) for piece in row.tokens)
    assert "\ufffd" not in row.text


def test_a_very_long_text_has_its_first_pieces(story: str, registry: Registry) -> None:
    """Beyond a limit tokens are text only, for a page with thousands of lists would be slow; nothing is lost."""
    text = "é🎬 and 한국어, " * 40
    with registry.borrow(registry.resolve(story, TASK)) as model:
        ids, prompt = (model.tokenizer(one, add_special_tokens=False)["input_ids"] for one in (text, PROMPT))
        rows = [
            _continuation(model, prompt, [Token(id_, 0.5) for id_ in ids[:count]], "length")
            for count in (MOST_PIECES, *range(MOST_PIECES + 1, MOST_PIECES + 12), len(ids))
        ]
    assert rows[0].rest == ""
    for row in rows:
        assert len(row.tokens) == MOST_PIECES <= row.count
        assert "".join(piece.text for piece in row.tokens) + row.rest == row.text or row is rows[0]
    assert rows[-1].text == text


def test_a_program_reads_what_the_page_shows(story: str, registry: Registry) -> None:
    """The details are JSON: how fast, why each row ended, and each token with its candidates."""
    settings = TextGenerationSettings(prompt=PROMPT, model=story, do_sample=False, max_new_tokens=6, candidates=2)
    made = generate_text(settings, registry)
    told = json.loads(json.dumps(made.details))
    assert told["tokens_per_second"] == pytest.approx(made.tokens_per_second, abs=0.01)
    assert told["first_token_seconds"] == pytest.approx(made.first_token_seconds, abs=0.001)
    (row,) = told["continuations"]
    assert (row["reason"], row["count"]) == ("length", 6)
    assert made.result[0]["generated_text"].startswith(PROMPT + "".join(token["text"] for token in row["tokens"]))
    for token in row["tokens"]:
        assert token["candidates"][0]["probability"] == token["probability"]
        assert len(token["candidates"]) == 2


@pytest.mark.parametrize("beams", [1, 4])
def test_whoever_has_left_gets_nothing(story: str, registry: Registry, beams: int) -> None:
    """A request that was stopped before it began writes nothing, whichever way it would have been written."""
    cancel = CancelToken()
    cancel.cancel()
    settings = TextGenerationSettings(prompt=PROMPT, model=story, max_new_tokens=200, num_beams=beams)
    with pytest.raises(Cancelled):
        generate_text(settings, registry, Lane(cancel=cancel))


def test_beams_hear_a_stop_request(story: str, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops while beams search, at their third pause, gets the two tokens they have; they pause no more."""
    cancel, pauses, take_turns = CancelToken(), [], registry.batcher.take_turns

    def pause() -> None:
        pauses.append(cancel.cancelled)
        if len(pauses) == 3:
            cancel.cancel()

    monkeypatch.setattr(
        registry.batcher,
        "take_turns",
        lambda work, **how: take_turns(lambda give_way: work(lambda: (give_way(), pause())[0]), **how),
    )
    settings = TextGenerationSettings(prompt=PROMPT, model=story, max_new_tokens=200, min_new_tokens=200, num_beams=4)
    told: list[Progress] = []
    (kept,) = generate_text(settings, registry, Lane(cancel=cancel, report=told.append)).continuations
    assert pauses == [False] * 3
    assert (kept.reason, kept.count) == ("stopped", 2)
    assert kept.text
    assert [(one.done, one.total) for one in told if one.phase == "write"] == [(1, 200), (2, 200)]


def test_a_long_prompt_keeps_its_end(story: str, registry: Registry) -> None:
    """A prompt that leaves no room is cut at its beginning, and the result says so."""
    settings = TextGenerationSettings(prompt="x" * 400, model=story, max_new_tokens=20)
    made = generate_text(settings, registry)
    assert [note.key for note in made.notes] == ["say.prompt_cut"]
    assert made.provenance.fallbacks == tuple(map(str, made.notes))
    with pytest.raises(InvalidInput, match="max_new_tokens"):
        generate_text(TextGenerationSettings(prompt=PROMPT, model=story, max_new_tokens=256), registry)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"min_new_tokens": 9, "max_new_tokens": 8}, "error.new_tokens_crossed"),
        ({"num_beams": 2, "num_return_sequences": 3}, "error.more_sequences_than_beams"),
        ({"do_sample": False, "num_return_sequences": 2}, "error.greedy_has_one_sequence"),
        ({"early_stopping": True}, "error.early_stopping_needs_beams"),
        ({"length_penalty": 2.0}, "error.length_penalty_needs_beams"),
        ({"stop": "\n".join("x" * 21)}, "error.too_many_stops"),
        ({"temperature": 0.0}, "error.number_outside"),
        ({"prompt": "   "}, "error.text_empty"),
    ],
)
def test_contradictions_are_refused_in_words(options: dict[str, Any], key: str) -> None:
    """Settings that cannot be obeyed together are a sentence, not a warning in a log."""
    with pytest.raises(InvalidInput) as caught:
        TextGenerationSettings(**{"prompt": PROMPT, **options})
    assert caught.value.sentence.key == key


def test_the_seed_is_drawn_and_told(story: str, registry: Registry) -> None:
    """Without a seed one is drawn; asked again with it, the same text comes."""
    first = generate_text(TextGenerationSettings(prompt=PROMPT, model=story, max_new_tokens=20), registry)
    seed = first.provenance.seed
    assert seed is not None
    again = TextGenerationSettings(prompt=PROMPT, model=story, max_new_tokens=20, seed=seed)
    assert generate_text(again, registry).result == first.result


def test_a_model_without_this_head_is_refused(make_model: Any, registry: Registry, tmp_path: Path) -> None:
    """A classifier cannot write."""
    settings = TextGenerationSettings(prompt=PROMPT, model=make_model("sequence-classification"))
    with pytest.raises(Exception, match="text-generation"):
        generate_text(settings, registry)
    assert not list(tmp_path.iterdir())


def test_many_texts_are_continued_side_by_side(story: str, registry: Registry) -> None:
    """Each row of a table is what the pipeline writes for it alone; a prompt without room is cut, and its row told."""
    settings = TextGenerationSettings(prompt="-", model=story, do_sample=False, max_new_tokens=12, candidates=0)
    texts = [PROMPT, "It is", PROMPT * 3, "a", "The end." * 100]
    cut: set[int] = set()
    with registry.borrow(settings.spec(registry, TASK)) as model:
        made = continue_texts(texts, settings, registry, model, Lane(background=True, on_cut=cut.update))
    write = pipeline("text-generation", model=story, device="cpu")
    expected = [write(text, do_sample=False, max_new_tokens=12) for text in texts[:4]]
    assert made[:4] == expected
    assert cut == {4}
    assert made[4][0]["generated_text"].startswith(texts[4])


def test_the_space_before_the_first_word_stays(registry: Registry, tmp_path: Path) -> None:
    """A tokenizer that strips a leading space loses none of a text that goes on: whole, streamed, in a table."""
    model = str(tiny_spaced_llama(tmp_path / "spaced"))
    settings = TextGenerationSettings(prompt="once upon", model=model, do_sample=False, max_new_tokens=8, candidates=2)
    told: list[str] = []
    (found,) = (made := generate_text(settings, registry, told=lambda texts: told.append(texts[0]))).continuations
    with registry.borrow(settings.spec(registry, TASK)) as borrowed:
        ids = borrowed.tokenizer("once upon")["input_ids"]
        tokens = decoded_ids(borrowed, ids)
        (row,) = continue_texts(["once upon"], settings, registry, borrowed, Lane(background=True))
        whole = borrowed.tokenizer.decode([*ids, *tokens], skip_special_tokens=True)
    assert found.text.startswith(" ")
    assert "once upon" + found.text == whole == made.result[0]["generated_text"] == row[0]["generated_text"]
    assert told[-1] == found.text == "".join(piece.text for piece in found.tokens)


def decoded_ids(model: LoadedModel, ids: Sequence[int]) -> list[int]:
    """Return the tokens that the library's own greedy search adds."""
    prompt = torch.tensor([list(ids)])
    written = model.model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=8)
    tokens: list[int] = written[0, len(ids) :].tolist()
    return tokens


def test_a_table_goes_on_with_fewer_side_by_side(story: str) -> None:
    """With room for two texts fewer are written at a time, the same ones; with room for none, numbers say so."""
    settings = TextGenerationSettings(prompt="-", model=story, do_sample=False, max_new_tokens=12, candidates=0)
    texts, free = ["a", "b", "c", "d", "e"], [10**9]
    loader = Loader(catalogue := Catalogue(Settings()), Hub(offline=True))
    machine = lambda: Hardware((Device("cpu", 0, "test", 10**9, free[0]),), cores=2)  # noqa: E731
    registry = Registry(catalogue, loader, probe=machine)
    with registry.borrow(settings.spec(registry, TASK)) as model:
        expected = continue_texts(texts, settings, registry, model, Lane())
        free[0] = _bytes_beside_others(model, 2, 2 + 12)
        assert continue_texts(texts, settings, registry, model, Lane()) == expected
        free[0] = 1000
        with pytest.raises(NotEnoughMemory, match=r"1\.0 KB"):
            continue_texts(texts, settings, registry, model, Lane())


def test_a_stopped_table_writes_no_more(story: str, registry: Registry) -> None:
    """A stop ends all texts that are being written side by side."""
    settings = TextGenerationSettings(prompt="-", model=story, max_new_tokens=100)
    cancel = CancelToken()
    cancel.cancel()
    with registry.borrow(settings.spec(registry, TASK)) as model, pytest.raises(Cancelled):
        continue_texts([PROMPT] * 3, settings, registry, model, Lane(cancel=cancel))


def test_a_table_is_written_in_the_background(story: str, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """More texts than are written at a time come out in order, and go after those that somebody waits for."""
    settings = TextGenerationSettings(prompt="-", model=story, do_sample=False, max_new_tokens=3, candidates=0)
    texts = [f"It was {place} " for place in range(TEXTS_TOGETHER + 3)]
    write, seen = registry.batcher.write, []

    def watched(model: Any, *writings: Writing, at_once: int | None = None) -> list[Written]:
        seen.append(({one.background for one in writings}, at_once))
        return write(model, *writings, at_once=at_once)

    monkeypatch.setattr(registry.batcher, "write", watched)
    with registry.borrow(settings.spec(registry, TASK)) as model:
        made = continue_texts(texts, settings, registry, model, Lane(background=True))
    assert seen == [({True}, TEXTS_TOGETHER)]
    by_itself = pipeline("text-generation", model=story, device="cpu")
    assert made == [by_itself(text, do_sample=False, max_new_tokens=3) for text in texts]
