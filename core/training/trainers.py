"""transformers' and TRL's trainers for our settings: their arguments, their classes, and the order of the rows."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.training.callbacks import TieListener, as_callback
from core.training.data.prepared import Prepared
from core.training.ordering import EpochOrder, LongestFirst
from core.training.settings import TrainSettings
from core.training.tasks import TrainTask

PREFERENCE, REWARD = "preference", "reward"
_LOSS_WITH_KEYWORDS = re.compile(r"self\.loss_function\((?:[^()]|\([^()]*\))*\*\*\w*kwargs")
SMALLER_IS_BETTER = ("loss", "perplexity", "wer", "cer", "ter", "mse", "mae")
LARGEST_EXPONENT = 700.0
LONG_WAIT_SECONDS = 24 * 3600
"""Processes wait for the first one while it tokenizes, evaluates and saves."""


@dataclass(frozen=True)
class Lesson:
    """All that a trainer is made of."""

    settings: TrainSettings
    """With every choice made."""
    checkpoints: Path
    model: Any
    """Under its adapter already, unless `adapter` is for the trainer to lay."""
    tokenizer: Any
    prepared: Prepared
    collator: Any
    adapter: Any = None
    """DPO only: a peft configuration; with it, the bare model is its own reference."""
    compute_metrics: Any = None
    preprocess_logits: Any = None
    listeners: tuple[object, ...] = field(default_factory=tuple)


def make_trainer(lesson: Lesson) -> Any:
    """Return the trainer of the lesson's task, ready for `train()`; silent but for our events."""
    from transformers import EarlyStoppingCallback, PrinterCallback

    settings = lesson.settings
    trainer = _MAKERS.get(settings.task, _plain)(lesson)
    trainer.remove_callback(PrinterCallback)
    if settings.early_stopping_patience and trainer.args.load_best_model_at_end:
        trainer.add_callback(EarlyStoppingCallback(settings.early_stopping_patience))
    if trainer.args.load_best_model_at_end:
        trainer.add_callback(as_callback(TieListener()))
    for listener in lesson.listeners:
        trainer.add_callback(as_callback(listener))
    return trainer


def training_options(settings: TrainSettings, checkpoints: Path, *, evaluates: bool) -> dict[str, Any]:
    """Return what TrainingArguments is made with, in its own names; every choice is made by now.

    `evaluates`: rows are held out. Older checkpoints are removed by our listener, after the newer one has its mark.
    """
    return {
        **_schedule(settings),
        **_watching(settings, evaluates=evaluates),
        "output_dir": str(checkpoints),
        "per_device_train_batch_size": settings.per_device_train_batch_size,
        "per_device_eval_batch_size": settings.per_device_eval_batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation_steps,
        "bf16": settings.precision == "bf16",
        "fp16": settings.precision == "fp16",
        # transformers' own name for it; ours is the one that everybody knows.
        "activation_checkpointing": settings.gradient_checkpointing == "on",
        "label_smoothing_factor": settings.label_smoothing_factor,
        "neftune_noise_alpha": settings.neftune_noise_alpha or None,
        "train_sampling_strategy": "group_by_length" if groups(settings) else "random",
        "dataloader_num_workers": settings.dataloader_num_workers,
        "dataloader_pin_memory": settings.device.startswith("cuda"),
        "seed": settings.seed,
        "data_seed": settings.seed,
        "use_cpu": settings.device == "cpu",
        "ddp_timeout": LONG_WAIT_SECONDS,
        # Adapters use each of their parameters in every step, and looking for unused ones costs a pass.
        "ddp_find_unused_parameters": False,
        "disable_tqdm": True,
        "include_num_input_tokens_seen": "non_padding",
        "remove_unused_columns": False,  # the collators choose
    }


def perplexity(loss: float) -> float:
    """Return e to the loss; infinity where no number is large enough."""
    return math.exp(loss) if loss < LARGEST_EXPONENT else math.inf


def groups(settings: TrainSettings) -> bool:
    """Tell whether rows of like length stand together."""
    return settings.train_sampling_strategy == "group_by_length"


def better_is_greater(metric: str) -> bool:
    """Tell which way a metric grows."""
    return not metric.endswith(SMALLER_IS_BETTER)


def best_metric(settings: TrainSettings) -> str:
    """Return the key of an evaluation that tells the best model: "eval_…"."""
    wanted = settings.metric_for_best_model.strip() or settings.known_task.best
    return wanted if wanted.startswith("eval_") else f"eval_{wanted}"


def _schedule(settings: TrainSettings) -> dict[str, Any]:
    return {
        "num_train_epochs": settings.num_train_epochs,
        "max_steps": settings.max_steps if settings.max_steps > 0 else -1,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.lr_scheduler_type,
        "warmup_steps": settings.warmup_steps,
        "optim": settings.optim,
        "weight_decay": settings.weight_decay,
        "adam_beta1": settings.adam_beta1,
        "adam_beta2": settings.adam_beta2,
        "adam_epsilon": settings.adam_epsilon,
        "max_grad_norm": settings.max_grad_norm,
    }


def _watching(settings: TrainSettings, *, evaluates: bool) -> dict[str, Any]:
    measured = evaluates and settings.eval_strategy != "no"
    keeps_best = measured and settings.load_best_model_at_end and settings.save_strategy != "no"
    metric = best_metric(settings) if measured else None
    return {
        "eval_strategy": settings.eval_strategy if measured else "no",
        "eval_steps": settings.eval_steps or None,
        "save_strategy": settings.save_strategy,
        "save_steps": settings.save_steps or 500,
        "load_best_model_at_end": keeps_best,
        "metric_for_best_model": metric,
        "greater_is_better": better_is_greater(metric) if metric else None,
        "restore_callback_states_from_checkpoint": True,  # how long early stopping has been waiting
        "logging_steps": settings.logging_steps or 1,
        "logging_nan_inf_filter": False,
        "report_to": settings.report_to,
        "run_name": settings.name or None,
        "project": "atelier",
        "prediction_loss_only": _needs_loss_only(settings.known_task),
    }


def _needs_loss_only(task: TrainTask) -> bool:
    """Tell whether an evaluation is the loss and what follows from it: whole vocabularies would not fit in memory."""
    return task.kind == "decoder" or task.name == "fill-mask"


def _plain(lesson: Lesson) -> Any:
    from transformers import Trainer, TrainingArguments

    kind = ordered(Trainer)
    if "perplexity" in lesson.settings.known_task.metrics:
        kind = perplexing(kind)
    return kind(args=TrainingArguments(**_options(lesson)), **_parts(lesson), **_measures(lesson))


def _seq2seq(lesson: Lesson) -> Any:
    from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments

    arguments = Seq2SeqTrainingArguments(
        **_options(lesson),
        predict_with_generate=lesson.compute_metrics is not None,
        generation_max_length=lesson.prepared.max_target_length or None,
        generation_num_beams=1,
    )
    return ordered(Seq2SeqTrainer)(args=arguments, **_parts(lesson), **_measures(lesson))


def _preference(lesson: Lesson) -> Any:
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    settings = lesson.settings
    arguments = DPOConfig(
        **_options(lesson), beta=settings.beta, loss_type=[settings.loss_type], max_length=None, pad_to_multiple_of=None
    )
    reference = None if lesson.adapter is not None else _frozen_copy(lesson.model)
    return prepared_already(ordered(DPOTrainer))(
        args=arguments, ref_model=reference, peft_config=lesson.adapter, **_parts(lesson)
    )


def _reward(lesson: Lesson) -> Any:
    from trl.trainer.reward_config import RewardConfig
    from trl.trainer.reward_trainer import RewardTrainer

    arguments = RewardConfig(**_options(lesson), max_length=None, pad_to_multiple_of=None)
    return prepared_already(ordered(RewardTrainer))(args=arguments, **_parts(lesson))


_MAKERS = {
    "translation": _seq2seq,
    "summarization": _seq2seq,
    PREFERENCE: _preference,
    REWARD: _reward,
}


def _options(lesson: Lesson) -> dict[str, Any]:
    return training_options(lesson.settings, lesson.checkpoints, evaluates=lesson.prepared.validation is not None)


def _parts(lesson: Lesson) -> dict[str, Any]:
    return {
        "model": lesson.model,
        "train_dataset": lesson.prepared.train,
        "eval_dataset": lesson.prepared.validation,
        "data_collator": lesson.collator,
        "processing_class": lesson.tokenizer,
    }


def _measures(lesson: Lesson) -> dict[str, Any]:
    return {
        "compute_metrics": lesson.compute_metrics,
        "preprocess_logits_for_metrics": lesson.preprocess_logits,
    }


def _frozen_copy(model: Any) -> Any:
    """Return what the whole model is before it learns: DPO holds it against that."""
    import copy

    return copy.deepcopy(model).requires_grad_(requires_grad=False).eval()


def ordered(kind: Any) -> Any:
    """Return a trainer's class that reads rows in our order, and writes checkpoints as transformers does."""
    from transformers import Trainer

    class Ordered(kind):  # type: ignore[misc]
        """Reads in our order."""

        _reading: EpochOrder | None = None

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            if self.label_smoother is None and not weighs_its_loss(self.model):
                self.model_accepts_loss_kwargs = False

        def _get_train_sampler(self, train_dataset: Any = None) -> EpochOrder:
            rows, args = train_dataset if train_dataset is not None else self.train_dataset, self.args
            step_rows = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
            grouped = args.train_sampling_strategy == "group_by_length"
            self._reading = EpochOrder(_lengths(rows), step_rows, args.seed, grouped=grouped)
            return self._reading

        def _get_eval_sampler(self, eval_dataset: Any) -> LongestFirst:
            return LongestFirst(_lengths(eval_dataset))

        def prediction_step(self, *arguments: Any, **options: Any) -> Any:
            # What generates does not pass through the forward that accelerate has wrapped.
            with self.accelerator.autocast():
                return super().prediction_step(*arguments, **options)

        def _run_epoch(self, model: Any, epoch: int, *rest: Any, **more: Any) -> Any:
            # accelerate does not reach a sampler below the batches that a resumed epoch skips.
            if self._reading is not None:
                self._reading.set_epoch(epoch)
            return super()._run_epoch(model, epoch, *rest, **more)

        def _save_checkpoint(self, model: Any, trial: Any) -> None:
            # TRL's would write a card into every checkpoint.
            Trainer._save_checkpoint(self, model, trial)  # noqa: SLF001 it is this class's own

    return Ordered


def save_now(trainer: Any) -> None:
    """Save a checkpoint of the last whole step, unless there is one, or nothing was learnt yet."""
    step = trainer.state.global_step
    if step and not (Path(trainer.args.output_dir) / f"checkpoint-{step}").exists():
        trainer._save_checkpoint(trainer.model, None)  # noqa: SLF001 Trainer offers no public way between its cadences
        trainer.callback_handler.on_save(trainer.args, trainer.state, trainer.control)


def weighs_its_loss(model: Any) -> bool:
    """Tell whether a model divides its loss by the number of labels of the whole step, where it is told that number.

    Trainer takes every forward with keyword arguments for one that does. BERT's and T5's have them, and take the mean
    of their batch: their losses would be added up over the batches and processes of a step, twice or eight times what
    they are.
    """
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    try:
        source = inspect.getsource(inspect.unwrap(type(inner).forward))
    except (OSError, TypeError):
        return False
    return _LOSS_WITH_KEYWORDS.search(source) is not None


def perplexing(kind: Any) -> Any:
    """Return a trainer's class whose evaluations tell the perplexity, too: their loss is one of words."""

    class Perplexing(kind):  # type: ignore[misc]
        """Adds one number."""

        def evaluation_loop(self, *arguments: Any, **options: Any) -> Any:
            """Measure, and take e to the loss."""
            found = super().evaluation_loop(*arguments, **options)
            prefix = options.get("metric_key_prefix", "eval")
            if f"{prefix}_loss" in found.metrics:
                found.metrics[f"{prefix}_perplexity"] = perplexity(found.metrics[f"{prefix}_loss"])
            return found

    return Perplexing


def prepared_already(kind: Any) -> Any:
    """Return a class of TRL that takes our tokens as they are, and calls its accuracy by that name, too."""

    class Prepared(kind):  # type: ignore[misc]
        """Takes tokens."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

        def compute_loss(self, *arguments: Any, **options: Any) -> Any:
            found = super().compute_loss(*arguments, **options)
            metrics = self._metrics["train" if self.model.training else "eval"]
            if "rewards/accuracies" in metrics:
                metrics["accuracy"] = metrics["rewards/accuracies"]
            return found

    return Prepared


def _lengths(rows: Any) -> list[int]:
    column: list[int] = rows["length"][:]
    return column
