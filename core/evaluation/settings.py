"""An evaluation in full: which models, on which data, measured how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.errors import InvalidInput
from core.evaluation.tasks import EVALUATION_TASKS, EvaluationTask, chosen_metrics, find_evaluation_task
from core.fields import choice, comma_separated, number, text
from core.runs import PREFIX
from core.seeds import LARGEST_SEED
from core.settings import LIMITS
from core.tasks.text.options import RunOptions

MOST_MODELS = 4


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(RunOptions):
    """Everything an evaluation is asked to do; all fields have defaults, but either file or dataset must be there."""

    task: str = choice("text-classification", tuple(EVALUATION_TASKS))
    models: str = text(limit=2_000, optional=True)
    """Up to four, separated by commas: starters, Hub ids, run/<name>, folders; "" = the task's starter."""
    file: str = text(limit=4_000, optional=True)
    dataset: str = text(limit=300, optional=True)
    """A sample of ours ("samples/reviews"), a data set's id on the Hub, or run/<name>: what that run held out."""
    dataset_config: str = text(limit=200, optional=True)
    dataset_split: str = text(limit=200, default="test")
    columns: str = text(limit=1_000, optional=True)
    """Where the guess is wrong: "text=review, label=stars"."""
    max_samples: int = number(0, low=0, high=LIMITS.batch_rows)
    """Use as many rows at most, drawn by the seed; 0 = all."""
    metrics: str = text(limit=500, optional=True)
    """Separated by commas; "" = those of the task."""
    labels: str = text(limit=5_000, optional=True)
    """What the data call what the model calls otherwise: "1=POSITIVE, 0=NEGATIVE"."""
    source_language: str = text(limit=40, optional=True)
    target_language: str = text(limit=40, optional=True)
    sentences: int = number(3, low=1, high=20)
    """Of a summary by an encoder."""
    max_new_tokens: int = number(0, low=0, high=1024)
    """Of what is written; 0 = the task's own, as for the beams."""
    num_beams: int = number(0, low=0, high=16)
    draws: int = number(1_000, low=100, high=10_000)
    """Bootstrap samples behind each interval."""
    seed: int = number(42, low=0, high=LARGEST_SEED)

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits, metrics that do not fit the task, and what contradicts itself."""
        super().__post_init__()
        chosen_metrics(self.task, self.metrics)
        label_pairs(self.labels)
        if len(self.model_names) > MOST_MODELS:
            raise InvalidInput("error.evaluate_too_many_models", count=len(self.model_names), limit=MOST_MODELS)
        if self.file.strip() and self.dataset.strip():
            raise InvalidInput("error.train_two_sources", file=Path(self.file).name, dataset=self.dataset)

    @property
    def known_task(self) -> EvaluationTask:
        """The task with its metrics."""
        return find_evaluation_task(self.task)

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models as they were typed, none twice; "" alone where none was."""
        return tuple(dict.fromkeys(comma_separated(self.models))) or ("",)

    @property
    def chosen_metrics(self) -> tuple[str, ...]:
        """The metrics that were asked for; none = the data decide."""
        return chosen_metrics(self.task, self.metrics)

    @property
    def of_run(self) -> str:
        """The run whose held-out rows are the data, by its name; "" where the data are others."""
        return self.dataset.strip() if self.dataset.strip().startswith(PREFIX) else ""

    @property
    def data_name(self) -> str:
        """What people call the data."""
        return self.dataset.strip() or Path(self.file).name


def label_pairs(typed: str) -> dict[str, str]:
    """Read "1=POSITIVE, 0=NEGATIVE" as the data's word → the model's; raises InvalidInput for what has no =."""
    found: dict[str, str] = {}
    for part in comma_separated(typed):
        own, sign, models = (piece.strip() for piece in part.partition("="))
        if not sign or not own or not models or own in found:
            raise InvalidInput("error.evaluate_labels_unreadable", part=part)
        found[own] = models
    return found


def require_data(settings: EvaluateSettings) -> None:
    """Raise InvalidInput unless the settings name data."""
    if not settings.data_name:
        raise InvalidInput("error.evaluate_no_data")
