"""How much of a model moves: the adapter that peft lays over it, or all of it, and how many parameters that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidInput
from core.models.weights import first_line
from core.training.settings import TrainSettings
from core.training.targets import Targets, choose_targets, layers_of
from core.training.tasks import ADALORA, FULL, IA3, LORA, PREFIX, PROMPT, PROMPTS, QLORA, TrainTask

FEWEST_STEPS = 10
"""AdaLoRA divides a run into three parts; a shorter one has no middle."""
_RANK = "ranknum"
"""AdaLoRA's note of a layer's rank, which never learns, and on the meta device looks as if it did."""
WARM_PART, FINAL_PART = 0.1, 0.3
"""Parts of a run before AdaLoRA takes rank away, and after it has."""


@dataclass(frozen=True)
class Parameters:
    """How many numbers learn, and how many there are, adapter included."""

    trainable: int
    total: int

    @property
    def share(self) -> float:
        """Return the part that learns, between 0 and 1."""
        return self.trainable / self.total if self.total else 0.0


@dataclass(frozen=True)
class Circumstances:
    """What a method must know beside its settings."""

    total_steps: int = 0
    """Optimiser steps of the whole run; AdaLoRA plans with it."""
    tokenizer_folder: Path | None = None
    """Prompt tuning reads its first words with it."""
    fresh: tuple[str, ...] = ()
    """Modules whose weights the checkpoint lacks, so that they must be learnt and saved beside the adapter."""


def apply_method(
    model: Any, settings: TrainSettings, around: Circumstances = Circumstances(), targets: Targets | None = None
) -> Any:
    """Return the model with what learns marked as such: under a peft adapter, or all of it for full training.

    `targets`: as `choose_targets` gives them (None = from the model itself). Raises InvalidInput where the method
    does not fit this model.
    """
    if settings.method == FULL:
        return model  # tables of positions stay as they are where the model says so
    import peft

    task = settings.known_task
    found = targets or choose_targets(layers_of(model, task), settings)
    if settings.method == QLORA:
        checkpointing = settings.gradient_checkpointing == "on"
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=checkpointing)
    config = peft_config(settings, found, around, _saved_whole(model, task, around.fresh))
    try:
        return peft.get_peft_model(model, config)
    except (ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as problem:
        name, reason = type(model).__name__, first_line(problem)
        raise InvalidInput("error.train_method_unfit_model", method=settings.method, model=name, reason=reason) from (
            problem
        )


def peft_config(
    settings: TrainSettings,
    targets: Targets,
    around: Circumstances = Circumstances(),
    saved_whole: tuple[str, ...] = (),
) -> Any:
    """Return the configuration of peft that these settings mean; of a UNet's adapter, too.

    `saved_whole`: modules for peft's `modules_to_save`.
    """
    options: dict[str, Any] = {"task_type": settings.known_task.peft_type}
    if settings.method not in PROMPTS:
        options |= {"target_modules": list(targets.modules), "modules_to_save": list(saved_whole) or None}
    return _MAKERS[settings.method](settings, targets, around, options)


def count_parameters(model: Any) -> Parameters:
    """Count what learns, and everything; works on the meta device, too. Four-bit weights count whole."""
    numbers = [(_numbers(one), one.requires_grad and _RANK not in name) for name, one in model.named_parameters()]
    return Parameters(sum(count for count, learns in numbers if learns), sum(count for count, _ in numbers))


def _numbers(parameter: Any) -> int:
    """Return how many numbers a parameter stands for: bitsandbytes packs two into a byte."""
    shape = getattr(getattr(parameter, "quant_state", None), "shape", None)
    return int(shape.numel() if shape is not None else parameter.numel())


def _saved_whole(model: Any, task: TrainTask, fresh: tuple[str, ...]) -> tuple[str, ...]:
    """Return the modules that are no adapter's and yet must be saved: the head, and what began with fresh weights."""
    heads = [name for name, _ in model.named_children() if name in task.head]
    return tuple(dict.fromkeys([*heads, *fresh]))


def _lora(settings: TrainSettings, _: Targets, __: Circumstances, options: dict[str, Any]) -> Any:
    import peft

    return peft.LoraConfig(
        r=settings.r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        use_rslora=settings.use_rslora,
        use_dora=settings.use_dora,
        **options,
    )


def _adalora(settings: TrainSettings, _: Targets, around: Circumstances, options: dict[str, Any]) -> Any:
    import peft

    steps = around.total_steps
    if steps < FEWEST_STEPS:
        raise InvalidInput("error.train_adalora_too_short", steps=steps, least=FEWEST_STEPS)
    return peft.AdaLoraConfig(
        init_r=settings.init_r,
        target_r=settings.target_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        use_rslora=settings.use_rslora,
        tinit=int(steps * WARM_PART),
        tfinal=int(steps * FINAL_PART),
        deltaT=max(steps // 100, 1),
        total_step=steps,
        **options,
    )


def _prefix(settings: TrainSettings, _: Targets, __: Circumstances, options: dict[str, Any]) -> Any:
    import peft

    return peft.PrefixTuningConfig(
        num_virtual_tokens=settings.num_virtual_tokens, prefix_projection=settings.prefix_projection, **options
    )


def _prompt(settings: TrainSettings, _: Targets, around: Circumstances, options: dict[str, Any]) -> Any:
    import peft

    words = settings.prompt_tuning_init_text.strip()
    if words and around.tokenizer_folder:
        options |= {
            "prompt_tuning_init": "TEXT",
            "prompt_tuning_init_text": words,
            "tokenizer_name_or_path": str(around.tokenizer_folder),
        }
    return peft.PromptTuningConfig(num_virtual_tokens=settings.num_virtual_tokens, **options)


def _ia3(_: TrainSettings, targets: Targets, __: Circumstances, options: dict[str, Any]) -> Any:
    import peft

    return peft.IA3Config(feedforward_modules=list(targets.feedforward), **options)


_MAKERS: Mapping[str, Callable[[TrainSettings, Targets, Circumstances, dict[str, Any]], Any]] = {
    LORA: _lora,
    QLORA: _lora,
    ADALORA: _adalora,
    PREFIX: _prefix,
    PROMPT: _prompt,
    IA3: _ia3,
}
