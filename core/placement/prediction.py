"""How many bytes a way of running a model will take; each number beside its source.

weights   parameters x bytes per number (4 for float32, 2 for float16 and bfloat16). Quantised: embeddings keep the
          dtype; every other parameter takes 4.5 bits as nf4 (4 bits and one float32 scale per 64 values: Dettmers et
          al. 2023, QLoRA, section 3, without double quantisation) or 1 byte as int8.
          Model offload keeps the largest component on the GPU, sequential offload its largest layer.
working   what `Working` says, or where nobody says: a fifth of the unquantised weights (EleutherAI, "Transformer Math
          101": inference takes about 1.2 x the weights; quoted by accelerate's model memory estimator).
loading   adds nothing lasting: safetensors are mapped from disk and copied tensor by tensor, so that the peak exceeds
          the result by one tensor; the mapped pages are the system's to take back.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.machine.devices import Device
from core.placement.model_facts import BYTES_PER_NUMBER, HALF, ModelFacts, Working

QUANTISED_BYTES = {"nf4": 4.5 / 8, "int8": 1.0}
RULE_OF_THUMB = 0.2
SLICED_SHARE = 0.5
"""Sliced attention holds at most half of the scores: diffusers' "auto" computes in two steps, ours in four."""
TOGETHER_SHARE = 0.9
"""Layers are not divided between GPUs; accelerate's planner, too, fills a GPU to nine tenths only."""


@dataclass(frozen=True)
class Way:
    """One way of running a model; the ladder of remedies leads from one to the next."""

    device: Device
    dtype: str
    attention: str
    vae_slicing: bool = False
    vae_tiling: bool = False
    offload: str = "none"
    quantisation: str = "none"
    together: tuple[Device, ...] = ()
    """All the GPUs that share the layers, where there are several."""


@dataclass(frozen=True)
class Part:
    """A named share of the prediction: "weights" or "working"."""

    name: str
    bytes: int


def predict(facts: ModelFacts, working: Working, way: Way) -> tuple[Part, Part]:
    """Return the bytes that `way` takes on its device (or its devices together)."""
    return Part("weights", weight_bytes(facts, way)), Part("working", working_bytes(facts, working, way))


def total(parts: tuple[Part, ...]) -> int:
    """Add the parts."""
    return sum(part.bytes for part in parts)


def all_weight_bytes(facts: ModelFacts, dtype: str, quantisation: str = "none") -> int:
    """Return the bytes of the whole model, wherever it lies."""
    number = BYTES_PER_NUMBER[dtype]
    if quantisation == "none":
        return facts.count * number
    kept = min(facts.embedding_parameters, facts.count)
    return int((facts.count - kept) * QUANTISED_BYTES[quantisation]) + kept * number


def weight_bytes(facts: ModelFacts, way: Way) -> int:
    """Return the bytes of the weights that are on the device at one time."""
    whole = all_weight_bytes(facts, way.dtype, way.quantisation)
    resident = {"none": facts.count, "model": facts.largest_component, "sequential": facts.largest_layer}
    return -(-whole * resident[way.offload] // max(facts.count, 1))


def free_for(way: Way) -> int:
    """Return the bytes that `way` may count on, as its devices reported them."""
    if way.together:
        return int(TOGETHER_SHARE * sum(device.free_bytes for device in way.together))
    return way.device.free_bytes


def holds_all_scores(way: Way) -> bool:
    """Tell whether the attention scores exist in full at one time, so that slicing would save memory."""
    return _scores_held(way) == 1.0


def working_bytes(facts: ModelFacts, working: Working, way: Way) -> int:
    """Return the bytes that are needed beside the weights."""
    usual = int(RULE_OF_THUMB * all_weight_bytes(facts, way.dtype))
    if not working.known:
        return usual
    forward = working.forward_values + working.attention_values * _scores_held(way)
    decoding = working.vae_values * _decoded_at_once(working, way)
    needed = working.fixed_bytes + int(BYTES_PER_NUMBER[way.dtype] * max(forward, decoding))
    return max(needed, usual) if working.at_least_usual else needed


def _scores_held(way: Way) -> float:
    """Return which share of the attention scores exists at one time."""
    if way.attention == "sdpa":
        return 0.0 if _fused(way) else 1.0
    return {"flash_attention_2": 0.0, "sliced": SLICED_SHARE}.get(way.attention, 1.0)


def _fused(way: Way) -> bool:
    """Tell whether SDPA has a kernel that never holds the scores: CUDA and CPU, Intel in half precision, not MPS."""
    return way.device.kind in ("cuda", "cpu") or (way.device.kind == "xpu" and way.dtype in HALF)


def _decoded_at_once(working: Working, way: Way) -> float:
    share = 1 / working.images if way.vae_slicing else 1.0
    return share * (working.vae_tile_share if way.vae_tiling else 1.0)
