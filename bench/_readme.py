"""Writes README's table of benches from the last results in bench/results: `python -m bench._readme`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parent.parent / "README.md"
RESULTS = README.parent / "bench" / "results"


def main() -> None:
    """Replace what stands between the markers."""
    README.write_text(with_benches(README.read_text(encoding="utf-8")), encoding="utf-8")


def with_benches(text: str) -> str:
    """Return README with the table of benches as they were measured last."""
    return with_table("bench", _benches(), text)


def with_table(name: str, table: str, text: str) -> str:
    """Return the text with a table between the markers of this name."""
    return re.sub(
        rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)",
        lambda found: found[1] + table + found[2],
        text,
        flags=re.DOTALL,
    )


def _benches() -> str:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    rows = [
        (f"`bench.{one['name']}`", line["name"], *_figures(line), _target(line))
        for one in found
        for line in one["measures"]
    ]
    if not rows:
        return ""
    return markdown_table(("command", "what", "ours", "plain", "compared", "target"), rows)


def _figures(line: dict[str, Any]) -> tuple[str, str, str]:
    unit = line["unit"]
    compared = {"ratio": f"{line['value']:.2f}×", "difference": f"{line['value']:+.2f} {unit}", "ours": "–"}
    return f"{line['ours']:.2f} {unit}", f"{line['plain']:.2f} {unit}", compared[line["compare"]]


def _target(line: dict[str, Any]) -> str:
    if line["target"] is None:
        return "–"
    sign = "≥" if line["at_least"] else "≤"
    return f"{sign} {line['target']:g}, {'met' if line['met'] else '**missed**'}"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
