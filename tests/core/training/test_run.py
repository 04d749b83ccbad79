"""A run from its settings to its result: every task and method learns, stops, goes on, and can be loaded plainly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import Cancelled
from core.events import Progress
from core.jobs.work import JobHandle
from core.training import run
from core.training.checkpoints import checkpoints_in, fault_in, step_of
from core.training.record import read_run
from core.training.run import train_here
from tests.core.training.tiny import BAD, GOOD, events, feelings, run_at
from tests.fakes.models import tiny_bert, tiny_chat, tiny_llama, tiny_t5

TEXTS = [{"text": f"{one} and {other} {place}"} for place in range(2) for one in GOOD[:3] for other in BAD]
PAIRS = [{"source": row["text"], "target": row["text"][:8]} for row in TEXTS]
TAGGED = [
    {"tokens": ["ada", "lovelace", "lives", "in", "london", str(n)], "tags": ["B-PER", "I-PER", "O", "O", "B-LOC", "O"]}
    for n in range(20)
]
ASKED = [
    {
        "question": "who lives in london ?",
        "context": f"ada lovelace {number} lives in london .",
        "answers": {"text": ["ada lovelace"], "answer_start": [0]},
    }
    for number in range(20)
]
TALKS = [
    {"messages": [{"role": "user", "content": f"say {n}"}, {"role": "assistant", "content": f"it is {n}"}]}
    for n in range(20)
]
PREFERRED = [{"prompt": f"say {n}", "chosen": f"it is {n}", "rejected": f"no {n}"} for n in range(20)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write one tiny model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    bert = tiny_bert(folder / "bert")
    return {
        "bert": bert,
        "masked": tiny_bert(folder / "masked", "masked-lm"),
        "t5": tiny_t5(folder / "t5", bert),
        "llama": tiny_llama(folder / "llama"),
        "chat": tiny_chat(folder / "chat"),
    }


@pytest.fixture
def start(tmp_path: Path, models: dict[str, Path]) -> Iterator[Callable[..., JobHandle]]:
    """Lend what writes a run's folder and opens its job; all are closed at the end."""
    opened: list[JobHandle] = []

    def make(kind: str, rows: list[dict[str, Any]], name: str = "run", **values: Any) -> JobHandle:
        opened.append(run_at(tmp_path / name, models[kind], rows, **values))
        return opened[-1]

    yield make
    for job in opened:
        job.close()


class StopAt(JobHandle):
    """A job whose owner asks to stop as soon as it reports a phase that far."""

    stop_at: tuple[str, int]

    def report(self, progress: Progress) -> None:
        """Report, and ask."""
        super().report(progress)
        phase, done = self.stop_at
        if progress.phase == phase and progress.done >= done:
            self.cancel.cancel()


def losses(job: JobHandle) -> dict[int, float]:
    """Return the training loss by step."""
    return {one.payload["step"]: one.payload["loss"] for one in events(job, "metrics")}


def again(job: JobHandle) -> JobHandle:
    """Open the same folder for a further attempt."""
    from tests.core.training.tiny import job_at

    job.close()
    return job_at(job.folder)


def test_a_finished_run_is_a_plain_adapter(start: Callable[..., JobHandle], models: dict[str, Path]) -> None:
    """Without us, transformers and peft load the result, labels included, and find the loss that the run measured."""
    import peft
    import torch
    import transformers

    job = start("bert", feelings(), max_steps=10, learning_rate=0.01, load_best_model_at_end=False)
    train_here(job)
    made = read_run(job.result_folder)
    config = transformers.AutoConfig.from_pretrained(job.result_folder)
    base = transformers.AutoModelForSequenceClassification.from_pretrained(models["bert"], config=config)
    tokenizer = transformers.AutoTokenizer.from_pretrained(job.result_folder)
    rows = [json.loads(line) for line in (job.folder / "data/rows/validation.jsonl").read_text().splitlines()]
    batch = tokenizer([row["text"] for row in rows], padding=True, return_tensors="pt")
    labels = torch.tensor([config.label2id[row["label"]] for row in rows])
    with torch.inference_mode():
        untaught = float(base.eval()(**batch, labels=labels).loss)
        model = peft.PeftModel.from_pretrained(base, job.result_folder).eval()
        taught = float(model(**batch, labels=labels).loss)
    assert taught == pytest.approx(made.metrics["eval_loss"], abs=1e-5)
    assert abs(untaught - taught) > 1e-4
    assert made.labels == tuple(config.id2label.values())


def test_of_equal_evaluations_the_weights_with_the_lowest_loss_stay(start: Callable[..., JobHandle]) -> None:
    """While accuracy does not move yet, the loss already falls: the run keeps its lowest, not the first."""
    cadence = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    quiet = {"learning_rate": 1e-4, "warmup_steps": 0, "metric_for_best_model": "accuracy", "max_steps": 8}
    job = start("bert", feelings(), **cadence, **quiet)
    train_here(job)
    told = {one.payload["step"]: one.payload for one in events(job, "evaluation")}
    assert len({one["accuracy"] for one in told.values()}) == 1
    lowest = min(told, key=lambda step: told[step]["eval_loss"])
    assert read_run(job.result_folder).best_step == lowest > 1


def test_the_record_says_how_it_came_about(start: Callable[..., JobHandle], models: dict[str, Path]) -> None:
    """Base, method, every choice, data, parameters, steps and peak; and the checkpoints' room is given back."""
    job = start("bert", feelings(), name="first", seed=5)
    train_here(job)
    made = read_run(job.result_folder)
    assert (made.job, made.task, made.method) == ("first", "text-classification", "lora")
    assert (made.base.id, made.base.source) == (str(models["bert"]), "folder")
    assert (made.steps, made.settings["seed"], made.columns) == (3, 5, {"text": "text", "label": "label"})
    assert 0 < made.parameters.trainable < made.parameters.total
    assert made.peak_bytes > 10_000_000
    assert made.data_hash
    assert "auto" not in [made.settings[name] for name in ("precision", "packing", "eval_strategy", "device")]
    assert not (job.folder / "checkpoints").exists()
    assert events(job)[0].name == "attempt"
    assert events(job, "measured")[0].payload["steps"] == 3


@pytest.mark.parametrize(
    ("kind", "rows", "values", "metric"),
    [
        ("bert", TAGGED, {"task": "token-classification"}, "eval_f1"),
        ("bert", ASKED, {"task": "question-answering", "max_length": 64}, "eval_f1"),
        ("t5", PAIRS, {"task": "translation"}, "eval_chrf"),
        ("t5", PAIRS, {"task": "summarization", "method": "full"}, "eval_rougeL"),
        ("llama", TEXTS, {"task": "text-generation"}, "eval_perplexity"),
        ("chat", TALKS, {"task": "text-generation", "gradient_checkpointing": "on"}, "eval_perplexity"),
        ("masked", TEXTS, {"task": "fill-mask"}, "eval_perplexity"),
        ("llama", PREFERRED, {"task": "preference"}, "eval_accuracy"),
        ("llama", PREFERRED, {"task": "preference", "method": "full"}, "eval_accuracy"),
        ("llama", PREFERRED, {"task": "reward"}, "eval_accuracy"),
        ("bert", feelings(), {"method": "full", "precision": "bf16"}, "eval_f1"),
        ("bert", feelings(), {"method": "ia3"}, "eval_f1"),
        ("bert", feelings(), {"method": "prefix-tuning"}, "eval_f1"),
        ("llama", TEXTS, {"task": "text-generation", "method": "prompt-tuning"}, "eval_perplexity"),
    ],
    ids=lambda one: "-".join(map(str, one.values())) if isinstance(one, dict) else None,
)
def test_every_task_and_method_learns(
    start: Callable[..., JobHandle], kind: str, rows: list[dict[str, Any]], values: dict[str, Any], metric: str
) -> None:
    """Three steps end in a result with its own metric, an evaluation, and samples where the model writes."""
    job = start(kind, rows, **values)
    train_here(job)
    made = read_run(job.result_folder)
    assert made.metrics[metric] >= 0
    assert made.metrics["eval_loss"] > 0
    told = [one.payload[metric.removeprefix("eval_")] for one in events(job, "evaluation")]
    assert made.metrics[metric] in told  # of the best one, which need not be the last
    weights = "model.safetensors" if values.get("method") == "full" else "adapter_model.safetensors"
    assert (job.result_folder / weights).stat().st_size > 0
    writes = made.task in ("translation", "summarization", "text-generation", "preference")
    assert bool(events(job, "samples")) is writes


@pytest.mark.parametrize("method", ["lora", "adalora", "full"])
def test_a_stopped_run_goes_on_as_if_it_had_not(
    start: Callable[..., JobHandle], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Stopped at step 5 of 12, with dropout: the curve of both attempts is that of one, to the last digit."""
    monkeypatch.setattr("core.training.callbacks.TELL_SECONDS", 0.0)
    options = {"method": method, "max_steps": 12, "logging_steps": 1, "eval_strategy": "steps", "eval_steps": 4}
    options |= {"per_device_train_batch_size": 4, "save_total_limit": 1}
    options |= {"init_r": 6, "target_r": 2} if method == "adalora" else {}
    whole = start("bert", feelings(), name="whole", **options)
    train_here(whole)
    stopped = start("bert", feelings(), name="stopped", **options)
    stopped.__class__ = StopAt
    stopped.stop_at = ("train", 5)
    with pytest.raises(Cancelled):
        train_here(stopped)
    saved = checkpoints_in(stopped.folder / "checkpoints")[0]
    assert (step_of(saved), fault_in(saved)) == (5, None)
    resumed = again(stopped)
    train_here(resumed)
    resumed.close()
    assert losses(resumed) == losses(whole)
    assert events(resumed, "attempt")[-1].payload["from_step"] == 5
    assert read_run(resumed.result_folder).metrics == read_run(whole.result_folder).metrics


@pytest.mark.parametrize(("kind", "task"), [("bert", "text-classification"), ("llama", "text-generation")])
def test_accumulated_batches_are_one_batch(start: Callable[..., JobHandle], kind: str, task: str) -> None:
    """Two batches of two rows tell the loss of one with four, whether the model weighs its loss itself or not."""
    rows = feelings() if kind == "bert" else [{"text": row["text"][:20].ljust(20, ".")} for row in TEXTS]
    same = {"task": task, "logging_steps": 1, "method": "ia3", "max_steps": 2}
    same |= {"packing": "off"} if kind == "llama" else {}
    one = start(kind, rows, name="one", per_device_train_batch_size=4, gradient_accumulation_steps=1, **same)
    two = start(kind, rows, name="two", per_device_train_batch_size=2, gradient_accumulation_steps=2, **same)
    for job in (one, two):
        train_here(job)
    assert losses(two)[1] == pytest.approx(losses(one)[1], rel=0.02)  # dropout draws once for four rows, or twice


@pytest.mark.parametrize("phase", ["read", "tokenize", "evaluate"])
def test_a_stop_is_heard_in_every_phase(start: Callable[..., JobHandle], phase: str) -> None:
    """While rows are read, while they become tokens, while it is measured: it ends with Cancelled and no result."""
    job = start("bert", feelings(), max_steps=50, eval_strategy="steps", eval_steps=2)
    job.__class__ = StopAt
    job.stop_at = (phase, 0)
    with pytest.raises(Cancelled):
        train_here(job)
    assert not (job.result_folder / "run.json").exists()


def test_a_broken_checkpoint_gives_way_to_the_one_before(
    start: Callable[..., JobHandle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest is damaged: training goes on from the older one, says so, and ends as it would have."""
    monkeypatch.setattr("core.training.callbacks.TELL_SECONDS", 0.0)
    options = {"max_steps": 8, "save_strategy": "steps", "save_steps": 2, "logging_steps": 1, "eval_strategy": "no"}
    job = start("bert", feelings(), **options)
    job.__class__ = StopAt
    job.stop_at = ("train", 5)
    with pytest.raises(Cancelled):
        train_here(job)
    first = losses(job)
    weights = job.folder / "checkpoints" / "checkpoint-5" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    resumed = again(job)
    train_here(resumed)
    resumed.close()
    note = events(resumed, "note")[-1].payload
    assert note["key"] == "say.checkpoint_broken"
    assert (note["values"]["step"], note["values"]["from_step"]) == (5, 4)
    assert losses(resumed)[5] == first[5]
    assert read_run(resumed.result_folder).steps == 8


def test_an_attempt_after_the_last_write_has_nothing_to_do(start: Callable[..., JobHandle]) -> None:
    """Killed between its result and its end, a run is whole: a further attempt changes nothing."""
    job = start("bert", feelings())
    train_here(job)
    before = (job.result_folder / "run.json").stat().st_mtime_ns
    resumed = again(job)
    train_here(resumed)
    resumed.close()
    assert (job.result_folder / "run.json").stat().st_mtime_ns == before


def test_early_stopping_ends_it_and_the_best_stays(start: Callable[..., JobHandle]) -> None:
    """A rate of nothing learns nothing: after two evaluations without a better one it ends, with the first as best."""
    job = start(
        "bert",
        feelings(),
        max_steps=40,
        learning_rate=1e-12,
        early_stopping_patience=2,
        eval_strategy="steps",
        eval_steps=2,
    )
    train_here(job)
    made = read_run(job.result_folder)
    assert made.steps < 40
    assert made.best_step is not None
    assert made.best_step < made.steps


def test_run_is_a_module_without_heavy_imports() -> None:
    """What the worker imports first loads no library that a stop would have to wait for."""
    assert not any(name in vars(run) for name in ("torch", "transformers", "peft", "datasets"))
