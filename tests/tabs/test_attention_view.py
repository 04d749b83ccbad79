"""What a page shows of attention weights: the words among themselves."""

from __future__ import annotations

from dataclasses import replace

from core.provenance import Provenance
from core.tasks.text.attention import AttentionMap
from tabs._events import Visit
from tabs.text.attention import _show

FOUND = AttentionMap(
    tokens=("[CLS]", "a", "cat", "[SEP]"),
    weights=[[0.9, 0.0, 0.0, 0.1], [0.5, 0.1, 0.2, 0.2], [0.6, 0.05, 0.05, 0.3], [0.1, 0.2, 0.3, 0.4]],
    layer=0,
    head=5,
    layers=6,
    heads=12,
    special=frozenset({0, 3}),
    provenance=Provenance("m", "1", None, "cpu", "float32", "eager"),
)


def test_the_colours_compare_the_words() -> None:
    """The strongest weight between two words has the full colour; special tokens show their numbers and no colour."""
    view = _show(FOUND, None, Visit())
    assert '<td style="--heat:1.00" title="0.200">0.20</td>' in view
    assert '<td style="--heat:0.25" title="0.050">0.05</td>' in view
    assert '<td class="uncoloured" title="0.900">0.90</td>' in view
    assert view.count("--heat") == 4


def test_what_is_shown_is_said() -> None:
    """The sentences name the layer, the head, the special tokens and how much of the words' attention these take."""
    view = _show(FOUND, None, Visit())
    assert "Layer: the mean of all 6; head: 5 of 12." in view
    assert "[CLS], [SEP]: added by the tokenizer, with 80% of the words" in view
    assert "第 5 個（共 12 個）" in _show(FOUND, None, Visit(language="zh-TW"))


def test_special_tokens_alone_keep_their_colours() -> None:
    """Where there are no special tokens, or nothing else, every cell has its colour and no sentence excuses any."""
    for special in (frozenset[int](), frozenset(range(4))):
        view = _show(replace(FOUND, special=special), None, Visit())
        assert '<td style="--heat:1.00" title="0.900">0.90</td>' in view
        assert "uncoloured" not in view
        assert "added by the tokenizer" not in view
