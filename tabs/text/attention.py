"""Attention: which token looks at which, as the model really computes it."""

from __future__ import annotations

from typing import Any

from core.atelier import Atelier
from core.tasks.text.attention import TASK, AttentionMap, AttentionSettings, map_attention
from core.words import Sentence, say
from tabs._events import Visit
from tabs._form import control, controls
from tabs._views import HeatMap, heat_map, paragraph
from tabs.text._panel import Examples, TextTask, lay_out

TITLE = "task.attention"
EXAMPLES = Examples(
    ["text"],
    [
        ["The animal did not cross the street because it was too tired."],
        ["She put the book on the table and opened it."],
    ],
)


def build(atelier: Atelier, wishes: dict[str, Any]) -> None:
    """Lay out the panel and wire `/attention`."""
    task = TextTask(
        task=TASK,
        settings=AttentionSettings,
        answer=map_attention,
        show=_show,
        describe="Show the attention weights of an encoder by layer and head (0 = the mean of all).",
    )
    lay_out(atelier, task, _main, _more, EXAMPLES, wishes)


def _main() -> dict[str, Any]:
    return {
        "text": control(AttentionSettings, "text", lines=3, elem_id="attention-text"),
        **controls(AttentionSettings, "layer", "head"),
    }


def _more() -> dict[str, Any]:
    return controls(AttentionSettings, "text_pair")


def _show(answer: AttentionMap, _: Any, visit: Visit) -> str:
    layer, head = _chosen(answer.layer, answer.layers), _chosen(answer.head, answer.heads)
    places = range(len(answer.tokens))
    words = [place for place in places if place not in answer.special] or places
    highest = max(answer.weights[row][column] for row in words for column in words)
    others = frozenset(places).difference(words)
    drawn = HeatMap(answer.tokens, answer.tokens, answer.weights, high=highest, uncoloured=others)
    told = [say("say.attention_of", layer=layer, head=head), *([_special_tokens(answer)] if others else [])]
    return "".join(paragraph(one, visit.language) for one in told) + heat_map(drawn, visit.language)


def _chosen(number: int, count: int) -> Sentence:
    return say("say.one_of_all", number=number, count=count) if number else say("say.mean_of_all", count=count)


def _special_tokens(answer: AttentionMap) -> Sentence:
    """Say why some tokens have no colour: they would leave none for the words."""
    names = dict.fromkeys(answer.tokens[place] for place in sorted(answer.special))
    return say("say.attention_special", names=", ".join(names), share=f"{answer.special_share:.0%}")
