"""What the buttons of the Images tab do: each handler asks the core, and returns what the page shows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.errors import InvalidInput
from core.imaging.conditions import Sought, condition_of
from core.imaging.controlnet import ControlNetSettings
from core.imaging.grid import cells
from core.imaging.options import DrawingOptions
from core.imaging.pictures import Watch
from core.imaging.uploads import read_mask, read_picture
from core.imaging.work import draw
from tabs._events import Visit
from tabs._files import offer
from tabs._owner import owner_of
from tabs.images._panel import Panel
from tabs.images._plan import PIPELINE_TASK, show_plan
from tabs.images._restore import found_in, settings_in, update_of
from tabs.images._view import SETTINGS, nothing_yet, watch

Shown = Generator[tuple[Any, ...] | None]


@dataclass(frozen=True)
class Desk:
    """All handlers that draw, find again, stop, send on and restore; `panels` by the field's name."""

    atelier: Atelier
    panels: Mapping[str, Panel]

    def draws(self, panel: Panel) -> Callable[..., Shown]:
        """Return the handler of one panel: start a job, and follow it."""

        def handler(visit: Visit, **values: Any) -> Shown:
            job = self._start(visit, panel, panel.ask(values))
            yield from watch(self.atelier, visit, job)
            self.atelier.pictures.view(job, owner_of(self.atelier, visit)).raise_failure()

        handler.__name__, handler.__doc__ = panel.api_name, panel.describe
        return handler

    def follow(self, visit: Visit, job: str | None) -> Shown:
        """Follow a picture job by its id, or your latest one: its progress, and then its pictures."""
        found = job or self._latest(visit)
        if found:
            yield from watch(self.atelier, visit, found)
        else:
            yield nothing_yet(visit)

    def stop(self, visit: Visit, job: str | None) -> str:
        """Ask a picture job to stop within a step; pictures that are done are kept."""
        found = job or self._latest(visit)
        if not found:
            raise InvalidInput("error.no_picture_job")
        return self.atelier.pictures.stop(found, owner=owner_of(self.atelier, visit)).value

    def plan(self, visit: Visit, **values: Any) -> str:
        """Say where these pictures would be drawn, how, and with how much memory."""
        return show_plan(self.atelier, visit, values)

    def condition(self, visit: Visit, image: str | None, **values: Any) -> Any:
        """Show what a ControlNet would be shown of the picture, before anything is drawn."""
        settings = ControlNetSettings(image=image or "", **values)
        picture = read_picture(settings.image).image
        told = Watch(visit.report, cancel=visit.cancel)
        sought = Sought(settings.condition, settings.condition_model, settings.low_threshold, settings.high_threshold)
        found = condition_of(picture, sought, self.atelier.registry, told)
        return gr.update(value=found, visible=True)

    def open(self, visit: Visit) -> tuple[Any, ...]:
        """Choose a panel: show its Run, or for the gallery no form at all."""
        index = visit.told.get("index")
        names = [*self.panels]
        chosen = names[index] if isinstance(index, int) and 0 <= index < len(names) else None
        if chosen is None:
            return gr.Row(visible=False), *(gr.skip() for _ in names)
        runs = (gr.Button(visible=name == chosen) for name in names)
        return gr.Row(visible=True), *runs

    def choose(self, visit: Visit, result: Any) -> str:
        """Remember the id of the picture that was clicked; "" where it is none of the gallery's."""
        index = visit.told.get("index")
        entries = result if isinstance(result, list) else []
        return str(entries[index]["id"]) if isinstance(index, int) and 0 <= index < len(entries) else ""

    def sends(self, panel: Panel) -> Callable[..., tuple[Any, ...]]:
        """Return the handler that takes a picture over into a panel, as its upload."""

        def send(visit: Visit, result: Any, chosen: str) -> tuple[Any, ...]:
            """Take the chosen picture, or the first one, over as the picture to begin with."""
            picture = self.atelier.gallery.find(_chosen(result, chosen), owner_of(self.atelier, visit))
            return gr.Tabs(selected=panel.task), offer(self.atelier, picture.path, picture.file_name)

        return send

    def seed_again(self, _: Visit, result: Any, chosen: str) -> int:
        """Return the seed of the chosen picture, or of the first one."""
        id_ = _chosen(result, chosen)
        seed = next((one["seed"] for one in result if one["id"] == id_), None)
        if seed is None:
            raise InvalidInput("error.no_seed")
        return int(seed)

    def restores(self, names: tuple[str, ...]) -> Callable[..., tuple[Any, ...]]:
        """Return the handler that sets the page's controls as an uploaded PNG was drawn."""

        def restore(visit: Visit, file: str | None) -> tuple[Any, ...]:
            """Set every control as the recipe inside a PNG says."""
            if not file:
                return gr.skip(), "", *(gr.skip() for _ in names)
            found = settings_in(file, SETTINGS)
            return self._restored(visit, found, names)

        return restore

    def restores_kept(self, names: tuple[str, ...]) -> Callable[..., tuple[Any, ...]]:
        """Return the handler that sets the page's controls as a picture of the gallery was drawn."""

        def restore(visit: Visit, result: Any, chosen: str) -> tuple[Any, ...]:
            """Set every control as the recipe of the chosen picture says."""
            recipe = self.atelier.gallery.recipe(_chosen(result, chosen), owner_of(self.atelier, visit))
            return self._restored(visit, found_in(recipe, SETTINGS), names)

        return restore

    def picture_recipe(self, visit: Visit, file: str | None) -> tuple[str, Any]:
        """Return the settings inside a PNG, ours or AUTOMATIC1111's, and what could not be restored."""
        found = settings_in(file, SETTINGS)
        return found.view(visit), found.as_json

    def _restored(self, visit: Visit, found: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
        task = found.recipe.kind
        values = (update_of(_field(name), found) if _belongs(name, task) else gr.skip() for name in names)
        return gr.Tabs(selected=task), found.view(visit), *values

    def _start(self, visit: Visit, panel: Panel, settings: DrawingOptions) -> str:
        """Refuse at once what can be seen to fail; the job's id else."""
        registry = self.atelier.registry
        cells(settings)
        settings.spec(registry, PIPELINE_TASK if panel.task == "controlnet" else panel.task)
        _read_uploads(settings)
        return self.atelier.pictures.start(
            panel.task,
            settings,
            lambda handle: draw(handle, settings, registry),
            owner=owner_of(self.atelier, visit),
            once_key=repr(settings),
        )

    def _latest(self, visit: Visit) -> str | None:
        """Return the visitor's running job, else the last one."""
        found = self.atelier.pictures.list(owner=owner_of(self.atelier, visit))
        alive = [view for view in found if view.state.alive]
        return (alive or found)[0].id if found else None


def _chosen(result: Any, chosen: str) -> str:
    """Return the id of the picture that was clicked, else the first one's; raises InvalidInput where there is none."""
    ids = [str(one.get("id")) for one in result or () if isinstance(one, dict)]
    if not ids:
        raise InvalidInput("error.no_pictures")
    return chosen if chosen in ids else ids[0]


def _read_uploads(settings: DrawingOptions) -> None:
    """Refuse a picture or mask that cannot be read, in a dialog; the job would fail with the same words."""
    if hasattr(settings, "image"):
        picture = read_picture(settings.image).image
        if hasattr(settings, "mask"):
            read_mask(settings.mask, picture)


def _field(name: str) -> str:
    """Return the field of a control; those of one panel are named "task:field"."""
    return name.rpartition(":")[2]


def _belongs(name: str, task: str) -> bool:
    owner, separator, _ = name.rpartition(":")
    return not separator or owner == task
