"""What the planner must know of a model before a byte of its weights is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

ModelKind = Literal["encoder", "decoder", "encoder-decoder", "diffusion"]

IN_TRANSFORMERS = ("sdpa", "flash_attention_2", "eager", "sliced")
IN_UNETS = ("sdpa", "eager", "sliced")
IN_DIFFUSION_TRANSFORMERS = ("sdpa",)
"""Their attention processors are written for SDPA: there is neither a sliced nor an eager form."""

BYTES_PER_NUMBER = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 1, "float8_e4m3fn": 1}
HALF = ("float16", "bfloat16")
UNET_MAPS, TRANSFORMER_STATES, VAE_MAPS = 44, 30, 6
"""How many maps, or hidden states, are held at once. Measured on a processor in float32: a UNet of Stable Diffusion 1's
two widest resolutions took 39 to 43 more maps for one more picture of 64 x 64 latents, its VAE 6.4 at 256 x 256 pixels.
A transformer's are counted: ten hidden states (see `text_working`), and 4 x 5 for the feed-forward's four-fold width.
"""


@dataclass(frozen=True)
class PictureShape:
    """The layout of a latent diffusion model, in numbers; Stable Diffusion 1's where nothing is said."""

    side: int = 64
    """Latents a side, of the size it was trained on."""
    factor: int = 8
    """Pixels a side that one latent stands for."""
    channels: int = 320
    """Maps of the denoiser at its widest resolution; for a transformer, its hidden size."""
    patch: int = 1
    """Latents a side that are one position of the attention, where it is finest."""
    heads: int = 8
    """Attention heads there."""
    convolutional: bool = True
    """False for a transformer, which has no skip connections."""
    vae_channels: int = 256
    """Maps of the decoder's last block, at full resolution."""


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
    picture: PictureShape = PictureShape()
    """Diffusion: what the memory of one picture follows from."""
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


def to_plan(facts: ModelFacts, working: int | Needs) -> int | Working:
    """Return what the planner must keep free beside the weights; a model is placed once, for larger uses, too."""
    return replace(working(facts), at_least_usual=True) if callable(working) else working


def facts_from_config(config: Mapping[str, Any], parameters: int = 0, stored_bytes: int = 0) -> ModelFacts:
    """Read a transformers config.json, a ControlNet's, or a diffusers model_index.json."""
    if config.get("_class_name") == "ControlNetModel":
        return ModelFacts(parameters, stored_bytes, attention=IN_UNETS, picture=_unet_shape(PictureShape(), config))
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


def image_working(
    width: int,
    height: int,
    images: int = 1,
    *,
    guided: bool = True,
    shape: PictureShape = PictureShape(),
) -> Working:
    """Estimate latent diffusion of `images` pictures at (height, width) pixels; 0 = the size it was trained on.

    A UNet holds about UNET_MAPS maps of its widest resolution at once (skip connections, the feed-forward's eight-fold
    width, buffers of convolutions); a transformer TRANSFORMER_STATES hidden states a position. The finest attention
    sees every position. The VAE's last block holds VAE_MAPS maps at full resolution. Guidance doubles the denoiser's
    batch. A VAE tile is 64 x 64 latents, as diffusers cuts it.
    """
    width, height = width or shape.side * shape.factor, height or shape.side * shape.factor
    batch, latents = images * (2 if guided else 1), -(-width // shape.factor) * -(-height // shape.factor)
    positions = -(-latents // shape.patch**2)
    held = latents * UNET_MAPS if shape.convolutional else positions * TRANSFORMER_STATES
    return Working(
        forward_values=batch * held * shape.channels,
        attention_values=batch * shape.heads * positions * positions,
        vae_values=images * width * height * shape.vae_channels * VAE_MAPS,
        images=images,
        vae_tile_share=min(1.0, 64 * 64 / latents),
    )


def picture_needs(width: int = 0, height: int = 0, images: int = 1, *, guided: bool = True) -> Needs:
    """Return what drawing `images` pictures at once needs beside the weights, as it follows from the model's facts."""

    def needs(facts: ModelFacts) -> Working:
        return image_working(width, height, images, guided=guided, shape=facts.picture)

    return needs


def facts_of_pipeline(
    index: Mapping[str, Any],
    parameters: Mapping[str, int],
    configs: Mapping[str, Mapping[str, Any]],
    stored_bytes: int = 0,
) -> ModelFacts:
    """Read a model_index.json, how many parameters each of its components has, and their configurations."""
    facts = _diffusion_facts(index, sum(parameters.values()), stored_bytes)
    return replace(
        facts,
        largest_component_parameters=max(parameters.values(), default=0),
        picture=_shape(configs),
    )


def _shape(configs: Mapping[str, Mapping[str, Any]]) -> PictureShape:
    """Return the layout that a denoiser's and a VAE's configuration tell; what they do not tell stays usual."""
    vae, unet, transformer = (configs.get(name, {}) for name in ("vae", "unet", "transformer"))
    widths = [int(width) for width in vae.get("block_out_channels", ())]
    usual = PictureShape()
    shape = replace(
        usual,
        factor=2 ** (len(widths) - 1) if widths else usual.factor,
        vae_channels=(widths[1] if len(widths) > 1 else widths[0]) if widths else usual.vae_channels,
    )
    return _transformer_shape(shape, transformer) if transformer and not unet else _unet_shape(shape, unet)


def _unet_shape(shape: PictureShape, unet: Mapping[str, Any]) -> PictureShape:
    widths = unet.get("block_out_channels") or (shape.channels,)
    attending = ["Attn" in str(kind) for kind in unet.get("down_block_types", ())]
    finest = attending.index(True) if True in attending else 0
    heads = unet.get("num_attention_heads") or unet.get("attention_head_dim") or shape.heads
    return replace(
        shape,
        side=_side(unet.get("sample_size"), shape.side),
        channels=int(widths[0]),
        patch=2**finest,
        heads=int(heads[min(finest, len(heads) - 1)] if isinstance(heads, list | tuple) else heads),
    )


def _transformer_shape(shape: PictureShape, transformer: Mapping[str, Any]) -> PictureShape:
    heads = _first(transformer, "num_attention_heads") or shape.heads
    packed = "axes_dims_rope" in transformer and transformer.get("patch_size") == 1  # Flux packs 2 x 2 latents
    return replace(
        shape,
        side=_side(transformer.get("sample_size"), 128),
        channels=heads * (_first(transformer, "attention_head_dim") or 64),
        patch=2 if packed else _first(transformer, "patch_size") or 2,
        heads=heads,
        convolutional=False,
    )


def _side(size: Any, usual: int) -> int:
    """Return latents a side; the longer of two."""
    return int(max(size)) if isinstance(size, list | tuple) else int(size or usual)


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
