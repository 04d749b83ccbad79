"""A fine-tune as people write it: datasets, transformers' Trainer and peft, in a script that needs nothing of ours.

    python bench/_plain_training.py OPTIONS.json

The options name data, base, and the arguments of tokenizer, LoraConfig and TrainingArguments; what was measured goes
into the file that they name. Precision and the order of the rows are Trainer's own.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from datasets import load_dataset
from peft import LoraConfig, get_peft_model
from sklearn.metrics import accuracy_score, f1_score
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)


class Clock(TrainerCallback):
    """Notes when the first step begins."""

    began = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Read the clock."""
        self.began = time.time()


def peak_bytes() -> int:
    """Return the most memory that this process held; not ru_maxrss, which begins with what its parent held."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024


def compute_metrics(found: Any) -> dict[str, float]:
    """Return accuracy and F1."""
    predictions = found.predictions.argmax(-1)
    return {
        "accuracy": accuracy_score(found.label_ids, predictions),
        "f1": f1_score(found.label_ids, predictions, average="macro"),
    }


def tokens(tokenizer: Any, rows: Any, labels: dict[str, int], max_length: int) -> Any:
    """Tokenize both halves with `map`."""

    def encode(batch: dict[str, list[str]]) -> dict[str, Any]:
        found = tokenizer(batch["text"], truncation=True, max_length=max_length)
        return {**found, "labels": [labels[label] for label in batch["label"]]}

    return rows.map(encode, batched=True, remove_columns=["text", "label"])


def train(options: dict[str, Any]) -> dict[str, Any]:
    """Train, and return what was measured."""
    set_seed(options["arguments"]["seed"])
    rows = load_dataset("csv", data_files=options["files"])
    labels = {name: number for number, name in enumerate(sorted(set(rows["train"]["label"])))}
    tokenizer = AutoTokenizer.from_pretrained(options["model"])
    halves = tokens(tokenizer, rows, labels, options["max_length"])
    model = AutoModelForSequenceClassification.from_pretrained(options["model"], num_labels=len(labels))
    model = get_peft_model(model, LoraConfig(**options["lora"]))
    clock = Clock()
    trainer = Trainer(
        model=model,
        args=TrainingArguments(**options["arguments"]),
        train_dataset=halves["train"],
        eval_dataset=halves["validation"],
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=compute_metrics,
        callbacks=[clock],
    )
    trainer.train()
    seconds = time.time() - clock.began
    evaluations = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    model.save_pretrained(options["result"])
    return {
        "began": clock.began,
        "seconds": seconds,
        "epochs": trainer.state.epoch,
        "evaluations": evaluations,
        "peak_bytes": peak_bytes(),
    }


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(asked["measured"]).write_text(json.dumps(train(asked)), encoding="utf-8")
