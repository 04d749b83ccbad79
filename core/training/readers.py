"""What is to be known of a base before its weights are there: tokenizer, longest input, labels."""

from __future__ import annotations

from typing import Any

from core.models.files import ModelFiles
from core.models.loading import longest_input
from core.training.data.rules import ModelReader
from core.training.network import read_config


def model_reader(files: ModelFiles, tokenizer: Any) -> ModelReader:
    """Return how a base reads; raises NotAModel."""
    config = read_config(files)
    heads = [one for one in config.architectures or () if one.endswith("Classification")]
    labels = tuple(config.id2label[place] for place in sorted(config.id2label)) if heads else ()
    return ModelReader(tokenizer, longest_input(tokenizer, config), labels)
