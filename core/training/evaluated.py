"""Evaluations of a finished run, kept beside it: its model card tells of them when it is taken along.

runs/<job>/evaluations/<evaluation's job>.json   what evaluation.json held, without charts and settings
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.jobs.files import written_whole

FOLDER = "evaluations"
KEPT = ("job", "created", "task", "seed", "data", "code_version", "comparisons")


def keep_evaluation(told: Mapping[str, Any], run_folder: Path) -> None:
    """Write down in a run's folder what an evaluation of it found; raises OSError."""
    models = [{name: one[name] for name in ("name", "n", "metrics")} for one in told["models"]]
    folder = run_folder / FOLDER
    folder.mkdir(exist_ok=True)
    kept = {**{name: told.get(name) for name in KEPT}, "models": models}
    with written_whole(folder / f"{told['job']}.json") as draft:
        draft.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def kept_evaluations(run_folder: Path) -> list[dict[str, Any]]:
    """Return the evaluations of a run, the oldest first; one that cannot be read is left out."""
    found = [one for file in (run_folder / FOLDER).glob("[!.]*.json") if (one := _read(file)) is not None]
    return sorted(found, key=lambda one: float(one.get("created") or 0))


def newest_change(run_folder: Path) -> float:
    """Return when an evaluation was kept last, in seconds since 1970; 0 where none was."""
    return max((file.stat().st_mtime for file in (run_folder / FOLDER).glob("[!.]*.json")), default=0.0)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return held if isinstance(held, dict) and isinstance(held.get("models"), list) else None


def values_of(model: Mapping[str, Any]) -> Sequence[tuple[str, str, Mapping[str, Any]]]:
    """Return (metric, key, value with its interval) for each number of a model."""
    return [(metric["name"], one["key"], one) for metric in model["metrics"] for one in metric["values"]]
