"""A conversation as gr.Chatbot shows it: markup stays text, nothing is fetched from elsewhere, thoughts are folded."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from core.conversations.export import as_json, as_markdown, file_name
from core.conversations.file import Conversation, Said
from core.messages import first_that_fits
from core.tasks.text.chat import Reply
from core.tasks.text.thinking import split_thinking
from core.words import Sentence, say
from tabs._events import Visit
from tabs._views import notes, plain_text, ran_on

JOINER = "\u2060"
"""A sign that is not seen and keeps two others from meaning something together; copying leaves it out (SCRIPT)."""
_LIVE = re.compile(r"<(?=[A-Za-z/!?])(?!https?://[^\s<>]+>)|!(?=\[)|```(?=mermaid)")
"""What would begin a tag, a picture or a drawing: Markdown's own bare links go only where somebody clicks."""
_FORMULA_BEGINS = re.compile(r"\$\$|\\\[|\\\(")
_FORMULA_ENDS = {"$$": "$$", "\\[": "\\]", "\\(": "\\)"}
_KEPT_APART = re.compile(f"(<|!|```){JOINER}")

SHOWN_ENDINGS = ("length", "stopped")
"""Why an answer ended, where neither it nor a note says so."""

SCRIPT = """
if (!document.documentElement.dataset.chat) {
  document.documentElement.dataset.chat = 'ready';
  const plain = (text) => text.replaceAll('\\u2060', '');
  document.addEventListener('keydown', (event) => {
    const composing = event.isComposing || event.keyCode === 229;
    if (composing && event.key === 'Enter' && event.target.closest('#chat-message')) event.stopPropagation();
  }, true);
  document.addEventListener('copy', (event) => {
    const selected = document.getSelection();
    const inside = selected.anchorNode?.parentElement?.closest('#chat-conversation');
    if (!inside || !selected.toString().includes('\\u2060')) return;
    event.clipboardData.setData('text/plain', plain(selected.toString()));
    event.preventDefault();
  });
  if (navigator.clipboard) {
    const write = navigator.clipboard.writeText.bind(navigator.clipboard);
    navigator.clipboard.writeText = (text) => write(plain(text));
  }
  const chat = document.querySelector('#chat');
  const mend = () => {
    for (const list of chat.querySelectorAll('.examples[role=list]')) list.setAttribute('role', 'group');
    for (const arrow of chat.querySelectorAll('.title[role=button] button:enabled')) {
      arrow.disabled = true;
      arrow.setAttribute('aria-hidden', 'true');
    }
  };
  new MutationObserver(mend).observe(chat, { childList: true, subtree: true });
  mend();
}
"""
"""Enter that only ends a word in an input method (Chinese, Korean) does not send; what is copied is what was said; and
for screen readers, a list without items is a group, and the nameless button inside a button is none."""


def harmless(text: str) -> str:
    """Return Markdown in which no HTML, picture or diagram can begin: they are shown as they were written.

    In a formula a space does it, which means nothing there; the joiner would be a sign.
    """
    parts = _around_formulas(text)
    return "".join(_LIVE.sub(rf"\g<0>{' ' if place % 2 else JOINER}", part) for place, part in enumerate(parts))


def _around_formulas(text: str) -> list[str]:
    """Cut a text so that every second part is a formula, in time that grows with its length alone.

    One expression for it would look to the end of the text from every sign that opens a formula which nothing closes.
    """
    parts, read, place = [], 0, 0
    unclosed: set[str] = set()
    while found := _FORMULA_BEGINS.search(text, place):
        sign, place = found.group(), found.start() + 1
        close = -1 if sign in unclosed else text.find(_FORMULA_ENDS[sign], found.end() + 1)
        if close < 0:
            unclosed.add(sign)
            continue
        end = close + len(_FORMULA_ENDS[sign])
        parts += [text[read : found.start()], text[found.start() : end]]
        read = place = end
    return [*parts, text[read:]]


def as_written(text: str) -> str:
    """Take the joiners out again."""
    return _KEPT_APART.sub(r"\1", text)


@dataclass(frozen=True)
class Drawn:
    """Messages as the component takes them, and for each the place of what was said; None = our own words."""

    messages: tuple[dict[str, Any], ...]
    places: tuple[int | None, ...]


def draw(conversation: Conversation | None, language: str, *, waiting: bool = False) -> Drawn:
    """Draw a conversation; a question without an answer is called one, unless the answer is on its way.

    Of a very long one the newest messages are drawn: all of it would travel again with each token.
    """
    rows = list(_rows(conversation, language)) if conversation else []
    if rows and rows[-1][0]["role"] == "user" and not waiting:
        rows.append((_own_words(say("say.no_answer_written"), language), None))
    return Drawn(tuple(message for message, _ in rows), tuple(place for _, place in rows))


def draw_answer(text: str, language: str, *, opened: bool = False, over: bool = True) -> list[dict[str, Any]]:
    """Draw an answer: what was thought before it is folded, and open while it goes on."""
    thought = split_thinking(text, opened=opened)
    drawn = []
    if thought.thinking:
        title = say("say.thoughts" if thought.done or over else "say.thinking").in_language(language)
        status = "done" if thought.done or over else "pending"
        drawn.append(_message("assistant", thought.thinking, title=title, status=status))
    if thought.answer or not thought.thinking:
        drawn.append(_message("assistant", thought.answer))
    return drawn


def _rows(conversation: Conversation, language: str) -> Iterator[tuple[dict[str, Any], int | None]]:
    first = first_that_fits([said.message for said in conversation.said])
    if first:
        yield _folded(say("say.earlier_above", count=first), say("say.earlier_why"), language), None
    for place, said in enumerate(conversation.said[first:], first):
        if place and place == conversation.head.left_out:
            yield _folded(say("say.left_out_above", count=place), say("say.left_out_why"), language), None
        for message in _draw_said(said, language):
            yield message, place


def _draw_said(said: Said, language: str) -> list[dict[str, Any]]:
    if said.role == "user":
        return [_message("user", said.content)]
    return draw_answer(said.content, language, opened=said.opens_thinking)


def _folded(title: Sentence, why: Sentence, language: str) -> dict[str, Any]:
    """Draw a line between messages, with its reason folded."""
    return _message("assistant", why.in_language(language), title=title.in_language(language), status="done")


def _own_words(sentence: Sentence, language: str) -> dict[str, Any]:
    return _message("assistant", f"*{sentence.in_language(language)}*")


def _message(role: str, text: str, **metadata: str) -> dict[str, Any]:
    """Return one message; its content is a part, for of a bare text the component would take the indentation."""
    content = [{"type": "text", "text": harmless(text)}]
    return {"role": role, "content": content, **({"metadata": metadata} if metadata else {})}


def draw_text(text: str, *, opened: bool = False) -> str:
    """Draw an answer outside a conversation, letter by letter as it was written; thoughts are folded."""
    thought = split_thinking(text, opened=opened)
    folded_up = f'<details class="thoughts"><summary>…</summary>{plain_text(thought.thinking)}</details>'
    return (folded_up if thought.thinking else "") + plain_text(thought.answer)


def draw_below(reply: Reply, visit: Visit) -> str:
    """Draw what stands under a conversation: how its last answer ended, how fast it came, notes, provenance."""
    ended = [say(f"say.ended_{reply.reason}")] if reply.reason in SHOWN_ENDINGS else []
    speed = escape(visit.say(_speed(reply)))
    below = f'<p class="speed">{speed}</p>' + notes([*ended, *reply.notes], visit.language)
    return below + ran_on(reply.provenance.as_dict(), visit.language)


def _speed(reply: Reply) -> Sentence:
    first = f"{reply.first_token_seconds:.2f}"
    if reply.new_tokens is None:
        return say("say.chat_first", first=first)
    return say("say.chat_speed", count=reply.new_tokens, rate=f"{reply.tokens_per_second:,.1f}", first=first)


def draw_files(conversation: Conversation, language: str) -> str:
    """Draw two links that hold the conversation themselves, so that no copy of it lies anywhere on the server."""
    files = (
        (".json", "application/json", as_json(conversation)),
        (".md", "text/markdown", as_markdown(conversation, language)),
    )
    return f'<p class="files">{" · ".join(_file(conversation, *one) for one in files)}</p>'


def _file(conversation: Conversation, suffix: str, kind: str, text: str) -> str:
    name, data = escape(file_name(conversation, suffix)), b64encode(text.encode(errors="replace")).decode()
    return f'<a download="{name}" href="data:{kind};charset=utf-8;base64,{data}">{name}</a>'
