"""Vectors equal those of sentence-transformers and of the transformers pipeline, on real weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from core.errors import InvalidInput, WrongTask
from core.models.loading import starter_base_folder
from core.models.registry import Registry
from core.settings import LIMITS
from core.tasks.text.encoder import INTERACTIVE
from core.tasks.text.feature_extraction import (
    MOST_TOKEN_VECTORS,
    TASK,
    FeatureExtraction,
    FeatureExtractionSettings,
    extract_features,
    extract_features_of_texts,
)

BASE = str(starter_base_folder())
LINES = (
    "A cat sits on the mat.",
    "A kitten is resting on a rug.",
    "The stock market fell today.",
    "😀 مرحبا بالعالم 你好，世界 안녕하세요",
    "x",
    "very long " * 400,
)


def asked(text: str = "\n".join(LINES), **values: Any) -> FeatureExtractionSettings:
    """Return the settings for some lines and the real base."""
    return FeatureExtractionSettings(**{"text": text, "model": BASE, "dtype": "float32", **values})


@pytest.fixture(scope="module")
def features(registry: Registry) -> FeatureExtraction:
    """Give the lines' features with the default pooling."""
    return extract_features(asked(), registry)


def test_equals_sentence_transformers(features: FeatureExtraction) -> None:
    """Mean pooling with normalisation is what sentence-transformers computes, cut texts included."""
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(BASE, device="cpu").encode(list(LINES), convert_to_tensor=True)
    torch.testing.assert_close(torch.tensor(features.vectors), theirs, atol=1e-5, rtol=0)
    assert any("256" in str(note) for note in features.notes)
    assert features.provenance.fallbacks == tuple(map(str, features.notes))


@pytest.mark.parametrize("pooling", ["cls", "max"])
def test_other_poolings_equal_sentence_transformers(pooling: str, registry: Registry) -> None:
    """First-token and maximum pooling equal the Pooling module of sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(BASE, device="cpu")
    reference[1] = type(reference[1])(384, pooling_mode=pooling)
    theirs = reference.encode(list(LINES), convert_to_tensor=True)
    ours = extract_features(asked(pooling=pooling), registry).vectors
    torch.testing.assert_close(torch.tensor(ours), theirs, atol=1e-5, rtol=0)


def test_pooling_none_equals_the_transformers_pipeline(registry: Registry) -> None:
    """Without pooling the result is the pipeline's own: [1][tokens][hidden] for each text, not normalised."""
    texts = list(LINES[:5])
    theirs = transformers.pipeline("feature-extraction", BASE, device="cpu")(texts)
    found = extract_features(asked("\n".join(texts), pooling="none"), registry)
    assert len(found.result) == len(theirs)
    for ours, expected in zip(found.result, theirs, strict=True):
        torch.testing.assert_close(torch.tensor(ours), torch.tensor(expected), atol=1e-5, rtol=1e-4)
    assert any("mean" in str(note) for note in found.notes)
    json.dumps(found.result)


def test_pooling_none_refuses_more_than_can_be_sent(registry: Registry) -> None:
    """Too many token vectors are refused with both numbers."""
    with pytest.raises(InvalidInput, match=f"{MOST_TOKEN_VECTORS:,}"):
        extract_features(asked("\n".join(["word " * 240] * 20), pooling="none"), registry)


def test_similar_lines_are_near(features: FeatureExtraction) -> None:
    """The paraphrase is the nearest line, the matrix is symmetric with ones on its diagonal, and JSON takes it all."""
    assert (features.nearest[0].line, features.nearest[0].of) == (1, 0)
    assert (features.nearest[1].line, features.nearest[1].of) == (0, 1)
    assert all(one.line != one.of for one in features.nearest)
    matrix = torch.tensor(features.similarity)
    torch.testing.assert_close(matrix, matrix.T)
    torch.testing.assert_close(matrix.diagonal(), torch.ones(len(LINES)))
    assert json.loads(json.dumps(features.result)) == features.vectors


def test_a_query_sorts_the_lines(registry: Registry) -> None:
    """With a query every line is listed, the nearest first, and the query is no line."""
    found = extract_features(asked("\n".join(LINES[:3]), query="shares lost value on Wall Street"), registry)
    assert found.nearest[0].text == LINES[2]
    assert sorted(one.line for one in found.nearest) == [0, 1, 2]
    assert [one.score for one in found.nearest] == sorted((one.score for one in found.nearest), reverse=True)
    assert (len(found.vectors), len(found.lines)) == (3, 3)


def test_without_normalisation_the_length_is_kept(registry: Registry) -> None:
    """normalize=False leaves the vectors as pooled; the similarity does not change."""
    plain = extract_features(asked(normalize=False), registry)
    scaled = extract_features(asked(), registry)
    norms = torch.tensor(plain.vectors).norm(dim=-1)
    assert not torch.allclose(norms, torch.ones(len(LINES)), atol=0.01)
    torch.testing.assert_close(torch.tensor(plain.vectors) / norms[:, None], torch.tensor(scaled.vectors))
    torch.testing.assert_close(torch.tensor(plain.similarity), torch.tensor(scaled.similarity), atol=1e-5, rtol=0)


def test_one_line_has_no_neighbour(registry: Registry) -> None:
    """A single line gives one vector and an empty list of neighbours; blank lines do not count."""
    found = extract_features(asked("\n  \nonly one\r\n\n"), registry)
    assert (found.lines, found.nearest, len(found.vectors)) == (("only one",), (), 1)


@pytest.mark.parametrize("text", ["", " \n\t\n ", "x" * (LIMITS.text_characters + 1), "x" * 1_000_000])
def test_empty_and_endless_texts_are_refused(text: str) -> None:
    """No text, or more than the limit, is refused with the limit."""
    with pytest.raises(InvalidInput, match=f"{LIMITS.text_characters:,}"):
        asked(text)


def test_a_thousand_lines_are_refused() -> None:
    """More lines than allowed are refused with both numbers; as many as allowed are not."""
    asked("a\n" * LIMITS.lines)
    with pytest.raises(InvalidInput, match=f"1,000 lines; at most {LIMITS.lines}"):
        asked("a\n" * 1000)


@pytest.mark.parametrize("values", [{"pooling": "median"}, {"normalize": "false"}, {"query": "x" * 60_000}])
def test_other_bad_settings_are_refused(values: dict[str, Any]) -> None:
    """An unknown pooling, a word for a flag, and an endless query are refused."""
    with pytest.raises(InvalidInput):
        asked("a", **values)


@pytest.mark.parametrize("text", ["\u200b", "😀😀", "\ufffd", "\u202eabc", "\x00"])
def test_odd_characters_give_finite_vectors(text: str, registry: Registry) -> None:
    """Text of which the tokenizer keeps little still gives a vector of numbers."""
    assert torch.tensor(extract_features(asked(text), registry).vectors).isfinite().all()


def test_many_texts_with_a_borrowed_model(registry: Registry) -> None:
    """A batch gives each text the vector it gets alone, also more texts than fit one pass, and none for none."""
    settings = asked("-")
    with registry.borrow(settings.spec(registry, TASK)) as model:
        many = extract_features_of_texts(list(LINES[:3]) * 30, settings, registry, model, INTERACTIVE)
        assert extract_features_of_texts([], settings, registry, model, INTERACTIVE) == []
    alone = extract_features(asked("\n".join(LINES[:3])), registry).vectors
    torch.testing.assert_close(torch.tensor(many), torch.tensor(alone * 30), atol=1e-5, rtol=0)


def tokenizer_for(folder: Path) -> None:
    """Put the base's tokenizer beside other weights."""
    transformers.AutoTokenizer.from_pretrained(BASE).save_pretrained(folder)


def test_an_encoder_decoder_gives_its_encoders_vectors(tmp_path: Path, registry: Registry) -> None:
    """Of a T5 the encoder is used; its vectors are those of the encoder alone."""
    config = transformers.T5Config(vocab_size=30522, d_model=16, d_kv=4, num_heads=4, num_layers=2, d_ff=32)
    model = transformers.T5Model(config).eval()
    model.save_pretrained(tmp_path)
    tokenizer_for(tmp_path)
    found = extract_features(asked("a cat\nthe dog barks", model=str(tmp_path), normalize=False), registry)
    ids = transformers.AutoTokenizer.from_pretrained(tmp_path)("a cat", return_tensors="pt").input_ids
    with torch.inference_mode():
        expected = model.encoder(input_ids=ids).last_hidden_state.mean(1)[0]
    torch.testing.assert_close(torch.tensor(found.vectors[0]), expected, atol=1e-5, rtol=1e-4)


def test_a_decoder_without_padding_token_gives_vectors(tmp_path: Path, registry: Registry) -> None:
    """A GPT-2 pads on the left or right without changing any vector, first-token pooling included."""
    config = transformers.GPT2Config(vocab_size=30522, n_embd=16, n_layer=2, n_head=4)
    transformers.GPT2Model(config).save_pretrained(tmp_path)
    tokenizer_for(tmp_path)
    for pooling in ("mean", "cls", "max"):
        options = {"model": str(tmp_path), "pooling": pooling}
        together = extract_features(asked("a cat\nthe dog barks at a cat", **options), registry)
        alone = extract_features(asked("a cat", **options), registry)
        torch.testing.assert_close(
            torch.tensor(together.vectors[0]), torch.tensor(alone.vectors[0]), atol=1e-5, rtol=1e-4
        )


def test_a_model_without_hidden_states_is_refused(tmp_path: Path, registry: Registry) -> None:
    """A model whose output has no hidden states is refused in words."""
    text = {
        "vocab_size": 30522,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    transformers.DPRQuestionEncoder(transformers.DPRConfig(**text, projection_dim=0)).save_pretrained(tmp_path)
    tokenizer_for(tmp_path)
    with pytest.raises(WrongTask, match="no hidden states"):
        extract_features(asked("a cat", model=str(tmp_path)), registry)
