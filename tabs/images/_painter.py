"""The mask, painted on the picture in the browser: what is painted comes as a PNG in one text, and becomes a file.

Gradio's own editor would be 600 KB of scripts more, writes the picture anew, and keeps what is sent without bound.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import BadFile
from core.jobs.files import written_whole
from core.words import LANGUAGES, in_bytes, say

PAINTED = "inpainting-painted"
"""Id of the box that the painted mask travels in."""
PAINTER = "inpainting-painter"
BEGINS = "data:image/png;base64,"
LARGEST_MASK = 8_000_000
"""Characters; a mask is two colours, and packs well."""
TOOLS = ("erase", "undo", "clear", "invert")
WORDS = ("hint", "brush", *TOOLS)
"""Written by the script in the page's language: Gradio translates but one word in a piece of HTML."""

SCRIPT = """
const words = WORDS[document.documentElement.lang] || WORDS.en;
const make = (tag, options = {}, ...inside) => {
  const made = Object.assign(document.createElement(tag), options);
  made.append(...inside);
  return made;
};
const picture = make('img', { alt: '' }), shown = make('canvas');
const size = make('input', { type: 'range', min: 1, max: 40, value: 10 });
const tool = (name) => {
  const button = make('button', { type: 'button', textContent: words[name] });
  button.dataset.do = name;
  if (name === 'erase') button.ariaPressed = 'false';
  return button;
};
const brush = make('label', {}, words.brush, ' ', size);
const tools = make('div', { className: 'painter-tools' }, brush, ...TOOLS.map(tool));
const stage = make('div', { className: 'painter-stage' }, picture, shown);
const painter = make('div', { className: 'painter', hidden: true }, make('p', {}, words.hint), stage, tools);
element.append(painter);
const box = () => document.querySelector('#BOX :is(textarea, input)');
const context = shown.getContext('2d');
let strokes = [], stroke = null, address = null;
const draw = (one) => {
  context.globalCompositeOperation = one.invert ? 'xor' : one.erase ? 'destination-out' : 'source-over';
  context.fillStyle = context.strokeStyle = '#f0f';
  if (one.invert) { context.fillRect(0, 0, shown.width, shown.height); return; }
  context.lineWidth = one.width;
  context.lineCap = context.lineJoin = 'round';
  context.beginPath();
  context.moveTo(...one.points[0]);
  for (const point of one.points) context.lineTo(...point);
  context.stroke();
};
const redraw = () => { context.clearRect(0, 0, shown.width, shown.height); strokes.forEach(draw); };
const send = () => {
  const sheet = Object.assign(document.createElement('canvas'), { width: shown.width, height: shown.height });
  const flat = sheet.getContext('2d');
  flat.drawImage(shown, 0, 0);
  flat.globalCompositeOperation = 'source-in';
  flat.fillStyle = '#fff';
  flat.fillRect(0, 0, sheet.width, sheet.height);
  flat.globalCompositeOperation = 'destination-over';
  flat.fillStyle = '#000';
  flat.fillRect(0, 0, sheet.width, sheet.height);
  const target = box();
  target.value = strokes.length ? sheet.toDataURL('image/png') : '';
  target.dispatchEvent(new Event('input', { bubbles: true }));
};
const place = (event) => {
  const frame = shown.getBoundingClientRect();
  const part = (at, from, length) => (at - from) / length;
  return [part(event.clientX, frame.left, frame.width) * shown.width,
          part(event.clientY, frame.top, frame.height) * shown.height];
};
const show = (url) => {
  if (url === address) return;
  address = url;
  strokes = [];
  painter.hidden = !url;
  if (url) picture.src = url;
};
picture.addEventListener('load', () => {
  const scale = Math.min(1, 2048 / Math.max(picture.naturalWidth, picture.naturalHeight));
  shown.width = Math.round(picture.naturalWidth * scale);
  shown.height = Math.round(picture.naturalHeight * scale);
  redraw();
  send();
});
shown.addEventListener('pointerdown', (event) => {
  if (event.button) return;
  shown.setPointerCapture(event.pointerId);
  const width = size.value / 100 * Math.max(shown.width, shown.height);
  stroke = { points: [place(event)], width, erase: tools.querySelector('[data-do=erase]').ariaPressed === 'true' };
  strokes.push(stroke);
  draw(stroke);
});
shown.addEventListener('pointermove', (event) => {
  if (!stroke) return;
  stroke.points.push(...(event.getCoalescedEvents?.().map(place) || []), place(event));
  redraw();
});
for (const over of ['pointerup', 'pointercancel']) {
  shown.addEventListener(over, () => { if (stroke) { stroke = null; send(); } });
}
tools.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  const act = button.dataset.do;
  if (act === 'erase') { button.ariaPressed = button.ariaPressed !== 'true'; return; }
  if (act === 'undo') strokes.pop();
  if (act === 'clear') strokes = [];
  if (act === 'invert') strokes.push({ invert: true });
  redraw();
  send();
});
document.addEventListener('atelier-picture', (event) => show(event.detail));
show(window.atelierPicture || null);
"""

SHOW = """(picture) => {
  window.atelierPicture = picture?.url || null;
  document.dispatchEvent(new CustomEvent('atelier-picture', { detail: window.atelierPicture }));
  return [];
}"""
"""Tells the painter, in the browser alone, which picture lies under the mask."""


def lay_out(image: gr.Image) -> gr.Textbox:
    """Lay out the painter for the picture in `image`; returns the box that what was painted travels in."""
    gr.HTML("", js_on_load=_script(), elem_id=PAINTER)
    painted = gr.Textbox("", label="painted", visible="hidden", elem_id=PAINTED)
    show_under(image.change, image)
    return painted


def show_under(trigger: Any, image: gr.Image) -> None:
    """Show the picture in `image` under the mask; a panel that was never open notices no change of its picture."""
    trigger(None, image, None, js=SHOW, api_visibility="private")


def as_file(painted: str, folder: Path) -> str | None:
    """Write what was painted into a file below `folder` and return its path; None where nothing was.

    Raises BadFile for anything that is no PNG of a sensible size.
    """
    if not painted:
        return None
    if not painted.startswith(BEGINS) or len(painted) > LARGEST_MASK:
        raise BadFile("error.mask_unreadable", limit=in_bytes(LARGEST_MASK))
    try:
        content = base64.b64decode(painted.removeprefix(BEGINS), validate=True)
    except (binascii.Error, ValueError) as problem:
        raise BadFile("error.mask_unreadable", limit=in_bytes(LARGEST_MASK)) from problem
    path = folder / "masks" / hashlib.sha256(content).hexdigest() / "mask.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as draft:
        draft.write_bytes(content)
    return str(path)


def _script() -> str:
    """Return what builds the painter, with its words in every language."""
    words = {
        language: {name: say(f"say.painter_{name}").in_language(language) for name in WORDS} for language in LANGUAGES
    }
    filled = SCRIPT.replace("BOX", PAINTED).replace("TOOLS", json.dumps(TOOLS))
    return filled.replace("WORDS", json.dumps(words, ensure_ascii=False))


def mask_values(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a page's values with a mask: what was painted, else the file; the box itself is no setting."""
    painted = as_file(str(values.pop("painted", "") or ""), folder)
    return {**values, "mask": painted or values.get("mask")}
