"""The choices that do not depend on free memory: dtype, attention, quantisation; each with its sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import InvalidInput
from core.machine.devices import Device, Hardware
from core.placement.model_facts import HALF, ModelFacts, Working
from core.placement.prediction import Way, all_weight_bytes, holds_all_scores
from core.placement.wish import Wish
from core.words import Sentence, in_bytes, say

AMPERE = (8, 0)
"""The first NVIDIA generation with bfloat16, and the first that FlashAttention 2 supports."""
MPS_SLICING_BROKEN_UP_TO = (2, 13)


@dataclass(frozen=True)
class Case:
    """Everything the planner was asked."""

    facts: ModelFacts
    hardware: Hardware
    wish: Wish
    working: Working
    budget_bytes: int | None = None


def first_way(case: Case, device: Device) -> tuple[Way, tuple[Sentence, ...]]:
    """Return the fastest way on `device` that obeys the wish, and why; raises InvalidInput for what cannot be."""
    refuse_misplaced(case, device)
    dtype, why_dtype = choose_dtype(case, device)
    attention, why_attention = choose_attention(case, device, dtype)
    wish = case.wish
    way = Way(
        device=device,
        dtype=dtype,
        attention=attention,
        vae_slicing=wish.vae_slicing == "on",
        vae_tiling=wish.vae_tiling == "on",
        offload=wish.offload if wish.offload != "auto" else "none",
        quantisation=wish.quantisation,
    )
    return way, (why_dtype, why_attention, *_echoes(case, way))


def refuse_misplaced(case: Case, device: Device) -> None:
    """Raise InvalidInput for a forced choice that this model or device does not know."""
    wish, facts = case.wish, case.facts
    forced = {"vae_slicing": wish.vae_slicing == "on", "vae_tiling": wish.vae_tiling == "on"}
    offloads = wish.offload in ("model", "sequential")
    for name in (*(name for name, on in forced.items() if on), *(["offload"] if offloads else [])):
        if facts.kind != "diffusion":
            raise InvalidInput("error.diffusion_only", name=name)
    if any(forced.values()) and not facts.vae:
        raise InvalidInput("error.no_vae", name=", ".join(name for name, on in forced.items() if on))
    if offloads and device.shares_main_memory:
        raise InvalidInput("error.offload_needs_gpu", device=device.label)
    if wish.quantisation != "none":
        _refuse_quantisation(case, device)


def choose_dtype(case: Case, device: Device) -> tuple[str, Sentence]:
    """Return the dtype and its reason: half precision on GPUs, on a CPU only for tables (`mixes_tables`)."""
    if case.wish.dtype != "auto":
        return _wished_dtype(case.wish.dtype, device)
    if device.kind == "cuda":
        name = "bf16" if (device.compute_capability or (0, 0)) >= AMPERE else "fp16"
        why = say(f"reason.dtype_{name}_cuda", capability=_dotted(device.compute_capability))
        return ("bfloat16" if name == "bf16" else "float16"), why
    if device.kind == "mps":
        return "float16", say("reason.dtype_fp16_mps")
    if device.kind == "xpu":
        return "bfloat16", say("reason.dtype_bf16_xpu")
    return _cpu_dtype(case.facts, device)


def mixes_tables(case: Case, way: Way) -> bool:
    """Tell whether whole tables may be computed in mixed precision, unless somebody asks for a dtype."""
    return way.device.kind == "cpu" and way.device.bf16 and way.dtype == "float32" and bool(case.facts.bf16_agrees)


def choose_attention(case: Case, device: Device, dtype: str) -> tuple[str, Sentence]:
    """Return the attention implementation and its reason; flash and sliced only where asked for."""
    wish, supported = case.wish, case.facts.attention
    if wish.sliced:
        _refuse_slicing(case, device)
        return "sliced", say("reason.slicing_wished")
    if wish.attention != "auto":
        if wish.attention not in supported:
            raise InvalidInput("error.attention_unsupported", attention=wish.attention, supported=", ".join(supported))
        if wish.attention == "flash_attention_2":
            _refuse_flash(case.hardware, device, dtype)
        return wish.attention, say("reason.attention_wished", attention=wish.attention)
    if "sdpa" not in supported:
        return "eager", say("reason.attention_eager")
    unfused = holds_all_scores(Way(device, dtype, "sdpa"))
    return "sdpa", say("reason.attention_sdpa_unfused" if unfused else "reason.attention_sdpa")


def slicing_broken(hardware: Hardware, device: Device) -> bool:
    """Tell whether sliced attention gives NaN: Apple GPUs with PyTorch 2.13 or older (or of unknown version)."""
    numbers = re.match(r"(\d+)\.(\d+)", hardware.torch_version or "")
    version = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    return device.kind == "mps" and version <= MPS_SLICING_BROKEN_UP_TO


def _wished_dtype(dtype: str, device: Device) -> tuple[str, Sentence]:
    missing = dtype == "bfloat16" and not device.bf16
    if missing and device.kind == "mps":
        raise InvalidInput("error.bf16_unsupported", device=device.label, name=device.name)
    slow = missing or (dtype == "float16" and device.kind == "cpu")
    return dtype, say("reason.dtype_slow" if slow else "reason.dtype_wished", dtype=dtype, device=device.label)


def _cpu_dtype(facts: ModelFacts, device: Device) -> tuple[str, Sentence]:
    if not device.bf16:
        return "float32", say("reason.dtype_fp32_no_instructions")
    if facts.bf16_agrees:
        return "float32", say("reason.dtype_fp32_tables_mixed")
    unknown = facts.bf16_agrees is None
    return "float32", say("reason.dtype_fp32_unknown" if unknown else "reason.dtype_fp32_disagrees")


def _refuse_slicing(case: Case, device: Device) -> None:
    if "sliced" not in case.facts.attention:
        raise InvalidInput("error.no_sliced_attention")
    if slicing_broken(case.hardware, device):
        raise InvalidInput("error.slicing_nan_on_mps", torch=case.hardware.torch_version or "?")


def _refuse_flash(hardware: Hardware, device: Device, dtype: str) -> None:
    if device.kind != "cuda" or (device.compute_capability or (0, 0)) < AMPERE:
        raise InvalidInput("error.flash_needs_cuda", device=device.label, name=device.name)
    if dtype not in HALF:
        raise InvalidInput("error.flash_needs_half", dtype=dtype)
    if "flash_attn" not in hardware.packages:
        raise InvalidInput("error.flash_not_installed")


def _refuse_quantisation(case: Case, device: Device) -> None:
    quantisation = case.wish.quantisation
    if case.facts.kind == "diffusion":
        raise InvalidInput("error.quantisation_diffusion", quantisation=quantisation)
    if device.kind != "cuda":
        raise InvalidInput("error.quantisation_needs_cuda", quantisation=quantisation, device=device.label)
    if "bitsandbytes" not in case.hardware.packages:
        raise InvalidInput("error.bitsandbytes_missing", quantisation=quantisation)


def _echoes(case: Case, way: Way) -> Iterator[Sentence]:
    """Say back what was forced beside dtype and attention."""
    for name in ("vae_slicing", "vae_tiling", "offload"):
        value = getattr(case.wish, name)
        if value != "auto":
            yield say("reason.wished", name=name, value=value)
    may_slice = case.facts.kind == "diffusion" and case.wish.attention_slicing == "auto"
    if may_slice and slicing_broken(case.hardware, way.device):
        yield say("reason.slicing_never_on_mps", torch=case.hardware.torch_version or "?")
    if way.quantisation != "none":
        weights = all_weight_bytes(case.facts, way.dtype, way.quantisation)
        whole = all_weight_bytes(case.facts, way.dtype)
        yield say(
            "reason.quantisation_wished",
            quantisation=way.quantisation,
            weights=in_bytes(weights),
            whole=in_bytes(whole),
        )


def _dotted(capability: tuple[int, int] | None) -> str:
    return "?" if capability is None else f"{capability[0]}.{capability[1]}"
