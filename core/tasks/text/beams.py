"""Beam search: transformers' own `generate`, which lets others compute between two tokens and hears a stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.decoding import Token, Written
from core.events import CancelToken
from core.loading import LoadedModel
from core.registry import Registry
from core.tasks.text.sampling import GenerationOptions, arguments

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Request:
    """A tokenized prompt, and what is asked of it."""

    ids: Sequence[int]
    settings: Any
    """GenerationOptions with a number of `candidates`."""
    seed: int
    cancel: CancelToken
    ends: Sequence[int] = ()
    """The tokens that end the text; none = those of the model's own file."""


def write_with_beams(request: Request, registry: Registry, model: LoadedModel) -> Written:
    """Write the best continuations that `num_beams` beams find; raises Cancelled one token after a stop."""
    began = time.perf_counter()
    written = registry.batcher.take_turns(lambda give_way: _write(request, model, give_way))
    seconds = time.perf_counter() - began
    return replace(written, first_token_seconds=seconds, seconds=seconds)


def _write(request: Request, model: LoadedModel, give_way: Callable[[], None]) -> Written:
    rows = _generate(request, model, give_way)
    request.cancel.check()
    reasons = tuple(_reason(row, request, model) for row in rows)
    return Written(tuple(_described(row, request, model) for row in rows), reasons, 0.0, 0.0)


def between_tokens(give_way: Callable[[], None], cancel: CancelToken) -> Any:
    """Return stopping criteria that end every row once `cancel` is set, and give way to others before that."""
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    class Between(StoppingCriteria):
        """Looks at the stop request between two tokens."""

        def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:  # noqa: ARG002
            drawn = torch.get_rng_state()  # what others draw meanwhile must not change what this text draws
            give_way()
            torch.set_rng_state(drawn)
            return torch.full(input_ids.shape[:1], cancel.cancelled, dtype=torch.bool, device=input_ids.device)

    return StoppingCriteriaList([Between()])


def _generate(request: Request, model: LoadedModel, give_way: Callable[[], None]) -> list[torch.Tensor]:
    """Return what each sequence wrote, without the prompt and without what only fills the row."""
    import torch

    settings: GenerationOptions = request.settings
    inputs = torch.tensor([list(request.ids)], device=model.model.device)
    stops = {"stop_strings": settings.stop_strings, "tokenizer": model.tokenizer} if settings.stop_strings else {}
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(request.seed)
        rows = model.model.generate(
            inputs,
            attention_mask=torch.ones_like(inputs),
            stopping_criteria=between_tokens(give_way, request.cancel),
            **arguments(settings, request.ends),
            **stops,
        )
    ends = _end_ids(request, model)
    return [_until_end(row[inputs.shape[1] :], ends) for row in rows]


def _until_end(row: torch.Tensor, ends: Sequence[int]) -> torch.Tensor:
    found = [place for place, id_ in enumerate(row.tolist()) if id_ in ends]
    return row[: found[0] + 1] if found else row


def _end_ids(request: Request, model: LoadedModel) -> Sequence[int]:
    own = model.model.generation_config.eos_token_id
    return request.ends or (own if isinstance(own, list) else [own])


def _reason(row: torch.Tensor, request: Request, model: LoadedModel) -> str:
    if len(row) and int(row[-1]) in _end_ids(request, model):
        return "eos"
    return "length" if len(row) >= request.settings.max_new_tokens else "stop"


def _described(row: torch.Tensor, request: Request, model: LoadedModel) -> tuple[Token, ...]:
    """Give each token its probability and candidates, by one forward pass over the whole text."""
    import torch

    if not len(row):
        return ()
    prompt = torch.tensor(list(request.ids), device=row.device)
    with torch.inference_mode():
        logits = model.model(torch.cat([prompt, row])[None]).logits[0, len(prompt) - 1 : -1]
        chances = logits.float().softmax(-1)
    best = chances.topk(min(request.settings.candidates, chances.shape[-1]))
    pairs = zip(row.tolist(), chances, best.indices.tolist(), best.values.tolist(), strict=True)
    return tuple(
        Token(id_, float(chance[id_]), tuple(zip(ids, values, strict=True))) for id_, chance, ids, values in pairs
    )
