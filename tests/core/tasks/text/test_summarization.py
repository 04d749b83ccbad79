"""Summaries: sentences picked by a real encoder, and sentences written by tiny encoder-decoders."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from core.catalogue import starter_metrics
from core.errors import Cancelled, InvalidInput
from core.events import CancelToken, Progress
from core.models.loading import starter_base_folder
from core.models.registry import Registry
from core.settings import LIMITS
from core.tasks.text.abstractive import Part
from core.tasks.text.encoder import INTERACTIVE, Lane
from core.tasks.text.fitting import parts
from core.tasks.text.summarization import (
    MOST_SENTENCES,
    TASK,
    SummarizationSettings,
    Summary,
    centrality,
    most_central,
    summarize,
    summarize_texts,
)
from core.words import say
from tests.fakes.translators import tiny_marian

BASE = str(starter_base_folder())
ARTICLE = (
    "Dr. A. Lee of the U.S. Geological Survey reported a strong earthquake near the coast on Monday. "
    "The earthquake damaged hundreds of houses and cut the power in the coastal towns. "
    "My neighbour likes strawberry jam. "
    "Rescue teams searched the damaged houses for survivors of the earthquake all night. "
    "The earthquake damaged hundreds of houses and cut power in coastal towns. "
    "“We felt it for 3.5 minutes,” said one resident. "
    "Officials expect aftershocks in the region this week."
)


def asked(text: str = ARTICLE, **values: Any) -> SummarizationSettings:
    """Return the settings for a text and the real base."""
    return SummarizationSettings(**{"text": text, "model": BASE, "dtype": "float32", **values})


def test_central_sentences_are_picked_in_their_order(registry: Registry) -> None:
    """What the text is about is picked, what it is not about is not, and each span is exactly a sentence of it."""
    summary = summarize(asked(sentences=3), registry)
    pieces = [ARTICLE[one.start : one.end] for one in summary.picked]
    assert summary.summary_text == " ".join(pieces)
    assert len(pieces) == 3
    assert pieces[0].startswith("Dr. A. Lee of the U.S. Geological Survey")
    assert not any("jam" in piece for piece in pieces)
    assert [one.start for one in summary.picked] == sorted(one.start for one in summary.picked)
    assert summary.result == [{"summary_text": summary.summary_text}]
    assert summary.notes == ()
    json.dumps(summary.result)


def test_a_repeated_sentence_is_picked_once(registry: Registry) -> None:
    """Of two sentences that say the same, the summary holds one."""
    pieces = [ARTICLE[one.start : one.end] for one in summarize(asked(sentences=4), registry).picked]
    assert sum("hundreds of houses" in piece for piece in pieces) == 1


def test_more_sentences_contain_more(registry: Registry) -> None:
    """Asking for one sentence more keeps those picked before."""
    few, more = (summarize(asked(sentences=count), registry).picked for count in (2, 3))
    assert {one.start for one in few} < {one.start for one in more}


@pytest.mark.parametrize("text", ["One sentence only", "First. Second!", "...", "😀", "مرحبا بالعالم.", "\u200b."])
def test_fewer_sentences_than_asked(text: str, registry: Registry) -> None:
    """A text that is short already comes back whole, and a note says so."""
    summary = summarize(asked(f" {text}\n"), registry)
    assert summary.summary_text == text
    assert any("given back whole" in str(note) for note in summary.notes)
    assert summary.provenance.fallbacks == tuple(map(str, summary.notes))


def test_chinese_and_korean(registry: Registry) -> None:
    """Sentences without spaces between are joined without, those with spaces with one."""
    chinese = "今天天氣很好。我們去公園吧！「你好嗎？」他問。圓周率是3.14。再見。"
    summary = summarize(asked(chinese, sentences=2), registry)
    assert summary.summary_text == "".join(chinese[one.start : one.end] for one in summary.picked)
    korean = summarize(asked("안녕하세요. 저는 학생입니다. 오늘은 덥다.", sentences=2), registry)
    assert ". " in korean.summary_text


def test_long_sentences_are_named(registry: Registry) -> None:
    """A sentence longer than the model reads is judged by its beginning, and a note says so."""
    summary = summarize(asked("word " * 300 + ". Short one. Another short one.", sentences=2), registry)
    assert any("1 sentence(s) are longer than the 256 tokens" in str(note) for note in summary.notes)


@pytest.mark.parametrize("text", ["", " \n ", "x" * 1_000_000])
def test_empty_and_endless_texts_are_refused(text: str) -> None:
    """No text, or more than the limit, is refused with the limit."""
    with pytest.raises(InvalidInput, match=f"{LIMITS.context_characters:,}"):
        asked(text)


@pytest.mark.parametrize(
    "values",
    [
        {"sentences": 0},
        {"sentences": 21},
        {"sentences": 2.5},
        {"min_length": 50, "max_length": 20},
        {"num_beams": 99},
        {"no_repeat_ngram_size": -1},
    ],
)
def test_bad_numbers_are_refused(values: dict[str, Any]) -> None:
    """Numbers outside their limits, and lengths that contradict each other, are refused."""
    with pytest.raises(InvalidInput):
        asked(**values)


def test_too_many_sentences_are_refused(registry: Registry) -> None:
    """More sentences than can be compared are refused with both numbers."""
    with pytest.raises(InvalidInput, match=f"6,000 sentences; at most {MOST_SENTENCES:,}"):
        summarize(asked("好。" * 6_000), registry)


def test_a_thousand_lines(registry: Registry) -> None:
    """A list of a thousand lines is a text of a thousand sentences."""
    text = "\n".join(f"Line {place}" for place in range(1_000))
    assert len(summarize(asked(text, sentences=20), registry).picked) == 20


def test_centrality_by_hand() -> None:
    """The vector nearest to the mean is the most central, the prior prefers the earlier of two equals."""
    scores = centrality(torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.1], [1.0, 0.0]]))
    assert scores[1] > scores[3] > scores[0]
    assert centrality(torch.ones(1, 2)).tolist() == pytest.approx([1.0])


def test_the_figures_of_centrality_are_the_recorded_ones() -> None:
    """What the docstring says of SciTLDR stands in the starter's metrics, in that order, with its command."""
    record = starter_metrics("starter/embeddings")
    measured = [row["value"] for row in record["measurements"] if row["dataset"] == "scitldr"]
    told = " ".join((centrality.__doc__ or "").split())
    assert [float(figure) for figure in re.findall(r"0\.\d{4}", told)] == measured
    assert record["command"] in told


def test_redundancy_by_hand() -> None:
    """After the best sentence its copy comes last, though it is the second most central."""
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.8, 0.6]])
    assert most_central(vectors, torch.tensor([0.9, 0.89, 0.7]), 3) == [0, 2, 1]
    assert most_central(vectors, torch.tensor([0.9, 0.89, 0.7]), 9) == [0, 2, 1]


def test_sentences_that_fit_by_hand() -> None:
    """Under a limit of tokens the best that still fit are taken; where none is that short, the best one alone."""
    vectors, scores = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.8, 0.6]]), torch.tensor([0.9, 0.89, 0.7])
    assert most_central(vectors, scores, 3, [5, 5, 5], 15) == [0, 2, 1]
    assert most_central(vectors, scores, 3, [5, 5, 5], 14) == [0, 2]
    assert most_central(vectors, scores, 3, [9, 2, 3], 5) == [1, 2]
    assert most_central(vectors, scores, 3, [9, 8, 7], 5) == [0]


def tokens(text: str) -> int:
    """Count the tokens that the real base makes of a text."""
    return len(transformers.AutoTokenizer.from_pretrained(BASE)(text, add_special_tokens=False).input_ids)


def test_an_encoder_keeps_to_max_length(registry: Registry) -> None:
    """Its sentences have at most max_length tokens together; if they are fewer than asked for, a note says so."""
    whole = summarize(asked(sentences=4), registry)
    for most in (20, 30, 45, tokens(whole.summary_text)):
        summary = summarize(asked(sentences=4, max_length=most), registry)
        assert 0 < tokens(summary.summary_text) <= most
        fewer = ["say.summary_fewer"] if len(summary.picked) < 4 else []
        assert [note.key for note in summary.notes] == fewer
        assert summary.provenance.fallbacks == tuple(map(str, summary.notes))
    assert summary.picked == whole.picked
    few = summarize(asked(sentences=4, max_length=20), registry)
    assert (few.notes[0].values["count"], few.notes[0].values["asked"]) == (len(few.picked), 4)


def test_sentences_that_are_all_too_long(registry: Registry) -> None:
    """Where no sentence has so few tokens, the most central one stands alone, and a note says how long it is."""
    summary = summarize(asked(sentences=3, max_length=2), registry)
    assert summary.summary_text == summarize(asked(sentences=1), registry).summary_text
    assert [note.key for note in summary.notes] == ["say.summary_fewer", "say.summary_longer"]
    assert summary.notes[1].values == {"length": tokens(summary.summary_text), "most": 2}


def test_a_short_text_within_max_length_stays_whole(registry: Registry) -> None:
    """A text with no more sentences and tokens than asked for comes back as it is, line breaks and all."""
    text = "First.\n\nSecond!"
    assert summarize(asked(text, max_length=9), registry).summary_text == text
    assert summarize(asked(text, max_length=3), registry).summary_text in {"First.", "Second!"}


def test_an_encoder_says_what_it_does_not_read(registry: Registry) -> None:
    """Beams and the lengths of what is written are named where sentences are picked; max_length is read."""
    chosen = {"min_length": 5, "max_length": 60, "num_beams": 2, "no_repeat_ngram_size": 3}
    summary = summarize(asked(sentences=1, **chosen), registry)
    assert summary.notes == (say("say.unread_by_picker", names="min_length, num_beams, no_repeat_ngram_size"),)
    assert summary.provenance.fallbacks == tuple(map(str, summary.notes))
    assert summary.summary_text == summarize(asked(sentences=1), registry).summary_text


def test_an_encoder_decoder_says_what_it_does_not_read(tmp_path: Path, registry: Registry) -> None:
    """The number of sentences is named where new ones are written, unless nobody chose it."""
    model = encoder_decoder(tmp_path)
    options = {"model": model, "min_length": 3, "max_length": 8, "num_beams": 2, "no_repeat_ngram_size": 2}
    summary = summarize(asked("the cat", sentences=5, **options), registry)
    assert summary.notes == (say("say.unread_by_writer", names="sentences"),)
    assert summary.provenance.fallbacks == tuple(map(str, summary.notes))
    assert summarize(asked("the cat", **options), registry).notes == ()


def encoder_decoder(folder: Path, family: str = "t5", **changes: Any) -> str:
    """Write a tiny encoder-decoder with the base's tokenizer, which rarely ends of its own; returns its folder."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(BASE)
    shared = {"vocab_size": 30522, "pad_token_id": 0, "eos_token_id": 102, "decoder_start_token_id": 101, **changes}
    if family == "t5":
        config = transformers.T5Config(d_model=16, d_kv=4, num_heads=4, num_layers=2, d_ff=32, **shared)
    else:
        sizes = dict.fromkeys(("encoder_layers", "decoder_layers"), 2)
        heads = dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
        config = transformers.BartConfig(
            d_model=16,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            max_position_embeddings=64,
            bos_token_id=101,
            forced_eos_token_id=102,
            **sizes,
            **heads,
            **shared,
        )
    torch.manual_seed(1)
    model = transformers.AutoModelForSeq2SeqLM.from_config(config)
    for weight in model.parameters():
        weight.data.mul_(3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def reference(folder: str, text: str, **options: Any) -> str:
    """Return what plain transformers writes."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    limit = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512))
    inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=limit)
    written = model.generate(inputs["input_ids"], attention_mask=inputs["attention_mask"], do_sample=False, **options)
    return str(tokenizer.decode(written[0], skip_special_tokens=True)).strip()


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_an_encoder_decoder_writes_what_transformers_writes(family: str, tmp_path: Path, registry: Registry) -> None:
    """With the same lengths, beams and n-grams the text equals that of model.generate."""
    model = encoder_decoder(tmp_path, family)
    options = {"min_length": 5, "max_length": 20, "num_beams": 3, "no_repeat_ngram_size": 2}
    summary = summarize(asked("Ada Lovelace wrote the first program.", model=model, **options), registry)
    assert summary.summary_text == reference(model, "Ada Lovelace wrote the first program.", **options)
    assert summary.summary_text
    assert summary.picked == ()
    assert summary.result == [{"summary_text": summary.summary_text}]


def test_the_models_own_prefix_and_lengths(tmp_path: Path, registry: Registry) -> None:
    """A T5's task_specific_params are followed: its prefix is put before the text, its lengths and beams are taken."""
    own = {
        "prefix": "summarize: ",
        "min_length": 4,
        "max_length": 12,
        "num_beams": 2,
        "no_repeat_ngram_size": 3,
        "length_penalty": 2.0,
        "early_stopping": True,
    }
    model = encoder_decoder(tmp_path, task_specific_params={TASK: own})
    summary = summarize(asked("the cat sat on the mat", model=model), registry)
    options = {name: value for name, value in own.items() if name != "prefix"}
    assert summary.summary_text == reference(model, "summarize: the cat sat on the mat", **options)
    assert summary.summary_text != reference(model, "the cat sat on the mat", **options)


def test_an_asked_length_beats_the_models_own(tmp_path: Path, registry: Registry) -> None:
    """A shorter maximum than the model's own minimum is kept, and a longer minimum than its maximum, too."""
    model = encoder_decoder(tmp_path, task_specific_params={TASK: {"min_length": 30, "max_length": 40}})
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    short = summarize(asked("the cat", model=model, max_length=10), registry).summary_text
    long = summarize(asked("the cat", model=model, min_length=60), registry).summary_text
    assert len(tokenizer(short, add_special_tokens=False).input_ids) <= 10
    assert len(tokenizer(long, add_special_tokens=False).input_ids) > 40


LONG = " ".join(
    f"In the year {year} we built a bridge, number {year % 7}, and it was good." for year in range(1900, 1920)
)


def by_hand(folder: str, text: str, limit: int, **options: Any) -> tuple[str, list[list[tuple[str, str]]]]:
    """Return the summary of a text in rounds of parts, and the parts, by plain transformers."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rounds: list[list[tuple[str, str]]] = []

    def lengths(pieces: Sequence[str]) -> list[int]:
        return [len(tokenizer(piece).input_ids) for piece in pieces]

    while lengths([text])[0] > limit:
        rounds.append([(part, reference(folder, part, **options)) for part in parts(text, lengths, limit)])
        text = " ".join(summary for _, summary in rounds[-1])
    return reference(folder, text, **options), rounds


def test_a_long_text_is_summarised_in_parts(tmp_path: Path, registry: Registry) -> None:
    """What does not fit is summarised part by part, then the summaries, until they fit; view and note tell it."""
    model = encoder_decoder(tmp_path, "bart")
    options = {"max_length": 20, "num_beams": 1}
    expected, rounds = by_hand(model, LONG, 64, **options)
    assert len(rounds) > 1, "one round proves little"
    summary = summarize(asked(LONG, model=model, **options), registry)
    assert summary.summary_text == expected
    assert [(part.text, part.summary) for part in summary.parts] == [part for found in rounds for part in found]
    assert " ".join(part for part, _ in rounds[0]) == LONG
    (note,) = summary.notes
    assert note.key == "say.summary_of_parts"
    assert (note.values["parts"], note.values["rounds"]) == (len(summary.parts), len(rounds))
    assert summary.provenance.fallbacks == (str(note),)


def test_parts_that_do_not_get_shorter_are_cut_and_said(tmp_path: Path, registry: Registry) -> None:
    """Where summaries are as long as their parts, no second round comes: the beginning is read, and a note says so."""
    model = encoder_decoder(tmp_path, "bart")
    summary = summarize(asked(LONG, model=model, min_length=63, max_length=63, num_beams=1), registry)
    assert [note.key for note in summary.notes] == ["say.summary_of_parts", "say.text_cut"]
    assert summary.notes[0].values["rounds"] == 1


def test_parts_are_told_as_they_are_done(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch of parts is told, in the order of the text, and how many parts are left."""
    monkeypatch.setattr("core.tasks.text.seq2seq.rows_at_once", lambda _: 4)
    model = encoder_decoder(tmp_path, "bart")
    told: list[Sequence[Part]] = []
    done: list[Progress] = []
    lane = Lane(report=done.append)
    summary = summarize(asked(LONG, model=model, max_length=8, num_beams=1), registry, lane, told.append)
    assert len(told) > 1
    assert tuple(told[-1]) == summary.parts
    assert next(one.total for one in done if one.phase == "write") == len(summary.parts)


@pytest.fixture
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two parts be written at a time, so that there is something between the first and the last."""
    monkeypatch.setattr("core.tasks.text.seq2seq.rows_at_once", lambda _: 2)


def stopped_after(rounds: int, settings: SummarizationSettings, registry: Registry) -> tuple[Summary, list[list[Part]]]:
    """Return what a stop leaves that comes with the first parts of this round, and the parts told in each round."""
    told: list[list[Part]] = []
    cancel = CancelToken()

    def tell(parts: Sequence[Part]) -> None:
        if not told or len(parts) < len(told[-1]):
            told.append([])
        told[-1] = list(parts)
        if len(told) == rounds:
            cancel.cancel()

    return summarize(settings, registry, Lane(cancel=cancel), tell), told


@pytest.mark.usefixtures("two_at_once")
def test_a_stop_keeps_the_parts_that_are_done(tmp_path: Path, registry: Registry) -> None:
    """Stopped in the first round, a long text has the summaries of the parts that are done, and a note counts them."""
    settings = asked(LONG, model=encoder_decoder(tmp_path, "bart"), max_length=8, num_beams=1)
    whole = summarize(settings, registry)
    summary, (told,) = stopped_after(1, settings, registry)
    assert 0 < len(summary.parts) < whole.notes[0].values["parts"]
    assert list(summary.parts) == told
    assert set(summary.parts) < set(whole.parts)
    assert summary.result == [{"summary_text": " ".join(part.summary for part in told)}]
    first_round = [part for part in whole.parts if part.text in LONG]
    assert summary.notes == (say("say.summary_stopped", read=64, done=len(told), parts=len(first_round)),)
    assert summary.provenance.fallbacks == tuple(map(str, summary.notes))


@pytest.mark.usefixtures("two_at_once")
def test_a_stop_in_a_later_round_keeps_the_round_before(tmp_path: Path, registry: Registry) -> None:
    """Stopped while summaries are summarised again, all of the text's parts are there, and the note says so."""
    settings = asked(LONG, model=encoder_decoder(tmp_path, "bart"), max_length=20, num_beams=1)
    summary, (first, second) = stopped_after(2, settings, registry)
    assert " ".join(part.text for part in first) == LONG
    assert summary.summary_text == " ".join(part.summary for part in first)
    assert list(summary.parts) == [*first, *second]
    assert summary.notes == (say("say.summary_stopped_late", read=64, rounds=1),)


@pytest.mark.usefixtures("two_at_once")
def test_a_stop_of_many_texts_is_a_stop(tmp_path: Path, registry: Registry) -> None:
    """A table's rows are not half summaries: a stop is Cancelled there, as it is before the first part of one text."""
    settings, cancel = asked(LONG, model=encoder_decoder(tmp_path, "bart"), max_length=8, num_beams=1), CancelToken()
    with registry.borrow(settings.spec(registry, TASK)) as model:
        steps: list[int] = []

        def count(_: Any, __: Any, made: Any) -> None:
            steps.append(len(made[0]))
            if len(steps) > 1:
                cancel.cancel()

        watch = model.model.get_encoder().register_forward_hook(count)
        with pytest.raises(Cancelled):
            summarize_texts([LONG, LONG], settings, registry, model, Lane(cancel=cancel))
        watch.remove()
    assert steps == [2, 2]
    with pytest.raises(Cancelled):
        summarize(settings, registry, Lane(cancel=cancel))


def test_a_model_that_says_how_much_it_writes(tmp_path: Path, registry: Registry) -> None:
    """A translator's or title writer's generation_config.json is followed where its task has no settings of its own."""
    model = str(tiny_marian(tmp_path / "marian", max_new_tokens=5, num_beams=3))
    summary = summarize(asked("A short abstract.", model=model), registry)
    assert summary.summary_text == reference(model, "A short abstract.")
    assert 0 < len(summary.summary_text) <= 5


def test_a_stop_request_ends_the_writing(tmp_path: Path, registry: Registry) -> None:
    """Set while tokens are written, the cancel token ends the writing long before its length, in words."""
    model = encoder_decoder(tmp_path)
    begun, cancel, steps = threading.Event(), CancelToken(), []
    settings = asked("the cat", model=model, min_length=500, max_length=500)
    with registry.borrow(settings.spec(registry, TASK)) as loaded:

        def count(*_: Any) -> None:
            steps.append(1)
            begun.set()

        watch = loaded.model.decoder.register_forward_hook(count)
        with ThreadPoolExecutor(1) as user:
            future = user.submit(summarize, settings, registry, Lane(cancel=cancel))
            assert begun.wait(60)
            cancel.cancel()
            with pytest.raises(Cancelled):
                future.result(60)
        watch.remove()
    assert len(steps) < 499


def test_many_texts_with_a_borrowed_model(registry: Registry) -> None:
    """A batch gives each text the summary it gets alone, in order."""
    settings = asked(sentences=1)
    with registry.borrow(settings.spec(registry, TASK)) as model:
        many = summarize_texts([ARTICLE, "Just this."], settings, registry, model, INTERACTIVE)
    assert many == [summarize(settings, registry).result, [{"summary_text": "Just this."}]]


def test_many_texts_are_written_together(tmp_path: Path, registry: Registry) -> None:
    """Texts that an encoder-decoder shortens share their batches, long ones their parts, too; those cut are told."""
    settings = asked("-", model=encoder_decoder(tmp_path, "bart"), min_length=63, max_length=63, num_beams=1)
    texts, passes, cut = ["The cat.", LONG, "A dog was here.", "I see."], [], []
    with registry.borrow(settings.spec(registry, TASK)) as model:
        watch = model.model.get_encoder().register_forward_hook(lambda _, __, made: passes.append(len(made[0])))
        many = summarize_texts(texts, settings, registry, model, Lane(on_cut=cut.extend))
        watch.remove()
    assert passes == [len(summarize(replace(settings, text=LONG), registry).parts), len(texts)]
    assert many == [summarize(replace(settings, text=text), registry).result for text in texts]
    assert cut == [1]
