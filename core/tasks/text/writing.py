"""A prompt goes on, token by token beside other visitors' texts or by beams: what every task that writes shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from core.compute.decoding import Token, Writing, Written, inputs_of
from core.compute.shared_cache import most_columns
from core.errors import Cancelled, NotEnoughMemory
from core.models.loading import LoadedModel
from core.models.promises import cache_bytes
from core.models.registry import Registry
from core.tasks.text.beams import write_with_beams
from core.tasks.text.request import STOPPED, Request
from core.tasks.text.sampling import rule

if TYPE_CHECKING:
    import torch

COPIES = 2
"""Old keys and values are held beside the new ones, in a recorded step and where texts are put together."""
UNFINISHED = "\ufffd"
"""What a tokenizer decodes half a character to."""

Ended = Callable[["torch.Tensor"], Sequence[str | None]]
Told = Callable[[Sequence[str]], None]
"""Told the text of each row so far, whenever there is more; in the compute thread, so it must be quick."""


def write(
    request: Request, registry: Registry, model: LoadedModel, told: Told | None = None, *, keep: bool = False
) -> Written:
    """Write what `request` asks for, with the memory for it promised; beams tell their progress alone on their way.

    Raises NotEnoughMemory, and Cancelled at most a token after a stop; with `keep`, what was written until then is
    returned, its reason STOPPED, unless it is nothing.
    """
    at_once = _comes_at_once(request, model)
    with registry.promise(model, _most_bytes(request, model, alone=at_once), request.cancel):
        if at_once:
            return write_with_beams(request, registry, model, keep=keep)
        return _write_on(request, registry, model, told, keep=keep)


def _comes_at_once(request: Request, model: LoadedModel) -> bool:
    """Tell whether the text is written whole, by `generate`: nothing of it is there before its end."""
    return request.settings.num_beams > 1 or not goes_on(model)


def goes_on(model: LoadedModel) -> bool:
    """Tell whether the model can be asked for one token after the other; some know another kind of cache, or none."""
    return "past_key_values" in inputs_of(model.model)


def write_many(requests: Sequence[Request], registry: Registry, model: LoadedModel, *, at_once: int) -> list[Written]:
    """Write one text for each request, with the memory promised for those `at_once` that are written at a time.

    Where that is not free, fewer are. Those that beams write come one after the other.
    """
    if not requests:
        return []
    cancel = requests[0].cancel
    cancel.check()
    if any(_comes_at_once(request, model) for request in requests):
        return [write(request, registry, model) for request in requests]
    tokens, at_once = max(map(_most_tokens, requests)), min(len(requests), at_once)
    while True:
        try:
            with registry.promise(model, _bytes_beside_others(model, at_once, tokens), cancel):
                writings = [_writing(request, model) for request in requests]
                return registry.batcher.write(model.model, *writings, at_once=at_once)
        except NotEnoughMemory:
            if at_once == 1:
                raise
            at_once //= 2  # fewer side by side take longer, and less


def _most_bytes(request: Request, model: LoadedModel, *, alone: bool) -> int:
    """Return what the caches of a text come to hold, with the padding that it may get where it is not written alone."""
    rows, tokens = request.settings.rows, _most_tokens(request)
    return cache_bytes(model.model, rows, tokens) if alone else _bytes_beside_others(model, rows, tokens)


def _most_tokens(request: Request) -> int:
    return len(request.ids) + int(request.settings.max_new_tokens)


def _bytes_beside_others(model: LoadedModel, rows: int, tokens: int) -> int:
    return COPIES * cache_bytes(model.model, rows, most_columns(tokens))


def tokens_per_second(written: Written) -> float:
    """Return the speed of all rows together, from the first token on; 0 where there was no second."""
    count = sum(len(row) for row in written.rows) - len(written.rows)
    seconds = written.seconds - written.first_token_seconds
    return count / seconds if count > 0 and seconds > 0 else 0.0


def _write_on(request: Request, registry: Registry, model: LoadedModel, told: Told | None, *, keep: bool) -> Written:
    writing = _writing(request, model)
    if told:
        writing.told = Teller(model.tokenizer, writing.count, told, request.behind)
    try:
        return registry.batcher.write(model.model, writing)[0]
    except Cancelled:
        if not keep or not any(writing.rows):
            raise
        return writing.so_far(STOPPED)


def _writing(request: Request, model: LoadedModel) -> Writing:
    settings = request.settings
    how = rule(settings, model, len(request.ids), request.seed, request.candidates, request.ends)
    if request.stops:
        how = replace(how, ended=_ended_also_by(request.stops, how.ended, model))
    count, cancel = settings.num_return_sequences, request.cancel
    return Writing(request.ids, how, count, cancel=cancel, background=request.background)


def _ended_also_by(stops: Sequence[str], ended: Ended, model: LoadedModel) -> Ended:
    """Return the question why a row ends, with some strings more that end it."""
    from transformers import StopStringCriteria

    criterion = StopStringCriteria(model.tokenizer, list(stops))

    def more_ended(ids: torch.Tensor) -> list[str | None]:
        found: list[bool] = criterion(ids, None).tolist()
        return [own or ("stop" if stop else None) for own, stop in zip(ended(ids), found, strict=True)]

    return more_ended


def decoded(tokenizer: Any, ids: Sequence[int], behind: Sequence[int] = ()) -> str:
    """Return what these tokens add to the text of those before them: alone, some lose the space they begin with."""
    before, whole = (str(tokenizer.decode(part, skip_special_tokens=True)) for part in (behind, [*behind, *ids]))
    if whole.startswith(before):
        return whole[len(before) :]
    return str(tokenizer.decode(ids, skip_special_tokens=True))  # the prompt ends within a character


@dataclass
class Teller:
    """Tells what each row has written so far, decoding only its newest tokens."""

    tokenizer: Any
    count: int
    told: Told
    behind: Sequence[int] = ()
    """Tokens that stand before each row's."""

    def __post_init__(self) -> None:
        """Begin with empty rows."""
        self._rows = [_Row(self.tokenizer, ids=list(self.behind), known=len(self.behind)) for _ in range(self.count)]

    def __call__(self, tokens: Sequence[Token | None]) -> None:
        """Take the new token of each row, None where it has ended."""
        for row, token in zip(self._rows, tokens, strict=True):
            if token is not None:
                row.add(token.id)
        self.told([row.text for row in self._rows])


@dataclass
class _Row:
    """Decodes one text as it grows; a character that is not whole yet waits for its next token.

    A token is decoded with the ones before it, for some tokenizers write a space only between two (the offsets are
    those of Hugging Face's text-generation-inference).
    """

    tokenizer: Any
    text: str = ""
    ids: list[int] = field(default_factory=list)
    before: int = 0
    """From here on tokens are decoded, to see what stands before the newest ones."""
    known: int = 0
    """Up to here `text` holds them."""

    def add(self, id_: int) -> None:
        """Take one token more."""
        self.ids.append(id_)
        old, new = (self._decode(self.ids[self.before : end]) for end in (self.known, len(self.ids)))
        if len(new) > len(old) and not new.endswith(UNFINISHED):
            self.text += new[len(old) :]
            self.before, self.known = self.known, len(self.ids)

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))
