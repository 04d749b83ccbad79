"""Facts read from configurations, and estimates of working memory."""

from __future__ import annotations

from typing import Any

import pytest

from core.placement.model_facts import ModelFacts, facts_from_config, image_working, text_working

BERT = {
    "architectures": ["BertForSequenceClassification"],
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "vocab_size": 30522,
}
STABLE_DIFFUSION = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
FLUX = {"_class_name": "FluxPipeline", "transformer": ["diffusers", "Flux"], "vae": ["diffusers", "AutoencoderKL"]}


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (BERT, "encoder"),
        ({"architectures": ["LlamaForCausalLM"]}, "decoder"),
        ({"architectures": ["GPT2LMHeadModel"]}, "decoder"),
        ({"architectures": ["LlavaForConditionalGeneration"], "text_config": {"hidden_size": 8}}, "decoder"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "encoder-decoder"),
        (STABLE_DIFFUSION, "diffusion"),
        ({"architectures": None}, "encoder"),
        ({}, "encoder"),
    ],
)
def test_the_kind_stands_in_the_configuration(config: dict[str, Any], kind: str) -> None:
    """Architectures and the pipeline index tell encoder, decoder and diffusion apart."""
    assert facts_from_config(config).kind == kind


def test_transformers_numbers() -> None:
    """Sizes are read under the names that the model families use."""
    facts = facts_from_config(BERT, 22_000_000, 88_000_000)
    assert (facts.parameters, facts.stored_bytes, facts.layers, facts.heads) == (22_000_000, 88_000_000, 6, 12)
    assert facts.embedding_parameters == 30522 * 384
    config = {"n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 10, "tie_word_embeddings": False}
    gpt2 = facts_from_config(config)
    assert (gpt2.hidden_size, gpt2.layers, gpt2.embedding_parameters) == (768, 12, 2 * 10 * 768)


def test_a_multimodal_model_is_measured_by_its_language_part() -> None:
    """Hidden size and layers come from text_config where there is one."""
    facts = facts_from_config({"hidden_size": 1, "text_config": {"hidden_size": 4096, "num_hidden_layers": 32}})
    assert (facts.hidden_size, facts.layers) == (4096, 32)


def test_only_unets_have_a_sliced_form() -> None:
    """A UNet can be sliced, a diffusion transformer cannot; both have a VAE here."""
    assert "sliced" in facts_from_config(STABLE_DIFFUSION).attention
    assert "sliced" not in facts_from_config(FLUX).attention
    assert facts_from_config(STABLE_DIFFUSION).vae


def test_unknown_parameters_are_counted_from_the_files() -> None:
    """Two bytes per parameter is the more cautious reading of a file size."""
    assert ModelFacts(stored_bytes=1000).count == 500
    assert ModelFacts(parameters=7, stored_bytes=1000).count == 7


def test_attention_scores_grow_with_the_square_of_the_length() -> None:
    """Twice the tokens take four times the scores and twice the activations."""
    facts = facts_from_config(BERT, 22_000_000)
    short, long = text_working(facts, 2, 100), text_working(facts, 2, 200)
    assert short.attention_values == 2 * 12 * 100 * 100
    assert long.attention_values == 4 * short.attention_values
    assert long.forward_values == 2 * short.forward_values


def test_the_longest_input_is_read() -> None:
    """The number of positions is read under its usual name and under GPT-2's; without one it is unknown."""
    named = [{"max_position_embeddings": 512}, {"n_positions": 1024}, {}]
    assert [facts_from_config(config).positions for config in named] == [512, 1024, 0]


def test_a_writing_model_keeps_a_cache() -> None:
    """A decoder's working memory holds keys and values of every layer."""
    encoder, decoder = ModelFacts(hidden_size=8, layers=3), ModelFacts(kind="decoder", hidden_size=8, layers=3)
    extra = text_working(decoder, 1, 10).forward_values - text_working(encoder, 1, 10).forward_values
    assert extra == 2 * 3 * 10 * 8


def test_images_larger_than_a_tile_can_be_tiled() -> None:
    """A tile is 512 x 512: a quarter of 1024 x 1024, and the whole of anything smaller."""
    assert image_working(1024, 1024).vae_tile_share == 0.25
    assert image_working(256, 256).vae_tile_share == 1.0
    assert image_working(512, 512, images=4).vae_values == 4 * image_working(512, 512).vae_values
    assert image_working(512, 512, guided=False).attention_values * 2 == image_working(512, 512).attention_values
