"""Hand a file to the browser: Gradio serves only what lies in its own folder."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path

from core.atelier import Atelier
from core.jobs.files import written_whole

KEEP_SECONDS = 86_400
"""Copies live as long as Gradio's own files; the originals stay with their job."""


def offer(atelier: Atelier, path: Path, name: str = "") -> str:
    """Copy a job's result beside Gradio's files, once a version, under its own name or `name`; returns the copy's path.

    The copy's folder is as hard to guess as the job's id, which its name is made of.
    """
    name = name or path.name
    results = atelier.settings.uploads_folder / "results"
    folder = results / hashlib.sha256(f"{path}:{path.stat().st_mtime_ns}".encode()).hexdigest()
    if not (folder / name).exists():
        _sweep(results)
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(folder / name) as draft:
            shutil.copyfile(path, draft)
    return str(folder / name)


def _sweep(results: Path) -> None:
    """Remove copies that were made more than a day ago; whoever asks again gets a new one."""
    oldest = time.time() - KEEP_SECONDS
    for folder in results.glob("*"):
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
