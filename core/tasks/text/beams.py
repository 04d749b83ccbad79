"""Beam search: transformers' own `generate`, which lets others compute between two tokens and hears a stop.

The prompt is read before that, in parts and once for all beams: `generate` would read it at a stretch, with a row for
each beam; its own `prefill_chunk_size` reads parts, but nothing is called between two of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from core.compute.decoding import Token, Written, inputs_of, tokens_at_once
from core.errors import Cancelled
from core.events import Progress
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.tasks.text.pauses import between_tokens, own_chance
from core.tasks.text.request import STOPPED, Request
from core.tasks.text.sampling import arguments

if TYPE_CHECKING:
    import torch

PLACES_AT_ONCE = 32
"""Rows of float32 probabilities over the vocabulary that are held at once when candidates are looked up."""


def write_with_beams(request: Request, registry: Registry, model: LoadedModel, *, keep: bool = False) -> Written:
    """Write the best continuations that `num_beams` beams find; raises Cancelled one token after a stop.

    With `keep`, what the best beams have until then is returned, its reason STOPPED, unless it is nothing. Where nobody
    sees probabilities, and after a stop, they are not computed, but nan.
    """
    began = time.perf_counter()
    written = registry.batcher.take_turns(
        lambda give_way: _Search(request, model, give_way, keep).write(), background=request.background
    )
    seconds = time.perf_counter() - began
    return replace(written, first_token_seconds=seconds, seconds=seconds)


@dataclass(frozen=True)
class _Search:
    """One request with its model, and the way to let others compute."""

    request: Request
    model: LoadedModel
    give_way: Callable[[], None]
    keep: bool
    began: float = field(default_factory=time.perf_counter)

    def write(self) -> Written:
        """Search, and look up what was probable at each place; the time is not measured here."""
        import torch

        with torch.inference_mode():
            rows = self._found()
            stopped = self.request.cancel.cancelled
            if not self.keep or not any(map(len, rows)):
                self.request.cancel.check()
            reasons = tuple(self._reason(row, stopped=stopped) for row in rows)
            return Written(tuple(map(tuple, self._tokens_of(rows))), reasons, 0.0, 0.0)

    def _found(self) -> list[torch.Tensor]:
        """Return what each sequence wrote, without the prompt and without what only fills the row."""
        import torch

        settings = self.request.settings
        inputs = self._ids(self.request.ids)
        strings = [*settings.stop_strings, *self.request.stops]
        stops = {"stop_strings": strings, "tokenizer": self.model.tokenizer}
        read = self._prompt_read(settings.num_beams) if self._may_read_ahead() else {}
        with own_chance(inputs.device):
            torch.manual_seed(self.request.seed)
            rows = self.model.model.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                stopping_criteria=between_tokens(self._between(), self.request.cancel),
                **arguments(settings, self.request.ends),
                **(stops if strings else {}),
                **read,
            )
        return [_until_end(row[inputs.shape[1] :], self._ends) for row in rows]

    def _between(self) -> Callable[[], None]:
        """Return what is called after each token: it tells how many there are, and lets others compute."""
        tokens, most, report = count(1), self.request.settings.max_new_tokens, self.request.report

        def tell() -> None:
            done = next(tokens)
            if report and done < most:
                report(Progress("write", done, most, time.perf_counter() - self.began))
            self.give_way()

        return tell

    def _ids(self, ids: Sequence[int]) -> torch.Tensor:
        import torch

        return torch.tensor([list(ids)], device=self.model.model.device)

    def _may_read_ahead(self) -> bool:
        """Tell whether `generate` takes a cache: not with models without one, or whose file asks for another kind."""
        return self._has_cache and self.model.model.generation_config.cache_implementation is None

    @property
    def _has_cache(self) -> bool:
        known = self.model.model._supports_default_dynamic_cache()  # noqa: SLF001 transformers offers no public reader
        return bool(known and "past_key_values" in inputs_of(self.model.model))

    def _prompt_read(self, rows: int) -> dict[str, Any]:
        """Read all of the prompt but its last token, and return the cache of that for so many rows, as an argument."""
        from transformers import DynamicCache

        network, before = self.model.model, self.request.ids[:-1]
        cache: Any = DynamicCache(config=network.config)
        fewest = {"logits_to_keep": 1} if "logits_to_keep" in inputs_of(network) else {}
        together = tokens_at_once(network.device)
        for first in range(0, len(before), together):
            part = self._ids(before[first : first + together])
            network(part, past_key_values=cache, use_cache=True, **fewest)
            self._pause()
        if before:
            cache.batch_repeat_interleave(rows)
        return {"past_key_values": cache}

    def _pause(self) -> None:
        self.give_way()
        self.request.cancel.check()

    @property
    def _ends(self) -> Sequence[int]:
        own = self.model.model.generation_config.eos_token_id
        return self.request.ends or (own if isinstance(own, list) else [own])

    def _reason(self, row: torch.Tensor, *, stopped: bool) -> str:
        if len(row) and int(row[-1]) in self._ends:
            return "eos"
        if len(row) >= self.request.settings.max_new_tokens:
            return "length"
        return STOPPED if stopped else "stop"

    def _tokens_of(self, rows: Sequence[torch.Tensor]) -> list[list[Token]]:
        """Describe the tokens as long as somebody wants to see that; whoever has stopped does not wait for it."""
        if self.request.probabilities and not self.request.cancel.cancelled:
            try:
                return self._described(rows)
            except Cancelled:
                if not self.keep:
                    raise
        return [[Token(id_, math.nan) for id_ in row.tolist()] for row in rows]

    def _described(self, rows: Sequence[torch.Tensor]) -> list[list[Token]]:
        """Give each token its probability and its candidates."""
        import torch

        found: list[list[Token]] = [[] for _ in rows]
        padded = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
        for logits in self._logits(padded):
            first = len(found[0])
            ids = padded[:, first : first + logits.shape[1]]
            for tokens, more in zip(found, self._tokens(ids, logits.float().softmax(-1)), strict=True):
                tokens.extend(more)
            self._pause()
        return [tokens[: len(row)] for tokens, row in zip(found, rows, strict=True)]

    def _tokens(self, ids: torch.Tensor, chances: torch.Tensor) -> Iterator[list[Token]]:
        """Describe each row's tokens (rows, places) by probabilities (rows, places, vocabulary)."""
        picked = chances.gather(-1, ids[..., None])[..., 0].tolist()
        best = chances.topk(min(self.request.candidates, chances.shape[-1]))
        for row in zip(ids.tolist(), picked, best.indices.tolist(), best.values.tolist(), strict=True):
            yield [
                Token(id_, chance, tuple(zip(others, values, strict=True)))
                for id_, chance, others, values in zip(*row, strict=True)
            ]

    def _logits(self, rows: torch.Tensor) -> Iterator[torch.Tensor]:
        """Give the logits of padded rows place by place, (rows, some places, vocabulary) at a time."""
        import torch

        network, (count, length) = self.model.model, rows.shape
        prompt = self._ids(self.request.ids).repeat(count, 1)
        if not self._has_cache:
            fewest = {"logits_to_keep": length + 1} if "logits_to_keep" in inputs_of(network) else {}
            yield network(torch.cat([prompt, rows], dim=1), **fewest).logits[:, -length - 1 : -1]
            return
        read = self._prompt_read(count)
        before = torch.cat([prompt[:, -1:], rows[:, :-1]], dim=1)
        for part in torch.split(before, max(PLACES_AT_ONCE // count, 1), dim=1):
            yield network(part, use_cache=True, **read).logits


def _until_end(row: torch.Tensor, ends: Sequence[int]) -> torch.Tensor:
    found = [place for place, id_ in enumerate(row.tolist()) if id_ in ends]
    return row[: found[0] + 1] if found else row
