"""What the code of an encoder-decoder needs of its files, and the lines that let it write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from core.snippets.loading import Plan
from core.snippets.source import call

AT_ONCE = 32
"""Texts in one batch of the code that is shown."""
DECODED = "tokenizer.decode({row}, skip_special_tokens=True).strip()"


def stand_in(folder: Path) -> Any:
    """Return what stands for a model of transformers where only its settings are asked for: as transformers reads them.

    What loading would move from config.json to the generation settings is moved here, too.
    """
    from transformers import AutoConfig, GenerationConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if (folder / "generation_config.json").exists():
        own = GenerationConfig.from_pretrained(folder, local_files_only=True)
    else:
        own = GenerationConfig.from_model_config(config)
    return SimpleNamespace(config=config, generation_config=own)


def generated(texts: str, plan: Plan, arguments: Mapping[str, str], **options: str) -> list[str]:
    """Write how `texts` (source of a string or a list) become `ids`; `options` go to the tokenizer."""
    given = {"input_ids": "inputs.input_ids", "attention_mask": "inputs.attention_mask"}
    return [
        *(call("inputs = tokenizer", texts, **options, return_tensors='"pt"') + plan.to_device).split("\n"),
        "with torch.inference_mode():",
        *(f"    {line}" for line in call("ids = model.generate", **given, **arguments).split("\n")),
    ]


def indented(lines: list[str]) -> list[str]:
    """Return the lines one step further in."""
    return [f"    {line}" for line in lines]
