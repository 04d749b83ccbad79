"""A text that can be copied with one click, for a view that is drawn as HTML."""

from __future__ import annotations

from html import escape

from core.words import say
from tabs._events import Visit
from tabs._views import plain_text

COPY = """
element.addEventListener('click', async (event) => {
  const button = event.target.closest('button.copy');
  if (!button) return;
  const shown = button.closest('.copyable').querySelector('.answer');
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(shown.textContent);
  } else {
    getSelection().selectAllChildren(shown);
    document.execCommand('copy');
  }
  const before = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => { button.textContent = before; }, 2000);
});
"""
"""What such a view does when it is clicked; where a page has no clipboard (plain HTTP), the text is selected first."""


def copyable(text: str, visit: Visit) -> str:
    """Draw a text with its button; the view needs COPY as its script."""
    words, done = (escape(visit.say(say(key))) for key in ("say.copy", "say.copied"))
    button = f'<button type="button" class="copy" data-done="{done}">{words}</button>'
    return f'<div class="copyable">{plain_text(text)}{button}</div>'
