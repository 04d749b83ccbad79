"""Attention weights are the model's own, and tokens are shown as the text has them."""

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
from core.tasks.text.attention import MOST_TOKENS, AttentionSettings, map_attention

BASE = str(starter_base_folder())
TEXT = "Ada's unbelievably good program"


def asked(text: str = TEXT, **values: Any) -> AttentionSettings:
    """Return the settings for a text and the real base."""
    return AttentionSettings(**{"text": text, "model": BASE, "dtype": "float32", **values})


def reference(model: str, *texts: str) -> torch.Tensor:
    """Return what plain transformers gives: (layers, heads, tokens, tokens)."""
    inputs = transformers.AutoTokenizer.from_pretrained(model)(*texts, return_tensors="pt")
    loaded = transformers.AutoModel.from_pretrained(model, attn_implementation="eager").eval()
    with torch.inference_mode():
        return torch.cat(loaded(**inputs, output_attentions=True).attentions)


@pytest.fixture(scope="module")
def weights() -> torch.Tensor:
    """Give the reference weights of TEXT."""
    return reference(BASE, TEXT)


@pytest.mark.parametrize(("layer", "head"), [(0, 0), (1, 1), (6, 12), (3, 0), (0, 5)])
def test_weights_are_the_models_own(layer: int, head: int, weights: torch.Tensor, registry: Registry) -> None:
    """One layer and head equal those of transformers; 0 is the mean over all of them; each row sums to 1."""
    found = map_attention(asked(layer=layer, head=head), registry)
    expected = weights[layer - 1 : layer] if layer else weights
    expected = (expected[:, head - 1 : head] if head else expected).mean((0, 1))
    torch.testing.assert_close(torch.tensor(found.weights), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.tensor(found.weights).sum(-1), torch.ones(len(found.tokens)))
    assert (found.layers, found.heads) == (6, 12)


def test_result_is_json_and_says_what_ran(registry: Registry) -> None:
    """The result names tokens, weights, layer, head and how many there are; the model ran with eager attention."""
    found = map_attention(asked(layer=2, head=3), registry)
    result = json.loads(json.dumps(found.result))
    assert list(result) == ["tokens", "weights", "layer", "head", "layers", "heads"]
    assert (result["layer"], result["head"], result["layers"], result["heads"]) == (2, 3, 6, 12)
    assert result["tokens"] == list(found.tokens)
    assert found.provenance.attention == "eager"
    assert found.notes == ()


def test_pieces_are_shown_as_written(registry: Registry) -> None:
    """WordPiece's marks and lower case do not show; special tokens keep their name."""
    tokens = map_attention(asked(), registry).tokens
    assert tokens[0] == "[CLS]"
    assert tokens[-1] == "[SEP]"
    assert tokens[1:4] == ("Ada", "'", "s")
    assert "".join(tokens[1:-1]) == TEXT.replace(" ", "")


@pytest.mark.parametrize(
    "text", ["今天天氣很好", "안녕하세요 세계", "مرحبا بالعالم", "Ça été naïve", "😀 ok", "\u202eabc"]
)
def test_every_script_is_readable(text: str, registry: Registry) -> None:
    """Characters that the model splits or does not know are shown as themselves."""
    tokens = map_attention(asked(text), registry).tokens
    shown = "".join(tokens[1:-1])
    assert not {"#", "�", "Ġ"} & set(shown)
    assert set(shown) <= set(text)
    assert {character for character in text if character.isalpha()} <= set(shown)


def test_bytes_are_shown_as_characters(make_model: Any, registry: Registry) -> None:
    """A byte-level tokenizer's pieces of one character all show that character, never its bytes."""
    model = make_model("sequence-classification", byte_level=True)
    tokens = map_attention(asked("你 in 😀\n", model=model), registry).tokens
    assert tokens == ("<s>", "你", "你", "你", "␣", "in", "␣", "😀", "😀", "😀", "😀", "↵", "</s>")


def test_special_tokens_are_told_apart(make_model: Any, registry: Registry, weights: torch.Tensor) -> None:
    """What the tokenizer adds is known by its place, with its share of the attention; an unknown word is text."""
    found = map_attention(asked(), registry)
    assert found.special == {0, len(found.tokens) - 1}
    mean = weights.mean((0, 1))[1:-1]
    assert found.special_share == pytest.approx(float((mean[:, 0] + mean[:, -1]).mean()), abs=1e-5)
    assert map_attention(asked("the cat", text_pair="the dog"), registry).special == {0, 3, 6}
    assert map_attention(asked("the 你", model=make_model("sequence-classification")), registry).special == {0, 3}


def test_a_pair_of_texts(registry: Registry) -> None:
    """Two texts are read together, with a separator between, and the second with its own token types."""
    found = map_attention(asked("the cat", text_pair="the dog"), registry)
    assert found.tokens == ("[CLS]", "the", "cat", "[SEP]", "the", "dog", "[SEP]")
    expected = reference(BASE, "the cat", "the dog").mean((0, 1))
    torch.testing.assert_close(torch.tensor(found.weights), expected, atol=1e-5, rtol=0)


def test_a_blank_second_text_is_none(registry: Registry) -> None:
    """White space as the second text is no second text."""
    assert map_attention(asked("the cat", text_pair=" \n"), registry).tokens == ("[CLS]", "the", "cat", "[SEP]")


def test_long_texts_are_cut_and_said(registry: Registry) -> None:
    """Of a long text the first tokens are shown, and a note has both numbers."""
    found = map_attention(asked("cat " * 1_000), registry)
    assert len(found.tokens) == len(found.weights) == len(found.weights[0]) == MOST_TOKENS
    assert str(MOST_TOKENS) in str(found.notes[0])
    assert "1,002" in str(found.notes[0])
    assert found.provenance.fallbacks == (str(found.notes[0]),)


@pytest.mark.parametrize(("values", "number"), [({"layer": 7}, "6"), ({"head": 13}, "12"), ({"layer": 999}, "6")])
def test_a_layer_or_head_beyond_the_model(values: dict[str, int], number: str, registry: Registry) -> None:
    """What the model does not have is refused with what it has."""
    with pytest.raises(InvalidInput, match=f"this model has {number}"):
        map_attention(asked(**values), registry)


@pytest.mark.parametrize(
    "values",
    [
        {"text": ""},
        {"text": " \n"},
        {"text": "x" * 1_000_000},
        {"text_pair": "x" * (LIMITS.text_characters + 1)},
        {"layer": -1},
        {"head": 1.5},
        {"attention": "sdpa"},
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any]) -> None:
    """No text, endless texts, numbers below 0 or between, and attention without weights are refused."""
    with pytest.raises(InvalidInput):
        asked(**values)


@pytest.mark.parametrize("text", ["\u200b", "\x00", "\n".join(["line"] * 1_000)])
def test_odd_texts(text: str, registry: Registry) -> None:
    """Text of which nothing is left, and a thousand lines, still give a square table of numbers."""
    found = map_attention(asked(text), registry)
    table = torch.tensor(found.weights)
    assert table.shape == (len(found.tokens), len(found.tokens))
    assert table.isfinite().all()


def save(model: Any, folder: Path) -> str:
    """Write a tiny model with the base's tokenizer; returns its folder."""
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(BASE).save_pretrained(folder)
    return str(folder)


def test_an_encoder_decoder_shows_its_encoder(tmp_path: Path, registry: Registry) -> None:
    """Of a T5 the encoder's weights are shown, and a note says so."""
    config = transformers.T5Config(vocab_size=30522, d_model=16, d_kv=4, num_heads=4, num_layers=3, d_ff=32)
    model = transformers.T5Model(config).eval()
    found = map_attention(asked("the cat", model=save(model, tmp_path), layer=2, head=4), registry)
    model.set_attn_implementation("eager")
    ids = transformers.AutoTokenizer.from_pretrained(BASE)("the cat", return_tensors="pt").input_ids
    with torch.inference_mode():
        expected = model.encoder(input_ids=ids, output_attentions=True).attentions[1][0, 3]
    torch.testing.assert_close(torch.tensor(found.weights), expected, atol=1e-5, rtol=1e-4)
    assert (found.layers, found.heads) == (3, 4)
    assert "encoder" in str(found.notes[0])


def test_a_decoder_looks_back_only(tmp_path: Path, registry: Registry) -> None:
    """Of a GPT-2 the upper right is empty, and a note says why."""
    config = transformers.GPT2Config(vocab_size=30522, n_embd=16, n_layer=2, n_head=4)
    found = map_attention(asked("the cat sat", model=save(transformers.GPT2Model(config), tmp_path)), registry)
    assert not torch.tensor(found.weights).triu(1).any()
    assert found.special == {0, 4}
    assert "left to right" in str(found.notes[0])


def test_a_model_without_attention_is_refused(tmp_path: Path, registry: Registry) -> None:
    """FNet mixes tokens by Fourier transforms; it is refused in words, not shown as something else."""
    config = transformers.FNetConfig(vocab_size=30522, hidden_size=16, num_hidden_layers=2, intermediate_size=32)
    with pytest.raises(WrongTask, match="no attention weights"):
        map_attention(asked("the cat", model=save(transformers.FNetModel(config), tmp_path)), registry)
