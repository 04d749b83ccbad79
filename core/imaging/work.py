"""Drawing as a job: each picture is written as soon as it is done, with its recipe; at the end, what came of it.

The result folder then holds 001.png, 002.png, …, for a grid sheet.png, for a ControlNet condition.png, and result.json.
While it draws there is preview.jpg.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.imaging import controlnet, image_to_image, inpainting, text_to_image
from core.imaging.options import DrawingOptions
from core.imaging.pictures import Drawn, Picture, Watch
from core.jobs.files import written_whole
from core.jobs.runner import JobHandle
from core.models.registry import Registry
from core.pictures.recipe import recipe_of, write_png
from core.words import Sentence

if TYPE_CHECKING:
    from PIL.Image import Image

PREVIEW, SHEET, CONDITION, RESULT = "preview.jpg", "sheet.png", "condition.png", "result.json"
PREVIEW_SIDE = 256
"""Pixels of a preview's longer side; it has one colour a latent."""

Skill = Callable[[Any, Registry, Watch], Drawn]
SKILLS: Mapping[type[DrawingOptions], tuple[str, Skill]] = {
    text_to_image.TextToImageSettings: (text_to_image.TASK, text_to_image.text_to_image),
    image_to_image.ImageToImageSettings: (image_to_image.TASK, image_to_image.image_to_image),
    inpainting.InpaintingSettings: (inpainting.TASK, inpainting.inpainting),
    controlnet.ControlNetSettings: (controlnet.TASK, controlnet.controlnet),
}
"""Which skill draws for which settings, and the name of its task."""


def draw(handle: JobHandle, settings: DrawingOptions, registry: Registry) -> None:
    """Run the skill that these settings belong to; what is finished stays, however the job ends."""
    task, skill = SKILLS[type(settings)]
    shelf = _Shelf(handle, task)
    try:
        drawn = skill(settings, registry, Watch(handle.report, shelf.show, shelf.keep, shelf.note, handle.cancel))
    finally:
        (shelf.folder / PREVIEW).unlink(missing_ok=True)
    if drawn.sheet is not None:
        whole = replace(settings, seed=drawn.provenance.seed or 0)
        write_png(shelf.folder / SHEET, drawn.sheet, recipe_of(task, whole, drawn.provenance))
    if drawn.condition is not None:
        drawn.condition.save(shelf.folder / CONDITION)
    with written_whole(shelf.folder / RESULT) as draft:
        draft.write_text(json.dumps(result_of(drawn), ensure_ascii=False), encoding="utf-8")


def file_name(picture: Picture) -> str:
    """Return the name of a picture's file: 001.png is the first."""
    return f"{picture.place + 1:03d}.png"


def result_of(drawn: Drawn) -> dict[str, Any]:
    """Return what came of a request as JSON; sentences keep their key, so that any language can be spoken later."""
    files = [{"file": file_name(one), **one.details} for one in drawn.pictures]
    return {
        "result": files,
        "provenance": drawn.provenance.as_dict(),
        "notes": [_spoken(one) for one in drawn.notes],
        "reasons": [_spoken(one) for one in drawn.reasons],
        "cost": asdict(drawn.cost),
    }


@dataclass(frozen=True)
class _Shelf:
    """Where the files of one job go."""

    handle: JobHandle
    task: str

    @property
    def folder(self) -> Path:
        return self.handle.result_folder

    def keep(self, picture: Picture) -> None:
        recipe = recipe_of(self.task, picture.settings, picture.provenance, dict(picture.labels))
        write_png(self.folder / file_name(picture), picture.image, recipe)
        self.handle.emit("picture", {"file": file_name(picture), **picture.details})

    def show(self, image: Image, step: int) -> None:
        scale = PREVIEW_SIDE / max(image.size)
        large = image.resize((round(image.width * scale), round(image.height * scale)))
        with written_whole(self.folder / PREVIEW) as draft:
            large.save(draft, "JPEG", quality=80)
        self.handle.emit("preview", {"step": step})

    def note(self, sentence: Sentence) -> None:
        self.handle.emit("note", _spoken(sentence))


def _spoken(sentence: Sentence) -> dict[str, Any]:
    values = {name: str(held) if isinstance(held, Sentence) else held for name, held in sentence.values.items()}
    return {"key": sentence.key, "values": values, "text": str(sentence)}
