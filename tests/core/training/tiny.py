"""A training small enough for a test: a BERT of two layers, a handful of sentences, and the job that it belongs to."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.jobs.events import Event, read_after
from core.jobs.folder import JobFolder
from core.jobs.records import Carrier, ProcessMark, Record
from core.jobs.work import JobHandle, StopToken
from core.redaction import Redactor
from core.training.settings import TrainSettings, write_settings
from tests.fakes.models import tiny_bert

GOOD = ("good film", "a good plot", "the actor is good", "i love the film", "we love it", "you love that")
BAD = ("bad film", "an awful plot", "the actor is bad", "i hate the film", "we hate it", "you hate that")


def job_at(folder: Path) -> JobHandle:
    """Open a job's handle on a new folder, as the worker process would."""
    folder.mkdir(parents=True, exist_ok=True)
    job = JobFolder(folder)
    if not (folder / "job.json").exists():
        here = ProcessMark.here()
        job.write_record(Record(folder.name, "training", {}, {}, Carrier.PROCESS, here, time.time()))
    return JobHandle(job, StopToken(job.stop_file), Redactor())


def events(job: JobHandle, name: str | None = None) -> list[Event]:
    """Return what was reported, or only what was reported as `name`."""
    found = read_after(job.folder / "events.jsonl", 0, 10_000)
    return [one for one in found if name in (None, one.name)]


def sentences(folder: Path, copies: int = 2) -> Any:
    """Return sentences and their feeling as a tokenized data set of 12 rows a copy."""
    import datasets
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = [*GOOD, *BAD] * copies
    rows = {**tokenizer(texts), "labels": ([1] * len(GOOD) + [0] * len(BAD)) * copies}
    return datasets.Dataset.from_dict(dict(rows))


def classifier(folder: Path, *, dropout: float = 0.1) -> Any:
    """Return the tiny BERT with its head, in memory."""
    import transformers

    if not folder.exists():
        tiny_bert(folder)
    return transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout
    )


def plain_trainer(folder: Path, listeners: Sequence[object], **arguments: Any) -> Any:
    """Return transformers' own Trainer over the sentences, with our listeners."""
    import transformers

    from core.training.callbacks import as_callback

    model = classifier(folder / "model")
    rows = sentences(folder / "model")
    usual = {
        "output_dir": str(folder / "checkpoints"),
        "max_steps": 6,
        "per_device_train_batch_size": 4,
        "logging_steps": 2,
        "save_strategy": "no",
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "include_num_input_tokens_seen": "non_padding",
        "logging_nan_inf_filter": False,
    }
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "model")
    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(**{**usual, **arguments}),
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=tokenizer,
        callbacks=[as_callback(one) for one in listeners],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def run_at(folder: Path, model: Path, rows: Sequence[dict[str, Any]], **values: Any) -> JobHandle:
    """Write a run's folder as a start does (settings, data, record) and open its job; short, on the CPU, in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    usual = {"model": str(model), "file": str(file), "device": "cpu", "precision": "fp32", "max_steps": 3}
    write_settings(TrainSettings(**{**usual, "sample_count": 2, "max_new_tokens": 4, **values}), folder)
    return job_at(folder)


def feelings(copies: int = 4) -> list[dict[str, Any]]:
    """Return rows of text and label, 12 a copy, no two alike."""
    told = [(text, "good") for text in GOOD] + [(text, "bad") for text in BAD]
    return [{"text": f"{text} {place}", "label": label} for place in range(copies) for text, label in told]
