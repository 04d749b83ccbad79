"""A local instance that serves the starters, and the sentiment starter as the plain library loads it."""

from __future__ import annotations

import warnings
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench._agreement import Tolerance
from core.catalogue import Catalogue
from core.hub.client import Hub
from core.models.loading import Loader
from core.models.registry import Registry
from core.placement.wish import Wish
from core.quiet import quieten
from core.settings import Settings
from core.tasks.text.text_classification import TASK

STARTER = "starter/sentiment"


def registry() -> Registry:
    """Return an empty registry of a local instance that reaches no other host."""
    catalogue = Catalogue(Settings())
    return Registry(catalogue, Loader(catalogue, Hub(offline=True)))


def tolerance(models: Registry) -> Tolerance:
    """Return how far its answers may be from float32's: rounding, or what bfloat16 costs where the planner chose it."""
    exact = all(line.dtype == "float32" for line in models.ledger())
    return Tolerance() if exact else Tolerance(labels=0.995, score=0.02)


def save_plain(folder: Path) -> Path:
    """Save the starter, its adapter merged, as any checkpoint on the Hub is saved; returns the folder."""
    models = registry()
    stored = Wish(dtype="float32")  # the plain checkpoint must not carry our choice of dtype
    with models.borrow(models.resolve(STARTER, TASK, stored)) as model:
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # the library's own, about itself
            model.model.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
    return folder


def save_plain_apart(folder: Path) -> Path:
    """Do that in a process of its own, which takes torch's threads and memory with it."""
    process = get_context("spawn").Process(target=save_plain, args=(folder,))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"saving the plain checkpoint ended with status {process.exitcode}")
    return folder


def plain_pipeline(folder: Path) -> Any:
    """Load it the way the cheat sheet does."""
    from transformers import pipeline

    quieten("transformers")
    return pipeline(TASK, model=str(folder))
