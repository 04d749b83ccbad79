"""Bases for the tests of training: tiny models seen from outside."""

from __future__ import annotations

import json
from pathlib import Path

from core.catalogue import ModelSpec, Source
from core.models.files import folder_files
from core.placement.model_facts import facts_from_config
from core.training.base import Base


def base_in(folder: Path, parameters: int = 0) -> Base:
    """Return the base that lies in a folder."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    spec = ModelSpec(str(folder), Source.FOLDER, "feature-extraction")
    return Base(spec, folder.name, folder_files(folder).revision, facts_from_config(config, parameters), {"": config})
