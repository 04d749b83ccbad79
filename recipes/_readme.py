"""Writes README's table of starters from each one's metrics.json: `python -m recipes._readme`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

from bench._readme import README, markdown_table, with_table

STARTERS = README.parent / "assets" / "starters"
SHOWN = 3
"""Measurements shown of a starter without headlines; its card has them all."""
LONGEST_NOTE = 60
HEADLINES: Mapping[str, Sequence[str]] = {
    "embeddings": ("150 intents", "10 domains by similarity", "most central sentence"),
    "entities": ("strict spans",),
    "nli": ("", "10 domains", "paragraph openings", "film reviews"),
    "stories": ("150 stories", "running text"),
    "sentiment": ("", "detokenised", "comments"),
}
"""The measurements to show of a starter, by how their notes begin; an empty one stands for no note."""


def main() -> None:
    """Replace what stands between the markers."""
    README.write_text(with_starters(README.read_text(encoding="utf-8")), encoding="utf-8")


def with_starters(text: str) -> str:
    """Return README with the table of starters as they were measured last."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(STARTERS.glob("*/metrics.json"))]
    rows = [(f"[`starter/{one['starter']}`](assets/starters/{one['starter']}/README.md)", scores(one)) for one in found]
    return with_table("starters", markdown_table(("starter", "measured (95 % interval)"), rows), text)


def scores(metrics: Mapping[str, Any]) -> str:
    """Return a starter's headlines, or else its first measurements, each with the beginning of its note."""
    measured, name = metrics["measurements"], metrics["starter"]
    headlines = [_headline(measured, begin, name) for begin in HEADLINES.get(name, ())]
    return "; ".join(_score(one) for one in headlines or measured[:SHOWN])


def _headline(measured: Sequence[Mapping[str, Any]], begin: str, name: str) -> Mapping[str, Any]:
    found = [one for one in measured if (one["note"].startswith(begin) if begin else not one["note"])]
    if not found:
        raise SystemExit(f"HEADLINES names a measurement of {name} whose note begins with {begin!r}; there is none.")
    return found[0]


def _score(one: Mapping[str, Any]) -> str:
    low, high = one["ci95"]
    # What follows a colon or semicolon lists labels, or how exactly it was computed.
    note = shorten(re.split("[:;]", one["note"])[0], LONGEST_NOTE, placeholder=" …").replace("|", "&#124;")
    where = f"{one['dataset']} {one['split']}" + (f" ({note})" if note else "")
    return f"{one['name']} **{one['value']:.3f}** ({low:.3f}–{high:.3f}) on {where}"


if __name__ == "__main__":
    main()
