"""Claim: two trainings on the samples that ship with Atelier teach their bases something, each in under three minutes.

Both are started as a visitor starts them, with every choice that may be "auto" left at that, and answer as run/<name>
on rows that were held out. `samples/reviews` teaches all-MiniLM-L6-v2, by LoRA and a new head, to tell praise from
blame: its accuracy beside the mean of five heads that were never trained. `samples/stories` goes on with
`starter/stories`, by LoRA: its loss a token beside the starter's. Seconds count from the click on Start to the end of
the job; the peak is the most memory that the worker ever held.
Targets: accuracy at least 0.25 higher; a loss at least 0.03 lower; each run at most 180 seconds on two cores.

On a quiet machine: `python -m bench.training_runs`; a quick look: `python -m bench.training_runs --heads 1`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from bench._measure import Measure, Outcome, arguments, report
from bench.training import finished
from core.atelier import Atelier, open_atelier
from core.models.folder import starter_base_folder
from core.settings import Settings
from core.tasks.text.text_classification import TextClassificationSettings, classify_text
from core.training.data.prepared import Row
from core.training.data.rows import read_rows
from core.training.data.store import VALIDATION, rows_file
from core.training.record import RunRecord, read_run
from core.training.settings import TrainSettings

HELD_OUT = 0.25
ROUNDING = 0.03
"""One row in 36: the trainer computes where the processor can in bfloat16, a single answer in float32."""
FIRST_SEED = 42
BETTER_ACCURACY, LOWER_LOSS, LONGEST_SECONDS = 0.25, 0.03, 180.0
REVIEWS = TrainSettings(dataset="samples/reviews", validation_fraction=HELD_OUT, name="reviews")
STORIES = TrainSettings(task="text-generation", dataset="samples/stories", validation_fraction=HELD_OUT, name="stories")


@dataclass(frozen=True)
class Ran:
    """A run that came to its end."""

    record: RunRecord
    held_out: list[Row]
    seconds: float
    before: float
    """What was measured on the held-out rows without the training: accuracy, or loss a token."""
    after: float
    """The same by the run's name."""


def tell_praise(atelier: Atelier, heads: int = 5) -> Ran:
    """Train on the reviews; accuracies of untrained heads and of the run."""
    folder, seconds = _train(atelier, REVIEWS)
    record, rows = read_run(folder / "result"), read_rows(rows_file(folder / "data", VALIDATION))
    before = mean(untrained_accuracy(rows, record.labels, FIRST_SEED + number) for number in range(heads))
    told = [_best_label(atelier, row["text"]) for row in rows]
    return Ran(record, rows, seconds, before, _share_right(told, rows))


def tell_stories(atelier: Atelier) -> Ran:
    """Train on the stories; losses a token of the starter and of the run."""
    folder, seconds = _train(atelier, STORIES)
    record, rows = read_run(folder / "result"), read_rows(rows_file(folder / "data", VALIDATION))
    before, after = (loss_a_token(atelier, name, rows) for name in (record.base.id, "run/stories"))
    return Ran(record, rows, seconds, before, after)


def untrained_accuracy(rows: Sequence[Row], labels: Sequence[str], seed: int) -> float:
    """Return how often the base is right under a head that was drawn from the seed, and never trained."""
    import torch
    import transformers

    transformers.set_seed(seed)
    folder = starter_base_folder()
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(labels)).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        logits = model(**tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")).logits
    return _share_right([labels[place] for place in logits.argmax(-1).tolist()], rows)


def loss_a_token(atelier: Atelier, name: str, rows: Sequence[Row]) -> float:
    """Return the mean loss of all tokens of these texts but each one's first, under the model of that name."""
    import torch

    with atelier.registry.borrow(atelier.registry.resolve(name, "text-generation")) as found, torch.inference_mode():
        losses, tokens = 0.0, 0
        for row in rows:
            ids = found.tokenizer(row["text"], return_tensors="pt").input_ids
            predicted = ids.shape[1] - 1
            losses += predicted * float(found.model(input_ids=ids, labels=ids).loss)
            tokens += predicted
    return losses / tokens


def _train(atelier: Atelier, settings: TrainSettings) -> tuple[Path, float]:
    started = time.time()
    folder = finished(atelier, atelier.train_desk.start(settings))
    return folder, time.time() - started


def _best_label(atelier: Atelier, text: str) -> str:
    asked = TextClassificationSettings(text=text, model="run/reviews", top_k=1)
    return str(classify_text(asked, atelier.registry).result[0]["label"])


def _share_right(told: Sequence[str], rows: Sequence[Row]) -> float:
    return sum(label == row["label"] for label, row in zip(told, rows, strict=True)) / len(rows)


def measure(heads: int) -> Outcome:
    """Train both, one after the other, in an instance of their own."""
    with tempfile.TemporaryDirectory() as name:
        atelier = open_atelier(Settings(home=Path(name)))
        try:
            return outcome(tell_praise(atelier, heads), tell_stories(atelier), {"heads": heads})
        finally:
            atelier.shutdown()


def outcome(reviews: Ran, stories: Ran, sizes: dict[str, Any]) -> Outcome:
    """Compare each run with its base; both must have been measured by its trainer, too, to the same result."""
    told = reviews.record.metrics["eval_accuracy"]
    apart = abs(told - reviews.after)
    return Outcome(
        "training_runs",
        "two trainings on the samples teach their bases something, each in under three minutes",
        (
            Measure("reviews: accuracy, beside untrained heads", "", reviews.after, reviews.before,
                    target=BETTER_ACCURACY, compare="difference", at_least=True),
            Measure("reviews: click to end", "s", reviews.seconds, target=LONGEST_SECONDS, compare="ours"),
            Measure("reviews: peak memory", "MB", reviews.record.peak_bytes / 1e6, compare="ours"),
            Measure("stories: loss a token, beside the starter", "", stories.after, stories.before,
                    target=-LOWER_LOSS, compare="difference"),
            Measure("stories: click to end", "s", stories.seconds, target=LONGEST_SECONDS, compare="ours"),
            Measure("stories: peak memory", "MB", stories.record.peak_bytes / 1e6, compare="ours"),
        ),
        apart <= ROUNDING,
        f"run/reviews and its trainer find accuracies {apart:.3f} apart (allowed {ROUNDING}) on "
        f"{len(reviews.held_out)} held-out rows",
        {**sizes, "reviews": dict(reviews.record.rows), "stories": dict(stories.record.rows)},
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("training_runs", __doc__, heads=5).parse_args(argv)
    return report(measure(given.heads), given.json)


if __name__ == "__main__":
    sys.exit(main())
