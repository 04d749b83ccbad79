"""Finds the base model on this machine and checks that it is the one the starters were made from."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from core.catalogue import STARTER_BASE
from core.models.folder import starter_base_folder, verify

BASE_ID = STARTER_BASE.hub_id
BASE_SHA256 = STARTER_BASE.sha256


@cache
def base_folder() -> Path:
    """Return the folder of the base, from its Python package or else from the Hub, once its weights' hash is right."""
    folder = starter_base_folder() or _from_hub()
    verify(folder / "model.safetensors", STARTER_BASE.sha256)
    return folder


def _from_hub() -> Path:
    from core.hub.client import Hub

    hub = Hub()
    return hub.download(hub.look_up(STARTER_BASE.hub_id))
