"""Token classification equals the transformers pipeline, and reads long texts without doubles."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from transformers import pipeline

from core.errors import InvalidInput, ModelError
from core.models.registry import Registry
from core.tasks.text.encoder import INTERACTIVE
from core.tasks.text.token_classification import (
    STRATEGIES,
    TASK,
    Entity,
    TokenClassificationSettings,
    classify_tokens,
    classify_tokens_of_texts,
    segments,
)
from core.tasks.text.windows import Cut, windows
from tests.core.tasks.text.conftest import Borrow, MakeModel

TEXTS = (
    "Ada Lovelace lives in London , where she was great.",
    "bad",
    "👩‍👩‍👧 Ada 🦜🦜 loves 倫敦的電影 , not München!\n\tسلام لندن and 런던의 영화 is good",
    "it is not [SEP] good ? " * 5,
)
LONG = "Ada Lovelace works in London , 倫敦 🦜 and hates a bad Parisian film . " * 12


def asked(model: str, **values: Any) -> TokenClassificationSettings:
    """Return settings for a local model in float32, whatever the machine would choose."""
    return TokenClassificationSettings(**{"text": TEXTS[0], "model": model, "dtype": "float32", **values})


def close(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    """Tell whether two results are the same but for rounding in their scores."""
    assert [{**one, "score": 0} for one in ours] == [{**one, "score": 0} for one in theirs]
    assert [list(one) for one in ours] == [list(one) for one in theirs]
    return [one["score"] for one in ours] == pytest.approx([float(one["score"]) for one in theirs], abs=1e-4)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")
@pytest.mark.parametrize("byte_level", [False, True], ids=["wordpiece", "bytes"])
def test_equals_the_pipeline(registry: Registry, make_model: MakeModel, byte_level: bool, strategy: str) -> None:
    """All five strategies find what the pipeline finds, key by key, with either kind of tokenizer, in any script."""
    model = make_model("token-classification", byte_level=byte_level)
    reference = pipeline(TASK, model=model, aggregation_strategy=strategy)
    found = 0
    for text in TEXTS:
        ours = classify_tokens(asked(model, text=text, aggregation_strategy=strategy), registry).result
        assert close(ours, reference(text))
        found += len(ours)
    assert found > 5


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("stride", [0, 1, 64, 125])
def test_windows_change_nothing_where_neighbours_do_not_matter(
    registry: Registry, make_model: MakeModel, stride: int, strategy: str
) -> None:
    """A model that reads each token for itself finds the same in windows as the pipeline finds in one piece."""
    model = make_model("token-classification", lexical=True)
    reference = pipeline(TASK, model=model, aggregation_strategy=strategy)
    _read_in_one_piece(reference)
    settings = asked(model, text=LONG, aggregation_strategy=strategy, stride=stride)
    ours = classify_tokens(settings, registry).result
    assert len(ours) > 50
    assert close(ours, reference(LONG))


def _read_in_one_piece(reference: Any) -> None:
    """Let the pipeline's model take any length; its position table holds nothing but zeros."""
    import torch

    reference.tokenizer.model_max_length = 10_000
    embeddings = reference.model.bert.embeddings
    embeddings.position_embeddings = torch.nn.Embedding(10_000, 32, _weight=torch.zeros(10_000, 32))
    embeddings.position_ids = torch.arange(10_000)[None]
    embeddings.token_type_ids = torch.zeros(1, 10_000, dtype=torch.long)


@pytest.mark.parametrize("strategy", ["none", "simple", "max"])
def test_a_long_text_has_no_doubles(registry: Registry, make_model: MakeModel, strategy: str) -> None:
    """Over several windows no two findings share a character, and the last window is read, too."""
    model = make_model("token-classification")
    answer = classify_tokens(asked(model, text=LONG, aggregation_strategy=strategy), registry)
    assert answer.entities[-1].end > len(LONG) - 20
    ends = [0, *(entity.end for entity in answer.entities)]
    assert all(entity.start >= end for entity, end in zip(answer.entities, ends, strict=False))
    assert answer.notes == ()


def test_windows_share_the_stride(make_model: MakeModel, borrowed: Borrow) -> None:
    """Windows share exactly `stride` tokens, and each reads the whole window's worth but the last."""
    with borrowed(asked(make_model("token-classification")), TASK) as model:
        parts = windows(model, [LONG, "bad"], Cut(128, 30))
    long, short = parts
    assert len(short) == 1
    assert all(len(part.encoded.ids) == 128 for part in long[:-1])
    for before, after in pairwise(long):
        shared = before.offsets[before.tokens.stop - 30 : before.tokens.stop]
        assert shared == after.offsets[after.tokens.start : after.tokens.start + 30]


def test_many_at_once_equal_one_by_one(registry: Registry, make_model: MakeModel, borrowed: Borrow) -> None:
    """Company changes nothing: short, long and empty texts together get the answers they get alone."""
    settings = asked(make_model("token-classification"))
    texts = [*TEXTS, LONG]
    alone = [classify_tokens(replace(settings, text=text), registry).result for text in texts]
    with borrowed(settings, TASK) as model:
        together = classify_tokens_of_texts([*texts, "", " \n"] * 3, settings, registry, model, INTERACTIVE)
        assert classify_tokens_of_texts([], settings, registry, model, INTERACTIVE) == []
    for ours, theirs in zip(together, [*alone, [], []] * 3, strict=True):
        assert close(ours, theirs)


def test_counts_and_json(registry: Registry, make_model: MakeModel) -> None:
    """Labels are counted, the most frequent first; everything is JSON."""
    answer = classify_tokens(asked(make_model("token-classification"), text=LONG), registry)
    assert json.loads(json.dumps(answer.result)) == answer.result
    assert list(answer.counts.values()) == sorted(answer.counts.values(), reverse=True)
    assert sum(answer.counts.values()) == len(answer.result)
    assert set(answer.counts) <= {"PER", "LOC"}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")
def test_segments_are_the_text(registry: Registry, make_model: MakeModel, strategy: str) -> None:
    """The pieces to colour are the text itself, none empty, even where one emoji is several tokens."""
    model = make_model("token-classification", byte_level=True)
    for text in TEXTS:
        answer = classify_tokens(asked(model, text=text, aggregation_strategy=strategy), registry)
        assert "".join(piece for piece, _ in answer.segments) == text
        assert all(piece for piece, _ in answer.segments)
        assert set(answer.counts) >= {label for _, label in answer.segments} - {None} > set()


def test_segments_of_overlapping_entities() -> None:
    """Where entities overlap, the earlier one keeps its characters; one inside another is left out."""
    spans = {"A": (2, 5), "B": (4, 7), "C": (5, 6), "D": (9, 9)}
    found = [Entity(label, 1.0, "", *span) for label, span in spans.items()]
    assert list(segments("0123456789", found)) == [("01", None), ("234", "A"), ("56", "B"), ("789", None)]
    assert list(segments("", [])) == []


@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")
def test_guessed_words_are_said(registry: Registry, make_model: MakeModel) -> None:
    """A tokenizer that does not know words says so where a strategy needs them, and only there."""
    model = make_model("token-classification", byte_level=True)
    assert classify_tokens(asked(model, aggregation_strategy="simple"), registry).notes == ()
    answer = classify_tokens(asked(model, aggregation_strategy="first"), registry)
    assert "tells words apart by spaces" in str(answer.notes[0])
    assert answer.provenance.fallbacks[-1] == str(answer.notes[0])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"text": " "}, "no text yet"),
        ({"text": "a" * 1_000_000}, "1,000,000 characters; at most 50,000"),
        ({"aggregation_strategy": "last"}, "none, simple, first, average, max"),
        ({"stride": -1}, "between 0 and 1024"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(values: dict[str, Any], said: str) -> None:
    """Each refusal is a sentence with the numbers."""
    with pytest.raises(InvalidInput, match=said):
        asked("any", **values)


def test_a_stride_that_fills_the_window_is_refused(registry: Registry, make_model: MakeModel) -> None:
    """A stride that leaves nothing new to read is refused with the model's number; a text in one window needs none."""
    model = make_model("token-classification")
    assert classify_tokens(asked(model, stride=126), registry).result
    with pytest.raises(InvalidInput, match="Choose a stride below 126"):
        classify_tokens(asked(model, text=LONG, stride=126), registry)


def test_a_tokenizer_without_offsets_is_refused(make_model: MakeModel, borrowed: Borrow) -> None:
    """A tokenizer written in Python cannot point into the text, and that is said."""
    from transformers import BertJapaneseTokenizer

    model_name = make_model("token-classification")
    with borrowed(asked(model_name), TASK) as model:
        slow = BertJapaneseTokenizer(f"{model_name}/vocab.txt", word_tokenizer_type="basic")
        assert not slow.is_fast
        with pytest.raises(ModelError, match=r"tokenizer\.json"):
            windows(replace(model, tokenizer=slow), ["text"], Cut(128, 0))
