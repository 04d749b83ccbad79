"""What happens at each moment of a training: events are written, stop is heard, checkpoints are marked.

The listeners here know transformers' moments (`on_step_end`, …) but not its base class: `as_callback` adds it, so that
importing this module costs nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from core.errors import Cancelled, ModelError
from core.events import CancelToken, Progress
from core.jobs.work import JobHandle
from core.training.checkpoints import mark, rotate
from core.unload import trim_heap

TELL_SECONDS = 0.5
"""Progress is written at most this often: the page looks no more often."""
METRICS, EVALUATION, CHECKPOINT = "metrics", "evaluation", "checkpoint"
_NOT_METRICS = ("runtime", "_per_second", "model_preparation_time", "num_tokens", "num_input_tokens_seen", "total_flos")


@dataclass(frozen=True)
class Moment:
    """What Trainer gives at each moment: its arguments, its state, its control, and what belongs to the moment."""

    args: Any
    state: Any
    control: Any
    more: Mapping[str, Any]


def as_callback(listener: object) -> Any:
    """Make a transformers.TrainerCallback that calls a listener; moments that it does not know pass by."""
    from transformers import TrainerCallback

    # Trainer tells callbacks apart by their class.
    callback: Any = type(type(listener).__name__, (TrainerCallback,), {})()
    for name in dir(listener):
        if name.startswith("on_"):
            setattr(callback, name, _moment_for(getattr(listener, name)))
    return callback


def _moment_for(listen: Callable[[Moment], None]) -> Callable[..., None]:
    def heard(args: Any, state: Any, control: Any, **more: Any) -> None:
        listen(Moment(args, state, control, more))

    return heard


class EventListener:
    """Writes progress, metrics and evaluations."""

    def __init__(self, job: JobHandle, rows: int) -> None:
        """Write to `job`; `rows` is the number of training rows (sequences), for samples per second."""
        self._job, self._rows = job, rows
        self._began = self._since = self._told = 0.0
        self._phase = ""
        self._first_step = 0
        self._busy = self._logged_busy = 0.0
        self._logged_epoch, self._logged_tokens = 0.0, 0
        self._predicted = 0

    def on_train_begin(self, now: Moment) -> None:
        """Start the clocks."""
        self._began = self._since = time.perf_counter()
        self._first_step = now.state.global_step
        self._logged_epoch, self._logged_tokens = now.state.epoch or 0.0, now.state.num_input_tokens_seen
        self._tell("train", now.state.global_step, now.state.max_steps)

    def on_step_end(self, now: Moment) -> None:
        """Tell how far it is; a loss is logged wherever something is measured or kept."""
        clock = time.perf_counter()
        self._busy += clock - self._since
        self._since = clock
        last = now.state.global_step >= now.state.max_steps
        _log_what_is_kept(now.control, last=last)
        self._tell("train", now.state.global_step, now.state.max_steps, urgent=last)

    def on_epoch_end(self, now: Moment) -> None:
        """See to it that a loss is logged here, too, wherever something is measured or kept."""
        _log_what_is_kept(now.control)

    def on_log(self, now: Moment) -> None:
        """Write the numbers of a stretch of training; evaluations have their own moment."""
        logs = now.more["logs"]
        if "loss" not in logs:
            return
        self._job.emit(METRICS, {"step": now.state.global_step, **_numbers(logs), **self._speed(now.state)})

    def on_prediction_step(self, now: Moment) -> None:
        """Tell how far the evaluation is."""
        self._predicted += 1
        self._tell("evaluate", self._predicted, _length(now.more.get("eval_dataloader")))

    def on_evaluate(self, now: Moment) -> None:
        """Write what the evaluation found, under the metrics' own names."""
        self._predicted = 0
        found = {_bare(name): one for name, one in _numbers(now.more["metrics"]).items()}
        self._job.emit(EVALUATION, {"step": now.state.global_step, "epoch": now.state.epoch, **found})
        self._since = time.perf_counter()

    def on_save(self, _: Moment) -> None:
        """Do not count the time of writing as training."""
        self._since = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds in training steps, without evaluating and saving."""
        return self._busy

    def _speed(self, state: Any) -> dict[str, float | None]:
        """Return samples and tokens per second since the last log."""
        seconds, self._logged_busy = self._busy - self._logged_busy, self._busy
        samples = self._rows * ((state.epoch or 0.0) - self._logged_epoch)
        tokens = state.num_input_tokens_seen - self._logged_tokens
        self._logged_epoch, self._logged_tokens = state.epoch or 0.0, state.num_input_tokens_seen
        return {
            "samples_per_second": samples / seconds if seconds > 0 else None,
            "tokens_per_second": tokens / seconds if seconds > 0 and tokens else None,
        }

    def _tell(self, phase: str, done: int, total: int, *, urgent: bool = False) -> None:
        clock = time.perf_counter()
        if not urgent and phase == self._phase and clock - self._told < TELL_SECONDS:
            return
        self._told = clock
        self._job.report(Progress(phase, done, total, self._seconds_for(done) if phase == "train" else 0.0))

    def _seconds_for(self, done: int) -> float:
        """Return the seconds that `done` steps take at the speed of this attempt, earlier attempts' steps included."""
        elapsed, own = time.perf_counter() - self._began, done - self._first_step
        return elapsed * done / own if own > 0 else 0.0


class HeapListener:
    """Gives back what a step has let go of: the next batch, of another length, would find no hole that fits it.

    Batches of like lengths differ from one another, and glibc keeps the holes: a run would come to hold a fifth more.
    """

    def on_step_end(self, now: Moment) -> None:
        """Trim the heap where the step was computed in it."""
        if now.args.device.type == "cpu":
            trim_heap()


class StopListener:
    """Ends the training at the first moment at which it can be gone on from; all processes agree on it.

    It hears last: what is told and saved at that moment is told and saved before.
    """

    def __init__(self, cancel: CancelToken) -> None:
        """Listen to `cancel`."""
        self._cancel = cancel
        self._stopping = False

    def on_step_end(self, now: Moment) -> None:
        """After a whole step, have its loss told and a checkpoint saved, and nothing measured any more."""
        if agreed(self._cancel.cancelled, now.args):
            self._stopping = True
            now.control.should_log = now.control.should_save = now.control.should_training_stop = True
            now.control.should_evaluate = False

    def on_save(self, _: Moment) -> None:
        """Raise Cancelled once that checkpoint is there."""
        if self._stopping:
            raise Cancelled("error.cancelled")

    def on_substep_end(self, now: Moment) -> None:
        """Raise Cancelled within a step of many batches: its gradients are lost, the steps before it are not."""
        self._check(now.args)

    def on_prediction_step(self, now: Moment) -> None:
        """Raise Cancelled within an evaluation."""
        self._check(now.args)

    def _check(self, args: Any) -> None:
        if agreed(self._cancel.cancelled, args):
            raise Cancelled("error.cancelled")


class CheckpointListener:
    """Marks each checkpoint when all processes have written their part, and only then lets older ones go."""

    def __init__(self, job: JobHandle, limit: int, from_step: int = 0) -> None:
        """Keep the newest `limit` checkpoints beside the best one."""
        self._job, self._limit = job, limit
        self.last_step = from_step
        """Step of the newest whole checkpoint; 0 = none."""

    def on_save(self, now: Moment) -> None:
        """Mark, tell, make room."""
        wait_for_all()
        self.last_step = now.state.global_step
        if not now.state.is_world_process_zero:
            return
        folder = Path(now.args.output_dir)
        mark(folder / f"checkpoint-{now.state.global_step}")
        self._job.emit(CHECKPOINT, {"step": now.state.global_step})
        rotate(folder, self._limit, now.state.best_model_checkpoint)


class FiniteListener:
    """Fails as soon as the loss is NaN or infinite, before such weights are saved."""

    def __init__(self, checkpoints: CheckpointListener) -> None:
        """Name the last checkpoint of `checkpoints` in the refusal."""
        self._checkpoints = checkpoints

    def on_log(self, now: Moment) -> None:
        """Raise ModelError for a loss that is no number."""
        loss = now.more["logs"].get("loss")
        if isinstance(loss, Real) and not math.isfinite(loss):
            raise ModelError(
                "error.training_loss_not_finite",
                step=now.state.global_step,
                loss=str(loss),
                checkpoint=self._checkpoints.last_step,
                learning_rate=now.args.learning_rate,
            )


class TieListener:
    """Of evaluations with the same metric, has the one with the lower loss count as the best.

    Trainer takes a metric for better only where it is greater (or smaller), so the first of equals would stay: with few
    held-out rows, many evaluations are equal.
    """

    def on_evaluate(self, now: Moment) -> None:
        """Forget the best metric where this evaluation has the same and a lower loss; Trainer then takes this one."""
        found, state = now.more["metrics"], now.state
        value, loss = found.get(now.args.metric_for_best_model), found.get("eval_loss")
        best = _loss_at(state, state.best_global_step)
        if value is not None and value == state.best_metric and None not in (loss, best) and loss < best:
            state.best_metric = None


def _loss_at(state: Any, step: int | None) -> float | None:
    """Return the loss that was evaluated at a step, or None."""
    found = (one["eval_loss"] for one in reversed(state.log_history) if one["step"] == step and "eval_loss" in one)
    return next(found, None)


def agreed(asked: bool, args: Any) -> bool:  # noqa: FBT001 one flag, the very thing that is agreed on
    """Tell whether any process was asked: all must leave a step together, or the others wait for ever."""
    if args.world_size <= 1:
        return asked
    import torch

    flag = torch.tensor(int(asked), device=args.device)
    torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
    return bool(flag.item())


def wait_for_all() -> None:
    """Return when every process of this training has come here."""
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def _log_what_is_kept(control: Any, *, last: bool = False) -> None:
    if last or control.should_evaluate or control.should_save:
        control.should_log = True


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(one) for name, one in logs.items() if isinstance(one, Real) and _is_metric(name)}


def _is_metric(name: str) -> bool:
    return name not in {"num_input_tokens_seen", "total_flos", "train_tokens_per_second"} and not name.endswith(
        _NOT_METRICS
    )


def _bare(name: str) -> str:
    """Return eval_f1 as f1, as metrics call it; eval_loss stays apart from the training's loss."""
    return name if name == "eval_loss" else name.removeprefix("eval_")


def _length(loader: Any) -> int:
    try:
        return len(loader)
    except TypeError:
        return 0
