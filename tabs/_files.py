"""Hand a file to the browser: Gradio serves only what lies in its own folder."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from core.atelier import Atelier


def offer(atelier: Atelier, path: Path) -> str:
    """Copy a result beside Gradio's files, in a folder nobody can guess; returns the copy's path."""
    folder = atelier.settings.uploads_folder / "results" / uuid.uuid4().hex
    folder.mkdir(parents=True)
    return str(shutil.copy(path, folder / path.name))
