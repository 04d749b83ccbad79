"""Where evaluations are started and found again, one for each instance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import AtelierError, BadFile, InvalidInput, UnknownName, WrongTask
from core.evaluation.answering import spec_for
from core.evaluation.data import refuse_other_task
from core.evaluation.evaluator import KIND, Stage, run_evaluation
from core.evaluation.judging import Scored, compare_scored, score
from core.evaluation.predictions import Predictions
from core.evaluation.reading import names_for
from core.evaluation.record import comparison_as_json, read_evaluation, read_rows
from core.evaluation.row_table import material_of
from core.evaluation.settings import EvaluateSettings, label_pairs, require_data
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

    def names_of(self, told: dict[str, Any], model: str) -> tuple[dict[str, str], int]:
        """Return a classifier's labels → the data's words, and how many tokens it reads; `told` is evaluation.json.

        Raises UnknownName where its answers are not kept any more.
        """
        keys = {one["name"]: str(one["answers"]) for one in told["models"] if one["n"]}
        answerer = Predictions(self.answers / keys[model]).answerer if model in keys else None
        if answerer is None:
            raise UnknownName("error.evaluate_no_such_model", model=model, names=", ".join(keys))
        pairs = label_pairs(told["settings"]["labels"])
        return names_for(told["data"]["labels"], answerer.labels, pairs, model), answerer.max_length

    def compare(self, pair: Sequence[tuple[str, str]], owner: Owner = None) -> dict[str, Any]:
        """Compare two models, each told as (job's id, name in that evaluation), on the rows of both evaluations.

        Returns what evaluation.json tells of two models of one evaluation. Raises UnknownName for jobs and models that
        are not there, BadFile before there are rows, and InvalidInput for other data, or no row in common.
        """
        parts = [self._part(job, model, owner) for job, model in pair]
        (first, told), (second, other) = parts
        if (told["task"], told["data"]["hash"]) != (other["task"], other["data"]["hash"]):
            raise InvalidInput("error.evaluate_other_data", first=first.model, second=second.model)
        settings = told["settings"]
        found = compare_scored(first, second, told["data"]["rows"], settings["draws"], settings["seed"])
        if found is None:
            raise InvalidInput("error.evaluate_nothing_common", first=first.model, second=second.model)
        return comparison_as_json(found)

    def _part(self, id: str, model: str, owner: Owner) -> tuple[Scored, dict[str, Any]]:  # noqa: A002
        told = self.read(id, owner)
        names = [one["name"] for one in told["models"]]
        if model not in names:
            raise UnknownName("error.evaluate_no_such_model", model=model, names=", ".join(names))
        metrics = [one["name"] for one in told["models"][names.index(model)]["metrics"]]
        material, places = material_of(self.rows(id, owner), model, told["task"], told["data"]["shape"])
        return score(model, replace(material, registry=self.registry), tuple(places), metrics), told

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
