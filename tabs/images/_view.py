"""What a page shows of a picture job: progress and a preview while it runs, then pictures, notes, cost and code."""

from __future__ import annotations

import base64
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.errors import AtelierError
from core.imaging.options import DrawingOptions
from core.imaging.work import PREVIEW, SHEET, SKILLS
from core.jobs.runner import JobView, State
from core.pictures.gallery import KeptPicture
from core.pictures.recipe import FILE_FIELDS, Recipe, read_recipe
from core.provenance import Provenance
from core.snippets import PictureCode, pictures_markdown
from core.words import in_bytes, say
from tabs._events import Visit
from tabs._files import offer
from tabs._owner import owner_of
from tabs._screen import Outputs
from tabs._views import failure, folded, notes, paragraph, progress_bar, ran_on
from tabs.images._finished import Finished, read_finished

SETTINGS: Mapping[str, type[DrawingOptions]] = {task: settings for settings, (task, _) in SKILLS.items()}
"""What a job of a kind was asked."""
Entry = dict[str, Any]
"""One picture as JSON: id, file, url, seed, width, height, labels."""


@dataclass(frozen=True)
class Screen(Outputs):
    """What the page shows of a job, in the order of its outputs; what is not said stays as it is."""

    gallery: Any = field(default_factory=gr.skip)
    view: Any = field(default_factory=gr.skip)
    job: Any = field(default_factory=gr.skip)
    snippets: Any = field(default_factory=gr.skip)
    result: Any = field(default_factory=gr.skip)
    provenance: Any = field(default_factory=gr.skip)


def watch(atelier: Atelier, visit: Visit, job: str) -> Generator[tuple[Any, ...] | None]:
    """Show a job until it ends, and yield None where there is nothing new: whoever follows waits then."""
    owner, last, before = owner_of(atelier, visit), 0, ("", -1)
    while True:
        news = atelier.pictures.follow(job, after=last, owner=owner)
        last = news.last
        if news.over:
            break
        pictures = atelier.gallery.of_job(job, owner)
        view = _running(atelier, visit, job)
        if (view, len(pictures)) != before:
            shown = gr.skip() if len(pictures) == before[1] else [_captioned(atelier, visit, one) for one in pictures]
            before = view, len(pictures)
            yield Screen(gallery=shown, job=job, snippets="", result=None, provenance=None, view=view).values
        yield None
    ended = _ended(atelier, visit, job)
    yield ended.values
    yield replace(ended, snippets=_code(atelier, visit, job)).values


def nothing_yet(visit: Visit) -> tuple[Any, ...]:
    """Show what to do where there is no picture."""
    return Screen(gallery=[], job="", view=paragraph(say("say.empty_pictures"), visit.language, kind="empty")).values


def entries_of(atelier: Atelier, visit: Visit, pictures: Sequence[KeptPicture]) -> list[Entry]:
    """Return what programs are told of pictures: files to fetch, seeds, sizes, and places in a grid."""
    return [_entry(atelier, visit, one, recipe_in(one.path)) for one in pictures]


def is_sheet(picture: KeptPicture) -> bool:
    """Tell whether it is a grid's contact sheet, which has no seed of its own."""
    return picture.path.name == SHEET


def recipe_in(path: Path) -> Recipe | None:
    """Return a picture's recipe; None where there is none, as in a contact sheet."""
    try:
        return read_recipe(path)
    except (AtelierError, OSError):
        return None


def _entry(atelier: Atelier, visit: Visit, picture: KeptPicture, recipe: Recipe | None) -> Entry:
    file = offer(atelier, picture.path, picture.file_name)
    return {
        "id": picture.id,
        "file": picture.file_name,
        "url": f"{visit.address}/gradio_api/file={file}",
        "seed": recipe.settings.get("seed") if recipe and not is_sheet(picture) else None,
        "width": recipe.width if recipe else None,
        "height": recipe.height if recipe else None,
        "labels": dict(recipe.labels) if recipe else {},
    }


def _captioned(atelier: Atelier, visit: Visit, picture: KeptPicture) -> tuple[str, str]:
    """Return a picture for gr.Gallery, with its seed and its place in a grid under it."""
    return offer(atelier, picture.path, picture.file_name), caption(picture, visit)


def caption(picture: KeptPicture, visit: Visit) -> str:
    """Say a picture's seed and what was different in a grid."""
    recipe = None if is_sheet(picture) else recipe_in(picture.path)
    if recipe is None:
        return visit.say(say("say.contact_sheet"))
    different = [f"{axis} {value}" for axis, value in recipe.labels.items() if axis != "seed"]
    return " · ".join([f"seed {recipe.settings.get('seed')}", *different])


def _running(atelier: Atelier, visit: Visit, job: str) -> str:
    owner = owner_of(atelier, visit)
    view = atelier.pictures.view(job, owner)
    waiting = notes([view.waiting], visit.language) if view.waiting else ""
    bar = _state(view, visit, running=view.state is State.RUNNING)
    if view.state is State.RUNNING and view.progress is None:
        waiting = paragraph(say("say.getting_ready"), visit.language)
    return bar + waiting + _preview(atelier.pictures.result_folder(job, owner) / PREVIEW, visit)


def _state(view: JobView, visit: Visit, *, running: bool) -> str:
    return progress_bar(say(f"say.state_{view.state.value}"), view.progress, visit.language, running=running)


def _preview(path: Path, visit: Visit) -> str:
    """Draw the picture under way; it goes inside the page, so that no file of it is left to be found."""
    try:
        content = base64.b64encode(path.read_bytes()).decode()
    except FileNotFoundError:
        return ""
    words = escape(visit.say(say("say.preview")))
    return f'<figure class="preview"><img src="data:image/jpeg;base64,{content}" alt="{words}"></figure>'


def _ended(atelier: Atelier, visit: Visit, job: str) -> Screen:
    owner = owner_of(atelier, visit)
    view, pictures = atelier.pictures.view(job, owner), atelier.gallery.of_job(job, owner)
    finished = read_finished(atelier.pictures.result_folder(job, owner))
    entries = entries_of(atelier, visit, pictures)
    seen = _state(view, visit, running=False)
    if view.error:
        seen += failure(view.error, visit.language)
    shown = [_captioned(atelier, visit, one) for one in pictures]
    provenance = finished.provenance if finished else _provenance_in(pictures)
    if finished:
        seen += notes(finished.notes, visit.language) + _cost(finished, visit)
        shown += [(offer(atelier, path), visit.say(say("say.condition"))) for path in finished.beside]
    if provenance:
        seen += ran_on(provenance, visit.language)
    return Screen(shown, seen, job, "", entries, provenance)


def _provenance_in(pictures: Sequence[KeptPicture]) -> dict[str, Any] | None:
    """Return what drew the last picture of a job that was stopped: its recipe tells."""
    recipe = next((found for one in reversed(pictures) if (found := recipe_in(one.path))), None)
    return dict(recipe.provenance) if recipe and recipe.provenance else None


def _cost(finished: Finished, visit: Visit) -> str:
    """Say what was predicted beside what was measured, and fold why the model sits where it sits."""
    cost = finished.cost
    key = "say.drawn_cost" if cost.measured_bytes else "say.drawn_cost_unmeasured"
    told = say(
        key,
        predicted=in_bytes(cost.predicted_bytes),
        measured=in_bytes(cost.measured_bytes),
        seconds=f"{cost.seconds:.1f}",
        step=f"{cost.seconds_per_step:.3f}",
    )
    why = folded(visit.say(say("say.why_this_way")), map(visit.say, finished.reasons)) if finished.reasons else ""
    return paragraph(told, visit.language, kind="speed") + why


def _code(atelier: Atelier, visit: Visit, job: str) -> str | None:
    """Return the code of the first picture; None for a job of another version, or without a recipe.

    It may import diffusers, which takes a while after a start: the pictures are shown before.
    """
    owner = owner_of(atelier, visit)
    view, pictures = atelier.pictures.view(job, owner), atelier.gallery.of_job(job, owner)
    panel_settings = SETTINGS.get(view.kind)
    picture = next((one for one in pictures if not is_sheet(one) and recipe_in(one.path)), None)
    if panel_settings is None or picture is None:
        return None
    try:
        recipe = atelier.gallery.recipe(picture.id, owner)
        asked = panel_settings(**view.settings)
        uploads = {name: view.settings[name] for name in FILE_FIELDS if name in view.settings}
        alone = panel_settings(**{**recipe.settings, **uploads})
        ran = Provenance(**{**recipe.provenance, "fallbacks": tuple(recipe.provenance.get("fallbacks", ()))})
        request = replace(asked, seed=alone.seed) if asked.seed < 0 else asked
        code = PictureCode(view.kind, request, alone, (recipe.width, recipe.height), ran)
        return pictures_markdown(code, visit.address, user=atelier.settings.login)
    except (TypeError, AtelierError, OSError):  # another version's job, or a model that has gone since
        return None
