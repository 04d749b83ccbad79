"""What all benches share: a measured line with its target, the table, the JSON, and the end of a run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

Comparison = Literal["ratio", "difference", "ours"]

LIBRARIES = ("torch", "transformers", "peft", "gradio", "tokenizers")


@dataclass(frozen=True)
class Measure:
    """One line: ours beside the plain library, in `unit`; `target` bounds their ratio, their difference, or ours.

    `plain` is None where ours stands alone.
    """

    name: str
    unit: str
    ours: float
    plain: float | None = None
    target: float | None = None
    compare: Comparison = "ratio"
    at_least: bool = False
    """True where more is better and the target is a lower bound."""

    @property
    def value(self) -> float:
        """What the target bounds."""
        if self.compare == "ours" or self.plain is None:
            return self.ours
        return self.ours / self.plain if self.compare == "ratio" else self.ours - self.plain

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None for a line that is only for information."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def as_dict(self) -> dict[str, Any]:
        """Return the line with its outcome, for the JSON file."""
        return {**asdict(self), "value": self.value, "met": self.met}


@dataclass(frozen=True)
class Outcome:
    """All that one bench found: its claim, its lines, and whether both sides gave the same outputs."""

    name: str
    claim: str
    measures: tuple[Measure, ...]
    equal: bool
    equality: str
    """What was compared, and how it went."""
    sizes: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return everything, and what it ran on, for the JSON file."""
        return {
            "name": self.name,
            "claim": self.claim,
            "measures": [measure.as_dict() for measure in self.measures],
            "equal": self.equal,
            "equality": self.equality,
            "sizes": dict(self.sizes),
            "machine": machine(),
        }


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, versions, and how busy the machine was at the end."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_1_minute": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table(outcome: Outcome) -> str:
    """Write the claim, one line a measure, and the check of the outputs."""
    rows = [("", "ours", "plain", "compared", "target", ""), *map(_row, outcome.measures)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    verdict = "equal outputs" if outcome.equal else "OUTPUTS DIFFER"
    return "\n".join([f"bench.{outcome.name}: {outcome.claim}", *lines, f"  {verdict}: {outcome.equality}"])


def _row(measure: Measure) -> tuple[str, ...]:
    sign = {"ratio": "x", "difference": f" {measure.unit} more", "ours": f" {measure.unit}"}[measure.compare]
    bound = "" if measure.target is None else f"{'≥' if measure.at_least else '≤'} {_short(measure.target)}{sign}"
    verdict = {None: "", True: "PASS", False: "MISS"}[measure.met]
    plain = "" if measure.compare == "ours" or measure.plain is None else _short(measure.plain)
    return (f"{measure.name} ({measure.unit})", _short(measure.ours), plain, f"{_short(measure.value)}{sign}",
            bound, verdict)  # fmt: skip


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))
    return f"  {row[0].ljust(widths[0])}  {'  '.join(numbers)}".rstrip()


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}" if abs(number) < 100 else f"{number:.1f}"


def arguments(name: str, description: str | None, **sizes: int) -> argparse.ArgumentParser:
    """Return the command line of a bench: `--json FILE`, and each size with its default."""
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{name}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    for size, default in sizes.items():
        parser.add_argument(f"--{size.replace('_', '-')}", type=_positive, default=default, metavar="N",
                            help=f"default {default}")  # fmt: skip
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def report(outcome: Outcome, json_file: Path | None) -> int:
    """Print the table, write the JSON, and return the exit status: 1 only where the outputs differ."""
    print(table(outcome))
    if json_file:
        json_file.write_text(json.dumps(outcome.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0 if outcome.equal else 1


def alternate(times: int, ours: Callable[[], Any], plain: Callable[[], Any]) -> tuple[list[Any], list[Any]]:
    """Call both `times` times in turn (ours first, then plain first), so that a busy moment hits both."""
    found: tuple[list[Any], list[Any]] = ([], [])
    for turn in range(times):
        sides = ((found[0], ours), (found[1], plain))
        for results, call in sides if turn % 2 == 0 else reversed(sides):
            results.append(call())
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found
