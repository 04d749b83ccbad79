"""A running average of the weights that learn: it draws more calmly than any single step's (diffusers' EMAModel)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from core.training.callbacks import Moment
from core.training.pictures.learner import trained_state

WEIGHTS, AVERAGE = "model.safetensors", "average.safetensors"
DECAY = 0.9999
"""At its highest; over the first steps it grows, as diffusers' own does."""


class Average:
    """Follows a learner, step by step."""

    def __init__(self, learner: Any) -> None:
        """Begin with the weights as they are."""
        from diffusers.training_utils import EMAModel

        self._learner = learner
        self._kept = EMAModel(self._parameters(), decay=DECAY)

    def on_step_end(self, _: Moment) -> None:
        """Take a step's weights in."""
        self._kept.step(self._parameters())

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the learner have the average until the block ends."""
        self._kept.store(self._parameters())
        self.put_in()
        try:
            yield
        finally:
            self._kept.restore(self._parameters())

    def put_in(self) -> None:
        """Let the learner have the average from now on."""
        self._kept.copy_to(self._parameters())

    def save(self, file: Path) -> None:
        """Write it as safetensors, with the number of steps that it has taken in."""
        from safetensors.torch import save_file

        names = trained_state(self._learner)
        held = {name: one.contiguous() for name, one in zip(names, self._kept.shadow_params, strict=True)}
        save_file(held, file, metadata={"steps": str(self._kept.optimization_step)})

    def load(self, file: Path) -> None:
        """Go on with what was saved."""
        import torch
        from safetensors import safe_open

        with safe_open(file, framework="pt") as found, torch.no_grad():
            for name, one in zip(trained_state(self._learner), self._kept.shadow_params, strict=True):
                one.copy_(found.get_tensor(name))
            self._kept.optimization_step = int(found.metadata()["steps"])

    def _parameters(self) -> list[Any]:
        return [one for one in self._learner.parameters() if one.requires_grad]


def averaging(kind: Any) -> Any:
    """Return a Trainer's class that keeps what learns in its checkpoints, and beside it an average if there is one.

    What is evaluated, and so what is best, is the average.
    """

    class Averaging(kind):  # type: ignore[misc]
        """Evaluates, saves and loads the average."""

        average: Average | None = None

        def averaged(self) -> Any:
            """Put the average into the networks until the block ends, where there is one."""
            return self.average.in_place() if self.average else nullcontext()

        def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
            with self.averaged():
                found: dict[str, float] = super().evaluate(*arguments, **options)
            return found

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            super()._save(output_dir, state_dict)
            if self.average and self.args.should_save:
                self.average.save(Path(output_dir or self.args.output_dir) / AVERAGE)

        def _load_from_checkpoint(self, resume_from_checkpoint: str, *_: Any) -> None:
            self._take_back(Path(resume_from_checkpoint))

        def _load_best_model(self) -> None:
            self._take_back(Path(self.state.best_model_checkpoint))

        def _take_back(self, folder: Path) -> None:
            from safetensors.torch import load_file

            self.model.load_state_dict(load_file(folder / WEIGHTS))
            if self.average:
                self.average.load(folder / AVERAGE)

    return Averaging
