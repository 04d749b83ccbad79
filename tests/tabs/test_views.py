"""Small pieces of HTML: everything from outside is escaped."""

from __future__ import annotations

from core.events import Progress
from core.words import say
from tabs._views import (
    Choice,
    bars,
    choices,
    coloured,
    counts,
    failure,
    in_progress,
    notes,
    paragraph,
    progress_bar,
    ran_on,
    table,
)

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
        choices([Choice(EVIL, 0.5, EVIL, {"choice": EVIL})]),
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


def test_remaining_time_is_told_once_it_is_known() -> None:
    """A progress sentence has rate and remaining seconds only when both can be computed."""
    assert in_progress(Progress("load", 0, 0, 0.0)).key == "say.phase_load"
    assert "about 3 s" in str(in_progress(Progress("rows", 1, 4, 1.0)))


def test_a_bar_counts_rows_only() -> None:
    """Before the first row a running batch says that it loads, or how fast it downloads; an ended one says neither."""
    state = say("say.state_running")
    loading = progress_bar(state, Progress("load", 0, 0), "en")
    assert '<progress max="1"></progress>' in loading
    assert str(say("say.phase_load")) in loading
    assert "20.0 MB per second" in progress_bar(state, Progress("download", 40_000_000, 90_000_000, 2.0), "en")
    for progress in (Progress("load", 0, 0), Progress("download", 40_000_000, 90_000_000, 2.0)):
        assert "<progress" not in progress_bar(state, progress, "en", running=False)


def test_a_result_names_its_model_and_time() -> None:
    """The line under a result holds model, revision, device, dtype, attention and seconds."""
    html = ran_on({**PROVENANCE, "model": "starter/sentiment"}, "en")
    for part in ("starter/sentiment", "0123456789ab", "cpu", "float32", "sdpa", "1.23"):
        assert part in html
    assert "seed" not in html


def test_a_drawn_result_names_its_seed() -> None:
    """Where the seed decided the result, the line says which it was."""
    assert "seed 42" in ran_on({**PROVENANCE, "seed": 42}, "en")
