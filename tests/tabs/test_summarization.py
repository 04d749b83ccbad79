"""The summary panel: the sentences that were picked, or the parts that were summarised on their own."""

from __future__ import annotations

from core.provenance import Provenance
from core.tasks.text.abstractive import Part
from core.tasks.text.summarization import PickedSentence, SummarizationSettings, Summary
from tabs._events import Visit
from tabs.text.summarization import FEW_PARTS, MOST_PARTS, PART_CHARACTERS, _show, _sketch

RAN = Provenance("org/model", "1", None, "cpu", "float32", "sdpa")
SETTINGS = SummarizationSettings(text="One <b>. Two.")


def test_picked_sentences_are_marked_in_the_text() -> None:
    """The summary can be copied; below it stands the text with the picked sentences marked, and no parts."""
    view = _show(Summary("Two.", (PickedSentence(9, 13, 0.5),), RAN), SETTINGS, Visit())
    assert '<p class="answer">Two.</p>' in view
    assert "One &lt;b&gt;. <mark>Two.</mark>" in view
    assert "<details" not in view


def test_parts_stand_beside_their_summaries() -> None:
    """A few parts are open, each by its beginning beside its summary; many are counted and a click away."""
    few = (Part("A part <i>\nof it " + "that goes on " * 40, "Short <i>."), Part("Another.", "Other."))
    view = _show(Summary("All.", (), RAN, parts=few), SETTINGS, Visit())
    assert '<details class="parts" open><summary>2 parts, each beside its summary</summary>' in view
    assert "A part &lt;i&gt; of it that" in view
    assert f"{('A part <i> of it ' + 'that goes on ' * 40)[: PART_CHARACTERS - 1]}…".replace("<i>", "&lt;i&gt;") in view
    assert "Short &lt;i&gt;." in view
    many = _show(Summary("All.", (), RAN, parts=few[1:] * (MOST_PARTS + 1)), SETTINGS, Visit(language="ko"))
    assert f'<details class="parts"><summary>{MOST_PARTS + 1}개 부분' in many
    assert many.count("<li>") == MOST_PARTS
    assert FEW_PARTS < MOST_PARTS


def test_the_sketch_shows_the_newest_parts() -> None:
    """While parts are summarised, the newest of them are shown."""
    parts = [Part(f"Part {number}.", f"Summary {number}.") for number in range(MOST_PARTS + 2)]
    drawn = _sketch(parts, SETTINGS)
    assert drawn.count("<li>") == MOST_PARTS
    assert f"Summary {MOST_PARTS + 1}." in drawn
