"""AdaLoRA's ranks while it trains: importance is gathered at each step, and survives a checkpoint.

peft writes a rank pattern into the adapter's configuration as soon as there is one; from then on it saves smaller
matrices, which the running model cannot load again. So the pattern stands there only while peft needs it, checkpoints
hold the whole matrices, and the pattern returns for good when the training ends.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.training.callbacks import Moment

SCORES = "rank_scores.safetensors"
PATTERN = "rank_pattern.json"
_KINDS = ("ipt", "exp_avg_ipt", "exp_avg_unc")


class RankListener:
    """Gives peft's rank allocator its turn after each optimiser step."""

    def __init__(self, model: Any, resume_from: Path | None = None) -> None:
        """Allocate the ranks of `model` (a PeftModel with AdaLoRA), going on from a checkpoint's scores if any."""
        self._tuner = model.base_model
        self._config = model.peft_config["default"]
        self._pattern: Any = None
        if resume_from:
            self._restore(resume_from)

    def on_optimizer_step(self, now: Moment) -> None:
        """Score, and from time to time mask; gradients are still there."""
        self._config.rank_pattern = self._pattern
        self._tuner.update_and_allocate(now.state.global_step)
        self._pattern, self._config.rank_pattern = self._config.rank_pattern, None

    def on_save(self, now: Moment) -> None:
        """Write the scores into the checkpoint; comes before its mark."""
        if now.state.is_world_process_zero:
            self._write(Path(now.args.output_dir) / f"checkpoint-{now.state.global_step}")

    def on_train_end(self, now: Moment) -> None:
        """Leave the pattern of the weights that stay, so that the finished adapter is as small as it can be."""
        best = now.state.best_model_checkpoint if now.args.load_best_model_at_end else None
        self._config.rank_pattern = _read_pattern(Path(best)) if best else self._pattern

    def _write(self, checkpoint: Path) -> None:
        from safetensors.torch import save_file

        held = {f"{kind}/{name}": one.contiguous() for kind in _KINDS for name, one in self._scores(kind).items()}
        save_file(held, checkpoint / SCORES)
        (checkpoint / PATTERN).write_text(json.dumps(self._pattern), encoding="utf-8")

    def _restore(self, checkpoint: Path) -> None:
        from safetensors.torch import load_file

        for key, tensor in load_file(checkpoint / SCORES).items():
            kind, _, name = key.partition("/")
            self._scores(kind)[name] = tensor
        self._pattern = _read_pattern(checkpoint)

    def _scores(self, kind: str) -> dict[str, Any]:
        scores: dict[str, Any] = getattr(self._tuner.rankallocator, kind)
        return scores


def _read_pattern(checkpoint: Path) -> Any:
    return json.loads((checkpoint / PATTERN).read_text(encoding="utf-8"))
