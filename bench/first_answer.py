"""Claim: from a cold process to the first answer over HTTP in at most nine tenths of the cheat sheet's time.

The cheat sheet loads a pipeline, then opens a `gr.Interface` over it. Atelier opens first and loads with the first
request. Both serve the same model: here the sentiment starter, there its adapter merged and saved as a plain
checkpoint. Each is asked as soon as it serves its first page; measured is the time from the start of the process to
the answer. Neither lets Gradio ask itself for a page at launch (`_frontend`): where that takes more than three
seconds, as it may while torch is imported, `launch` raises and the app ends. Both run in turns, after one untimed
round; medians are compared.
Targets: at most 0.9 x the time; the same label, scores within 0.001.

On a quiet machine: `python -m bench.first_answer`; a quick look: `python -m bench.first_answer --runs 1`.
Where other work keeps the cores busy, read the CPU seconds rather than the wall clock.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench._measure import Measure, Outcome, alternate, arguments, report
from bench._server import Server, serving
from bench._starter import STARTER, save_plain_apart

TEXT = "I loved every minute of it."
TOLERANCE = 1e-3
CHEAT_SHEET = """
import gradio as gr
from transformers import pipeline

classifier = pipeline("text-classification", model={model!r})

def predict(text):
    return classifier(text)[0]

gr.Interface(fn=predict, inputs="text", outputs="json").launch(_frontend=False)
"""


@dataclass(frozen=True)
class FirstAnswer:
    """One cold start: seconds to the answer, seconds of CPU, seconds to the first page, and the answer itself."""

    seconds: float
    cpu_seconds: float
    page_seconds: float
    label: str
    score: float


def ask_ours(server: Server) -> tuple[str, float]:
    """Ask Atelier's endpoint; its outputs are view, code, result and provenance."""
    best = server.ask("text_classification", {"text": TEXT, "model": STARTER}, version="v2/")[2][0]
    return best["label"], best["score"]


def ask_plain(server: Server) -> tuple[str, float]:
    """Ask the endpoint that `gr.Interface` makes."""
    best = server.ask("predict", {"data": [TEXT]})[0]
    return best["label"], best["score"]


def first_answer(command: Sequence[str], ask: Callable[[Server], tuple[str, float]]) -> FirstAnswer:
    """Start a server cold and ask it once, as soon as it serves its first page."""
    with serving(command) as server:
        label, score = ask(server)
        seconds = time.perf_counter() - server.started
        return FirstAnswer(seconds, server.cpu_seconds(), server.first_page_seconds, label, score)


def measure(runs: int) -> Outcome:
    """Start and ask both in turns, `runs` times each after one untimed round."""
    with tempfile.TemporaryDirectory() as folder:
        plain_model = save_plain_apart(Path(folder) / "model")
        script = Path(folder) / "cheat_sheet.py"
        script.write_text(CHEAT_SHEET.format(model=str(plain_model)), encoding="utf-8")

        def ours() -> FirstAnswer:
            return first_answer(("app.py", "--port", "{port}", "--home", f"{folder}/atelier"), ask_ours)

        def plain() -> FirstAnswer:
            return first_answer((str(script),), ask_plain)

        ours(), plain()
        return outcome(*alternate(runs, ours, plain), {"runs": runs})


def outcome(ours: Sequence[FirstAnswer], plain: Sequence[FirstAnswer], sizes: dict[str, int]) -> Outcome:
    """Compare the medians, and every answer with every other."""

    def median(name: str) -> tuple[float, float]:
        return tuple(statistics.median(getattr(one, name) for one in side) for side in (ours, plain))

    answers = (*ours, *plain)
    scores = [one.score for one in answers]
    apart = max(scores) - min(scores)
    labels = {one.label for one in answers}
    return Outcome(
        "first_answer",
        "the first answer of a cold start comes in at most 0.9 x the time of the cheat sheet's app",
        (
            Measure("start to first answer", "s", *median("seconds"), target=0.9),
            Measure("CPU until then", "s", *median("cpu_seconds")),
            Measure("of it to the first page", "s", *median("page_seconds")),
        ),
        len(labels) == 1 and apart <= TOLERANCE,
        f"label {' / '.join(sorted(labels))}, scores apart by {apart:.1e} (allowed {TOLERANCE})",
        sizes,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given = arguments("first_answer", __doc__, runs=5).parse_args(argv)
    return report(measure(given.runs), given.json)


if __name__ == "__main__":
    sys.exit(main())
