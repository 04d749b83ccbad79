"""Writes README's table of benches from the last results in bench/results: `python -m bench._readme`."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parent.parent / "README.md"
BENCHES = README.parent / "bench"
RESULTS = BENCHES / "results"


def main() -> None:
    """Replace what stands between the markers, and say which results were left out."""
    for left_out in filter(None, map(refusal, _results())):
        print(f"Left out of README: {left_out}")
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


def _results() -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]


def _benches() -> str:
    rows = [
        (f"`bench.{one['name']}`", line["name"], *_figures(line), _target(line))
        for one in _results()
        if not refusal(one)
        for line in one["measures"]
    ]
    if not rows:
        return ""
    return markdown_table(("command", "what", "ours", "plain", "compared", "target"), rows)


def refusal(results: Mapping[str, Any]) -> str | None:
    """Return why results are left out: a line that their bench does not print, so another version measured them."""
    name = results["name"]
    known = printed_lines((BENCHES / f"{name}.py").read_text(encoding="utf-8"))
    unknown = [line["name"] for line in results["measures"] if not any(one.fullmatch(line["name"]) for one in known)]
    again = f"python -m bench.{name} --json bench/results/{name}.json"
    return f"bench/{name}.py does not print {', '.join(unknown)}. Measure again: {again}" if unknown else None


def printed_lines(source: str) -> list[re.Pattern[str]]:
    """Return what the first arguments of Measure(...) in a bench's source may read; values put in may be anything."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    names = [node.args[0] for node in calls if ast.unparse(node.func) == "Measure"]
    return [
        re.compile("".join(map(_pattern, one.values if isinstance(one, ast.JoinedStr) else [one]))) for one in names
    ]


def _pattern(part: ast.expr) -> str:
    return re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+"


def _figures(line: dict[str, Any]) -> tuple[str, str, str]:
    unit = line["unit"]
    compared = {"ratio": f"{line['value']:.2f}×", "difference": f"{line['value']:+.2f} {unit}", "ours": "–"}
    plain = "–" if line["plain"] is None else f"{line['plain']:.2f} {unit}".rstrip()
    return f"{line['ours']:.2f} {unit}".rstrip(), plain, compared[line["compare"]].rstrip()


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
