"""The running average of a model's weights on disk: part of each checkpoint, and the best one beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, TrainerControl, TrainerState, TrainingArguments

from recipes._train import WeightAverage

AVERAGE = "average.safetensors"


class KeptAverage(WeightAverage):
    """WeightAverage that a resumed run goes on with, and that can stand in for the model."""

    def on_save(self, args: TrainingArguments, state: TrainerState, _: TrainerControl, **__: object) -> None:
        """Write the average into the checkpoint that was just written."""
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self._write(checkpoint / AVERAGE, {"steps": str(self._steps)})

    def resume(self, checkpoint: Path) -> None:
        """Go on with a checkpoint's average."""
        self._means = load_file(checkpoint / AVERAGE)
        self._steps = int(_metadata(checkpoint / AVERAGE)["steps"])

    @contextmanager
    def standing_in(self, model: PreTrainedModel) -> Iterator[None]:
        """Put the average in the model's place, and the model's own weights back afterwards."""
        own = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        _copy(self._means, model)
        try:
            yield
        finally:
            _copy(own, model)

    def keep_if_best(self, path: Path, loss: float, step: int) -> bool:
        """Write the average unless the one on disk has a lower loss, and tell whether it was written."""
        is_best = not path.exists() or loss < float(_metadata(path)["loss"])
        if is_best:
            self._write(path, {"loss": str(loss), "step": str(step)})
        return is_best

    def restore_best(self, model: PreTrainedModel, path: Path) -> tuple[float, int]:
        """Put the best average into the model, and return its loss and its step."""
        _copy(load_file(path), model)
        facts = _metadata(path)
        return float(facts["loss"]), int(facts["step"])

    def _write(self, path: Path, metadata: dict[str, str]) -> None:
        unfinished = path.with_suffix(".part")
        save_file(self._means, unfinished, metadata)
        unfinished.replace(path)


@torch.no_grad()
def _copy(weights: dict[str, torch.Tensor], model: PreTrainedModel) -> None:
    for name, parameter in model.named_parameters():
        if name in weights:
            parameter.copy_(weights[name])


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata()
