"""Translations: every family of models told in its own way, sentence by sentence, laid out as the original is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import transformers

from core.errors import Cancelled, InvalidInput
from core.events import CancelToken, Progress
from core.models.loading import starter_base_folder
from core.models.registry import Registry
from core.settings import LIMITS
from core.tasks.text.encoder import INTERACTIVE, Lane
from core.tasks.text.layout import in_one_line, translatable
from core.tasks.text.translation import (
    MOST_SENTENCES,
    TASK,
    Pair,
    Translation,
    TranslationSettings,
    require_direction,
    translate,
    translate_texts,
)
from tests.fakes.models import tiny_t5
from tests.fakes.translators import OWN, tiny_m2m, tiny_marian, tiny_marian_of_targets, tiny_nllb

TEXT = "Hello there. How are you?\n\n  - No, a cat!"
SENTENCES = ("Hello there.", "How are you?", "No, a cat!")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give a tiny model of each family."""
    folder = tmp_path_factory.mktemp("models")
    made = {
        "one": tiny_marian(folder / "one"),
        "named": tiny_marian(folder / "tiny-en-fr"),
        "targets": tiny_marian_of_targets(folder / "targets"),
        "m2m": tiny_m2m(folder / "m2m"),
        "nllb": tiny_nllb(folder / "nllb"),
        "t5": _t5_that_translates(folder / "t5"),
        "plain-t5": tiny_t5(folder / "plain-t5", starter_base_folder()),
    }
    return {name: str(path) for name, path in made.items()}


def _t5_that_translates(folder: Path) -> Path:
    """Write a T5 that says in its config.json in which directions it translates."""
    tiny_t5(folder, starter_base_folder())
    own = {"max_length": 14, "num_beams": 2, "early_stopping": True}
    changes = {
        "summarization": {"prefix": "summarize: "},
        "translation_en_to_fr": {**own, "prefix": "translate English to French: "},
        "translation_en_to_de": {**own, "prefix": "translate English to German: "},
    }
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "task_specific_params": changes}))
    return folder


def asked(model: str, text: str = TEXT, **values: Any) -> TranslationSettings:
    """Return the settings for a text and a model."""
    return TranslationSettings(text=text, model=model, dtype="float32", **values)


def plainly(
    folder: str, texts: Sequence[str] = SENTENCES, source: str | None = None, target: str | None = None, **options: Any
) -> list[str]:
    """Return what plain transformers writes for each text alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    if source:
        tokenizer.src_lang = source
    forced = {"forced_bos_token_id": tokenizer.convert_tokens_to_ids(target)} if target else {}
    made = []
    for text in texts:
        inputs = tokenizer(text, return_tensors="pt")
        row = model.generate(inputs.input_ids, attention_mask=inputs.attention_mask, **forced, **options)[0]
        made.append(tokenizer.decode(row, skip_special_tokens=True).strip())
    return made


def translations(answer: Translation) -> list[str]:
    """Return the translated sentences."""
    return [pair.translation for pair in answer.pairs]


def refusal(settings: TranslationSettings, registry: Registry) -> str:
    """Return the sentence with which it refuses."""
    with pytest.raises(InvalidInput) as caught:
        translate(settings, registry)
    return str(caught.value)


# -- one direction ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"num_beams": 1}, {"num_beams": 3, "max_new_tokens": 6}], ids=str)
def test_each_sentence_is_what_transformers_writes(
    models: dict[str, str], registry: Registry, options: dict[str, int]
) -> None:
    """With the model's own settings or with others, a sentence is translated as `generate` does it alone."""
    answer = translate(asked(models["one"], **options), registry)
    assert translations(answer) == plainly(models["one"], **options)
    assert [TEXT[pair.start : pair.end] for pair in answer.pairs] == list(SENTENCES)


def test_the_layout_stays(models: dict[str, str], registry: Registry) -> None:
    """What stands between the sentences stands between their translations; the result is the pipeline's."""
    answer = translate(asked(models["one"]), registry)
    first, second, third = translations(answer)
    assert answer.translation_text == f"{first} {second}\n\n  - {third}"
    assert answer.result == [{"translation_text": answer.translation_text}]
    assert answer.provenance.model == models["one"]


def test_a_direction_is_known_by_name(models: dict[str, str], registry: Registry) -> None:
    """The languages at the end of a model's name may be asked for, by any of their names; others are refused."""
    answer = translate(asked(models["named"], source_language="eng", target_language="French"), registry)
    assert (answer.direction.source, answer.direction.target) == ("en", "fr")
    assert answer.notes == translate(asked(models["named"]), registry).notes
    sentence = refusal(asked(models["named"], target_language="de"), registry)
    assert "en → fr" in sentence
    assert "? → de" in sentence


def test_an_untold_direction_is_noted(models: dict[str, str], registry: Registry) -> None:
    """Languages that change nothing, because the model has one direction and does not tell it, are said to do so."""
    answer = translate(asked(models["one"], source_language="en", target_language="fr"), registry)
    assert "say.direction_untold" in [note.key for note in answer.notes]
    assert translations(answer) == plainly(models["one"])


def test_a_translation_at_its_limit_is_noted(models: dict[str, str], registry: Registry) -> None:
    """Where a translation has as many tokens as allowed, a note counts the sentences and names the number."""
    note = next(note for note in translate(asked(models["one"], max_new_tokens=4), registry).notes)
    assert (note.key, note.values) == ("say.translations_full", {"count": 3, "limit": 4})


# -- several languages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "source", "target"), [("nllb", "eng_Latn", "fra_Latn"), ("m2m", "en", "__fr__")], ids=["nllb", "m2m"]
)
def test_languages_become_tokens(
    models: dict[str, str], registry: Registry, family: str, source: str, target: str
) -> None:
    """The tokenizer is told the source, the decoder begins with the target; short codes are the model's own ones."""
    answer = translate(asked(models[family], source_language="en", target_language="fr"), registry)
    assert translations(answer) == plainly(models[family], source=source, target=target)
    assert (answer.direction.source, answer.direction.target) == (source, target.strip("_"))
    other = translate(asked(models[family], source_language="French", target_language="de"), registry)
    assert translations(other) != translations(answer)


@pytest.mark.parametrize("family", ["nllb", "m2m"])
@pytest.mark.parametrize(("given", "name"), [({}, "source_language"), ({"source_language": "en"}, "target_language")])
def test_a_multilingual_model_must_be_told(
    models: dict[str, str], registry: Registry, family: str, given: dict[str, str], name: str
) -> None:
    """Without languages it is refused in a sentence that names what to choose, and from what."""
    sentence = refusal(asked(models[family], **given), registry)
    assert f"set {name} to one of" in sentence
    assert ("afr_Latn" if family == "nllb" else "af, am, ar") in sentence


def test_an_unknown_language_is_refused_with_near_ones(models: dict[str, str], registry: Registry) -> None:
    """A slip of the finger is answered with near codes, a language that nobody knows with the list alone."""
    near = refusal(asked(models["nllb"], source_language="en", target_language="frnch"), registry)
    assert "Near it: fra_Latn" in near
    far = refusal(asked(models["nllb"], source_language="qqqq", target_language="fr"), registry)
    assert "“qqqq”" in far
    assert "Near it" not in far
    assert len(far) < 1000


def test_a_target_that_the_files_force_need_not_be_told(
    models: dict[str, str], registry: Registry, tmp_path: Path
) -> None:
    """A multilingual model that was tuned for one target is told the source only."""
    folder = tiny_nllb(tmp_path / "tuned")
    code = transformers.AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids("fra_Latn")
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "forced_bos_token_id": code}))
    answer = translate(asked(str(folder), source_language="en"), registry)
    assert answer.direction.target == "fra_Latn"
    assert translations(answer) == plainly(models["nllb"], source="eng_Latn", target="fra_Latn")


def test_two_people_with_other_languages_at_once(models: dict[str, str], registry: Registry) -> None:
    """The tokenizer is told its source for each call anew, so that one person's language is not another's."""
    first = asked(models["nllb"], source_language="en", target_language="fr")
    expected = translations(translate(first, registry))
    translate(asked(models["nllb"], source_language="ko", target_language="fr"), registry)
    assert translations(translate(first, registry)) == expected


def test_marians_targets_are_first_tokens(models: dict[str, str], registry: Registry) -> None:
    """A Marian of several targets reads >>fra<< before each sentence; its source may be told, if it is right."""
    answer = translate(asked(models["targets"], source_language="en", target_language="fr"), registry)
    assert translations(answer) == plainly(models["targets"], [f">>fra<< {one}" for one in SENTENCES])
    assert answer.direction.target == "fra"
    assert "set target_language to one of fra, deu, cmn_Hans" in refusal(asked(models["targets"]), registry)
    assert "eng → ?" in refusal(asked(models["targets"], source_language="ko", target_language="fr"), registry)


def test_t5_is_told_in_words(models: dict[str, str], registry: Registry) -> None:
    """A T5's prefix, lengths and beams for the asked direction are taken from its config.json."""
    answer = translate(asked(models["t5"], source_language="en", target_language="French"), registry)
    texts = [f"translate English to French: {one}" for one in SENTENCES]
    options = {"max_length": 14, "num_beams": 2, "early_stopping": True}
    assert translations(answer) == plainly(models["t5"], texts, **options)
    assert translations(answer) != plainly(models["t5"], **options)
    assert "en → fr, en → de" in refusal(asked(models["t5"]), registry)
    assert "fr → en" in refusal(asked(models["t5"], source_language="fr", target_language="en"), registry)


def test_a_t5_without_directions_is_told_in_the_usual_words(models: dict[str, str], registry: Registry) -> None:
    """Where the files name no prefix, languages that are asked for are told as T5 has learned it."""
    answer = translate(
        asked(models["plain-t5"], source_language="en", target_language="ro", max_new_tokens=6), registry
    )
    texts = [f"translate English to Romanian: {one}" for one in SENTENCES]
    assert translations(answer) == plainly(models["plain-t5"], texts, max_new_tokens=6)


# -- long texts ------------------------------------------------------------------------------------------------------


def test_a_long_sentence_is_translated_in_pieces(models: dict[str, str], registry: Registry) -> None:
    """A sentence longer than the model reads loses nothing: it is cut at its commas, and a note says so."""
    text = "We saw a cat, a dog and a very small bird, then it began to rain, so we went home and had some tea."
    answer = translate(asked(models["one"], text), registry)
    assert [text[pair.start : pair.end] for pair in answer.pairs] == [
        "We saw a cat, a dog and a very small bird,",
        "then it began to rain, so we went home and had some tea.",
    ]
    assert ("say.sentences_in_pieces", {"count": 1, "read": 64}) in [(one.key, one.values) for one in answer.notes]


def test_a_text_without_words_comes_back(models: dict[str, str], registry: Registry) -> None:
    """Numbers and signs are not given to the model; a note says so."""
    answer = translate(asked(models["one"], " 1, 2 … 😀\n"), registry)
    assert answer.translation_text == " 1, 2 … 😀\n"
    assert [note.key for note in answer.notes] == ["say.nothing_to_translate"]


def test_it_is_told_as_it_grows(models: dict[str, str], registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch that is done is told, in the order of the text, and how many sentences are left."""
    monkeypatch.setattr("core.tasks.text.seq2seq.rows_at_once", lambda _: 2)
    told: list[Sequence[Pair]] = []
    done: list[Progress] = []
    answer = translate(asked(models["one"], num_beams=1), registry, Lane(report=done.append), told.append)
    assert [len(one) for one in told] == [2, 3]
    assert tuple(told[-1]) == answer.pairs
    assert [(one.done, one.total) for one in done if one.phase == "write"] == [(2, 3)]


@pytest.mark.parametrize("text", ["", " \n ", "x" * 1_000_000])
def test_empty_and_endless_texts_are_refused(text: str) -> None:
    """No text, or more than the limit, is refused with the limit."""
    with pytest.raises(InvalidInput, match=f"{LIMITS.context_characters:,}"):
        asked("any", text)


def test_too_many_sentences_are_refused(models: dict[str, str], registry: Registry) -> None:
    """More sentences than are translated at once are refused with both numbers and the way out."""
    assert f"6,000 sentences; at most {MOST_SENTENCES:,}" in refusal(asked(models["one"], "好。" * 6_000), registry)


def test_a_stop_request_is_heard(models: dict[str, str], registry: Registry) -> None:
    """Whoever has left already gets nothing."""
    cancel = CancelToken()
    translate(asked(models["one"]), registry)
    cancel.cancel()
    with pytest.raises(Cancelled):
        translate(asked(models["one"]), registry, Lane(cancel=cancel))


def test_a_stop_keeps_what_is_done(models: dict[str, str], registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after the first batch, the text has its translations, the rest stands as it was, and both are counted."""
    monkeypatch.setattr("core.tasks.text.seq2seq.rows_at_once", lambda _: 1)
    settings, cancel = asked(models["one"], num_beams=1), CancelToken()
    whole = translate(settings, registry)
    stopped = translate(settings, registry, Lane(cancel=cancel), lambda _: cancel.cancel())
    (done,) = stopped.pairs
    assert done in whole.pairs
    for pair in whole.pairs:
        original = TEXT[pair.start : pair.end]
        assert (pair.translation if pair == done else original) in stopped.translation_text
        assert (original in stopped.translation_text) == (pair != done)
    assert str(stopped.notes[-1]) == "Stopped: 1 of 3 sentences are translated; the others stand as they were."


def test_many_texts_are_translated_as_one_is(models: dict[str, str], registry: Registry) -> None:
    """All sentences of a table go through the model together; each text gets what it gets alone."""
    texts = [TEXT, "123", "A cat.", "Hello there."]
    settings = asked(models["one"], "-")
    with registry.borrow(settings.spec(registry, TASK)) as model:
        many = translate_texts(texts, settings, registry, model, INTERACTIVE)
    assert many == [translate(asked(models["one"], text), registry).result for text in texts]


def test_a_table_is_refused_before_its_first_row(models: dict[str, str], registry: Registry) -> None:
    """Whether a model has been told its languages can be asked once for all rows."""
    settings = asked(models["nllb"], "-")
    with registry.borrow(settings.spec(registry, TASK)) as model, pytest.raises(InvalidInput, match="source_language"):
        require_direction(settings, model)


def test_the_tiny_models_say_something() -> None:
    """The sentences of these tests are the ones that are found, and random weights may write as many tokens."""
    assert [in_one_line(TEXT, span) for span in translatable(TEXT)] == list(SENTENCES)
    assert OWN["max_new_tokens"] > 4
