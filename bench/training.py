"""Claim: a fine-tune sees 1.5 times the samples per second of a plain Trainer + PEFT script, evaluations included.

The script (bench/_plain_training.py) is written as people write it: `datasets.map`, DataCollatorWithPadding, LoRA by
peft, TrainingArguments with Trainer's own precision and order of rows. Atelier starts a run as a visitor does: data and
plan are looked at, a worker process is launched, and every choice that may be "auto" is left at that. Base
(all-MiniLM-L6-v2), rows, split, epochs, batch, learning rate and its schedule, optimizer, seed, length of rows and
LoRA's settings are the same; both evaluate and save at the end of each epoch and load the best model at the end. Each
is a process of its own; they take turns, every round with another seed, which draws another split, and what is
printed is the mean of the rounds. Samples per second count every row that was trained or evaluated, from the first
step until the best model is loaded. Ours starts with the click on Start (data are read again, planned, launched), on
a server that has made a plan before, as its page does; the script with its command. The peak is the most memory that
the process that trains ever held.
Targets: at least 1.5 x the samples per second; a peak no higher; at most 6 seconds more until the first step; the loss
and the accuracy of the last evaluation apart by at most 0.05 and 0.05.

On a quiet machine: `python -m bench.training`; a quick look: `python -m bench.training --rows 120 --rounds 1`.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Any

from bench._measure import Measure, Outcome, alternate, arguments, report
from bench._texts import judged_texts
from core.atelier import Atelier, open_atelier
from core.jobs.events import Event, read_after
from core.jobs.records import State
from core.models.folder import starter_base_folder
from core.settings import PROJECT, Settings
from core.training.callbacks import EVALUATION
from core.training.data.prepared import Row, Splits
from core.training.record import read_run
from core.training.settings import TrainSettings

SCRIPT = Path(__file__).with_name("_plain_training.py")
FIRST_SEED = 42
LOSS_APART, ACCURACY_APART = 0.05, 0.05
SAME = (
    "num_train_epochs per_device_train_batch_size per_device_eval_batch_size gradient_accumulation_steps learning_rate "
    "lr_scheduler_type warmup_steps weight_decay optim max_grad_norm logging_steps eval_strategy save_strategy "
    "save_total_limit load_best_model_at_end seed"
).split()
"""What TrainingArguments takes over from our settings, under the same names."""
HELD_OUT = 0.25
MOST_EVENTS = 1_000_000
LORA = "task_type r lora_alpha lora_dropout target_modules modules_to_save use_rslora use_dora".split()


@dataclass(frozen=True)
class Training:
    """One fine-tune as it was measured."""

    start_seconds: float
    """Until the first step begins."""
    seconds: float
    """From there until the best model is loaded."""
    samples: int
    """Rows that went through the model, of training and of evaluations."""
    loss: float
    accuracy: float
    """Both of the last evaluation."""
    peak_bytes: int


@dataclass(frozen=True)
class Bench:
    """Both ways over the same rows."""

    folder: Path
    atelier: Atelier
    settings: TrainSettings
    """As a visitor fills them in; the seed is a round's own."""
    lora: dict[str, Any]
    """LoraConfig's arguments, as a run of ours wrote them."""

    def ours(self, seed: int) -> Training:
        """Start a run and follow it to its end."""
        desk, settings = self.atelier.train_desk, replace(self.settings, seed=seed)
        desk.plan(settings, desk.look(settings).shape, measured=False)  # the page has shown one by now
        started = time.time()
        return read_ours(finished(self.atelier, desk.start(settings)), started)

    def plain(self, seed: int) -> Training:
        """Write the same choices down for the script, run it, and read what it measured."""
        desk, settings = self.atelier.train_desk, replace(self.settings, seed=seed)
        looked = desk.look(settings)
        made = desk.plan(settings, looked.shape, measured=False).settings
        folder = self.folder / f"plain-{seed}"
        folder.mkdir()
        files = {name: write_rows(folder / f"{name}.csv", half) for name, half in halves(looked.splits)}
        options = plain_options(made, files, self.lora, folder)
        (folder / "options.json").write_text(json.dumps(options), encoding="utf-8")
        started = time.time()
        run_script(folder)
        measured = json.loads((folder / "measured.json").read_text(encoding="utf-8"))
        return read_plain(measured, started, {name: len(half) for name, half in halves(looked.splits)})


def opened(folder: Path, rows: int) -> Bench:
    """Open an instance below `folder` and train one step in it: files are read from disk now, and LoRA's choices known.

    That step counts for neither side.
    """
    upload = folder / "reviews.csv"
    write_rows(upload, [{"text": text, "label": label} for text, label in judged_texts(rows)])
    atelier = open_atelier(Settings(home=folder / "home"))
    settings = TrainSettings(file=str(upload), validation_fraction=HELD_OUT)
    run = finished(atelier, atelier.train_desk.start(replace(settings, max_steps=1)))
    written = json.loads((run / "result" / "adapter_config.json").read_text(encoding="utf-8"))
    return Bench(folder, atelier, settings, {name: written[name] for name in LORA})


def finished(atelier: Atelier, job: str) -> Path:
    """Wait for a run and return its folder; raises RuntimeError with its log where it failed."""
    while (state := atelier.training.state(job)).alive:
        time.sleep(0.05)
    if state is not State.SUCCEEDED:
        raise RuntimeError(f"the run ended {state.value}: {atelier.training.log(job)}")
    return atelier.training.folder(job)


def read_ours(run: Path, started: float) -> Training:
    """Read a finished run: its events tell when, its record what."""
    events, record = read_after(run / "events.jsonl", 0, MOST_EVENTS), read_run(run / "result")
    began = _moment(events, "train")
    evaluations = [event.payload for event in events if event.name == EVALUATION]
    return Training(
        start_seconds=began - started,
        seconds=_moment(events, "save") - began,
        samples=_samples(record.rows, record.epochs, len(evaluations)),
        loss=evaluations[-1]["eval_loss"],
        accuracy=evaluations[-1]["accuracy"],
        peak_bytes=record.peak_bytes,
    )


def _moment(events: Iterable[Event], phase: str) -> float:
    """Return when a phase was first told."""
    return next(event.time for event in events if event.progress and event.progress.phase == phase)


def plain_options(made: TrainSettings, files: dict[str, str], lora: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what the script is told: the choices of our plan, in the libraries' own names."""
    same = {name: getattr(made, name) for name in SAME}
    best = {"metric_for_best_model": made.metric_for_best_model, "greater_is_better": True}
    return {
        "model": str(starter_base_folder()),
        "files": files,
        "max_length": made.max_length,
        "lora": lora,
        "arguments": {**same, **best, "output_dir": str(folder / "checkpoints"), "report_to": "none"},
        "result": str(folder / "result"),
        "measured": str(folder / "measured.json"),
    }


def run_script(folder: Path) -> None:
    """Run the plain script in a fresh process; raises RuntimeError with its last words where it failed."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "datasets")}
    with (folder / "log.txt").open("wb") as log:
        command = [sys.executable, str(SCRIPT), str(folder / "options.json")]
        ended = subprocess.run(command, cwd=PROJECT, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False)
    if ended.returncode:
        words = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")[-4000:]
        raise RuntimeError(f"the plain script ended with status {ended.returncode}: {words}")


def read_plain(measured: dict[str, Any], started: float, rows: dict[str, int]) -> Training:
    """Read what the script wrote; `rows`: of each half."""
    evaluations = measured["evaluations"]
    return Training(
        start_seconds=measured["began"] - started,
        seconds=measured["seconds"],
        samples=_samples(rows, measured["epochs"], len(evaluations)),
        loss=evaluations[-1]["eval_loss"],
        accuracy=evaluations[-1]["eval_accuracy"],
        peak_bytes=measured["peak_bytes"],
    )


def halves(splits: Splits) -> Iterable[tuple[str, Sequence[Row]]]:
    """Give both halves with their names."""
    return (("train", splits.train), ("validation", splits.validation))


def write_rows(file: Path, rows: Iterable[Row]) -> str:
    """Write text and label of each row as CSV, and return the file's name."""
    with file.open("w", encoding="utf-8", newline="") as written:
        csv.writer(written).writerows([("text", "label"), *((row["text"], row["label"]) for row in rows)])
    return str(file)


def _samples(rows: Mapping[str, int], epochs: float, evaluations: int) -> int:
    return round(rows["train"] * epochs) + rows["validation"] * evaluations


def measure(rows: int, rounds: int) -> Outcome:
    """Train in turns, each round with the next seed."""
    with tempfile.TemporaryDirectory() as name:
        bench = opened(Path(name), rows)
        first, second = count(FIRST_SEED), count(FIRST_SEED)
        try:
            ours, plain = alternate(rounds, lambda: bench.ours(next(first)), lambda: bench.plain(next(second)))
        finally:
            bench.atelier.shutdown()
    return outcome(ours, plain, _sizes(rows, rounds, ours[0].samples))


def _sizes(rows: int, rounds: int, samples: int) -> dict[str, Any]:
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return {"rows": rows, "rounds": rounds, "samples_a_round": samples, "threads": threads}


def outcome(ours: Sequence[Training], plain: Sequence[Training], sizes: dict[str, Any]) -> Outcome:
    """Compare the means of the rounds; of memory, the largest peak."""
    both = (ours, plain)
    speeds = [sum(one.samples for one in side) / sum(one.seconds for one in side) for side in both]
    losses, accuracies = ([mean(getattr(one, name) for one in side) for side in both] for name in ("loss", "accuracy"))
    starts = [mean(one.start_seconds for one in side) for side in both]
    wholes = [mean(one.start_seconds + one.seconds for one in side) for side in both]
    peaks = [max(one.peak_bytes for one in side) / 1e6 for side in both]
    loss_apart, accuracy_apart = abs(losses[0] - losses[1]), abs(accuracies[0] - accuracies[1])
    as_many = {one.samples for side in both for one in side}
    return Outcome(
        "training",
        "a fine-tune sees 1.5 times the samples per second of a plain Trainer + PEFT script, evaluations included",
        (
            Measure("samples a second, trained and evaluated", "1/s", *speeds, target=1.5, at_least=True),
            Measure("peak memory of the process that trains", "MB", *peaks, target=1.0),
            Measure("until the first step", "s", *starts, target=6.0, compare="difference"),
            Measure("from the start to the best model", "s", *wholes),
            Measure("last evaluation: loss", "", *losses, compare="difference"),
            Measure("last evaluation: accuracy", "", *accuracies, compare="difference"),
        ),
        loss_apart <= LOSS_APART and accuracy_apart <= ACCURACY_APART and len(as_many) == 1,
        f"last evaluations apart by {loss_apart:.3f} in loss (allowed {LOSS_APART}) and {accuracy_apart:.3f} in "
        f"accuracy (allowed {ACCURACY_APART}), after {' or '.join(f'{one:,}' for one in sorted(as_many))} samples each",
        sizes,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("training", __doc__, rows=400, rounds=2).parse_args(argv)
    return report(measure(given.rows, given.rounds), given.json)


if __name__ == "__main__":
    sys.exit(main())
