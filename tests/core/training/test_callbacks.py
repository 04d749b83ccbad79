"""At each moment of a training: what is written, what is heard, what is refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.errors import Cancelled, ModelError
from core.jobs.work import JobHandle
from core.machine.memory import resident_bytes
from core.training.callbacks import (
    CheckpointListener,
    EventListener,
    FiniteListener,
    HeapListener,
    Moment,
    StopListener,
    TieListener,
)
from core.training.checkpoints import checkpoints_in, fault_in, step_of
from tests.core.training.tiny import events, job_at, plain_trainer


@pytest.fixture
def job(tmp_path: Path) -> Iterator[JobHandle]:
    """Open a job, and close it at the end."""
    opened = job_at(tmp_path / "run")
    yield opened
    opened.close()


class Asking:
    """Asks to stop at a moment of its own, as somebody at the page would."""

    def __init__(self, job: JobHandle, moment: str, step: int) -> None:
        """Ask when `moment` comes at `step`."""
        self._job, self._moment, self._step = job, moment, step
        setattr(self, moment, self._ask)

    def _ask(self, now: Moment) -> None:
        if now.state.global_step == self._step:
            (self._job.folder / "stop").touch()
            self._job.cancel.cancel()


def test_metrics_are_written_as_they_come(tmp_path: Path, job: JobHandle) -> None:
    """Loss, rate, gradient and speeds at every logging step, and at the last one."""
    plain_trainer(tmp_path, [EventListener(job, 24)], max_steps=5).train()
    written = [one.payload for one in events(job, "metrics")]
    assert [one["step"] for one in written] == [2, 4, 5]
    assert {"epoch", "loss", "learning_rate", "grad_norm", "samples_per_second", "tokens_per_second"} <= set(written[0])
    assert all(one["samples_per_second"] > 0 and one["tokens_per_second"] > 0 for one in written)


def test_progress_begins_at_nought_and_ends_at_the_last_step(tmp_path: Path, job: JobHandle) -> None:
    """However rarely it is written in between, both ends are there."""
    plain_trainer(tmp_path, [EventListener(job, 24)]).train()
    told = [one.progress for one in events(job, "progress")]
    assert (told[0].phase, told[0].done, told[0].total) == ("train", 0, 6)
    assert (told[-1].done, told[-1].total) == (6, 6)
    assert told[-1].seconds > 0


def test_evaluations_have_the_names_of_metrics(tmp_path: Path, job: JobHandle) -> None:
    """eval_loss keeps its name beside the training's loss; runtimes are no metrics; a loss is logged beside each."""
    trainer = plain_trainer(tmp_path, [EventListener(job, 24)], eval_strategy="steps", eval_steps=3, logging_steps=100)
    trainer.compute_metrics = lambda found: {
        "accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())
    }
    trainer.train()
    found = [one.payload for one in events(job, "evaluation")]
    assert [one["step"] for one in found] == [3, 6]
    assert set(found[0]) == {"step", "epoch", "eval_loss", "accuracy"}
    assert [one.payload["step"] for one in events(job, "metrics")] == [3, 6]


def test_a_disk_that_takes_no_event_does_not_end_the_training(tmp_path: Path, job: JobHandle) -> None:
    """What cannot be written is counted, and the steps go on."""
    job.close()
    trainer = plain_trainer(tmp_path, [EventListener(job, 24)])
    assert trainer.train().global_step == 6
    assert job.lost > 0


@pytest.mark.parametrize(
    ("moment", "step"), [("on_step_end", 3), ("on_prediction_step", 2), ("on_substep_end", 1)], ids=str
)
def test_a_stop_is_heard_at_the_next_moment(tmp_path: Path, job: JobHandle, moment: str, step: int) -> None:
    """After a step, within an evaluation, and between the batches of one step: training ends with Cancelled."""
    listeners = [Asking(job, moment, step), StopListener(job.cancel)]
    trainer = plain_trainer(
        tmp_path, listeners, eval_strategy="steps", eval_steps=2, gradient_accumulation_steps=2, max_steps=100
    )
    with pytest.raises(Cancelled):
        trainer.train()
    assert trainer.state.global_step == step


def test_every_checkpoint_is_marked_and_the_oldest_goes_last(tmp_path: Path, job: JobHandle) -> None:
    """Two of three stay, whole; each was told."""
    listener = CheckpointListener(job, 2)
    plain_trainer(tmp_path, [listener], save_strategy="steps", save_steps=2).train()
    kept = checkpoints_in(tmp_path / "checkpoints")
    assert [step_of(one) for one in kept] == [6, 4]
    assert [fault_in(one) for one in kept] == [None, None]
    assert [one.payload["step"] for one in events(job, "checkpoint")] == [2, 4, 6]
    assert listener.last_step == 6


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path, job: JobHandle) -> None:
    """NaN is refused in words before it is saved, with the step and what to change."""
    import torch

    checkpoints = CheckpointListener(job, 2)
    trainer = plain_trainer(
        tmp_path,
        [EventListener(job, 24), FiniteListener(checkpoints), checkpoints],
        save_strategy="steps",
        save_steps=2,
        logging_steps=100,
    )
    with torch.no_grad():
        trainer.model.classifier.weight.fill_(float("nan"))
    with pytest.raises(ModelError) as refused:
        trainer.train()
    assert refused.value.sentence.key == "error.training_loss_not_finite"
    assert refused.value.sentence.values["step"] == 2
    assert (checkpoints.last_step, checkpoints_in(tmp_path / "checkpoints")) == (0, [])
    assert events(job, "metrics")[-1].payload["loss"] is None


def test_of_equal_evaluations_the_lower_loss_is_the_best(tmp_path: Path) -> None:
    """Where the metric never moves, the weights that stay are those with the lowest loss, not the first."""
    chosen = {}
    for listeners in ([], [TieListener()]):
        trainer = plain_trainer(
            tmp_path / str(len(listeners)),
            listeners,
            learning_rate=0.01,
            eval_strategy="steps",
            eval_steps=2,
            save_strategy="steps",
            save_steps=2,
            load_best_model_at_end=True,
            metric_for_best_model="eval_f1",
            greater_is_better=True,
        )
        trainer.compute_metrics = lambda _: {"f1": 0.5}
        trainer.train()
        losses = {one["step"]: one["eval_loss"] for one in trainer.state.log_history if "eval_loss" in one}
        chosen[len(listeners)] = (trainer.state.best_global_step, min(losses, key=losses.__getitem__))
        assert trainer.state.best_metric == 0.5
    assert chosen[0][0] == 2
    assert chosen[1][0] == chosen[1][1] > 2


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's heap is trimmed")
def test_holes_in_the_heap_go_back_to_the_system() -> None:
    """What a step has let go of is given back even where something behind it is still in use; on a GPU nothing is."""
    held = [bytearray(b"x") * 100_000 for _ in range(2_000)]
    last = held[-1]
    del held
    before = resident_bytes()
    given_back = {}
    for device in ("cuda", "cpu"):
        HeapListener().on_step_end(Moment(SimpleNamespace(device=SimpleNamespace(type=device)), None, None, {}))
        given_back[device] = before - resident_bytes()
    assert given_back["cuda"] < 10_000_000
    assert given_back["cpu"] > 100_000_000
    assert len(last) == 100_000
