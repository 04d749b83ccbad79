"""Fill the gap: the words that fit where one is missing, each a click away from the text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from core.atelier import Atelier
from core.tasks.text.fill_mask import TASK, Candidate, FilledMasks, FillMaskSettings, fill_masks
from core.words import say
from tabs._events import Visit
from tabs._form import control, controls
from tabs._language import word
from tabs._views import Choice, choices, marked, paragraph
from tabs.text._panel import Examples, TextTask, lay_out

TITLE = "task.fill_mask"
EXAMPLES = Examples(
    ["text"],
    [
        ["The little girl opened the [MASK] and walked in."],
        ["Once upon a time there lived a [MASK] in a small [MASK]."],
        ["The city lies on the [MASK] of the river."],
    ],
)
CONTINUED = "##"
BLANK = "␣"
"""What stands for a token that would not be seen."""
FILL = r"""
let last = null;
element.addEventListener('click', (event) => {
  const chosen = event.target.closest('[data-choice]');
  if (!chosen) return;
  const { choice, mask, gap, joined } = chosen.dataset;
  const box = document.querySelector('#fill_mask-text textarea');
  const own = mask.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const gaps = [...box.value.matchAll(new RegExp(`${own}|\\[mask\\]|<mask>`, 'gi'))];
  const again = last && last.value === box.value;
  if (!again && !gaps[gap]) return;
  const start = again ? last.start : gaps[gap].index;
  const end = again ? last.end : start + gaps[gap][0].length;
  const before = joined ? box.value.slice(0, start).trimEnd() : box.value.slice(0, start);
  box.value = before + choice + box.value.slice(end);
  box.dispatchEvent(new Event('input', { bubbles: true }));
  last = gaps.length > 1 ? null : { value: box.value, start: before.length, end: before.length + choice.length };
  if (gaps.length > 1) setTimeout(() => document.querySelector('#fill_mask-run').click(), 150);
});
"""
"""A click on a word puts it into its gap; if others are left they are guessed anew, else it can be chosen again."""


def build(atelier: Atelier, wishes: dict[str, Any]) -> None:
    """Lay out the panel and wire `/fill_mask`."""
    task = TextTask(
        task=TASK,
        settings=FillMaskSettings,
        answer=fill_masks,
        show=_show,
        describe="Fill the gaps of a text, each written [MASK], with the words that a masked language model expects.",
        script=FILL,
    )
    lay_out(atelier, task, _main, _more, EXAMPLES, wishes)


def _main() -> dict[str, Any]:
    told = {"label": word("field.masked_text"), "info": word("field.masked_text.info")}
    return {"text": control(FillMaskSettings, "text", lines=4, elem_id="fill_mask-text", **told)}


def _more() -> dict[str, Any]:
    return {
        **controls(FillMaskSettings, "top_k"),
        "targets": control(FillMaskSettings, "targets", elem_id="fill_mask-targets"),
    }


def _show(answer: FilledMasks, _: Any, visit: Visit) -> str:
    told = [say("say.choose_candidate"), *([say("say.targets_compared")] if answer.targets else [])]
    hint = "".join(paragraph(one, visit.language) for one in told)
    if len(answer.masks) == 1:
        return _sentence(answer, [answer.masks[0][0].token_str]) + _candidates(answer, 0) + hint
    number = (say("say.mask_number", number=place + 1) for place in range(len(answer.masks)))
    each = "".join(
        paragraph(name, visit.language, kind="gap") + _candidates(answer, place) for place, name in enumerate(number)
    )
    return _reading(answer, visit) + paragraph(say("say.each_mask"), visit.language) + each + hint


def _reading(answer: FilledMasks, visit: Visit) -> str:
    """Draw the text with all gaps filled to fit each other, where there is such a reading."""
    if not answer.reading:
        return ""
    told = paragraph(say("say.joint_reading"), visit.language)
    return told + _sentence(answer, answer.reading)


def _sentence(answer: FilledMasks, words: Sequence[str]) -> str:
    """Draw the text with a word in each gap."""
    text, spans = "", []
    for before, token in zip_longest(answer.part.split(answer.mask_token), words, fillvalue=""):
        text += before
        if token:
            shown, joined = _spelled(token)
            text = text.rstrip() if joined else text
            spans.append((len(text), len(text) + len(shown)))
            text += shown
    return marked(text, spans)


def _candidates(answer: FilledMasks, place: int) -> str:
    """Draw the candidates of one gap; of words that somebody chose, the likeliest has the whole length."""
    candidates = answer.masks[place]
    whole = candidates[0].score or 1.0 if answer.targets else 1.0
    return choices([_choice(one, answer, place, one.score / whole) for one in candidates])


def _choice(candidate: Candidate, answer: FilledMasks, place: int, share: float) -> Choice:
    shown, joined = _spelled(candidate.token_str)
    data = {"choice": shown, "mask": answer.mask_token, "gap": str(place), **({"joined": "yes"} if joined else {})}
    number = f"{candidate.score:.2g}" if answer.targets else f"{candidate.score:.3f}"
    return Choice(shown or BLANK, share, number, data)


def _spelled(token: str) -> tuple[str, bool]:
    """Return a token as it stands in a text, and whether it goes on with the word before it (WordPiece's ##)."""
    joined = token.startswith(CONTINUED) and token != CONTINUED
    return token.removeprefix(CONTINUED) if joined else token.strip(), joined
