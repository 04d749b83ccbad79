"""Sliced attention gives what SDPA and eager attention give, at shapes that do not divide evenly."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from core.models.attention import NAME, SLICES, register, sliced_attention_forward

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def module(groups: int = 1, *, causal: bool = False) -> Any:
    """Return what the attention interface reads of a layer."""
    return SimpleNamespace(num_key_value_groups=groups, is_causal=causal, training=False)


def tensors(
    queries: int = 7, keys: int = 7, heads: int = 5, groups: int = 1
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return seeded query, key and value, batch 3, width 8; keys and values have heads / groups heads."""
    generator = torch.Generator().manual_seed(queries * 100 + keys)
    shapes = [(3, heads, queries, 8), *[(3, heads // groups, keys, 8)] * 2]
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)  # type: ignore[return-value]


def eager(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, bias: Any = 0
) -> torch.Tensor:
    """Write attention out as the paper does (Vaswani et al. 2017, equation 1)."""
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + bias
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    return (scores.softmax(-1) @ value).transpose(1, 2)


def agree(layer: Any, parts: Any, mask: torch.Tensor | None, expected: torch.Tensor, **options: Any) -> None:
    """Hold sliced attention and transformers' SDPA against the expected outcome."""
    sliced, weights = sliced_attention_forward(layer, *parts, mask, **options)
    sdpa, _ = sdpa_attention_forward(layer, *parts, mask, **options)
    assert weights is None
    torch.testing.assert_close(sliced, sdpa, **CLOSE)
    torch.testing.assert_close(sliced, expected, **CLOSE)


def padding(keys: int) -> torch.Tensor:
    """Return a boolean mask (3, 1, 1, keys) that hides the last keys of the second and third row."""
    kept = torch.tensor([keys, keys - 2, 1])
    return (torch.arange(keys) < kept[:, None])[:, None, None, :]


@pytest.mark.parametrize("length", [1, 7, 13])
@pytest.mark.parametrize("masked", [False, True])
def test_self_attention(length: int, *, masked: bool) -> None:
    """Batch 3 × 5 heads = 15 rows in 4 slices equal SDPA and the written-out formula, with and without padding."""
    assert (3 * 5) % SLICES
    parts, mask = tensors(length, length), padding(length) if masked and length > 2 else None
    agree(module(), parts, mask, eager(*parts, mask))


@pytest.mark.parametrize(("queries", "keys"), [(7, 13), (13, 7), (1, 13)])
def test_cross_attention(queries: int, keys: int) -> None:
    """Queries and keys may differ in number, with a padding mask over the keys."""
    parts, mask = tensors(queries, keys), padding(keys)
    agree(module(), parts, mask, eager(*parts, mask))


@pytest.mark.parametrize("length", [7, 13])
def test_causal(length: int) -> None:
    """A causal layer without a mask looks at no later key; told to be not causal, it looks at all."""
    parts = tensors(length, length)
    lower = torch.ones(1, 1, length, length).tril().bool()
    agree(module(causal=True), parts, None, eager(*parts, lower))
    agree(module(causal=True), parts, None, eager(*parts, None), is_causal=False)


def test_one_new_token_looks_at_all_keys() -> None:
    """In decoding, one query of a causal layer sees the whole past, with a position bias, too."""
    parts = tensors(1, 13)
    bias = torch.randn(1, 5, 1, 13, generator=torch.Generator().manual_seed(1))
    agree(module(causal=True), parts, None, eager(*parts, None))
    agree(module(causal=True), parts, None, eager(*parts, None, bias), position_bias=bias)


@pytest.mark.parametrize("mask", [None, padding(7)])
@pytest.mark.parametrize("causal", [False, True])
def test_position_bias(mask: torch.Tensor | None, *, causal: bool) -> None:
    """A learned position bias is added before the softmax, whatever else masks."""
    parts = tensors()
    bias = torch.randn(1, 5, 7, 7, generator=torch.Generator().manual_seed(1))
    lower = torch.ones(1, 1, 7, 7).tril().bool() if causal and mask is None else mask
    agree(module(causal=causal), parts, mask, eager(*parts, lower, bias), position_bias=bias)


@pytest.mark.parametrize("queries", [1, 7])
def test_key_value_groups(queries: int) -> None:
    """Six query heads that share two key/value heads: each group sees its own head."""
    query, key, value = tensors(queries, 13, heads=6, groups=3)
    mask = padding(13)
    wide = (query, key.repeat_interleave(3, 1), value.repeat_interleave(3, 1))
    agree(module(3), (query, key, value), mask, eager(*wide, mask))


def test_a_mask_of_each_head_and_row() -> None:
    """A full float mask (batch, heads, queries, keys) lands on the rows it was made for."""
    parts = tensors(7, 13)
    mask = torch.randn(3, 5, 7, 13, generator=torch.Generator().manual_seed(2))
    agree(module(), parts, mask, eager(*parts, mask))


@pytest.mark.parametrize("kind", ["boolean", "infinite", "least"])
def test_a_row_without_any_key_stays_finite(kind: str) -> None:
    """A query that may see no key gives numbers, and the other rows do not notice it."""
    parts, mask = tensors(), torch.ones(3, 1, 7, 7, dtype=torch.bool)
    mask[1, :, :3] = False
    least = {"boolean": 0.0, "infinite": float("-inf"), "least": torch.finfo(torch.float32).min}[kind]
    given = mask if kind == "boolean" else torch.zeros(mask.shape).masked_fill(~mask, least)
    outcome, _ = sliced_attention_forward(module(), *parts, given)
    assert outcome.isfinite().all()
    torch.testing.assert_close(outcome[1, 3:], eager(*parts, None)[1, 3:], **CLOSE)
    torch.testing.assert_close(outcome[[0, 2]], eager(*parts, None)[[0, 2]], **CLOSE)


def test_softcap() -> None:
    """Scores are squeezed by softcap × tanh(score / softcap) before the mask, as Gemma 2 does it."""
    query, key, value = tensors()
    scores = (query @ key.transpose(-1, -2) / 8**0.5 / 2).tanh() * 2
    expected = (scores.masked_fill(~padding(7), float("-inf")).softmax(-1) @ value).transpose(1, 2)
    outcome, _ = sliced_attention_forward(module(), query, key, value, padding(7), softcap=2.0)
    torch.testing.assert_close(outcome, expected, **CLOSE)


def test_attention_sinks_are_refused() -> None:
    """A model with attention sinks is refused, for its answers would be wrong without them."""
    with pytest.raises(ValueError, match="attention sinks"):
        sliced_attention_forward(module(), *tensors(), None, s_aux=torch.zeros(5))


def test_half_precision_gives_half_precision() -> None:
    """bfloat16 in, bfloat16 out, and close to float32."""
    parts = tensors()
    outcome, _ = sliced_attention_forward(module(), *(part.bfloat16() for part in parts), padding(7))
    assert outcome.dtype == torch.bfloat16
    torch.testing.assert_close(outcome.float(), eager(*parts, padding(7)), atol=0.03, rtol=0.03)


def bert() -> tuple[type, Any]:
    """Return the class and configuration of a tiny BERT with 5 heads."""
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=40, num_hidden_layers=2, num_attention_heads=5, intermediate_size=64
    )
    return transformers.BertModel, config


def t5() -> tuple[type, Any]:
    """Return the class and configuration of a tiny T5 with 5 heads."""
    config = transformers.T5Config(
        vocab_size=50, d_model=20, d_kv=4, num_heads=5, num_layers=2, d_ff=40, decoder_start_token_id=0
    )
    return transformers.T5Model, config


def llama() -> tuple[type, Any]:
    """Return the class and configuration of a tiny LLaMA whose 6 heads share 2 key/value heads."""
    config = transformers.LlamaConfig(
        vocab_size=50,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        intermediate_size=64,
    )
    return transformers.LlamaModel, config


@pytest.mark.parametrize("family", [bert, t5, llama])
@pytest.mark.parametrize("side", ["right", "left"])
def test_real_models(family: Any, side: str, tmp_path: Path) -> None:
    """A model loaded with attn_implementation="sliced" answers like SDPA and eager wherever there is no padding."""
    made_by, config = family()
    torch.manual_seed(0)
    made_by(config).save_pretrained(tmp_path)
    ids = torch.randint(1, 50, (3, 13), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(13) < torch.tensor([13, 7, 1])[:, None]).long()
    mask = mask.flip(1) if side == "left" else mask
    inputs = {"input_ids": ids, "attention_mask": mask}
    if family is t5:
        inputs["decoder_input_ids"] = ids[:, :7]
    outcomes = {}
    for name in (register(), "sdpa", "eager"):
        model = made_by.from_pretrained(tmp_path, attn_implementation=name).eval()
        assert model.config._attn_implementation == name
        with torch.inference_mode():
            outcomes[name] = model(**inputs).last_hidden_state
    kept = slice(None) if family is t5 else mask.bool()  # the decoder of a T5 has no padding here
    assert outcomes[NAME][kept].isfinite().all()
    torch.testing.assert_close(outcomes[NAME][kept], outcomes["sdpa"][kept], **CLOSE)
    torch.testing.assert_close(outcomes[NAME][kept], outcomes["eager"][kept], **CLOSE)


@pytest.mark.parametrize("family", [t5, llama])
def test_decoding_with_a_cache(family: Any) -> None:
    """Greedy decoding, one new token a step, writes the same tokens sliced and with SDPA."""
    _, config = family()
    head = transformers.AutoModelForSeq2SeqLM if family is t5 else transformers.AutoModelForCausalLM
    torch.manual_seed(0)
    model = head.from_config(config).eval()
    ids = torch.randint(2, 50, (3, 7), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(7) >= torch.tensor([0, 3, 6])[:, None]).long()
    written = []
    for name in (register(), "sdpa"):
        model.set_attn_implementation(name)
        written.append(
            model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=12,
                min_new_tokens=12,
                do_sample=False,
                pad_token_id=0,
            )
        )
    assert written[0].tolist() == written[1].tolist()
