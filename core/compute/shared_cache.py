"""Texts that share a cache of keys and values, one below the other; shorter ones are padded on the left."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.machine.memory import ran_out

if TYPE_CHECKING:
    import torch

log = logging.getLogger("atelier")

PADDING = 256
"""Columns of padding that a text may get beside a longer one, or half its own length if that is more."""


@dataclass(eq=False)
class Group:
    """Texts that share a cache, one below the other; shorter ones are padded on the left."""

    writings: list[Any]
    """Each with as many rows as its `count` says, in this order."""
    cache: Any
    mask: torch.Tensor
    """(rows, length of the cache): 0 where there is padding."""


def most_columns(tokens: int) -> int:
    """Return how many columns of a cache a text of so many tokens may take, with the padding beside longer ones."""
    return tokens + max(PADDING, tokens // 2)


def joined(groups: Sequence[Group]) -> list[Group]:
    """Put groups of like length together, so that one forward pass serves them; where memory is short, none."""
    plain = sorted((group for group in groups if is_plain(group.cache)), key=lambda group: group.mask.shape[1])
    found = [group for group in groups if not is_plain(group.cache)]
    for place, group in enumerate(plain):
        if place and _alike(found[-1], group):
            found[-1:] = _merged([found[-1], group])
        else:
            found.append(group)
    return found


def _alike(short: Group, long: Group) -> bool:
    """Tell whether the shortest text of both would get no more padding than was promised for it."""
    shortest = int(min(short.mask.sum(1).min(), long.mask.sum(1).min()))
    return max(short.mask.shape[1], long.mask.shape[1]) <= most_columns(shortest)


def _merged(groups: Sequence[Group]) -> list[Group]:
    """Lay caches below each other, padded on the left to the longest; if that takes too much memory, leave them."""
    try:
        tables = [_laid_out([group.cache.layers[place] for group in groups]) for place in _layers(groups[0])]
    except (MemoryError, RuntimeError) as problem:
        if not ran_out(problem):
            raise
        log.info("Texts stay apart: %s", problem)
        return list(groups)
    for layer, (keys, values) in zip(groups[0].cache.layers, tables, strict=True):
        layer.keys, layer.values = keys, values
    mask = _below_each_other([group.mask for group in groups], dimension=1)
    return [Group([writing for group in groups for writing in group.writings], groups[0].cache, mask)]


def _layers(group: Group) -> range:
    return range(len(group.cache.layers))


def _laid_out(layers: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    keys = _below_each_other([layer.keys for layer in layers], dimension=2)
    return keys, _below_each_other([layer.values for layer in layers], dimension=2)


def _below_each_other(tables: Sequence[torch.Tensor], dimension: int) -> torch.Tensor:
    """Concatenate rows of several lengths, zeros on the left of the shorter ones."""
    import torch

    longest = max(table.shape[dimension] for table in tables)

    def padded(table: torch.Tensor) -> torch.Tensor:
        missing = longest - table.shape[dimension]
        sides = [0, 0] * (table.ndim - 1 - dimension) + [missing, 0]
        return torch.nn.functional.pad(table, sides) if missing else table

    return torch.cat([padded(table) for table in tables])


def drop_common_padding(group: Group) -> None:
    """Forget columns that are padding in every row that is left."""
    if not is_plain(group.cache):
        return
    empty = int((group.mask.sum(0) == 0).sum())
    if empty:
        group.mask = group.mask[:, empty:]
        for layer in group.cache.layers:
            layer.keys, layer.values = layer.keys[:, :, empty:].contiguous(), layer.values[:, :, empty:].contiguous()


def is_plain(cache: Any) -> bool:
    """Tell whether every layer keeps all keys in order, so that rows of other lengths can be laid beside them."""
    from transformers.cache_utils import DynamicLayer

    return all(type(layer) is DynamicLayer for layer in cache.layers)
