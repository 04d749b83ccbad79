"""Where evaluations are started and found again, one for each instance."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import AtelierError, BadFile, WrongTask
from core.evaluation.answering import spec_for
from core.evaluation.data import refuse_other_task
from core.evaluation.evaluator import KIND, Stage, run_evaluation
from core.evaluation.record import read_evaluation, read_rows
from core.evaluation.settings import EvaluateSettings, require_data
from core.evaluation.tasks import EVALUATION_TASKS
from core.training.compare import name_of_base
from core.training.record import read_run

if TYPE_CHECKING:
    from core.jobs.runner import Jobs
    from core.jobs.views import JobView, Owner
    from core.models.registry import Registry


@dataclass(frozen=True)
class EvaluationDesk:
    """Starts evaluations as jobs, and reads what they leave."""

    registry: Registry
    jobs: Jobs
    answers: Path
    """Where the answers of all models are kept."""

    def start(self, settings: EvaluateSettings, owner: str | None = None) -> str:
        """Start the evaluation and return its job's id; while the very same one waits or runs, its id.

        Raises InvalidInput where no data are named, BadFile for a file that is not there, UnknownName and WrongTask for
        a run without these data, what resolving the models' names raises where none of them can be had, and Busy.
        """
        require_data(settings)
        if settings.file.strip() and not Path(settings.file).is_file():
            raise BadFile("error.evaluate_file_gone", file=Path(settings.file).name)
        if settings.of_run:
            refuse_other_task(self.registry.run(settings.of_run), settings.task)
        self._require_a_model(settings)
        told = {**asdict(settings), "file_name": settings.data_name}
        stage = Stage(self.registry, self.answers)
        once = json.dumps(asdict(settings), sort_keys=True)
        return self.jobs.start(KIND, told, lambda job: run_evaluation(job, settings, stage), owner, once)

    def of_run(self, name: str, **changes: Any) -> EvaluateSettings:
        """Return the settings that evaluate a run and what it stands on, on the rows that the run held out.

        `changes` are fields of EvaluateSettings. Raises UnknownName, and WrongTask for a run of a task that is not
        evaluated.
        """
        run = self.registry.run(name)
        if run.task not in EVALUATION_TASKS:
            tasks = ", ".join(EVALUATION_TASKS)
            raise WrongTask("error.evaluate_task_of_run", name=run.name, task=run.task, tasks=tasks)
        trained = read_run(run.result).settings
        languages = {one: str(trained.get(one) or "") for one in ("source_language", "target_language")}
        models = f"{name_of_base(run)}, {run.name}"
        usual = {"task": run.task, "models": models, "dataset": run.name, **languages}
        return EvaluateSettings(**{**usual, **changes})

    def evaluations(self, owner: Owner = None) -> list[JobView]:
        """Return this owner's evaluations, newest first."""
        return [view for view in self.jobs.list(owner) if view.kind == KIND]

    def read(self, id: str, owner: Owner = None) -> dict[str, Any]:  # noqa: A002
        """Return what evaluation.json of a job holds so far; raises UnknownName, and BadFile before there is any."""
        return read_evaluation(self.jobs.result_folder(id, owner))

    def rows(self, id: str, owner: Owner = None) -> list[dict[str, Any]]:  # noqa: A002
        """Return the lines of rows.parquet of a job that has ended well; raises UnknownName and BadFile."""
        return read_rows(self.jobs.result_folder(id, owner))

    def _require_a_model(self, settings: EvaluateSettings) -> None:
        """Refuse at once where not one of the names can be had; of several, the job tells about those that cannot."""
        problems: list[AtelierError] = []
        for name in settings.model_names:
            try:
                spec_for(name, settings, self.registry)
            except AtelierError as problem:
                problems.append(problem)
        if len(problems) == len(settings.model_names):
            raise problems[0]
