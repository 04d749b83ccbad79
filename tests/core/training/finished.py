"""Runs that have ended, in a home of their own: real trainings of a few steps."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.catalogue import Catalogue
from core.hub.client import Hub
from core.models.loading import Loader
from core.models.registry import Registry
from core.settings import Settings
from core.training.run import train_here
from tests.core.training.tiny import run_at


def train(home: Path, model: Path | str, rows: Sequence[dict[str, Any]], **values: Any) -> Path:
    """Train to the end below `home` and return the run's folder."""
    job = run_at(home / "runs" / uuid.uuid4().hex, Path(model), rows, **values)
    try:
        train_here(job)
    finally:
        job.close()
    return job.folder


def registry_at(home: Path, **settings: Any) -> Registry:
    """Open the registry of the instance that has this home."""
    catalogue = Catalogue(Settings(home=home, **settings))
    return Registry(catalogue, Loader(catalogue, Hub(offline=True)))
