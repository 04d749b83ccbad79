"""What is chosen where nobody chose: by task, method, model, data and device. `with_defaults` leaves no "auto"."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.machine.devices import Device
from core.placement.model_facts import ModelFacts
from core.training.choices import AUTO
from core.training.schedule import CHOOSE
from core.training.settings import TrainSettings
from core.training.tasks import ADALORA, FULL, IA3, LORA, LOW_RANK, PREFIX, PROMPT, PROMPTS, QLORA

USUAL_POSITIONS = 512
LONGEST_CHOSEN = {"encoder": 512, "encoder-decoder": 512, "decoder": 1_024, "diffusion": 77}
TOKENS_A_STEP = {"cpu": 4_096, "mps": 8_192, "cuda": 16_384, "xpu": 16_384}
"""Tokens that one pass holds at most, where we choose the batch."""
QUESTION_WINDOW = 384
"""What question answering reads of a context at once, as the field's scripts do."""
LARGEST_BATCH = 32
PICTURE_ROWS = {"cpu": 1, "mps": 1, "cuda": 4, "xpu": 2}
LARGE_MODEL = 300_000_000
"""Parameters from which a full training is given a smaller rate."""
EPOCHS = ((100, 10.0), (1_000, 5.0), (10_000, 3.0), (100_000, 2.0))
"""Up to so many rows, so many passes; one beyond."""
PICTURE_STEPS = 1_000
WARM_UP = 0.06
EVALUATIONS = 10
"""Evaluations in a long run; a short one has one at the end of each epoch."""
LONG_EPOCH = 500
"""Steps after which nobody wants to wait for the end of an epoch."""
POINTS = 200
"""Points of a curve."""
FEWEST_STEPS_A_RUN = 60
"""A batch is halved until a small data set gives as many steps."""

RATES: Mapping[str, float] = {LORA: 2e-4, QLORA: 2e-4, ADALORA: 1e-3, PREFIX: 1e-2, PROMPT: 1e-2, IA3: 5e-3, FULL: 5e-5}
"""As their authors, or peft's own examples, train; each may be typed over."""
SMALL_ENCODER_RATE = 5e-4
"""LoRA on an encoder of some 20 million parameters: what our starters were trained with (recipes/)."""
PREFERENCE_SHARE = 0.1
"""DPO takes a tenth of the usual rate: it begins where instructions ended."""
RANKS: Mapping[str, int] = {"encoder": 16, "encoder-decoder": 16, "decoder": 16, "diffusion": 8}
VIRTUAL_TOKENS = 20


@dataclass(frozen=True)
class DataShape:
    """Data in numbers, as far as they are known; 0 = unknown."""

    rows: int
    """What one pass reads: rows, or sequences once they are tokenized."""
    validation_rows: int = 0
    longest: int = 0
    """Tokens of nearly all inputs (99 of 100 are no longer)."""
    typical: int = 0
    """Tokens of an input on average."""
    target_longest: int = 0
    labels: int = 2
    shape: str = ""
    """As core.training.data.prepared.SHAPES names it."""

    @property
    def conversational(self) -> bool:
        """True where answers are learnt, and not running text."""
        return self.shape in ("chat", "completion")


@dataclass(frozen=True)
class _Case:
    settings: TrainSettings
    facts: ModelFacts
    data: DataShape
    device: Device


def with_defaults(settings: TrainSettings, facts: ModelFacts, data: DataShape, device: Device) -> TrainSettings:
    """Return the settings with every choice made; what somebody chose stays. Calling it again changes nothing.

    `max_length` and `max_target_length` stay 0 where the data's lengths are unknown: preparing the data chooses them.
    """
    found = settings
    for choose in (_numbers_of_method, _computing, _lengths, _batches, _rates, _evaluation, _rest):
        found = dataclasses.replace(found, **choose(_Case(found, facts, data, device)))
    return found


def steps_per_epoch(settings: TrainSettings, rows: int) -> int:
    """Return the optimiser steps of one pass, counted as transformers' Trainer does."""
    at_once = max(settings.per_device_train_batch_size, 1) * settings.num_processes
    return max(math.ceil(math.ceil(rows / at_once) / max(settings.gradient_accumulation_steps, 1)), 1)


def total_steps(settings: TrainSettings, rows: int) -> int:
    """Return the optimiser steps of the whole run."""
    if settings.max_steps > 0:
        return settings.max_steps
    return max(math.ceil(settings.num_train_epochs * steps_per_epoch(settings, rows)), 1)


def held_out(settings: TrainSettings, data: DataShape) -> bool:
    """Tell whether there are rows to evaluate on."""
    named = settings.validation_file.strip() or settings.validation_split.strip()
    return bool(data.validation_rows or named or settings.validation_fraction)


def _numbers_of_method(case: _Case) -> dict[str, Any]:
    now, kind = case.settings, case.settings.known_task.kind
    room = max(case.facts.hidden_size // 4, 1) if case.facts.hidden_size else RANKS[kind]
    rank = min(RANKS[kind], room)
    if now.method == ADALORA:
        target = now.target_r or min(rank, 8, now.init_r or rank)
        begin = now.init_r or math.ceil(target * 1.5)
        return {"target_r": target, "init_r": begin, "lora_alpha": now.lora_alpha or 2 * target}
    if now.method in LOW_RANK:
        chosen = now.r or rank
        return {"r": chosen, "lora_alpha": now.lora_alpha or (chosen if now.use_rslora else 2 * chosen)}
    if now.method in PROMPTS:
        return {"num_virtual_tokens": now.num_virtual_tokens or VIRTUAL_TOKENS}
    return {}


def _computing(case: _Case) -> dict[str, Any]:
    now = case.settings
    return {
        "device": case.device.label if now.device == AUTO else now.device,
        "precision": _precision(case) if now.precision == AUTO else now.precision,
        "gradient_checkpointing": "off" if now.gradient_checkpointing == AUTO else now.gradient_checkpointing,
    }


def _precision(case: _Case) -> str:
    """Return half precision where the device computes it natively."""
    if case.device.bf16:
        return "bf16"
    return "fp16" if case.device.kind == "cuda" else "fp32"


def _lengths(case: _Case) -> dict[str, Any]:
    now, kind = case.settings, case.settings.known_task.kind
    found: dict[str, Any] = {"packing": _packing(case) if now.packing == AUTO else now.packing}
    reads = min(case.facts.positions or USUAL_POSITIONS, LONGEST_CHOSEN[kind])
    if not now.max_length and kind != "diffusion":
        if found["packing"] == "on":
            found["max_length"] = reads
        elif now.task == "question-answering":
            found["max_length"] = min(QUESTION_WINDOW, reads)
        elif case.data.longest:
            found["max_length"] = min(_in_eights(case.data.longest), reads)
    if not now.max_target_length and case.data.target_longest:
        found["max_target_length"] = min(_in_eights(case.data.target_longest), reads)
    if now.task == "question-answering":
        longest = found.get("max_length", now.max_length)
        found["doc_stride"] = now.doc_stride or longest // 4
    if kind == "diffusion":
        found["resolution"] = now.resolution or case.facts.picture.side * case.facts.picture.factor
    return found


def _packing(case: _Case) -> str:
    """Pack running text, which goes on anyway; answers to one question must not see another.

    peft leaves out the positions by which packed texts are told apart where learnt vectors stand before the input.
    """
    now = case.settings
    running = now.task == "text-generation" and now.kind != "instructions" and now.method not in PROMPTS
    return "on" if running and not case.data.conversational else "off"


def _in_eights(tokens: int) -> int:
    return -(-tokens // 8) * 8


def _batches(case: _Case) -> dict[str, Any]:
    now = case.settings
    batch = now.per_device_train_batch_size or _batch(case)
    wanted = _effective(case)
    accumulated = now.gradient_accumulation_steps or max(wanted // (batch * now.num_processes), 1)
    if now.per_device_train_batch_size and not now.gradient_accumulation_steps:
        accumulated = 1  # whoever names the batch means it
    return {
        "per_device_train_batch_size": batch,
        "per_device_eval_batch_size": now.per_device_eval_batch_size or min(2 * batch, LARGEST_BATCH * 2),
        "gradient_accumulation_steps": accumulated,
        "num_train_epochs": _epochs(case) if now.num_train_epochs == CHOOSE else now.num_train_epochs,
    }


def _batch(case: _Case) -> int:
    """Return the rows of one pass: a power of two that the device likes, and no more than a step should see."""
    kind = case.device.kind
    if case.settings.known_task.kind == "diffusion":
        return PICTURE_ROWS[kind]
    tokens = case.settings.max_length or case.data.longest or 128
    sides = 2 if case.settings.task in ("preference", "reward") else 1
    most = max(TOKENS_A_STEP[kind] // (tokens * sides), 1)
    return min(_power_of_two(most), _effective(case))


def _effective(case: _Case) -> int:
    """Return the rows of one optimiser step: at most 32, and fewer where a small data set would give too few steps."""
    if case.settings.known_task.kind == "diffusion":
        return 4
    rows = max(case.data.rows, 1) * _epochs(case)
    return max(min(LARGEST_BATCH, _power_of_two(int(rows / FEWEST_STEPS_A_RUN))), 4)


def _power_of_two(count: int) -> int:
    return 1 << max(count.bit_length() - 1, 0)


def _epochs(case: _Case) -> float:
    rows = max(case.data.rows, 1)
    if case.settings.known_task.kind == "diffusion":
        return float(max(round(PICTURE_STEPS * 4 / rows), 1))
    return next((epochs for most, epochs in EPOCHS if rows <= most), 1.0)


def _rates(case: _Case) -> dict[str, Any]:
    now = case.settings
    found: dict[str, Any] = {"learning_rate": now.learning_rate or _rate(case)}
    if now.warmup_steps == CHOOSE:
        found["warmup_steps"] = 0.0 if now.lr_scheduler_type in ("constant", "reduce_lr_on_plateau") else WARM_UP
    return found


def _rate(case: _Case) -> float:
    now, kind = case.settings, case.settings.known_task.kind
    if kind == "diffusion":
        return 1e-4 if now.method == LORA else 1e-5
    rate = RATES[now.method]
    large = case.facts.count > LARGE_MODEL
    if now.method in (LORA, QLORA) and not large:
        rate = SMALL_ENCODER_RATE
    if now.method == FULL and large:
        rate = 2e-5
    return rate * PREFERENCE_SHARE if now.task == "preference" else rate


def _evaluation(case: _Case) -> dict[str, Any]:
    now = case.settings
    steps, each = total_steps(now, case.data.rows), steps_per_epoch(now, case.data.rows)
    evaluated = _cadence(case, steps, each) if now.eval_strategy == AUTO else now.eval_strategy
    found: dict[str, Any] = {"eval_strategy": evaluated, "eval_steps": now.eval_steps}
    if evaluated == "steps" and not now.eval_steps:
        found["eval_steps"] = max(steps // EVALUATIONS, 1)
    found |= _saving(now, found, steps)
    if evaluated == "no" or found["save_strategy"] == "no":
        found["load_best_model_at_end"] = False
    found["logging_steps"] = now.logging_steps or max(steps // POINTS, 1)
    return found


def _cadence(case: _Case, steps: int, each: int) -> str:
    """Evaluate at the end of each epoch, or ten times where there are few or many of them."""
    if not held_out(case.settings, case.data):
        return "no"
    if case.settings.save_strategy in ("steps", "epoch"):
        return case.settings.save_strategy
    if case.settings.eval_steps or case.settings.save_steps:
        return "steps"
    few, many = EVALUATIONS // 3, 2 * EVALUATIONS
    return "epoch" if few <= steps / each <= many and each <= LONG_EPOCH else "steps"


def _saving(now: TrainSettings, evaluation: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """Save whenever it is evaluated, so that the best one is kept."""
    strategy, every = evaluation["eval_strategy"], evaluation["eval_steps"]
    saved = now.save_strategy
    if saved == AUTO:
        saved = "steps" if strategy == "no" or now.save_steps else strategy
    if saved == "steps" and not now.save_steps:
        return {"save_strategy": saved, "save_steps": every if strategy == "steps" else max(steps // EVALUATIONS, 1)}
    return {"save_strategy": saved, "save_steps": now.save_steps}


def _rest(case: _Case) -> dict[str, Any]:
    now = case.settings
    alike = now.packing == "on" or now.known_task.kind == "diffusion"
    order = ("random" if alike else "group_by_length") if now.train_sampling_strategy == AUTO else None
    return {
        "train_sampling_strategy": order or now.train_sampling_strategy,
        "metric_for_best_model": _metric(now),
        "max_new_tokens": now.max_new_tokens or min(now.max_target_length or 64, 256),
    }


def _metric(now: TrainSettings) -> str:
    named = now.metric_for_best_model.strip() or now.known_task.best
    return named if named.startswith("eval_") else f"eval_{named}"
