"""Running text as blocks of tokens: packed without padding for training, and scored in overlapping windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

NATS_PER_BIT = float(np.log(2))
IGNORED = -100
"""The label of a position that is not scored."""


class Blocks(Dataset):
    """A stream of tokens cut into blocks of one length, the remainder left out; each block is its own labels."""

    def __init__(self, stream: np.ndarray, length: int) -> None:
        """Cut the stream, an array of token numbers."""
        self._blocks = stream[: len(stream) // length * length].reshape(-1, length)

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self._blocks)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Return one block as inputs and labels."""
        block = torch.from_numpy(self._blocks[index].astype(np.int64))
        return {"input_ids": block, "labels": block}


def token_rows(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[np.ndarray]:
    """Return each text as token numbers, with the end-of-text token before it."""
    return [np.array(row, dtype=np.uint16) for row in tokenizer(list(texts))["input_ids"]]


def reading_order(passes: Sequence[Sequence[list[np.ndarray]]], random: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield all rows of each pass in a new order; a pass is one or several lists of rows."""
    for lists in passes:
        rows = [row for several in lists for row in several]
        for index in random.permutation(len(rows)):
            yield rows[index]


@dataclass(frozen=True)
class Window:
    """A piece of a row that fits the model, and from which of its positions on it is scored."""

    row: int
    tokens: np.ndarray
    scored_from: int


def windows(rows: Sequence[np.ndarray], length: int) -> list[Window]:
    """Cut rows so that each token but the first is scored once, with at least half a window before it if there is."""
    found = []
    for number, row in enumerate(rows):
        start, scored_until = 0, 1
        while scored_until < len(row):
            piece = row[start : start + length]
            found.append(Window(number, piece, scored_until - start))
            scored_until = start + len(piece)
            start = scored_until - length // 2
    return found


def nats(model: PreTrainedModel, pieces: Sequence[Window], batch_size: int = 16) -> list[np.ndarray]:
    """Return for each window what each of its scored tokens costs in nats."""
    costs: list[np.ndarray] = [np.empty(0)] * len(pieces)
    order = sorted(range(len(pieces)), key=lambda index: len(pieces[index].tokens))
    for first in range(0, len(order), batch_size):
        batch = order[first : first + batch_size]
        tokens, labels = _padded([pieces[index] for index in batch])
        with torch.inference_mode():
            logits = model(input_ids=tokens).logits[:, :-1].float()
        lost = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), labels[:, 1:], ignore_index=IGNORED, reduction="none"
        )
        for index, row, label in zip(batch, lost, labels[:, 1:], strict=True):
            costs[index] = row[label != IGNORED].numpy()
    return costs


def _padded(pieces: Sequence[Window]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens and labels (windows, longest); what stands right of a token cannot change what it costs."""
    longest = max(len(piece.tokens) for piece in pieces)
    tokens = torch.zeros(len(pieces), longest, dtype=torch.long)
    labels = torch.full_like(tokens, IGNORED)
    for line, piece in enumerate(pieces):
        numbers = torch.from_numpy(piece.tokens.astype(np.int64))
        tokens[line, : len(numbers)] = numbers
        labels[line, piece.scored_from : len(numbers)] = numbers[piece.scored_from :]
    return tokens, labels


def bits_per_byte(table: np.ndarray) -> float:
    """Return the bits per byte of rows of (nats, tokens, bytes)."""
    total = table.sum(axis=0)
    return float(total[0] / NATS_PER_BIT / total[2])


def nats_per_token(table: np.ndarray) -> float:
    """Return the mean loss of rows of (nats, tokens, bytes)."""
    total = table.sum(axis=0)
    return float(total[0] / total[1])
