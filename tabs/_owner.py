"""Whose work a visitor sees."""

from __future__ import annotations

from core.atelier import Atelier
from tabs._events import Visit


def owner_of(atelier: Atelier, visit: Visit) -> str | None:
    """Return whose jobs and pictures a visitor sees: on one's own machine every browser is the same person."""
    return None if atelier.settings.alone else visit.visitor
