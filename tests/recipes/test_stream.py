"""Packing text for training and scoring it in windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from recipes._stream import Blocks, bits_per_byte, nats, nats_per_token, reading_order, windows


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    """Give a very small Llama with random weights."""
    torch.manual_seed(20)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=50, max_position_embeddings=64, **shape)).eval()


def test_blocks_hold_the_stream_without_padding() -> None:
    """Blocks in order are the stream, less a remainder, and each block is its own labels."""
    blocks = Blocks(np.arange(23, dtype=np.uint16), 5)
    assert torch.cat([blocks[i]["input_ids"] for i in range(len(blocks))]).tolist() == list(range(20))
    assert all(torch.equal(blocks[i]["input_ids"], blocks[i]["labels"]) for i in range(len(blocks)))


def test_every_pass_has_every_row_in_an_order_of_its_own() -> None:
    """Two passes over ten rows give each row twice, in different orders."""
    rows = [np.array([number]) for number in range(10)]
    read = [int(row[0]) for row in reading_order([(rows,), (rows[:4], rows[4:])], np.random.default_rng(3))]
    assert sorted(read[:10]) == sorted(read[10:]) == list(range(10))
    assert read[:10] != read[10:]


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 12, 13, 40])
def test_each_token_but_the_first_is_scored_once(size: int) -> None:
    """Windows of eight score each token of a row once, behind at least four others where there are so many."""
    row = np.arange(size)
    found = windows([row], 8)
    scored = [token for piece in found for token in piece.tokens[piece.scored_from :]]
    assert scored == list(range(1, size))
    assert all(len(piece.tokens) <= 8 for piece in found)
    assert all(piece.scored_from >= 4 for piece in found[1:])


def test_nats_are_the_loss_of_the_plain_library(model: LlamaForCausalLM) -> None:
    """Rows of different lengths, scored together, cost what the model's own loss says of each alone."""
    rows = [np.random.default_rng(size).integers(0, 50, size) for size in (9, 30, 17)]
    costs = nats(model, windows(rows, 32), batch_size=3)
    for row, cost in zip(rows, costs, strict=True):
        tokens = torch.tensor(row)[None]
        with torch.inference_mode():
            expected = model(input_ids=tokens, labels=tokens).loss
        assert cost.mean() == pytest.approx(float(expected), rel=1e-5)


def test_bits_per_byte_count_bytes_and_not_tokens() -> None:
    """Eight bits in two tokens of four bytes are two bits a byte."""
    table = np.array([[4 * np.log(2), 1, 2], [4 * np.log(2), 1, 2]])
    assert bits_per_byte(table) == pytest.approx(2)
    assert nats_per_token(table) == pytest.approx(4 * np.log(2))
