"""A picture that somebody brings: handed on as the file it is, so that the skills read it, and refuse it in words."""

from __future__ import annotations

from typing import Any

import gradio as gr

from tabs._language import word


class PictureUpload(gr.Image):
    """gr.Image without Gradio's reading: that fails without words for a broken file, and writes others anew."""

    is_template = True  # the browser shows a gr.Image

    def preprocess(self, payload: Any) -> str | None:
        """Return the upload's path; Gradio has checked that it lies among the uploads."""
        return None if payload is None else payload.path


def picture_upload(name: str, elem_id: str, **options: Any) -> PictureUpload:
    """Return an upload for the field `name`; it is fetched by the browser once the tab is opened."""
    settings = {"type": "filepath", "sources": ["upload", "clipboard"], "buttons": ["fullscreen"], "height": 300}
    return PictureUpload(label=word(f"field.{name}"), elem_id=elem_id, visible=False, **{**settings, **options})
