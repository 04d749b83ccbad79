"""What the planner must know of a model before a byte of its weights is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

ModelKind = Literal["encoder", "decoder", "encoder-decoder", "diffusion"]

IN_TRANSFORMERS = ("sdpa", "flash_attention_2", "eager", "sliced")
IN_UNETS = ("sdpa", "eager", "sliced")
IN_DIFFUSION_TRANSFORMERS = ("sdpa", "eager")
"""Their attention processors have no sliced form."""

BYTES_PER_NUMBER = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 1, "float8_e4m3fn": 1}
HALF = ("float16", "bfloat16")


@dataclass(frozen=True)
class ModelFacts:
    """One model in numbers; 0 always means unknown."""

    parameters: int = 0
    stored_bytes: int = 0
    """Size of the weight files."""
    kind: ModelKind = "encoder"
    attention: tuple[str, ...] = IN_TRANSFORMERS
    """Implementations it supports; "sliced" is missing where attention processors of its own would break."""
    hidden_size: int = 0
    layers: int = 0
    heads: int = 0
    positions: int = 0
    """Longest input in tokens that the configuration names."""
    embedding_parameters: int = 0
    """Parameters that quantisation leaves alone."""
    largest_component_parameters: int = 0
    """Diffusion: the largest of denoiser, text encoders and VAE; what model offload keeps on the GPU."""
    vae: bool = False
    bf16_agrees: bool | None = None
    """Its outputs in bfloat16 were compared with float32 and agree (None = nobody compared)."""

    @property
    def count(self) -> int:
        """Parameters; where only the files' size is known, two bytes each (the more cautious guess)."""
        return self.parameters or self.stored_bytes // 2

    @property
    def largest_component(self) -> int:
        """Parameters that are on the GPU together under model offload."""
        return min(self.largest_component_parameters or self.count, self.count)

    @property
    def largest_layer(self) -> int:
        """Parameters on the GPU together under sequential offload: a tenth of the component.

        A bound, not a measurement: the largest layer of Stable Diffusion 1.5's UNet (a 2560 → 1280 3 x 3 convolution)
        holds 29 of its 860 million parameters.
        """
        return -(-self.largest_component // 10)


@dataclass(frozen=True)
class Working:
    """Memory needed beside the weights; values are numbers held at once, whose bytes depend on the dtype chosen.

    A forward pass and a VAE decoding never run at the same time, so that only the larger of the two counts.
    """

    fixed_bytes: int = 0
    forward_values: int = 0
    """Activations of one forward pass, attention scores left out."""
    attention_values: int = 0
    """One layer's attention scores: batch x heads x queries x keys; SDPA's fused kernels never hold them."""
    vae_values: int = 0
    """Activations of decoding the whole batch at once."""
    images: int = 1
    vae_tile_share: float = 1.0
    """Part of one image that one tile holds."""
    at_least_usual: bool = False
    """Plan for no less than the rule of thumb: a model is placed once, and larger requests will follow."""

    @property
    def known(self) -> bool:
        """False where the planner must fall back to its rule of thumb."""
        return bool(self.fixed_bytes or self.forward_values or self.attention_values or self.vae_values)


Needs = Callable[[ModelFacts], Working]
"""What one use of a model will hold beside its weights, once the model is known."""


def facts_from_config(config: Mapping[str, Any], parameters: int = 0, stored_bytes: int = 0) -> ModelFacts:
    """Read a transformers config.json or a diffusers model_index.json."""
    if "_class_name" in config or "_diffusers_version" in config:
        return _diffusion_facts(config, parameters, stored_bytes)
    inner = _language_part(config)
    tables = 1 if inner.get("tie_word_embeddings", True) else 2
    hidden = _first(inner, "hidden_size", "d_model", "n_embd", "dim")
    return ModelFacts(
        parameters=parameters,
        stored_bytes=stored_bytes,
        kind=_kind(config),
        hidden_size=hidden,
        layers=_first(inner, "num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers"),
        heads=_first(inner, "num_attention_heads", "num_heads", "n_head", "n_heads", "encoder_attention_heads"),
        positions=_first(inner, "max_position_embeddings", "n_positions"),
        embedding_parameters=_first(inner, "vocab_size") * hidden * tables,
    )


def text_working(facts: ModelFacts, batch: int, tokens: int) -> Working:
    """Estimate a forward pass over (batch, tokens): values held at once, standard transformer layer.

    Ten hidden states per token (residual, normed, query, key, value, context, 4 for the feed-forward), and for models
    that write, two more per layer for the key-value cache (an upper bound under grouped-query attention).
    """
    cached = 0 if facts.kind == "encoder" else 2 * facts.layers
    return Working(
        forward_values=batch * tokens * facts.hidden_size * (10 + cached),
        attention_values=batch * facts.heads * tokens * tokens,
    )


def image_working(width: int, height: int, images: int = 1, *, guided: bool = True, heads: int = 8) -> Working:
    """Estimate latent diffusion at (height, width) pixels, after Stable Diffusion's published layout.

    Latents are an eighth of the image per side; the UNet's widest resolution holds 320 channels, about 24 such maps at
    once (skip connections and convolution buffers); its attention sees every latent position. The VAE's last block
    holds three maps of 256 channels at full resolution. Guidance doubles the UNet's batch. A VAE tile is 512 x 512.
    """
    batch, positions = images * (2 if guided else 1), (width // 8) * (height // 8)
    return Working(
        forward_values=batch * positions * 320 * 24,
        attention_values=batch * heads * positions * positions,
        vae_values=images * width * height * 256 * 3,
        images=images,
        vae_tile_share=min(1.0, 512 * 512 / (width * height)),
    )


def _diffusion_facts(index: Mapping[str, Any], parameters: int, stored_bytes: int) -> ModelFacts:
    return ModelFacts(
        parameters=parameters,
        stored_bytes=stored_bytes,
        kind="diffusion",
        attention=IN_UNETS if "unet" in index else IN_DIFFUSION_TRANSFORMERS,
        vae="vae" in index,
    )


def _kind(config: Mapping[str, Any]) -> ModelKind:
    if config.get("is_encoder_decoder"):
        return "encoder-decoder"
    architectures = config.get("architectures") or [""]
    writes = ("CausalLM", "LMHeadModel", "ForConditionalGeneration", "ImageTextToText")
    return "decoder" if str(architectures[0]).endswith(writes) else "encoder"


def _language_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part that holds most of a multimodal model's parameters."""
    inner = config.get("text_config")
    return {**config, **inner} if isinstance(inner, Mapping) else config


def _first(config: Mapping[str, Any], *names: str) -> int:
    return next((int(config[name]) for name in names if isinstance(config.get(name), int)), 0)
