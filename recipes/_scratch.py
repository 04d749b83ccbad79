"""Trains a small model from its first random weights; a kill costs no more than the steps since a checkpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.utils.data import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast, Trainer, TrainingArguments

from recipes._average import AVERAGE, KeptAverage
from recipes._dropout import cheap_dropout
from recipes._train import resumable

BEST = "best.safetensors"
LARGEST_FILE = 10_000_000
"""Bytes of the largest file that is shipped."""


@dataclass(frozen=True)
class ScratchRecipe:
    """The settings that, with the data and the shape in its module, decide a starter's weights."""

    name: str
    task: str
    auto_class: str
    vocabulary: int
    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int = 200
    weight_decay: float = 0.1
    dropout: float = 0.1
    label_smoothing: float = 0.0
    average_decay: float = 0.999
    """Of the running average of the weights (per step), which is what is evaluated and saved."""
    evaluate_every: int = 250
    save_every: int = 100
    seed: int = 13


@dataclass(frozen=True)
class Lesson:
    """What a model learns from, in the order it is read, and the held-out part of it that tells when it is best."""

    rows: Dataset
    check: Dataset
    collator: Callable[[list], dict[str, torch.Tensor]]


class ScratchTrainer(Trainer):
    """Trainer that evaluates the average of the weights, by the plain loss, and keeps the best average on disk."""

    def __init__(self, average: KeptAverage, **settings: Any) -> None:
        """Take the average as a callback, and Trainer's own settings."""
        super().__init__(callbacks=[average], **settings)
        self._average = average

    def evaluate(self, *arguments: Any, **names: Any) -> dict[str, float]:
        """Evaluate the average in the model's place."""
        smoother, self.label_smoother = self.label_smoother, None
        with self._average.standing_in(self.model):
            metrics = super().evaluate(*arguments, **names)
        self.label_smoother = smoother
        loss, step = metrics["eval_loss"], self.state.global_step
        is_best = self._average.keep_if_best(Path(self.args.output_dir) / BEST, loss, step)
        print(f"step {step:,}: held-out loss {loss:.4f}{', the best so far' if is_best else ''}", flush=True)
        return metrics


def byte_level_tokenizer(texts: Iterable[str], vocabulary: int, specials: dict[str, str], template: str) -> Tokenizer:
    """Return a byte-level BPE tokenizer: no text is unknown to it, and decoding gives the text back.

    `specials`: the names of the special tokens (as `eos_token`) and the tokens; `template`: where they go, around `$A`.
    """
    tokens = list(dict.fromkeys(specials.values()))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[(token, tokenizer.token_to_id(token)) for token in tokens]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        **specials,
    )


def train(recipe: ScratchRecipe, model: PreTrainedModel, lesson: Lesson, checkpoints: Path) -> dict:
    """Train until the recipe's last step, going on from the newest whole checkpoint, and leave the best average."""
    average = KeptAverage(recipe.average_decay)
    last = resumable(checkpoints, AVERAGE)
    if last:
        average.resume(last)
    trainer = ScratchTrainer(
        average,
        model=model,
        args=_arguments(recipe, checkpoints),
        train_dataset=lesson.rows,
        eval_dataset=lesson.check,
        data_collator=lesson.collator,
    )
    started = time.monotonic()
    with cheap_dropout(recipe.seed):
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    trainer.evaluate()
    loss, step = average.restore_best(model, checkpoints / BEST)
    return {
        "parameters": trained_parameters(model),
        "rows": len(lesson.rows),
        "steps": trainer.state.global_step,
        "best_step": step,
        "best_held_out_loss": round(loss, 4),
        "seconds_of_last_run": round(time.monotonic() - started),
        "resumed": last is not None,
    }


def trained_parameters(model: PreTrainedModel) -> int:
    """Return how many numbers are trained; tied weights count once."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def save_starter(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write weights in half precision, configuration, generation settings and tokenizer for a plain from_pretrained."""
    model.half().save_pretrained(folder)
    # What loads it computes in float32: half precision is how it is stored.
    model.config.dtype = torch.float32
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _name_class(folder / "tokenizer_config.json")
    for file in folder.iterdir():
        file.chmod(0o644)
        assert file.stat().st_size < LARGEST_FILE, f"{file.name} is too large to ship"


def _name_class(file: Path) -> None:
    """Name the tokenizer's class as every version of transformers knows it."""
    settings = json.loads(file.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    file.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _arguments(recipe: ScratchRecipe, checkpoints: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=recipe.steps,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.weight_decay,
        adam_beta2=0.98,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=recipe.batch_size,
        label_smoothing_factor=recipe.label_smoothing,
        seed=recipe.seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=True,
        # The rows come in the order of reading, so a resumed run goes on exactly where it stopped.
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        eval_strategy="steps",
        eval_steps=recipe.evaluate_every,
        prediction_loss_only=True,
        save_steps=recipe.save_every,
        save_total_limit=2,
        logging_steps=50,
        report_to="none",
        disable_tqdm=True,
    )
