"""A run to take along: its adapter (or its model) with tokenizer, record and card in one zip."""

from __future__ import annotations

import json
import os
import uuid
import zipfile
from dataclasses import asdict
from pathlib import Path

from core.errors import DiskFull
from core.events import CancelToken
from core.jobs.work import disk_is_full
from core.models.run_files import require_whole
from core.runs import RUN_FILE, Run
from core.training.card import adapter_card
from core.training.record import read_run

LEFT_OUT = ("samples",)
"""Folders of a result that are no part of the model."""
CARD = "README.md"
DESCRIBED = ("adapter_config.json", "config.json", "tokenizer_config.json")
"""Files in which libraries note where something was loaded from."""


def export_run(run: Run, folder: Path, cancel: CancelToken | None = None) -> Path:
    """Write <name>.zip into `folder` and return it: what plain peft, transformers or diffusers load, unpacked.

    Paths of this machine stay here. Raises NotAModel for a run that is not whole, DiskFull, OSError and Cancelled.
    """
    require_whole(run)
    cancel = cancel or CancelToken()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{_file_name(run)}.zip"
    draft = folder / f".{uuid.uuid4().hex}.zip"
    try:
        _pack(run, draft, cancel)
        draft.replace(target)
    except OSError as problem:
        if disk_is_full(problem):
            raise DiskFull("error.job_disk_full") from problem
        raise
    finally:
        draft.unlink(missing_ok=True)
    return target


def _pack(run: Run, draft: Path, cancel: CancelToken) -> None:
    """Weights are stored as they are: numbers hardly get smaller."""
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr(CARD, adapter_card(run, read_run(run.result)))
        packed.writestr(RUN_FILE, _record_to_share(run))
        for path in sorted(run.result.rglob("*")):
            cancel.check()
            inside = path.relative_to(run.result)
            if inside.as_posix() in DESCRIBED:
                packed.writestr(inside.as_posix(), _described(path))
            elif path.is_file() and inside.parts[0] not in (*LEFT_OUT, CARD, RUN_FILE):
                packed.write(path, inside.as_posix())


def _described(file: Path) -> str:
    held = json.loads(file.read_text(encoding="utf-8"))
    return json.dumps({name: _without_folder(value) for name, value in held.items()}, ensure_ascii=False, indent=2)


def _record_to_share(run: Run) -> str:
    """Return run.json with files by their names alone."""
    told = asdict(read_run(run.result))
    settings = {name: _without_folder(value) for name, value in told["settings"].items()}
    base = {name: _without_folder(value) for name, value in told["base"].items()}
    labels = {name: [_without_folder(one) for one in told["base"][name]] for name in ("adapters", "lineage")}
    return json.dumps({**told, "settings": settings, "base": {**base, **labels}}, ensure_ascii=False, indent=1) + "\n"


def _without_folder(value: object) -> object:
    return Path(value).name if isinstance(value, str) and os.path.isabs(value) else value  # noqa: PTH117 any text


def _file_name(run: Run) -> str:
    name = run.name.removeprefix("run/")
    kept = "".join(one if one.isalnum() or one in "._-" else "-" for one in name).strip(".-")
    return kept or run.id
