"""What a training will hold at once, part by part, and what would make it less; each number beside its source.

weights      parameters x bytes: 4 in float32; frozen ones 2 in half precision, 4.5 bits as nf4 (see core.placement).
gradients    4 bytes for each number that learns, in float32 whatever is computed in.
optimiser    8 bytes for AdamW's two moments (Loshchilov and Hutter 2019), less for others, see OPTIMISER_BYTES.
activations  34 x hidden bytes for each token and layer in half precision (Korthikanti et al. 2022, arXiv 2205.05198,
             equation 2, with fused attention), twice that in float32; with gradient checkpointing, one hidden state for
             each token and layer, and one layer whole. The vocabulary's logits: LOGITS copies in float32.
libraries    what PyTorch and the libraries hold before a model is there, measured; on a GPU its context.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

from core.errors import NotEnoughMemory
from core.machine.devices import Device
from core.placement.model_facts import UNET_MAPS, ModelFacts
from core.placement.prediction import QUANTISED_BYTES, Part, total
from core.training.methods import Parameters
from core.training.settings import TrainSettings
from core.training.tasks import FULL, LORA, QLORA
from core.words import Sentence, in_bytes, say

OPTIMISER_BYTES: Mapping[str, float] = {
    "adamw_torch_fused": 8,
    "adamw_torch": 8,
    "adamw_bnb_8bit": 2,
    "paged_adamw_8bit": 2,
    "rmsprop": 4,
    "adafactor": 0.1,
    "sgd": 0,
}
"""Bytes for each number that learns; Adafactor keeps a row and a column of each matrix (arXiv 1804.04235)."""
LAYER_STATES = 34
LOGITS = 3
"""Logits, their gradient, and the softmax between them."""
UNET_GRADIENTS = 3
"""Of the maps that drawing holds, learning holds as many: those kept for the way back, and the gradients of some."""
LIBRARY_BYTES = {"cpu": 700_000_000, "cuda": 600_000_000, "mps": 700_000_000, "xpu": 600_000_000}
"""A worker with torch, transformers, peft and datasets loaded took 0.62 GB; a CUDA context takes half a GB."""
USUAL_LENGTH = 128


@dataclass(frozen=True)
class MemoryNeeds:
    """All that memory follows from."""

    settings: TrainSettings
    """With every choice made."""
    facts: ModelFacts
    parameters: Parameters
    vocabulary: int = 0
    """Words that are predicted at each position; 0 where labels are."""

    def with_settings(self, **changes: object) -> MemoryNeeds:
        """Return the same under other settings."""
        return dataclasses.replace(self, settings=dataclasses.replace(self.settings, **changes))  # type: ignore[arg-type]


def frozen_dtype(settings: TrainSettings) -> str:
    """Return what weights that do not learn are held in: half precision where it is computed in, float32 else.

    Under autocast they would be cast in every step anyway. Weights that learn are float32.
    """
    if settings.method == FULL:
        return "float32"
    return {"bf16": "bfloat16", "fp16": "float16"}.get(settings.precision, "float32")


def training_parts(needs: MemoryNeeds, device: Device) -> tuple[Part, ...]:
    """Return the predicted bytes on `device`, largest groups named."""
    learning = needs.parameters.trainable
    return (
        Part("weights", _weights(needs)),
        Part("gradients", 4 * learning),
        Part("optimiser", int(OPTIMISER_BYTES[needs.settings.optim] * learning)),
        Part("activations", _activations(needs)),
        Part("libraries", LIBRARY_BYTES[device.kind]),
    )


def require_room(needs: MemoryNeeds, device: Device, free_bytes: int) -> tuple[Part, ...]:
    """Return the parts if `free_bytes` hold them; raises NotEnoughMemory with the remedies and their numbers."""
    parts = training_parts(needs, device)
    if total(parts) <= free_bytes:
        return parts
    raise NotEnoughMemory(
        "error.train_not_enough_memory",
        device=device.label,
        needed=in_bytes(total(parts)),
        free=in_bytes(free_bytes),
        parts=", ".join(f"{part.name} {in_bytes(part.bytes)}" for part in parts),
        advice=_advice(needs, device, free_bytes),
        needed_bytes=total(parts),
        free_bytes=free_bytes,
    )


def fitted(needs: MemoryNeeds, device: Device, free_bytes: int, chosen: frozenset[str]) -> TrainSettings:
    """Return settings that fit, if ours may be changed for it: smaller batches, then activations computed twice.

    `chosen`: fields that somebody typed, which stay. What one step sees stays, too, by accumulation. Where nothing
    helps, the settings come back unchanged, for `require_room` to refuse.
    """
    for tried in _smaller(needs, chosen):
        if total(training_parts(dataclasses.replace(needs, settings=tried), device)) <= free_bytes:
            return tried
    return needs.settings


def _smaller(needs: MemoryNeeds, chosen: frozenset[str]) -> Iterator[TrainSettings]:
    """Yield the settings themselves, and then ever less hungry ones."""
    now = needs.settings
    yield now
    may_shrink = "per_device_train_batch_size" not in chosen
    may_recompute = "gradient_checkpointing" not in chosen and now.gradient_checkpointing != "on"
    for recomputed in (False, True) if may_recompute else (False,):
        state = "on" if recomputed else now.gradient_checkpointing
        batch = now.per_device_train_batch_size
        yield dataclasses.replace(now, gradient_checkpointing=state)
        while may_shrink and batch > 1:
            batch //= 2
            yield _with_batch(now, batch, gradient_checkpointing=state)


def _with_batch(now: TrainSettings, batch: int, gradient_checkpointing: str) -> TrainSettings:
    """Return the settings with smaller batches and as many rows in a step."""
    rows = now.per_device_train_batch_size * now.gradient_accumulation_steps
    return dataclasses.replace(
        now,
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=min(now.per_device_eval_batch_size, 2 * batch),
        gradient_accumulation_steps=max(math.ceil(rows / batch), 1),
        gradient_checkpointing=gradient_checkpointing,
    )


def _weights(needs: MemoryNeeds) -> int:
    settings, parameters = needs.settings, needs.parameters
    frozen = parameters.total - parameters.trainable
    number = 4 if frozen_dtype(settings) == "float32" else 2
    if settings.method == QLORA:
        kept = min(needs.facts.embedding_parameters, frozen)
        held = int((frozen - kept) * QUANTISED_BYTES["nf4"]) + kept * number
    else:
        held = frozen * number
    copies = 2 if settings.task == "preference" and settings.method == FULL else 1  # DPO's reference is a second model
    ema = parameters.trainable * 4 if settings.use_ema else 0
    return held + copies * 4 * parameters.trainable + ema


def _activations(needs: MemoryNeeds) -> int:
    settings, facts = needs.settings, needs.facts
    width = 4 if settings.precision == "fp32" else 2
    if facts.kind == "diffusion":
        return _maps(needs) * width
    rows = settings.per_device_train_batch_size * (2 if settings.task in ("preference", "reward") else 1)
    tokens = rows * _tokens(settings)
    logits = 4 * LOGITS * rows * _predicted(settings) * needs.vocabulary
    layers = facts.layers * (2 if facts.kind == "encoder-decoder" else 1)
    layer = tokens * facts.hidden_size * LAYER_STATES * width // 2
    if settings.gradient_checkpointing == "on":
        return tokens * facts.hidden_size * width * layers + layer + logits
    return layer * layers + logits


def _tokens(settings: TrainSettings) -> int:
    return (settings.max_length or USUAL_LENGTH) + settings.max_target_length + settings.num_virtual_tokens


def _predicted(settings: TrainSettings) -> int:
    """Return the positions at which words are predicted: of an encoder-decoder, those of the target."""
    return settings.max_target_length or settings.max_length or USUAL_LENGTH


def _maps(needs: MemoryNeeds) -> int:
    """Return the numbers that a UNet holds for the way back; with checkpointing, about a third of them."""
    settings, shape = needs.settings, needs.facts.picture
    latents = ((settings.resolution or shape.side * shape.factor) // shape.factor) ** 2
    held = settings.per_device_train_batch_size * latents * shape.channels * UNET_MAPS * UNET_GRADIENTS
    return held // 3 if settings.gradient_checkpointing == "on" else held


def _advice(needs: MemoryNeeds, device: Device, free_bytes: int) -> Sentence:
    """Name each change that would help, with what would be needed then; those that suffice alone come first."""
    tried = [(say(key), _needed(changed, device)) for key, changed in _remedies(needs)]
    now = _needed(needs, device)
    helping = sorted((one for one in tried if one[1] < now), key=lambda one: (one[1] > free_bytes, one[1]))
    sentences = [
        say(
            "say.train_remedy_enough" if needed <= free_bytes else "say.train_remedy",
            what=what,
            needed=in_bytes(needed),
        )
        for what, needed in helping
    ]
    last = [*sentences, say("say.train_remedy_last")]
    return reduce(lambda first, second: say("say.two_sentences", first=first, second=second), last)


def _needed(needs: MemoryNeeds, device: Device) -> int:
    return total(training_parts(needs, device))


def _remedies(needs: MemoryNeeds) -> Iterator[tuple[str, MemoryNeeds]]:
    """Yield what could be changed: batch, recomputation, precision, length, method; in the order of what it costs."""
    now = needs.settings
    yield "say.train_batch_of_one", needs.with_settings(per_device_train_batch_size=1)
    yield "say.train_checkpointing", needs.with_settings(gradient_checkpointing="on")
    if now.precision == "fp32":
        yield "say.train_half_precision", needs.with_settings(precision="bf16")
    if now.max_length > USUAL_LENGTH:
        yield "say.train_half_length", needs.with_settings(max_length=now.max_length // 2)
    if now.method == FULL and LORA in now.known_task.methods:
        small = Parameters(needs.parameters.total // 100, needs.parameters.total)
        yield "say.train_lora_instead", dataclasses.replace(needs.with_settings(method=LORA, r=8), parameters=small)
    yield (
        "say.train_all_together",
        needs.with_settings(per_device_train_batch_size=1, gradient_checkpointing="on"),
    )
