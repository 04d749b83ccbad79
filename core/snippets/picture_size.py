"""The size that a model draws at, where its picture was made as large as the upload afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from core.imaging.sizes import Size, size_for
from core.snippets.origin import Place, file_of

USUAL_LATENTS: Mapping[str, int] = {"Flux": 128}
"""Latents a side, for families whose pipelines know them and whose networks' files do not."""


def drawn_at(place: Place, shape: Size) -> Size:
    """Return the model's size for a picture of this shape, as its files tell; the shape itself if they are gone."""
    network = next((name for name in ("unet", "transformer") if file_of(place, f"{name}/config.json")), None)
    vae = _read(place, "vae/config.json")
    if network is None or not vae:
        return shape
    family = str(_read(place, "model_index.json").get("_class_name", ""))
    stand_in = SimpleNamespace(
        vae_scale_factor=2 ** (len(vae.get("block_out_channels", ())) - 1),
        default_sample_size=next((side for name, side in USUAL_LATENTS.items() if family.startswith(name)), None),
        **{network: SimpleNamespace(config=SimpleNamespace(**_read(place, f"{network}/config.json")))},
    )
    return size_for(stand_in, 0, 0, shape)


def _read(place: Place, name: str) -> dict[str, Any]:
    file = file_of(place, name)
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file else {}
    return found
