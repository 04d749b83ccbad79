"""The process that trains: `python -m core.training.worker FOLDER`, or several of it by `accelerate launch`.

It reads settings.json in the folder and nothing else, writes all it does there, and outlives the server.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.jobs.child import REFUSED, carry_here

QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",  # batches are made in this process; forked loaders would complain
    "WANDB_SILENT": "true",
}
LEAN = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128"}
"""Batches of texts have hundreds of shapes, each with kernels of its own: of oneDNN's 1,024, most are never used again,
and take some 100 MB. A picture's UNet has one shape, and more kernels than these."""


def main(arguments: Sequence[str]) -> int:
    """Train the run in the folder that is named; the exit code is that of its job (core/jobs/child.py)."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)  # noqa: T201 to whoever typed it
        return REFUSED
    folder = Path(arguments[0])
    prepare_environment(folder)
    from core.training.run import train_here

    return carry_here(folder, train_here)


def prepare_environment(folder: Path) -> None:
    """Set what libraries read when they are imported: no telemetry, few kernels kept, one GPU for a single process."""
    held = _settings_in(folder)
    lean = {} if held.get("task") == "text-to-image" else LEAN
    for name, value in {**QUIET, **lean}.items():
        os.environ.setdefault(name, value)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        _show_one_gpu(str(held.get("device", "auto")))


def _show_one_gpu(device: str) -> None:
    """Hide all GPUs but the chosen one: Trainer would spread one process over all that it sees."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        return
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    numbers = seen.split(",") if seen else [str(number) for number in range(64)]
    _, _, chosen = device.partition(":")
    place = int(chosen) if chosen.isdecimal() else 0
    os.environ["CUDA_VISIBLE_DEVICES"] = numbers[place] if place < len(numbers) else ""


def _settings_in(folder: Path) -> dict[str, Any]:
    """Read the settings as they stand there, before anything heavy is imported; none where they make no sense."""
    try:
        held = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # the run itself says in words what is wrong with the file
    return held if isinstance(held, dict) else {}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
