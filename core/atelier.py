"""One running instance: its settings and the few things that all skills share."""

from __future__ import annotations

from dataclasses import dataclass

from core.catalogue import Catalogue
from core.conversations import Conversations
from core.hub import Hub
from core.jobs import Jobs
from core.loading import Loader
from core.registry import Registry
from core.settings import Settings


@dataclass(frozen=True)
class Atelier:
    """What a tab is built with; make one with `open_atelier`."""

    settings: Settings
    registry: Registry
    hub: Hub
    jobs: Jobs
    conversations: Conversations


def open_atelier(settings: Settings) -> Atelier:
    """Assemble an instance; loads no model and imports no torch."""
    catalogue, hub = Catalogue(settings), Hub()
    registry = Registry(catalogue, Loader(catalogue, hub), budget_bytes=settings.memory_bytes)
    conversations = Conversations(settings.conversations_folder)
    return Atelier(settings, registry, hub, Jobs(settings.jobs_folder), conversations)
