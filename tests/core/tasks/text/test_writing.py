"""What a text that is being written is told as: by its newest tokens, whole characters only."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from core.compute.decoding import Token
from core.tasks.text.writing import Teller
from tests.fakes.models import tiny_llama

TEXT = "Once upon a time 很久以前 👩‍👩‍👧 é ﷽ ok"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a model whose tokens are bytes: most characters of TEXT fill several."""
    return tiny_llama(tmp_path_factory.mktemp("model") / "llama")


def test_it_grows_by_whole_characters(folder: Path) -> None:
    """Each telling begins with the one before, none shows half a character, and the last is the text."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    told: list[str] = []
    teller = Teller(tokenizer, 1, lambda texts: told.append(texts[0]))
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    for id_ in ids:
        teller([Token(id_, 1.0)])
    assert len(told) == len(ids) > len(TEXT)
    assert all(later.startswith(earlier) for earlier, later in pairwise(told))
    assert told[-1] == TEXT
    assert not any("\ufffd" in one for one in told)


def test_an_ended_row_stays_as_it_is(folder: Path) -> None:
    """Rows grow apart, and special tokens write nothing."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    told: list[list[str]] = []
    teller = Teller(tokenizer, 2, lambda texts: told.append(list(texts)))
    a, b = tokenizer("ab", add_special_tokens=False)["input_ids"]
    teller([Token(a, 1.0), Token(b, 1.0)])
    teller([Token(tokenizer.eos_token_id, 1.0), Token(b, 1.0)])
    teller([None, Token(a, 1.0)])
    assert told == [["a", "b"], ["a", "bb"], ["a", "bba"]]
