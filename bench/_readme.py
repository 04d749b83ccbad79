"""Writes README's tables from what was measured: each starter's metrics.json, and the last results in bench/results.

python -m bench._readme
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "bench" / "results"
STARTERS = PROJECT / "assets" / "starters"
SHOWN = 3
"""Measurements of a starter that README shows; its card has them all."""


def main() -> None:
    """Replace what stands between the markers."""
    readme = PROJECT / "README.md"
    readme.write_text(with_tables(readme.read_text(encoding="utf-8")), encoding="utf-8")


def with_tables(text: str) -> str:
    """Return README with both tables as they are measured now."""
    return _between("bench", _benches(), _between("starters", _starters(), text))


def _between(name: str, table: str, text: str) -> str:
    return re.sub(
        rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)",
        lambda found: found[1] + table + found[2],
        text,
        flags=re.DOTALL,
    )


def _starters() -> str:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(STARTERS.glob("*/metrics.json"))]
    rows = [
        (f"[`starter/{one['starter']}`](assets/starters/{one['starter']}/README.md)", _scores(one)) for one in found
    ]
    return _table(("starter", "measured (95 % interval)"), rows)


def _scores(metrics: dict[str, Any]) -> str:
    return "; ".join(_score(one) for one in metrics["measurements"][:SHOWN])


def _score(one: dict[str, Any]) -> str:
    low, high = one["ci95"]
    return f"{one['name']} **{one['value']:.3f}** ({low:.3f}–{high:.3f}) on {one['dataset']} {one['split']}"


def _benches() -> str:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    rows = [
        (f"`bench.{one['name']}`", line["name"], *_figures(line), _target(line))
        for one in found
        for line in one["measures"]
    ]
    if not rows:
        return ""
    return _table(("command", "what", "ours", "plain", "compared", "target"), rows)


def _figures(line: dict[str, Any]) -> tuple[str, str, str]:
    unit = line["unit"]
    compared = {"ratio": f"{line['value']:.2f}×", "difference": f"{line['value']:+.2f} {unit}", "ours": "–"}
    return f"{line['ours']:.2f} {unit}", f"{line['plain']:.2f} {unit}", compared[line["compare"]]


def _target(line: dict[str, Any]) -> str:
    if line["target"] is None:
        return "–"
    sign = "≥" if line["at_least"] else "≤"
    return f"{sign} {line['target']:g}, {'met' if line['met'] else '**missed**'}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
