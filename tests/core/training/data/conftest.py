"""Tokenizers of the tiny models, and settings over rows that a test writes down."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.training.settings import TrainSettings
from tests.fakes.models import tiny_bert, tiny_chat, tiny_llama

Write = Callable[..., TrainSettings]


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tiny BERT."""
    return tiny_bert(tmp_path_factory.mktemp("bert") / "model")


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tiny Llama without chat template."""
    return tiny_llama(tmp_path_factory.mktemp("llama") / "model")


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tiny Llama that reads ChatML."""
    return tiny_chat(tmp_path_factory.mktemp("chat") / "model")


@pytest.fixture
def words(bert_folder: Path) -> Any:
    """Give a WordPiece tokenizer."""
    return _tokenizer(bert_folder)


@pytest.fixture
def bytewise(llama_folder: Path) -> Any:
    """Give a tokenizer whose tokens are bytes, without chat template."""
    return _tokenizer(llama_folder)


@pytest.fixture
def chatting(chat_folder: Path) -> Any:
    """Give a tokenizer whose tokens are bytes, with ChatML."""
    return _tokenizer(chat_folder)


@pytest.fixture
def over(tmp_path: Path) -> Write:
    """Give what writes rows into a file and returns settings that name it."""

    def write(task: str, rows: Sequence[dict[str, Any]], **options: Any) -> TrainSettings:
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        return TrainSettings(task=task, file=str(file), **options)

    return write
