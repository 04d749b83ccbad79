"""One way of drawing as the page knows it: its settings, its own controls, and how they become settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from core.imaging.options import DrawingOptions
from core.pictures.recipe import FILE_FIELDS

Controls = dict[str, Any]


def as_given(values: dict[str, Any]) -> dict[str, Any]:
    """Change nothing."""
    return values


@dataclass(frozen=True)
class Panel:
    """One panel of the tab; each module beside this one makes one."""

    task: str
    """The field's name; with underscores it is the endpoint's."""
    settings: type[DrawingOptions]
    describe: str
    """The endpoint's public description."""
    lay_out: Callable[[], Controls]
    """Makes the controls that only this panel has, by field name."""
    read: Callable[[dict[str, Any]], dict[str, Any]] = as_given
    """Turns what the page sends into values for the settings."""

    @property
    def api_name(self) -> str:
        """The endpoint's name."""
        return self.task.replace("-", "_")

    @property
    def title(self) -> str:
        """The word for the panel."""
        return f"task.{self.api_name}"

    def names(self, made: Controls) -> list[str]:
        """Return which of the panel's controls are settings; the others only help."""
        known = {one.name for one in fields(self.settings)}
        return [name for name in made if name in known]

    def ask(self, values: Mapping[str, Any]) -> DrawingOptions:
        """Return the settings that a page's values mean; raises InvalidInput."""
        given = self.read(dict(values))
        missing = {name: "" for name in FILE_FIELDS if name in given and given[name] is None}
        return self.settings(**{**given, **missing})
