"""The process that trains: `python -m core.training.worker FOLDER`, or several of it by `accelerate launch`.

It reads settings.json in the folder and nothing else, writes all it does there, and outlives the server.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from core.jobs.child import REFUSED, carry_here

QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",  # batches are made in this process; forked loaders would complain
    "WANDB_SILENT": "true",
}


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
    """Set what libraries read when they are imported: no telemetry, no bars, and one GPU for a single process."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        _show_one_gpu(_device_in(folder))


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


def _device_in(folder: Path) -> str:
    """Read the device's name alone, before anything heavy is imported; "auto" where it is not said."""
    try:
        held = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "auto"  # the run itself says in words what is wrong with the file
    return str(held.get("device", "auto")) if isinstance(held, dict) else "auto"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
