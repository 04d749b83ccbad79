"""One running instance: its settings and the few things that all skills share."""

from __future__ import annotations

from dataclasses import dataclass

from core.catalogue import Catalogue
from core.conversations.store import Conversations
from core.evaluation.dashboard.desk import RunsDesk
from core.evaluation.desk import EvaluationDesk
from core.evaluation.votes import Votes
from core.hub.client import Hub
from core.jobs.board import JobBoard
from core.jobs.runner import Jobs
from core.models.loading import Loader
from core.models.registry import Registry
from core.pictures.gallery import Gallery
from core.settings import Settings
from core.training.desk import TrainDesk

PICTURES_BYTES = 5_000_000_000
"""All pictures together; beyond it, the oldest go."""
VISITOR_PICTURES_BYTES = 500_000_000
"""One visitor's, where there are several."""
RUNS_BYTES = 100_000_000_000
"""All trainings together; beyond it none is started until one is deleted."""
RUNS_DAYS = 36_500.0
"""Trainings and evaluations are kept until somebody deletes them."""
EVALUATIONS_BYTES = 5_000_000_000
"""All evaluations together; beyond it, the oldest go."""


@dataclass(frozen=True)
class Atelier:
    """What a tab is built with; make one with `open_atelier`."""

    settings: Settings
    registry: Registry
    hub: Hub
    jobs: Jobs
    conversations: Conversations
    pictures: Jobs
    """Pictures that are drawn, and were: a line of their own, so that none waits behind a table."""
    gallery: Gallery
    """What a visitor keeps of them."""
    training: Jobs
    """Trainings: each has a process of its own, which outlives this one."""
    evaluations: Jobs
    """Evaluations: a line of their own, too."""
    board: JobBoard
    """All of these jobs, as one list."""
    train_desk: TrainDesk
    """Where trainings are planned and started."""
    evaluation_desk: EvaluationDesk
    """Where evaluations are started and read."""
    runs_desk: RunsDesk
    """Where all trainings and evaluations are looked through."""
    votes: Votes
    """What was said of answers that stood side by side."""

    def adopt(self) -> None:
        """Call at start-up: find what an earlier server left, and make room."""
        for jobs in (self.jobs, self.pictures, self.training, self.evaluations):
            jobs.adopt()
        self.pictures.sweep()

    def shutdown(self, wait_seconds: float = 10) -> bool:
        """End everything that runs here, in order; True if all of it ended within `wait_seconds` each.

        Trainings go on in their own processes.
        """
        self.conversations.shutdown()
        ended = [jobs.shutdown(wait_seconds) for jobs in (self.pictures, self.jobs, self.evaluations, self.training)]
        return all(ended)


def open_atelier(settings: Settings) -> Atelier:
    """Assemble an instance; loads no model and imports no torch."""
    catalogue, hub = Catalogue(settings), Hub()
    loader = Loader(catalogue, hub)
    registry = Registry(catalogue, loader, budget_bytes=settings.memory_bytes)
    conversations = Conversations(settings.conversations_folder)
    pictures = Jobs(
        settings.pictures_folder,
        quota_bytes=PICTURES_BYTES,
        quota_bytes_each=None if settings.alone else VISITOR_PICTURES_BYTES,
    )
    jobs, training = Jobs(settings.jobs_folder), _training(settings)
    evaluations = Jobs(settings.evaluations_folder, quota_bytes=EVALUATIONS_BYTES, keep_days=RUNS_DAYS)
    board = JobBoard({"tables": jobs, "pictures": pictures, "training": training, "evaluations": evaluations})
    desk = TrainDesk(registry, loader, training, settings.home / "looked", settings.memory_bytes)
    return Atelier(
        settings,
        registry,
        hub,
        jobs,
        conversations,
        pictures,
        Gallery(pictures),
        training=training,
        evaluations=evaluations,
        board=board,
        train_desk=desk,
        evaluation_desk=EvaluationDesk(registry, evaluations, settings.answers_folder),
        runs_desk=RunsDesk(training, evaluations),
        votes=Votes(settings.votes_folder),
    )


def _training(settings: Settings) -> Jobs:
    return Jobs(settings.runs_folder, quota_bytes=RUNS_BYTES, keep_days=RUNS_DAYS)
