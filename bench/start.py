"""Claim: the page is there no later than a plain Gradio hello-world, with at most a fifth more memory while idle.

Measures from the start of the process to the first HTTP 200 of `python app.py`, and the resident memory of the process
and its children a few seconds later, beside a hello-world `gr.Blocks` launched as Gradio's guide does it. Both run on
the same Python, in turns, after one round that fills the disk cache and Python's bytecode; medians are compared.
Targets: at most 1.0 x the time, at most 1.2 x the memory.

On a quiet machine: `python -m bench.start`; a quick look: `python -m bench.start --runs 1 --idle-seconds 2`.
Where other work keeps the cores busy, read the CPU seconds rather than the wall clock.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench._measure import Measure, Outcome, alternate, arguments, report
from bench._server import serving

HELLO = """
import gradio as gr

def greet(name):
    return f"Hello {name}!"

with gr.Blocks() as demo:
    name = gr.Textbox(label="Name")
    output = gr.Textbox(label="Output Box")
    gr.Button("Greet").click(fn=greet, inputs=name, outputs=output, api_name="greet")

demo.launch()
"""


@dataclass(frozen=True)
class Start:
    """One cold start: seconds on the clock, seconds of CPU, bytes held while idle, and whether a page came."""

    seconds: float
    cpu_seconds: float
    idle_bytes: int
    is_page: bool


def start(command: Sequence[str], idle_seconds: float) -> Start:
    """Start a server cold, wait `idle_seconds` after its first page, and weigh it."""
    with serving(command) as server:
        time.sleep(idle_seconds)
        is_page = "gradio_config" in server.page
        return Start(server.first_page_seconds, server.first_page_cpu_seconds, server.resident_bytes(), is_page)


def measure(runs: int, idle_seconds: int) -> Outcome:
    """Start both in turns, `runs` times each after one untimed round."""
    with tempfile.TemporaryDirectory() as folder:
        hello = Path(folder) / "hello.py"
        hello.write_text(HELLO, encoding="utf-8")
        commands = (("app.py", "--port", "{port}", "--home", f"{folder}/atelier"), (str(hello),))
        for command in commands:
            start(command, 0)
        ours, plain = alternate(
            runs, lambda: start(commands[0], idle_seconds), lambda: start(commands[1], idle_seconds)
        )
    return outcome(ours, plain, {"runs": runs, "idle_seconds": idle_seconds})


def outcome(ours: Sequence[Start], plain: Sequence[Start], sizes: dict[str, int]) -> Outcome:
    """Compare the medians."""

    def median(name: str, unit: float = 1.0) -> tuple[float, float]:
        return tuple(statistics.median(getattr(one, name) / unit for one in side) for side in (ours, plain))

    equal = all(one.is_page for one in (*ours, *plain))
    return Outcome(
        "start",
        "the page is there no later than a plain Gradio hello-world, with at most a fifth more memory",
        (
            Measure("start to first HTTP 200", "s", *median("seconds"), target=1.0),
            Measure("CPU until then", "s", *median("cpu_seconds")),
            Measure("resident memory while idle", "MB", *median("idle_bytes", 1e6), target=1.2),
        ),
        equal,
        f"each of {len(ours) + len(plain)} starts served a Gradio page" if equal else "a start served no Gradio page",
        sizes,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit status."""
    given: argparse.Namespace = arguments("start", __doc__, runs=5, idle_seconds=5).parse_args(argv)
    return report(measure(given.runs, given.idle_seconds), given.json)


if __name__ == "__main__":
    sys.exit(main())
