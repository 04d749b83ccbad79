"""An evaluation from its settings to its result folder: the work of a job.

A stop is heard within a batch, and leaves the models that are done; the answers of the one that was being asked are
kept, so that the same evaluation, started again, goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import AtelierError, Cancelled, WrongTask
from core.evaluation.answering import NOT_TOLD, Bench, Meter, as_told, spec_for
from core.evaluation.charts import charts_of
from core.evaluation.comparison import Comparison
from core.evaluation.data import EvaluationData, read_data
from core.evaluation.judging import Judged, compare_scored, evaluate_model
from core.evaluation.predictions import sweep
from core.evaluation.record import (
    EvaluationRecord,
    ModelRecord,
    measured_as_json,
    read_evaluation,
    write_evaluation,
    write_rows,
)
from core.evaluation.row_table import rows_of
from core.evaluation.settings import EvaluateSettings
from core.evaluation.tasks import metrics_for, row_score_of
from core.events import Progress
from core.jobs.records import sentence_to_json
from core.training.compare import name_of_base
from core.training.data.watch import Watch
from core.training.evaluated import keep_evaluation
from core.words import Sentence, say

if TYPE_CHECKING:
    from core.catalogue import ModelSpec
    from core.jobs.runner import JobHandle
    from core.models.registry import Registry
    from core.runs import Run

KIND = "evaluation"
"""What an evaluation's job is called."""
DONE = "evaluated"
"""The event that tells of each model that is done."""


@dataclass(frozen=True)
class Stage:
    """What evaluations share."""

    registry: Registry
    answers: Path
    """The folder in which all answers are kept."""
    token: str | None = field(default=None, repr=False)
    """Opens private data sets."""


def run_evaluation(job: JobHandle, settings: EvaluateSettings, stage: Stage) -> None:
    """Evaluate all models on the data, and write evaluation.json and rows.parquet into the job's result folder.

    A model that cannot be used is told with its reason, beside the others; raises that reason where none can. Raises
    what reading the data does, and Cancelled.
    """
    run = stage.registry.run(settings.of_run) if settings.of_run else None
    data = read_data(settings, run, Watch(job.report, job.cancel), stage.token)
    work = _Evaluation(job, settings, stage, data, metrics_for(settings.task, data.shape, settings.chosen_metrics), run)
    work.write()
    for name in settings.model_names:
        job.cancel.check()
        work.evaluate(name)
    work.finish()


@dataclass
class _Evaluation:
    """An evaluation that is being worked on."""

    job: JobHandle
    settings: EvaluateSettings
    stage: Stage
    data: EvaluationData
    metrics: tuple[str, ...]
    run: Run | None
    models: list[ModelRecord] = field(default_factory=list)
    judged: list[Judged] = field(default_factory=list)
    refusals: list[AtelierError] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    created: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        """Begin to count rows."""
        self.meter = Meter(self.job.report, len(self.settings.model_names) * len(self.data.rows))

    def evaluate(self, name: str) -> None:
        """Evaluate one model, and write down what came of it."""
        label = name
        try:
            spec = spec_for(name, self.settings, self.stage.registry)
            label = _unused(name or spec.name, [one.name for one in self.models])
            self._judge(label, spec)
        except Cancelled:
            raise
        except AtelierError as problem:
            self.refusals.append(problem)
            told = ModelRecord(label or self.settings.task, NOT_TOLD, refusal=self._words_of(problem, label))
            self.models.append(told)
            self.meter.forget(len(self.data.rows) * (len(self.settings.model_names) - len(self.models)))
        self.write()
        done = self.models[-1]
        numbers = {told["key"]: told["value"] for one in done.metrics[:1] for told in one["values"]}
        self.job.emit(DONE, {"model": done.name, "values": numbers, "refusal": sentence_to_json(done.refusal)})

    def finish(self) -> None:
        """Compare the models two by two, and show the rows; raises the first refusal where no model was evaluated."""
        if not self.judged:
            raise self.refusals[0]
        self.job.report(Progress("evaluate", 0, 1))
        for first, second in combinations(self.judged, 2):
            self.job.cancel.check()
            rows, draws, seed = len(self.data.rows), self.settings.draws, self.settings.seed
            compared = compare_scored(first, second, rows, draws, seed)
            self.comparisons.extend([compared] if compared else [])
        write_rows(*rows_of(self.data, self.judged), self.job.result_folder)
        self.write()
        if self.run:  # its model card tells of it
            keep_evaluation(read_evaluation(self.job.result_folder), self.run.folder)
        sweep(self.stage.answers, [one.answered.key for one in self.judged])
        self.job.report(Progress("evaluate", 1, 1))

    def write(self) -> None:
        """Write evaluation.json as far as it is known."""
        settings, data = asdict(self.settings), self.data
        record = EvaluationRecord(
            settings={**settings, "file": Path(settings["file"]).name},
            data={
                "name": data.name,
                "hash": data.data_hash,
                "rows": len(data.rows),
                "shape": data.shape,
                "columns": data.columns,
                "labels": data.labels,
                "run": self.run.name if self.run else None,
                "notes": [sentence_to_json(one) for one in data.notes],
            },
            row_score=asdict(row_score_of(self.settings.task, data.shape)),
            models=self.models,
            comparisons=self.comparisons,
            created=self.created,
            seed=self.settings.seed,
            job=self.job.folder.name,
        )
        write_evaluation(record, self.job.result_folder)

    def _judge(self, label: str, spec: ModelSpec) -> None:
        bench = Bench(self.stage.registry, self.stage.answers, self.job.cancel, self.meter)
        judged = evaluate_model(label, spec, self.settings, self.data, self.metrics, bench)
        self.judged.append(judged)
        self.models.append(_told(judged, self.settings))

    def _words_of(self, problem: AtelierError, label: str) -> Sentence:
        """Say why a model is not evaluated: a run's base may have nothing but an untrained head for the task."""
        base = name_of_base(self.run) if self.run else None
        if isinstance(problem, WrongTask) and label == base:
            return say("say.evaluation_no_head", base=base, task=self.settings.task)
        return problem.sentence


def _unused(label: str, taken: Sequence[str]) -> str:
    """Return the label, with a number where another model has it."""
    number, found = 2, label
    while found in taken:
        found, number = f"{label} ({number})", number + 1
    return found


def _told(judged: Judged, settings: EvaluateSettings) -> ModelRecord:
    replies = judged.answered.replies
    problems = [reply.problem for reply in replies if reply.problem is not None]
    return ModelRecord(
        judged.model,
        as_told(judged.answered, settings.seed),
        [measured_as_json(one, settings.draws, settings.seed) for one in judged.measured],
        n=len(judged.places),
        left_out=len(problems),
        problem=problems[0] if problems else "",
        cut=sum(reply.cut for reply in replies),
        charts=charts_of(judged.material, judged.scores),
        row_score=sum(judged.scores) / len(judged.scores),
    )
