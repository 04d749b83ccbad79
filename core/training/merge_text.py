"""Merging a model of transformers: its three answers, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.models.loading import config_of
from core.models.weights import load_weights
from core.training.probes import Answers, ask

if TYPE_CHECKING:
    from core.models.loading import LoadedModel


@dataclass(frozen=True)
class TextMerge:
    """One run, of which `model` is the merged form in memory."""

    model: LoadedModel

    def apart(self, texts: Sequence[str]) -> tuple[Answers, Answers]:
        """Return the answers of the base, and of base + adapter; the second copy is gone afterwards."""
        spec, files, tokenizer = self.model.spec, self.model.files, self.model.tokenizer
        adapted, _ = load_weights(spec, files, self.model.placement, config_of(files), merge_last=False)
        adapted.eval()
        with adapted.disable_adapter():
            base = ask(adapted, tokenizer, texts)
        return base, ask(adapted, tokenizer, texts)

    def save(self, folder: Path) -> None:
        """Write the merged model with its tokenizer."""
        self.model.model.save_pretrained(folder)
        self.model.tokenizer.save_pretrained(folder)

    def saved(self, folder: Path, texts: Sequence[str]) -> Answers:
        """Return the answers of what was written, as plain transformers loads it."""
        import torch
        import transformers

        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = type(self.model.model).from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        return ask(model.eval(), tokenizer, texts)
