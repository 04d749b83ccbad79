"""What prepared tokens were made from, as one hash: the same key, the same tokens."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from core.training.data.rules import ModelReader
from core.training.data.samples import is_sample, sample_file
from core.training.settings import TrainSettings
from core.training.tasks import PROMPTS

ENCODING = 1
"""Raised whenever the same rows become other tokens."""
DECIDING = (
    *("task", "kind", "dataset", "dataset_config", "dataset_split", "columns", "validation_split"),
    *("validation_fraction", "max_samples", "max_length", "max_target_length", "source_prefix", "source_language"),
    *("target_language", "doc_stride", "assistant_only_loss", "mlm_probability", "packing", "seed"),
)
"""The settings that change the tokens, beside the files themselves."""


def key_of(settings: TrainSettings, reader: ModelReader) -> str:
    """Return the hash of files, settings, tokenizer and versions."""
    import transformers

    wishes = dataclasses.asdict(settings)
    parts: dict[str, Any] = {
        "encoding": ENCODING,
        "transformers": transformers.__version__,
        "settings": {name: wishes[name] for name in DECIDING},
        "prompts": settings.method in PROMPTS,
        "files": [_digest(file) for file in _files(settings)],
        "tokenizer": _tokenizer(reader.tokenizer),
        "longest": reader.longest,
        "labels": reader.labels,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _files(settings: TrainSettings) -> list[Path]:
    named = [Path(one) for one in (settings.file.strip(), settings.validation_file.strip()) if one]
    sample = settings.dataset.strip()
    return [*named, sample_file(sample)] if is_sample(sample) else named


def _digest(file: Path) -> str:
    if not file.is_file():
        return "gone"
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _tokenizer(tokenizer: Any) -> str:
    """Return the hash of what a tokenizer does: its own file where it has one, else its vocabulary."""
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()  # how the last call cut and padded is written down with it
        tokenizer.backend_tokenizer.no_padding()
        does = tokenizer.backend_tokenizer.to_str()
    else:
        does = json.dumps(tokenizer.get_vocab(), sort_keys=True)
    beside = [tokenizer.chat_template, tokenizer.special_tokens_map, tokenizer.padding_side, type(tokenizer).__name__]
    return hashlib.sha256(f"{does}{json.dumps(beside, sort_keys=True, default=str)}".encode()).hexdigest()
