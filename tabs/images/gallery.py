"""The gallery: this visitor's pictures, newest first, with what drew each of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gradio as gr

from core.atelier import PICTURES_BYTES, VISITOR_PICTURES_BYTES, Atelier
from core.errors import Busy
from core.fields import comma_separated
from core.jobs.views import Owner
from core.pictures.gallery import KeptPicture
from core.words import Sentence, in_bytes, say
from tabs._events import Visit
from tabs._files import offer
from tabs._language import word
from tabs._owner import owner_of
from tabs._views import notes, paragraph, table
from tabs.images._view import caption, entries_of, recipe_in

AT_ONCE = 60
"""Pictures shown together; the others are a click away."""
BUTTONS = (
    *("newer", "older", "refresh", "restore", "image_to_image", "inpainting", "controlnet"),
    *("delete", "download", "delete_all", "delete_all_now", "keep"),
)
"""What can be pressed; the words for it are "page.pictures.<name>"."""
UNTOLD = frozenset({"prompt", "negative_prompt", "auto", "none", ""})


@dataclass(frozen=True)
class Shelf:
    """The panel's components."""

    pictures: gr.Gallery
    listed: gr.JSON
    chosen: gr.Textbox
    first: gr.Number
    most: gr.Number
    view: gr.HTML
    told: gr.JSON
    files: gr.File
    buttons: dict[str, gr.Button]
    sure: gr.Row

    @classmethod
    def lay_out(cls) -> Shelf:
        """Lay them out: pictures on the left, what can be done with the chosen one on the right."""
        buttons: dict[str, gr.Button] = {}

        def button(name: str, key: str = "", **options: Any) -> None:
            made = gr.Button(word(f"pictures.{key or name}"), size="sm", elem_id=f"pictures-{name}", **options)
            buttons[name] = made

        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=320):
                pictures = gr.Gallery(
                    label="gallery",
                    show_label=False,
                    columns=4,
                    height="auto",
                    allow_preview=False,
                    interactive=False,
                    buttons=[],
                    object_fit="contain",
                    visible=False,
                    elem_id="pictures-gallery",
                )
                with gr.Row():
                    for name in BUTTONS[:3]:
                        button(name, min_width=90)
            with gr.Column(scale=1, min_width=320):
                view = gr.HTML(f'<p class="empty">{word("empty_gallery")}</p>', label="view", elem_id="pictures-view")
                with gr.Row():
                    for name in BUTTONS[3:7]:
                        button(name, min_width=130)
                with gr.Row():
                    for name in BUTTONS[7:10]:
                        button(name, min_width=130)
                with gr.Row(visible=False) as sure:
                    button("delete_all_now", variant="stop", min_width=130)
                    button("keep", min_width=130)
                files = gr.File(label="files", elem_id="pictures-files", visible=False)
        listed, told = gr.JSON([], label="result", visible=False), gr.JSON(label="result", visible=False)
        chosen = gr.Textbox("", label="picture", visible=False)
        first, most = gr.Number(0, label="first", visible=False), gr.Number(AT_ONCE, label="most", visible=False)
        return cls(pictures, listed, chosen, first, most, view, told, files, buttons, sure)


@dataclass(frozen=True)
class Keeper:
    """What the panel's buttons do."""

    atelier: Atelier

    def pictures(self, visit: Visit, first: float = 0, most: float = AT_ONCE) -> tuple[Any, Any]:
        """List your pictures, newest first: thumbnails, and ids, files, seeds and sizes."""
        kept = self._page(visit, first, most)
        return self._thumbnails(visit, kept), entries_of(self.atelier, visit, kept)

    def show(self, visit: Visit, first: float = 0, most: float = AT_ONCE) -> tuple[Any, ...]:
        """Show the newest pictures, and how much room they take."""
        kept = self._page(visit, first, most)
        listed = entries_of(self.atelier, visit, kept)
        return first, gr.update(value=self._thumbnails(visit, kept), visible=True), listed, "", self._room(visit)

    def newer(self, visit: Visit, first: float, most: float) -> tuple[Any, ...]:
        """Show newer pictures."""
        return self.show(visit, max(first - most, 0), most)

    def older(self, visit: Visit, first: float, most: float) -> tuple[Any, ...]:
        """Show older pictures, where there are any."""
        count = len(self.atelier.gallery.list(self._owner(visit)))
        return self.show(visit, first + most if first + most < count else first, most)

    def choose(self, visit: Visit, result: Any) -> tuple[str, str]:
        """Show what drew the picture that was clicked, and remember it."""
        index = visit.told.get("index")
        entries = result if isinstance(result, list) else []
        if not isinstance(index, int) or not 0 <= index < len(entries):
            return "", self._room(visit)
        id_ = str(entries[index]["id"])
        return id_, self._recipe(visit, id_)

    def picture_delete(self, visit: Visit, picture: str) -> tuple[str, Any]:
        """Delete one picture for good, by its id."""
        self.atelier.gallery.delete(picture, self._owner(visit))
        return notes([say("say.picture_deleted")], visit.language), {"deleted": [picture]}

    def delete(self, visit: Visit, picture: str, first: float, most: float) -> tuple[Any, ...]:
        """Delete the chosen picture, and show the others."""
        view, _ = self.picture_delete(visit, picture)
        return self._after(visit, view, first, most)

    def delete_all(self, visit: Visit, first: float, most: float) -> tuple[Any, ...]:
        """Delete every picture whose job has ended."""
        owner, deleted = self._owner(visit), 0
        for picture in self.atelier.gallery.list(owner):
            with suppress(Busy):  # it is still being drawn, and stays
                self.atelier.gallery.delete(picture.id, owner)
                deleted += 1
        return self._after(visit, notes([say("say.pictures_deleted", count=deleted)], visit.language), first, most)

    def pictures_download(self, visit: Visit, pictures: str = "") -> Any:
        """Give several pictures (ids with commas between; empty = all of yours) as one zip file."""
        ids = comma_separated(pictures or "") or None
        target = self.atelier.settings.uploads_folder / "results" / uuid.uuid4().hex / "pictures.zip"
        self.atelier.gallery.download(target, self._owner(visit), ids)
        return gr.update(value=str(target), visible=True)

    def _after(self, visit: Visit, view: str, first: float, most: float) -> tuple[Any, ...]:
        *shown, room = self.show(visit, first, most)
        return *shown, view + room

    def _owner(self, visit: Visit) -> Owner:
        return owner_of(self.atelier, visit)

    def _page(self, visit: Visit, first: float, most: float) -> list[KeptPicture]:
        return self.atelier.gallery.list(
            self._owner(visit), max(int(first or 0), 0), min(max(int(most or 1), 1), AT_ONCE)
        )

    def _thumbnails(self, visit: Visit, kept: Sequence[KeptPicture]) -> list[tuple[str, str]]:
        gallery, owner = self.atelier.gallery, self._owner(visit)
        return [(offer(self.atelier, gallery.thumbnail(one.id, owner)), caption(one, visit)) for one in kept]

    def _room(self, visit: Visit) -> str:
        """Say how many pictures there are, and how much room they take of how much."""
        kept = self.atelier.gallery.list(self._owner(visit))
        limit = PICTURES_BYTES if self.atelier.settings.alone else VISITOR_PICTURES_BYTES
        used = sum(one.size for one in kept)
        told = say("say.pictures_room", count=len(kept), used=in_bytes(used), limit=in_bytes(limit))
        return paragraph(told, visit.language) if kept else paragraph(say("say.empty_gallery"), visit.language, "empty")

    def _recipe(self, visit: Visit, id_: str) -> str:
        """Draw a picture whole, and below it what drew it."""
        picture = self.atelier.gallery.find(id_, self._owner(visit))
        recipe = recipe_in(picture.path)
        if recipe is None:
            return _whole(offer(self.atelier, picture.path, picture.file_name), visit)
        rows = [(name, value) for name, value in recipe.settings.items() if value not in UNTOLD]
        prompts = [(name, recipe.settings.get(name)) for name in ("prompt", "negative_prompt")]
        told = [*((name, value) for name, value in prompts if value), *((n, v) for n, v in rows if n not in UNTOLD)]
        head = [visit.say(say("say.property")), visit.say(say("say.value"))]
        return _whole(offer(self.atelier, picture.path, picture.file_name), visit) + table(head, told)


def _whole(path: str, visit: Visit) -> str:
    """Draw a picture with its link to take it away; the path is one of our own making."""
    from html import escape

    address, words = escape(f"/gradio_api/file={path}"), escape(visit.say(_DOWNLOAD))
    return f'<figure class="whole"><img src="{address}" alt=""><a href="{address}" download>{words}</a></figure>'


_DOWNLOAD: Sentence = say("say.download_png")
