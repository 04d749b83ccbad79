"""Models for metrics that need one: from the registry that the caller gave, or from one of the metric's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from core.evaluation.metric import Rows
from core.placement.planner import Wish
from core.tasks.text.encoder import INTERACTIVE, borrow

if TYPE_CHECKING:
    from core.models.loading import LoadedModel
    from core.models.registry import Registry


def lender(registry: Registry | None) -> Callable[[], Registry]:
    """Return what gives the registry: the caller's, or one that is opened when first asked for."""
    return cache(open_registry) if registry is None else lambda: registry


def open_registry() -> Registry:
    """Open a registry over the settings of the environment, as a script has none."""
    from core.catalogue import Catalogue
    from core.hub.client import Hub
    from core.models.loading import Loader
    from core.models.registry import Registry
    from core.settings import Settings

    catalogue = Catalogue(Settings())
    return Registry(catalogue, Loader(catalogue, Hub()))


@contextmanager
def lent(
    rows: Rows, name: str, task: str, texts: list[str], device: str | None
) -> Iterator[tuple[Registry, LoadedModel]]:
    """Lend the model called `name`, with memory for passes over `texts`, and the registry that it comes from."""
    registry = (rows.models or open_registry)()
    spec = registry.resolve(name, task, Wish(device=device) if device else None)
    with borrow(registry, spec, texts, INTERACTIVE) as model:
        yield registry, model
