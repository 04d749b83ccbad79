"""How long a training step takes here: measured once for each model, method and machine, then remembered."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import Cancelled
from core.events import CancelToken
from core.settings import PROJECT
from core.training.base import Base
from core.training.choices import MethodChoice
from core.training.memory import USUAL_LENGTH
from core.training.settings import TrainSettings

MODULE = "core.training.throwaway"
PATIENCE_SECONDS = 90.0
"""A measurement that takes longer is given up: a plan must not take longer than a coffee."""
LOOK_SECONDS = 0.1
MOST_WORK = {"cpu": 1e11, "mps": 4e12, "cuda": 4e13, "xpu": 4e13}
"""Multiplications of a measured pass; a heavier one is measured with fewer rows or tokens, and multiplied."""
PASSES_OF_A_TOKEN = 6
"""Multiplications and additions for each parameter and token, forth and back (Kaplan et al. 2020, section 2.1)."""
_RELEVANT = frozenset(field.name for field in dataclasses.fields(MethodChoice)) | {
    *("task", "method", "device", "precision", "gradient_checkpointing", "resolution")
}
"""Fields that change a step's time, beside the batch that is named in the request; others, as the epochs, do not."""


@dataclass(frozen=True)
class Measurement:
    """What a pass over one batch took."""

    seconds_per_pass: float
    """Forth and back, of the whole batch."""
    seconds_forth: float
    """Forth only, as an evaluation does."""
    peak_bytes: int
    scale: float = 1.0
    """How many times heavier the real pass is than the one that was measured; 1 = it was the very same."""
    cached: bool = False

    @property
    def bytes_told(self) -> int | None:
        """The most bytes held, where the measured pass was the real one."""
        return self.peak_bytes if self.scale == 1.0 else None


@dataclass(frozen=True)
class Order:
    """What is to be measured."""

    base: Base
    settings: TrainSettings
    """With every choice made."""
    labels: int
    parameters: int
    typical: int = 0
    """Tokens of an input on average; 0 = as many as the longest."""

    @property
    def tokens(self) -> int:
        """Tokens of a row; of a picture, latents a side."""
        shape = self.base.facts.picture
        if self.settings.known_task.kind == "diffusion":
            return (self.settings.resolution or shape.side * shape.factor) // shape.factor
        longest = self.settings.max_length or USUAL_LENGTH
        return min(self.typical, longest) if self.typical and self.settings.packing != "on" else longest


class Stopwatch:
    """Measures steps in a process of its own, and remembers them in a folder."""

    def __init__(self, folder: Path | None = None, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Keep where to remember (None = nowhere), and how long a measurement may take."""
        self._folder, self._patience = folder, patience_seconds

    def measure(self, order: Order, machine: str, cancel: CancelToken | None = None) -> Measurement | None:
        """Return what a pass takes on `machine` (its name, for the memory); None where it cannot be told.

        Raises Cancelled. Nobody is kept waiting for longer than the patience lasts.
        """
        request, scale = _request(order)
        key = _key(request, machine)
        known = self._remembered(key)
        found = known or _ask(request, cancel or CancelToken(), self._patience)
        if found is None:
            return None
        if known is None:
            self._remember(key, found)
        return Measurement(
            seconds_per_pass=found["seconds_per_pass"] * scale,
            seconds_forth=found["seconds_forth"] * scale,
            peak_bytes=int(found["peak_bytes"]),
            scale=scale,
            cached=known is not None,
        )

    def _remembered(self, key: str) -> dict[str, float] | None:
        if self._folder is None:
            return None
        try:
            found = json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and "seconds_per_pass" in found else None

    def _remember(self, key: str, answer: dict[str, float]) -> None:
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        written = self._folder / f"{key}.{os.getpid()}.part"
        written.write_text(json.dumps(answer), encoding="utf-8")
        written.replace(self._folder / f"{key}.json")


def _request(order: Order) -> tuple[dict[str, Any], float]:
    """Return what the process is told, and how much heavier the real pass is."""
    settings, tokens = order.settings, order.tokens
    rows = settings.per_device_train_batch_size
    diffusion = settings.known_task.kind == "diffusion"
    target = 0 if diffusion else settings.max_target_length or tokens
    work = PASSES_OF_A_TOKEN * order.parameters * rows * (tokens + target if target != tokens else tokens)
    most = MOST_WORK[settings.device.partition(":")[0]]
    fewer = rows if diffusion or work <= most else max(int(rows * most / work), 1)
    shorter = tokens
    if not diffusion and work * fewer / rows > most:
        shorter = max(int(tokens * most * rows / (work * fewer)), 8)
    request = {
        "settings": dataclasses.asdict(settings),
        "configurations": {name: dict(config) for name, config in order.base.configurations.items()},
        "name": order.base.name,
        "labels": order.labels,
        "rows": fewer,
        "tokens": shorter,
        "target_tokens": min(target, shorter) if target else 0,
    }
    return request, (rows / fewer) * (tokens / shorter)


def _key(request: Mapping[str, Any], machine: str) -> str:
    import importlib.metadata

    settings = {name: value for name, value in request["settings"].items() if name in _RELEVANT}
    versions = [importlib.metadata.version(name) for name in ("torch", "transformers", "peft")]
    text = json.dumps([{**request, "settings": settings}, machine, versions], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _ask(request: Mapping[str, Any], cancel: CancelToken, patience: float) -> dict[str, float] | None:
    """Run the measurement; None where it fails or takes too long: a plan without a time is still a plan."""
    command = [sys.executable, "-m", MODULE]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    environment.pop("HF_TOKEN", None)
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            said = _wait(process, json.dumps(request), cancel, time.monotonic() + patience)
        finally:
            process.kill()
    if process.returncode != 0 or not said.strip():
        return None
    found: dict[str, float] = json.loads(said.strip().splitlines()[-1])
    return found


def _wait(process: subprocess.Popen[str], request: str, cancel: CancelToken, over: float) -> str:
    """Return what the process says, or "" once patience is over; raises Cancelled."""
    given: str | None = request
    while time.monotonic() < over:
        if cancel.cancelled:
            raise Cancelled("error.cancelled")
        try:
            return process.communicate(given, timeout=LOOK_SECONDS)[0]
        except subprocess.TimeoutExpired:
            given = None
    return ""
