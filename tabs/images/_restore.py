"""From a picture back to its settings: what a PNG's recipe says, as updates of the page's controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from core.catalogue import model_choices
from core.errors import InvalidInput
from core.imaging.options import DrawingOptions
from core.pictures.recipe import FILE_FIELDS, Recipe, Restored, read_recipe, settings_of
from core.settings import LIMITS
from core.words import in_bytes, say
from tabs._events import Visit
from tabs._views import notes, paragraph


@dataclass(frozen=True)
class Found:
    """A recipe with every setting of its kind."""

    recipe: Recipe
    restored: Restored

    @property
    def as_json(self) -> dict[str, Any]:
        """What programs are told; uploads are named in the notes."""
        settings = {name: value for name, value in self.restored.settings.items() if name not in FILE_FIELDS}
        return {
            "kind": self.recipe.kind,
            "settings": settings,
            "notes": [str(note) for note in self.restored.notes],
            "provenance": dict(self.recipe.provenance),
            "width": self.recipe.width,
            "height": self.recipe.height,
        }

    def view(self, visit: Visit) -> str:
        """Say what was restored, and what could not be."""
        kind = say(f"say.kind_{self.recipe.kind.replace('-', '_')}")
        return paragraph(say("say.restored", kind=kind), visit.language) + notes(self.restored.notes, visit.language)


def settings_in(path: str | None, kinds: Mapping[str, type[DrawingOptions]]) -> Found:
    """Read an upload's recipe; raises InvalidInput without a file, BadFile where there is none inside."""
    if not path:
        raise InvalidInput("error.picture_missing", name="file")
    if Path(path).stat().st_size > LIMITS.picture_upload_bytes:
        raise InvalidInput("error.picture_file_too_large", limit=in_bytes(LIMITS.picture_upload_bytes))
    return found_in(read_recipe(Path(path)), kinds)


def found_in(recipe: Recipe, kinds: Mapping[str, type[DrawingOptions]]) -> Found:
    """Return every setting that a recipe has."""
    return Found(recipe, settings_of(recipe, kinds[recipe.kind], recipe.kind))


def update_of(name: str, found: Found) -> Any:
    """Return what a control shall show; what the recipe's kind does not know stays."""
    settings = found.restored.settings
    if name not in settings or name in FILE_FIELDS:
        return gr.skip()
    if name == "model":
        return settings[name] or model_choices(found.recipe.kind)[0]
    return settings[name]
