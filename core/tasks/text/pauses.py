"""Between two tokens of transformers' `generate`: others compute, and a stop is heard."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from core.events import CancelToken

if TYPE_CHECKING:
    import torch


def between_tokens(give_way: Callable[[], None], cancel: CancelToken) -> Any:
    """Return stopping criteria that end every row once `cancel` is set, and give way to others before that."""
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Between(StoppingCriteria):
        """Looks at the stop request between two tokens."""

        def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:  # noqa: ARG002
            with own_chance(input_ids.device):  # what others draw meanwhile must not change what this text draws
                give_way()
            return torch.full(input_ids.shape[:1], cancel.cancelled, dtype=torch.bool, device=input_ids.device)

    return StoppingCriteriaList([Between()])


def own_chance(device: torch.device) -> AbstractContextManager[None]:
    """Leave the generators of the processor and of `device` as they were, whatever the block draws from them."""
    import torch

    if device.type == "cpu":
        return torch.random.fork_rng(devices=[])
    return torch.random.fork_rng(devices=[device], device_type=device.type)
