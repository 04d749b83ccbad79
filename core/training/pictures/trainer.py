"""transformers' Trainer for networks that draw: the same loop, checkpoints and events as every other training.

Its rows are places in the encoded data; what a row holds in a step is made when the step asks for it (`batches`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.training.callbacks import as_callback
from core.training.pictures.average import Average, averaging
from core.training.pictures.batches import HELD_OUT, BatchMaker
from core.training.settings import TrainSettings
from core.training.trainers import ordered, training_options

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PictureLesson:
    """All that the trainer is made of."""

    settings: TrainSettings
    """With every choice made."""
    learner: Any
    maker: BatchMaker
    held_out: int
    """How many pictures at the end of the encoded data are for evaluation."""
    listeners: tuple[object, ...] = field(default_factory=tuple)


def make_picture_trainer(lesson: PictureLesson, arguments: Any) -> Any:
    """Return a Trainer, ready for `train()`; silent but for our events."""
    from transformers import EarlyStoppingCallback, PrinterCallback

    settings, count = lesson.settings, len(lesson.maker.encoded.pictures)
    learning = count - lesson.held_out
    trainer = _trainer_class()(
        maker=lesson.maker,
        use_ema=settings.use_ema,
        model=lesson.learner,
        args=arguments,
        train_dataset=_places(range(learning)),
        eval_dataset=_places(range(learning, count)) if lesson.held_out else None,
    )
    trainer.remove_callback(PrinterCallback)
    if settings.early_stopping_patience and arguments.load_best_model_at_end:
        trainer.add_callback(EarlyStoppingCallback(settings.early_stopping_patience))
    for listener in (*filter(None, (trainer.average,)), *lesson.listeners):
        trainer.add_callback(as_callback(listener))
    return trainer


def picture_arguments(settings: TrainSettings, checkpoints: Path, *, evaluates: bool) -> Any:
    """Return the TrainingArguments; making them joins the other processes of the training, where there are any."""
    from transformers import TrainingArguments

    options = {
        **training_options(settings, checkpoints, evaluates=evaluates),
        "activation_checkpointing": False,  # the networks are told themselves
        "include_num_input_tokens_seen": "no",
        "prediction_loss_only": True,
        "remove_unused_columns": False,
        # SDXL reads the last layer but one of its text encoders: the last has no gradient.
        "ddp_find_unused_parameters": settings.train_text_encoder,
    }
    return TrainingArguments(**options)


def _places(places: range) -> Any:
    """Return rows as transformers counts and orders them: a place, and the same length for all."""
    from datasets import Dataset

    return Dataset.from_dict({"place": list(places), "length": [1] * len(places)})


@cache
def _trainer_class() -> Any:
    from transformers import Trainer

    class PictureTrainer(averaging(ordered(Trainer))):  # type: ignore[misc]
        """Makes its batches step by step."""

        def __init__(self, *, maker: BatchMaker, use_ema: bool, **options: Any) -> None:
            """Take the batches' maker beside what Trainer takes."""
            super().__init__(data_collator=_collated, **options)
            self._maker = maker
            self.average = Average(self.model) if use_ema else None

        def compute_loss(self, model: Any, inputs: Mapping[str, Any], *_: Any, **__: Any) -> torch.Tensor:
            step = self.state.global_step if model.training else HELD_OUT
            batch = self._maker.batch(inputs["place"].tolist(), step)
            loss: torch.Tensor = model({name: one.to(self.args.device) for name, one in batch.items()})
            return loss

        def prediction_step(self, model: Any, inputs: Mapping[str, Any], *_: Any, **__: Any) -> tuple[Any, None, None]:
            import torch

            with torch.no_grad(), self.compute_loss_context_manager():
                return self.compute_loss(model, inputs).detach(), None, None

    return PictureTrainer


def _collated(rows: list[dict[str, int]]) -> dict[str, torch.Tensor]:
    import torch

    return {"place": torch.tensor([row["place"] for row in rows])}
