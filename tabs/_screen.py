"""What a page shows at once: a dataclass with a field an output, in their order."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Outputs:
    """The base of a tab's own screen, whose fields begin as `gr.skip()`: what is not said stays as it is."""

    @property
    def values(self) -> tuple[Any, ...]:
        """One value an output."""
        return tuple(getattr(self, one.name) for one in fields(self))
