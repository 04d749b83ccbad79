"""Chat: a conversation with a model, kept for whoever had it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.tasks.text.chat import ChatSettings
from core.tasks.text.options import WISHES, ModelOptions
from tabs._chat_desk import Desk, Screen
from tabs._chat_view import SCRIPT
from tabs._events import HIDDEN, QUIET, Endpoint, look_up, write
from tabs._form import control, model_control
from tabs._generation_form import generation_controls
from tabs._language import word

TITLE = "tab.chat"
EXAMPLES = (
    "Once upon a time, there was a little fox who",
    "Lily found a tiny key in the garden. She",
    "The old robot wanted to learn how to sing, so",
)
"""Beginnings of stories, for the starter; a chat model makes something of them, too."""
LATEX = (("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False))
"""How models write formulas: what opens one, what closes it, and whether it stands in a line of its own."""


def build(atelier: Atelier, page: gr.Blocks, _: gr.Tab) -> None:
    """Lay out conversations, the open one, and its settings, and wire `/chat`."""
    with gr.Row(equal_height=False, elem_id="chat"):
        with gr.Column(scale=1, min_width=220):
            shelf = _Shelf.lay_out()
        with gr.Column(scale=4, min_width=320):
            room = _Room.lay_out()
            view = gr.HTML(label="view", js_on_load=SCRIPT, elem_id="chat-view")
            values = _settings()
            outputs = [view, *_outputs()]
    _wire(Desk(atelier), page, _Places(shelf, room, values, outputs))


@dataclass(frozen=True)
class _Shelf:
    """The visitor's conversations, and what can be done with the open one."""

    new: gr.Button
    conversations: gr.Radio
    title: gr.Textbox
    rename: gr.Button
    export: gr.Button
    files: gr.HTML
    delete: gr.Button
    sure: gr.Row
    delete_now: gr.Button
    keep: gr.Button

    @classmethod
    def lay_out(cls) -> _Shelf:
        """Lay them out from top to bottom."""
        new = gr.Button(word("chat.new"), elem_id="chat-new")
        shelf = {"label": word("chat.conversations"), "elem_id": "chat-conversations"}
        conversations = gr.Radio([], interactive=True, **shelf)  # else it is for looking only: no event takes its value
        with gr.Accordion(word("chat.this"), open=False, elem_id="chat-this"):
            title = gr.Textbox(label=word("field.title"), max_lines=1, elem_id="chat-title")
            rename = gr.Button(word("chat.rename"), size="sm", elem_id="chat-rename")
            export = gr.Button(word("chat.export"), size="sm", elem_id="chat-export")
            files = gr.HTML(elem_id="chat-files")
            delete = gr.Button(word("chat.delete"), size="sm", elem_id="chat-delete")
            with gr.Row(visible=False) as sure:
                delete_now = gr.Button(word("chat.delete_now"), size="sm", variant="primary", elem_id="chat-delete-now")
                keep = gr.Button(word("chat.keep"), size="sm", elem_id="chat-keep")
        return cls(new, conversations, title, rename, export, files, delete, sure, delete_now, keep)


@dataclass(frozen=True)
class _Room:
    """The open conversation, and the box for the next message."""

    conversation: gr.Chatbot
    message: gr.Textbox
    send: gr.Button
    stop: gr.Button
    current: gr.Textbox
    history: gr.JSON

    @classmethod
    def lay_out(cls) -> _Room:
        """Lay them out from top to bottom."""
        conversation = gr.Chatbot(
            label=word("chat.conversation"),
            height=460,
            buttons=["copy", "copy_all"],
            editable="user",
            placeholder=f"{word('chat.empty')}",
            examples=[{"text": text} for text in EXAMPLES],
            latex_delimiters=[{"left": left, "right": right, "display": alone} for left, right, alone in LATEX],
            allow_tags=False,
            group_consecutive_messages=False,
            elem_id="chat-conversation",
        )
        with gr.Row(equal_height=True):
            message = gr.Textbox(
                label=word("field.message"),
                placeholder=word("chat.placeholder"),
                lines=1,
                max_lines=12,
                elem_id="chat-message",
                scale=8,
                min_width=260,
            )
            send = gr.Button(word("chat.send"), variant="primary", elem_id="chat-send", scale=1, min_width=70)
            stop = gr.Button(word("stop"), elem_id="chat-stop", scale=1, min_width=70)
        current = gr.Textbox("", visible=False)
        return cls(conversation, message, send, stop, current, gr.JSON([], label="history", visible=False))


@dataclass(frozen=True)
class _Places:
    """Everything on the tab that a handler reads or shows."""

    shelf: _Shelf
    room: _Room
    values: dict[str, Any]
    outputs: list[gr.components.Component]
    """view, snippets, result, provenance"""

    @property
    def screen(self) -> list[gr.components.Component]:
        """The outputs of every handler, as Screen names them."""
        view, snippets, result, provenance = self.outputs
        named = {
            "conversation": self.room.conversation,
            "message": self.room.message,
            "current": self.room.current,
            "conversations": self.shelf.conversations,
            "title": self.shelf.title,
            "system_prompt": self.values["system_prompt"],
            "model": self.values["model"],
            "files": self.shelf.files,
            "view": view,
            "snippets": snippets,
            "result": result,
            "provenance": provenance,
        }
        return [named[field.name] for field in fields(Screen)]


def _settings() -> dict[str, Any]:
    """Lay out model and system prompt, and the settings that few people need in a closed part below."""
    with gr.Row(equal_height=True):
        values: dict[str, Any] = {
            "model": model_control("chat", info=word("chat.model.info"), elem_id="chat-model", min_width=260),
            "system_prompt": control(
                ChatSettings, "system_prompt", lines=1, max_lines=8, elem_id="chat-system", min_width=260
            ),
        }
    with gr.Accordion(word("more"), open=False, elem_id="chat-more"):
        values["max_new_tokens"] = control(ChatSettings, "max_new_tokens", elem_id="chat-max_new_tokens")
        values |= generation_controls(ChatSettings, "chat", without=["num_return_sequences"])
        with gr.Row():
            values |= {name: control(ModelOptions, name) for name in WISHES}
    return values


def _outputs() -> list[gr.components.Component]:
    """Lay out code, result and provenance."""
    with gr.Accordion(word("code"), open=False, elem_id="chat-code-panel"):
        snippets = gr.Markdown(label="snippets", elem_id="chat-code")
    with gr.Accordion(word("json"), open=False):
        result = gr.JSON(label="result", elem_id="chat-result")
        provenance = gr.JSON(label="provenance", elem_id="chat-provenance")
    return [snippets, result, provenance]


def _wire(desk: Desk, page: gr.Blocks, places: _Places) -> None:
    room, shelf, values, screen = places.room, places.shelf, places.values, places.screen
    shown = {"show_progress_on": [room.conversation, places.outputs[0]]}
    asked = {"conversation": room.current, **values}
    said = {"message": room.message, **asked}
    public = {"message": room.message, "history": room.history, **values}
    write(room.history.change, desk.chat, Endpoint("chat", public, places.outputs))  # nothing on the page changes it
    sending = [
        write(
            partial(gr.on, [room.send.click, room.message.submit]), desk.send, _private("send", said, screen), **shown
        ),
        write(room.conversation.example_select, desk.example, _private("example", values, screen), **shown),
        write(room.conversation.retry, desk.retry, _private("retry", asked, screen), **shown),
        write(room.conversation.edit, desk.edit, _private("edit", asked, screen), **shown),
    ]
    open_one = {"conversation": room.current}
    for trigger in (shelf.conversations.select, shelf.new.click, shelf.delete_now.click):
        trigger(None, cancels=sending, api_visibility="private")
    stopped = look_up(room.stop.click, desk.stop, _private("stop", open_one, screen), **QUIET)
    stopped.then(None, cancels=sending, api_visibility="private")  # what still waits in the queue; the rest has ended
    look_up(room.conversation.undo, desk.undo, _private("undo", open_one, screen), **HIDDEN)
    look_up(shelf.conversations.select, desk.open, _private("open", {}, screen), **HIDDEN)
    fresh = partial(gr.on, [shelf.new.click, room.conversation.clear])
    look_up(fresh, desk.new, _private("new", {}, screen), **QUIET)
    look_up(shelf.rename.click, desk.rename, _private("rename", {**open_one, "title": shelf.title}, screen), **HIDDEN)
    look_up(shelf.export.click, desk.files, _private("export", open_one, screen), **HIDDEN)
    look_up(shelf.delete_now.click, desk.delete, _private("delete", open_one, screen), **HIDDEN)
    look_up(page.load, desk.load, _private("load", {}, screen), **QUIET)
    shelf.delete.click(lambda: gr.Row(visible=True), None, shelf.sure, queue=False, api_visibility="private")
    for button in (shelf.keep, shelf.delete_now, shelf.new):
        button.click(lambda: gr.Row(visible=False), None, shelf.sure, queue=False, api_visibility="private")


def _private(name: str, inputs: dict[str, Any], outputs: list[gr.components.Component]) -> Endpoint:
    return Endpoint(f"chat_{name}", inputs, outputs, public=False)
