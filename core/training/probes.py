"""What a model is asked to tell whether it is still the same: a few texts, one at a time, and its own outputs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Answers = Sequence["torch.Tensor"]
"""One tensor of outputs (float32, on the CPU) for each probe."""

TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "Who wrote it, and when? Nobody in Paris knew.",
    "這部電影很好看,但結尾太長了。",
    "오늘은 날씨가 좋습니다.",
    "x = [n ** 2 for n in range(10)]",
)
OWN_TEXTS = 3
"""Texts of the run's own held-out rows that are asked, too."""
MOST_CHARACTERS, MOST_TOKENS = 400, 64
DECODED = 8
"""Tokens that the writing half of an encoder-decoder is given."""


def probe_texts(folder: Path) -> list[str]:
    """Return the texts that are asked: some that are always the same, and a few that the run has held out."""
    return [*_own(folder / "data" / "rows" / "validation.jsonl"), *TEXTS]


def ask(model: Any, tokenizer: Any, texts: Sequence[str]) -> list[torch.Tensor]:
    """Return a model's outputs for each text: logits, or where there is no head its last hidden states."""
    import torch

    with torch.inference_mode():
        return [_outputs(model(**_inputs(model, tokenizer, text))) for text in texts]


def largest(tensors: Iterable[torch.Tensor]) -> float:
    """Return the largest absolute value; NaN where there is one, infinity for shapes that do not match."""
    import torch

    found = [one.abs().max() for one in tensors if one.numel()]
    return float(torch.stack(found).max()) if found else 0.0


def _inputs(model: Any, tokenizer: Any, text: str) -> dict[str, torch.Tensor]:
    inputs = dict(tokenizer(text, return_tensors="pt", truncation=True, max_length=MOST_TOKENS))
    config = model.config
    if getattr(config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = inputs["input_ids"][:, :DECODED]
        inputs.pop("token_type_ids", None)
    if getattr(config, "model_type", "") == "llama":
        inputs.pop("token_type_ids", None)
    return inputs


def _outputs(output: Any) -> torch.Tensor:
    """Join what a head gives: QA has two, others one."""
    import torch

    names = ("start_logits", "end_logits") if "start_logits" in output else ("logits",)
    found = [output[name] for name in names if name in output] or [output[0]]
    return torch.cat([one.float().flatten() for one in found])


def _own(file: Path) -> list[str]:
    """Return the longest text of each of the first held-out rows."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()[:OWN_TEXTS]
        rows = [json.loads(line) for line in lines]
    except (OSError, ValueError):
        return []
    texts = [max((one for one in row.values() if isinstance(one, str)), key=len, default="") for row in rows]
    return [text[:MOST_CHARACTERS] for text in texts if text.strip()]
