"""Trains a network step by step; killed, it goes on at its last checkpoint, and ends with the very same weights."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

CHECKPOINT = "checkpoint.pt"

Lesson = Callable[[torch.Generator], torch.Tensor]
"""Draws a batch by chance, from this generator alone, and returns its loss."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network learns."""

    steps: int
    batch_size: int
    learning_rate: float
    """At its highest: it rises over `warmup_steps`, and falls as a cosine."""
    warmup_steps: int = 100
    weight_decay: float = 0.01
    average_decay: float = 0.999
    """Of the running average of the weights, a step; the average is what a training ends with."""
    save_every: int = 200
    seed: int = 13

    def rate(self, step: int) -> float:
        """Return the learning rate of this step, counted from 0."""
        warm = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        return self.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / self.steps))

    def shortened(self, steps: int) -> Schedule:
        """Return a schedule of at most so many steps, for a try."""
        fewer = min(steps, self.steps)
        return replace(
            self,
            steps=fewer,
            warmup_steps=min(self.warmup_steps, fewer // 4),
            save_every=max(1, min(self.save_every, fewer // 2)),
        )


@dataclass(frozen=True)
class Learner:
    """A network and what teaches it; parameters of `slow` modules learn at a part of the rate."""

    network: nn.Module
    lesson: Lesson
    slow: tuple[nn.Module, ...] = ()
    slowness: float = 0.25

    @property
    def device(self) -> torch.device:
        """Where it learns."""
        return next(self.network.parameters()).device


class Training:
    """One training in its folder: everything that the next step needs is in the checkpoint."""

    def __init__(self, learner: Learner, schedule: Schedule, folder: Path) -> None:
        """Begin, or go on with what the folder holds."""
        self._learner, self._schedule, self._file = learner, schedule, folder / CHECKPOINT
        self._parameters = [one for one in learner.network.parameters() if one.requires_grad]
        self._optimizer = _optimizer(learner, schedule)
        self._average = [one.detach().clone() for one in self._parameters]
        self._step, self._seconds, self._losses = 0, 0.0, [0.0]
        if self._file.exists():
            self._restore(torch.load(self._file, map_location=learner.device, weights_only=True))

    def run(self) -> dict[str, Any]:
        """Take the steps that are left, put the average into the network, and return what there is to tell."""
        self._learner.network.train()
        name, resumed = self._file.parent.name, self._step
        while self._step < self._schedule.steps:
            started = time.monotonic()
            self._losses.append(self._take_step())
            self._seconds += time.monotonic() - started
            if self._step % self._schedule.save_every == 0 or self._step == self._schedule.steps:
                self._tell(name)
                self._save()
        with torch.no_grad():
            torch._foreach_copy_(self._parameters, self._average)
        self._learner.network.eval()
        return {
            "steps": self._step,
            "resumed_at": resumed,
            "seconds": round(self._seconds),
            "loss": round(self._losses[0], 5),
            "parameters": sum(one.numel() for one in self._parameters),
        }

    def _take_step(self) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.rate(self._step) * group["part"]
        generator = torch.Generator().manual_seed(self._schedule.seed * 1_000_003 + self._step)
        with torch.autocast(self._learner.device.type, torch.bfloat16):
            loss = self._learner.lesson(generator)
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._step += 1
        weight = 1 - min(self._schedule.average_decay, self._step / (self._step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self._average, self._parameters, weight)
        return loss.item()

    def _tell(self, name: str) -> None:
        self._losses = [sum(self._losses[1:]) / max(len(self._losses) - 1, 1)]
        each = self._seconds / self._step
        print(f"{name} step {self._step:,}: loss {self._losses[0]:.4f}, {each:.3f} seconds a step", flush=True)

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._file.with_suffix(".part")
        torch.save(
            {
                "weights": [one.detach() for one in self._parameters],
                "average": self._average,
                "optimizer": self._optimizer.state_dict(),
                "step": self._step,
                "seconds": self._seconds,
                "loss": self._losses[0],
            },
            unfinished,
        )
        unfinished.replace(self._file)

    @torch.no_grad()
    def _restore(self, saved: dict[str, Any]) -> None:
        torch._foreach_copy_(self._parameters, saved["weights"])
        self._average = list(saved["average"])
        self._optimizer.load_state_dict(saved["optimizer"])
        self._step, self._seconds, self._losses = saved["step"], saved["seconds"], [saved["loss"]]


def _optimizer(learner: Learner, schedule: Schedule) -> torch.optim.Optimizer:
    slow = {id(one) for module in learner.slow for one in module.parameters()}
    groups = ([], [])
    for one in learner.network.parameters():
        if one.requires_grad:
            groups[id(one) in slow].append(one)
    parts = zip(groups, (1.0, learner.slowness), strict=True)
    return torch.optim.AdamW(
        [{"params": group, "part": part} for group, part in parts if group],
        lr=schedule.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=schedule.weight_decay,
        fused=True,
    )


def best_device() -> torch.device:
    """Return the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def in_parts(rows: torch.Tensor, size: int = 64) -> Iterable[torch.Tensor]:
    """Return rows a part at a time, so that any number of them fits into memory."""
    return rows.split(size)
