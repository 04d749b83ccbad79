"""Small pieces of HTML: everything from outside is escaped."""

from __future__ import annotations

from core.events import Progress
from core.words import say
from tabs._views import bars, coloured, counts, failure, notes, paragraph, progress_bar, ran_on, table

EVIL = '<img src=x onerror="alert(1)">'
PROVENANCE = {
    "model": EVIL,
    "revision": "0123456789abcdef",
    "device": "cpu",
    "dtype": "float32",
    "attention": "sdpa",
    "seconds": 1.234,
}


def test_nothing_from_outside_becomes_markup() -> None:
    """Labels, cells, texts, sentences and model names are shown as they are written."""
    sentence = say("say.verbatim", text=EVIL)
    drawn = (
        bars([(EVIL, 0.5)]),
        table([EVIL], [[EVIL]]),
        notes([sentence], "en"),
        paragraph(sentence, "en"),
        coloured([(EVIL, EVIL)], [EVIL]),
        failure(sentence, "en"),
        counts([(EVIL, 1)]),
        ran_on(PROVENANCE, "en"),
        progress_bar(sentence, None, "en"),
    )
    for html in drawn:
        assert "<img" not in html
        assert "&lt;img" in html


def test_bars_stay_within_their_track() -> None:
    """A score beyond 0 … 1 is written as it is, and drawn at the end of the track."""
    html = bars([("a", 3.5), ("b", -1.0)])
    assert "width:100.0%" in html
    assert "width:0.0%" in html
    assert "3.500" in html


def test_counts_are_shares_of_the_whole() -> None:
    """Each count is drawn with its share, and nothing at all is no division by zero."""
    assert "3 · 75.0%" in counts([("a", 3), ("b", 1)])
    assert counts([]) == '<ol class="bars"></ol>'


def test_progress_says_how_much_is_done() -> None:
    """A bar has its share, and its sentence the numbers."""
    html = progress_bar(say("say.state_running"), Progress("rows", 256, 1024, 2.0), "en")
    assert 'value="0.2500"' in html
    assert "256 of 1,024" in html
    assert "about 6 s left" in html


def test_remaining_time_is_for_running_work() -> None:
    """What has ended, and what has no rate yet, shows how much is done and no remaining time."""
    ended = progress_bar(say("say.state_cancelled"), Progress("rows", 256, 1024, 2.0), "en", running=False)
    begun = progress_bar(say("say.state_running"), Progress("rows", 0, 1024, 0.0), "en")
    for html, told in ((ended, "256 of 1,024 · 128.0 per second"), (begun, "0 of 1,024 · 0.0 per second")):
        assert told in html
        assert "left" not in html


def test_a_result_names_its_model_and_time() -> None:
    """The line under a result holds model, revision, device, dtype, attention and seconds."""
    html = ran_on({**PROVENANCE, "model": "starter/sentiment"}, "en")
    for part in ("starter/sentiment", "0123456789ab", "cpu", "float32", "sdpa", "1.23"):
        assert part in html
