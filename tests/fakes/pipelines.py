"""Tiny real diffusion pipelines: random seeded weights in the very folders that the Hub would send.

    folder = tiny_pipeline("sd")        # StableDiffusionPipeline, 64 x 64 pixels, written once per test session
    folder = tiny_pipeline("flux")

All of them: an autoencoder of factor 8 with pictures of visible contrast, text encoders over byte-level tokenizers of
77 tokens, a denoiser of some 100,000 parameters. Safetensors, float32, no safety checker.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

FAMILIES = ("sd", "sdxl", "sd3", "flux")
"""Stable Diffusion 1.x, XL and 3, and Flux."""
TOKENS = 77
WIDTH = 16
"""Hidden size of each CLIP; T5's is twice as large, as the two CLIPs together are."""
SIDE = 8
"""Latents a side: 64 pixels."""


@cache
def tiny_pipeline(family: str) -> Path:
    """Return the folder of a tiny pipeline (one of FAMILIES), written on the first call of a test session."""
    return write_pipeline(family, _root() / family)


@cache
def tiny_controlnet(family: str = "sd") -> Path:
    """Return the folder of a ControlNet for `tiny_pipeline(family)` ("sd", "sdxl"); its hints change pictures."""
    import diffusers

    unet = diffusers.UNet2DConditionModel.from_pretrained(tiny_pipeline(family) / "unet")
    with _seeded(11):
        network = diffusers.ControlNetModel.from_unet(unet, conditioning_channels=3)
        for name, parameter in network.named_parameters():
            if "controlnet_" in name or "conv_out" in name:  # zero at birth, so that training begins with no effect
                parameter.data.normal_(std=0.2)
    return _saved(network, _root() / f"{family}-controlnet")


@cache
def tiny_lora(family: str = "sd", strength: float = 0.5) -> Path:
    """Return the folder of a LoRA for `tiny_pipeline(family)`, as diffusers saves it."""
    import diffusers
    import peft
    from peft.utils import get_peft_model_state_dict

    pipeline = diffusers.DiffusionPipeline.from_pretrained(tiny_pipeline(family))
    name = "unet" if hasattr(pipeline, "unet") else "transformer"
    denoiser = getattr(pipeline, name)
    with _seeded(12):
        denoiser.add_adapter(peft.LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v"]))
        for key, parameter in denoiser.named_parameters():
            if "lora_B" in key:  # zero at birth
                parameter.data.normal_(std=strength)
    folder = _root() / f"{family}-lora-{strength}"
    pipeline.save_lora_weights(folder, **{f"{name}_lora_layers": get_peft_model_state_dict(denoiser)})
    return folder


@cache
def tiny_inversion(token: str = "<toy>", vectors: int = 1) -> Path:  # noqa: S107 a word of a prompt
    """Return the folder of a textual inversion for the first text encoder of any family: learned_embeds.safetensors."""
    import torch
    from safetensors.torch import save_file

    folder = _root() / f"inversion-{vectors}"
    folder.mkdir(parents=True, exist_ok=True)
    with _seeded(13):
        save_file({token: torch.randn(vectors, WIDTH).squeeze(0)}, folder / "learned_embeds.safetensors")
    return folder


@cache
def tiny_depth() -> Path:
    """Return the folder of a depth estimator (DPT, 32 x 32 pixels) with its image processor."""
    import transformers

    config = transformers.DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        reassemble_factors=[4, 2, 1, 0.5],
        is_hybrid=False,
    )
    folder = _root() / "depth"
    with _seeded(14):
        _saved(transformers.DPTForDepthEstimation(config).eval(), folder)
    transformers.DPTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@cache
def tiny_pose() -> Path:
    """Return the folder of a keypoint detector (ViTPose, 17 keypoints) with its image processor."""
    import transformers

    config = transformers.VitPoseConfig(
        backbone_config=transformers.VitPoseBackboneConfig(
            image_size=[64, 48],
            patch_size=[16, 16],
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            out_indices=[2],
            out_features=["stage2"],
        ),
        num_labels=17,
    )
    folder = _root() / "pose"
    with _seeded(15):
        _saved(transformers.VitPoseForPoseEstimation(config).eval(), folder)
    transformers.VitPoseImageProcessorPil(size={"height": 64, "width": 48}).save_pretrained(folder)
    return folder


def write_pipeline(family: str, folder: Path, seed: int = 0) -> Path:
    """Write a tiny pipeline into `folder` and return it; same seed, same bytes, whatever the caller's random state."""
    with _seeded(seed):
        pipeline = _MAKERS[family]()
    _give_contrast(pipeline.vae)
    return _saved(pipeline, folder)


def _root() -> Path:
    """Return a folder that the test session removes at its end."""
    return Path(os.environ["HF_HOME"]) / "tiny-pipelines"


def _saved(model: Any, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, safe_serialization=True)
    return folder


def _seeded(seed: int) -> Any:
    """Leave the caller's random state as it was."""
    from contextlib import contextmanager

    import torch

    @contextmanager
    def held() -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield

    return held()


def _give_contrast(vae: Any) -> None:
    """Scale the last layer: a fresh decoder answers grey to everything, and then all pictures would be equal."""
    import torch

    with torch.inference_mode(), _seeded(1):
        latents = torch.randn(2, vae.config.latent_channels, SIDE, SIDE) / vae.config.scaling_factor
        spread = vae.decode(latents).sample.std()
    vae.decoder.conv_out.weight.data.mul_(float(0.5 / spread))
    vae.decoder.conv_out.bias.data.zero_()


def _stable_diffusion() -> Any:
    import diffusers

    return diffusers.StableDiffusionPipeline(
        vae=_vae(0.18215),
        text_encoder=_clip(),
        tokenizer=_clip_tokenizer(),
        unet=_unet(cross_attention_dim=WIDTH, attention_head_dim=4),
        scheduler=diffusers.PNDMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            skip_prk_steps=True,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _stable_diffusion_xl() -> Any:
    import diffusers

    time_width = 8
    return diffusers.StableDiffusionXLPipeline(
        vae=_vae(0.13025),
        text_encoder=_clip(),
        text_encoder_2=_clip(projected=True),
        tokenizer=_clip_tokenizer(),
        tokenizer_2=_clip_tokenizer(),
        unet=_unet(
            cross_attention_dim=2 * WIDTH,
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            transformer_layers_per_block=(1, 2),
            addition_embed_type="text_time",
            addition_time_embed_dim=time_width,
            projection_class_embeddings_input_dim=WIDTH + 6 * time_width,
        ),
        scheduler=diffusers.EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
    )


def _stable_diffusion_3() -> Any:
    import diffusers

    return diffusers.StableDiffusion3Pipeline(
        transformer=diffusers.SD3Transformer2DModel(
            sample_size=SIDE,
            patch_size=2,
            in_channels=4,
            out_channels=4,
            num_layers=2,
            attention_head_dim=8,
            num_attention_heads=4,
            joint_attention_dim=2 * WIDTH,
            caption_projection_dim=32,
            pooled_projection_dim=2 * WIDTH,
            pos_embed_max_size=16,
            qk_norm="rms_norm",
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_vae(1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=_clip(projected=True),
        tokenizer=_clip_tokenizer(),
        text_encoder_2=_clip(projected=True),
        tokenizer_2=_clip_tokenizer(),
        text_encoder_3=_t5(),
        tokenizer_3=_t5_tokenizer(),
    )


def _flux() -> Any:
    import diffusers

    return diffusers.FluxPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=_vae(0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=_clip(),
        tokenizer=_clip_tokenizer(),
        text_encoder_2=_t5(),
        tokenizer_2=_t5_tokenizer(),
        transformer=diffusers.FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=2 * WIDTH,
            pooled_projection_dim=WIDTH,
            guidance_embeds=True,
            axes_dims_rope=(4, 4, 8),
        ),
    )


_MAKERS: Mapping[str, Callable[[], Any]] = {
    "sd": _stable_diffusion,
    "sdxl": _stable_diffusion_xl,
    "sd3": _stable_diffusion_3,
    "flux": _flux,
}


def _unet(**options: Any) -> Any:
    import diffusers

    return diffusers.UNet2DConditionModel(
        sample_size=SIDE,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        **options,
    )


def _vae(scaling_factor: float, **options: Any) -> Any:
    import diffusers

    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=SIDE * 8,
        scaling_factor=scaling_factor,
        **options,
    )


def _clip(*, projected: bool = False) -> Any:
    import transformers

    first, last = (_clip_tokens()[name] for name in ("<|startoftext|>", "<|endoftext|>"))
    config = transformers.CLIPTextConfig(
        vocab_size=len(_clip_tokens()),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=first,
        eos_token_id=last,
        pad_token_id=last,
    )
    made = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    return made(config).eval()


def _t5() -> Any:
    import transformers

    config = transformers.T5Config(
        vocab_size=len(_t5_tokenizer()), d_model=2 * WIDTH, d_kv=8, d_ff=64, num_layers=2, num_heads=4
    )
    return transformers.T5EncoderModel(config).eval()


def _clip_tokens() -> dict[str, int]:
    """Return CLIP's vocabulary without its merges: each byte, each byte at a word's end, and the two special tokens."""
    from tokenizers import pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = (*alphabet, *(f"{one}</w>" for one in alphabet), "<|startoftext|>", "<|endoftext|>")
    return {token: place for place, token in enumerate(tokens)}


def _clip_tokenizer() -> Any:
    import transformers

    return transformers.CLIPTokenizer(vocab=_clip_tokens(), merges=[], model_max_length=TOKENS)


def _t5_tokenizer() -> Any:
    import transformers

    letters = [*"▁abcdefghijklmnopqrstuvwxyz0123456789,.!?'-"]
    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -2.0) for letter in letters)]
    return transformers.T5Tokenizer(
        vocab=vocabulary, extra_ids=0, additional_special_tokens=None, model_max_length=TOKENS
    )


def index_of(folder: Path) -> dict[str, Any]:
    """Return a pipeline's model_index.json."""
    index: dict[str, Any] = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    return index
