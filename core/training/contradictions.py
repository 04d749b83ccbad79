"""The law of a training's settings: what two choices may not say at once, and what belongs elsewhere."""

from __future__ import annotations

import re

from core.errors import InvalidInput
from core.training.schedule import Choices
from core.training.tasks import ADALORA, FULL, IA3, LORA, LOW_RANK, PREFIX, PROMPT, QLORA, find_train_task

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def refuse_contradictions(settings: Choices) -> None:
    """Raise InvalidInput, in words, for the first contradiction."""
    _refuse_name(settings)
    _refuse_method(settings)
    _refuse_data(settings)
    _refuse_length(settings)
    _refuse_of_other_methods(settings)
    _refuse_of_other_tasks(settings)
    _refuse_unwatched(settings)


def require_data(settings: Choices) -> None:
    """Raise InvalidInput unless the settings name data to learn from."""
    if not settings.file.strip() and not settings.dataset.strip():
        raise InvalidInput("error.train_no_data")


def _refuse_name(settings: Choices) -> None:
    name = settings.name
    if name and (not RUN_NAME.fullmatch(name) or ".." in name):
        raise InvalidInput("error.train_run_name", name=name)


def _refuse_method(settings: Choices) -> None:
    task = find_train_task(settings.task)
    if settings.method not in task.methods:
        allowed = ", ".join(task.methods)
        raise InvalidInput("error.train_method_unfit", method=settings.method, task=task.name, methods=allowed)


def _refuse_data(settings: Choices) -> None:
    if settings.file.strip() and settings.dataset.strip():
        raise InvalidInput("error.train_two_sources", file=settings.file, dataset=settings.dataset)
    if settings.validation_file.strip() and settings.validation_split.strip():
        raise InvalidInput("error.train_two_validations")
    if settings.validation_split.strip() and not settings.dataset.strip():
        raise InvalidInput("error.train_split_without_dataset", split=settings.validation_split)


def _refuse_length(settings: Choices) -> None:
    epochs = settings.num_train_epochs
    if -1 < epochs <= 0 and settings.max_steps <= 0:
        raise InvalidInput("error.train_no_epochs", value=epochs)
    if -1 < settings.warmup_steps < 0:
        raise InvalidInput("error.train_warmup", value=settings.warmup_steps)
    if settings.max_length and settings.doc_stride >= settings.max_length:
        raise InvalidInput("error.train_doc_stride", doc_stride=settings.doc_stride, max_length=settings.max_length)


def _refuse_of_other_methods(settings: Choices) -> None:
    belongs = {
        "use_dora": (settings.use_dora, (LORA, QLORA)),
        "use_rslora": (settings.use_rslora, LOW_RANK),
        "r": (settings.r > 0, (LORA, QLORA)),
        "init_r": (settings.init_r > 0, (ADALORA,)),
        "target_r": (settings.target_r > 0, (ADALORA,)),
        "num_virtual_tokens": (settings.num_virtual_tokens > 0, (PREFIX, PROMPT)),
        "prefix_projection": (settings.prefix_projection, (PREFIX,)),
        "packing": (settings.packing == "on", (*LOW_RANK, IA3, FULL)),
        "prompt_tuning_init_text": (bool(settings.prompt_tuning_init_text.strip()), (PROMPT,)),
    }
    for name, (asked, methods) in belongs.items():
        if asked and settings.method not in methods:
            fitting = ", ".join(methods)
            raise InvalidInput("error.train_other_method", name=name, method=settings.method, methods=fitting)
    if settings.target_r and settings.init_r and settings.init_r < settings.target_r:
        raise InvalidInput("error.train_adalora_ranks", init_r=settings.init_r, target_r=settings.target_r)


_SMOOTHED = ("text-classification", "token-classification", "translation", "summarization")


def _refuse_of_other_tasks(settings: Choices) -> None:
    belongs = {
        "kind": (settings.kind != "auto", ("text-generation",)),
        "packing": (settings.packing == "on", ("text-generation",)),
        "neftune_noise_alpha": (settings.neftune_noise_alpha > 0, ("text-generation",)),
        "label_smoothing_factor": (settings.label_smoothing_factor > 0, _SMOOTHED),
        "train_text_encoder": (settings.train_text_encoder, ("text-to-image",)),
        "use_ema": (settings.use_ema, ("text-to-image",)),
        "noise_offset": (settings.noise_offset > 0, ("text-to-image",)),
    }
    for name, (asked, tasks) in belongs.items():
        if asked and settings.task not in tasks:
            raise InvalidInput("error.train_other_task", name=name, task=settings.task, tasks=", ".join(tasks))
    if settings.packing == "on" and settings.train_sampling_strategy == "group_by_length":
        raise InvalidInput("error.train_packed_and_grouped")


def _refuse_unwatched(settings: Choices) -> None:
    """Refuse what needs evaluations where there are none, or never the rows for one."""
    needing = {
        "early_stopping_patience": settings.early_stopping_patience > 0,
        "lr_scheduler_type=reduce_lr_on_plateau": settings.lr_scheduler_type == "reduce_lr_on_plateau",
    }
    for name, asked in needing.items():
        if asked and settings.eval_strategy == "no":
            raise InvalidInput("error.train_needs_evaluation", name=name)
    _refuse_no_held_out_rows(settings, needing)
    if settings.load_best_model_at_end and _cadences_differ(settings):
        evaluated, saved = _cadence(settings, "eval"), _cadence(settings, "save")
        raise InvalidInput("error.train_best_needs_same_cadence", evaluated=evaluated, saved=saved)


def _refuse_no_held_out_rows(settings: Choices, needing: dict[str, bool]) -> None:
    held_out = settings.validation_fraction or settings.validation_file.strip() or settings.validation_split.strip()
    if held_out:
        return
    if settings.eval_strategy in ("steps", "epoch"):
        raise InvalidInput("error.train_nothing_held_out", name=f"eval_strategy={settings.eval_strategy}")
    for name, asked in needing.items():
        if asked:
            raise InvalidInput("error.train_nothing_held_out", name=name)


def _cadences_differ(settings: Choices) -> bool:
    """Tell whether a best model could not be kept: it must be saved when it was measured (as Trainer says, too)."""
    evaluated, saved = settings.eval_strategy, settings.save_strategy
    if "no" in (evaluated, saved) or "auto" in (evaluated, saved):
        return False
    if evaluated != saved:
        return True
    steps = evaluated == "steps" and settings.eval_steps and settings.save_steps
    return bool(steps and settings.save_steps % settings.eval_steps)


def _cadence(settings: Choices, name: str) -> str:
    strategy = getattr(settings, f"{name}_strategy")
    steps = getattr(settings, f"{name}_steps")
    return f"{strategy} ({steps})" if strategy == "steps" and steps else str(strategy)
