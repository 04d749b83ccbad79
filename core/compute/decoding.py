"""Many users, one decoding: each step adds a token to every text being written, and new texts join between two tokens.

Continuous batching (Orca, Yu et al. 2022) over transformers' own DynamicCache. The paged batching that transformers
brings (`generate_batch`) is made for GPUs: it measures and fills their memory, and streams no candidates.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from core.compute.shared_cache import Group, drop_common_padding, joined
from core.compute.traced import Steps
from core.errors import Cancelled
from core.events import CancelToken

if TYPE_CHECKING:
    import torch

PROMPT_TOKENS_AT_ONCE = 64
"""Tokens of a prompt read in one step on a processor: others wait no longer than this for their next token."""
ACCELERATED = 8
"""An accelerator reads so many times as many in the time that one step takes anyway."""


@dataclass(frozen=True)
class Token:
    """One chosen token, its probability, and the most probable candidates (before sampling filters), best first."""

    id: int
    probability: float
    candidates: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Rule:
    """How the next token is found: transformers' own processors, and a generator where it is drawn."""

    process: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    """(ids so far (rows, length), logits (rows, vocabulary)) → scores (rows, vocabulary)."""
    ended: Callable[[torch.Tensor], Sequence[str | None]]
    """ids so far (rows, length) → why each row ends here, None = it goes on."""
    generator: torch.Generator | None = None
    """None = always the best token."""
    max_new_tokens: int = 100
    candidates: int = 0


@dataclass(frozen=True)
class Written:
    """What was written: tokens and the reason of the end of each row, and seconds to the first token and in all."""

    rows: tuple[tuple[Token, ...], ...]
    reasons: tuple[str, ...]
    first_token_seconds: float
    seconds: float


@dataclass(eq=False)
class Writing:
    """One request: `count` continuations of one prompt, told token by token to `told`."""

    prompt: Sequence[int]
    rule: Rule
    count: int = 1
    told: Callable[[Sequence[Token | None]], None] = lambda _: None
    """Called in the compute thread with the new token of each row; None where the row has ended."""
    cancel: CancelToken = field(default_factory=CancelToken)
    background: bool = False
    """Of a table: others go first."""
    outcome: Future[Written] = field(default_factory=Future)
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        """Begin with nothing written."""
        self.rows: list[list[Token]] = [[] for _ in range(self.count)]
        self.reasons: list[str | None] = [None] * self.count
        self.first_token_seconds = 0.0
        self.ids: torch.Tensor
        """Once the prompt is read: (count, length): prompt and what was written; an ended row goes on with padding."""

    @property
    def over(self) -> bool:
        """Tell whether nothing is left to write."""
        return self.outcome.done() or all(reason is not None for reason in self.reasons)

    def finish(self) -> None:
        """Give the result to whoever waits."""
        self.outcome.set_result(self.so_far("length"))

    def so_far(self, reason: str) -> Written:
        """Return what is written; `reason` is that of rows that did not end by themselves."""
        seconds = time.perf_counter() - self.began
        reasons = tuple(own or reason for own in self.reasons)
        return Written(tuple(map(tuple, self.rows)), reasons, self.first_token_seconds, seconds)

    def fail(self, problem: BaseException) -> None:
        """Tell whoever waits that it went wrong."""
        if not self.outcome.done():
            self.outcome.set_exception(problem)


@dataclass(eq=False)
class _Prompt:
    """A prompt of which so many tokens are read into a cache, and the text that begins with it."""

    writing: Writing
    cache: Any = None
    read: int = 0


class Decoder:
    """Writes with one model; `join` from any thread, `step` in the compute thread alone."""

    def __init__(self, model: Any, steps: Steps | None = None) -> None:
        """Begin with nothing to write; `model` is a causal language model of transformers."""
        self.model = model
        self._steps = steps or Steps()
        self._merges = "position_ids" in inputs_of(model)  # else it would count the padding of a shorter text, too
        self._prompts: deque[_Prompt] = deque()
        """In the order of their turns; one of which a part was read goes to the end."""
        self._groups: list[Group] = []
        self._lock = threading.Lock()

    def join(self, writing: Writing) -> None:
        """Let a text be written from the next step on."""
        with self._lock:
            self._prompts.append(_Prompt(writing))

    @property
    def idle(self) -> bool:
        """Tell whether there is nothing to do."""
        with self._lock:
            return not self._prompts and not self._groups

    def step(self) -> None:
        """Read one part of one prompt, each prompt in turn, and add one token to every text."""
        import torch

        self._forget_stopped()
        with torch.inference_mode():
            for group in tuple(self._groups):
                self._guarded(group.writings, partial(self._continue, group))
            self._read_prompt()
        self._tidy()

    def fail_all(self, problem: BaseException) -> None:
        """Give up everything: whoever waits is told why."""
        with self._lock:
            prompts, self._prompts = self._prompts, deque()
        groups, self._groups = self._groups, []
        begun = (writing for group in groups for writing in group.writings)
        for writing in (*(prompt.writing for prompt in prompts), *begun):
            writing.fail(problem)

    def _guarded(self, writings: Sequence[Writing], work: Callable[[], None]) -> None:
        """Let what goes wrong reach those whose texts it was."""
        try:
            work()
        except BaseException as problem:  # noqa: BLE001 it belongs to the requesters; the thread must outlive it
            for writing in writings:
                writing.fail(problem)

    def _forget_stopped(self) -> None:
        """Let go of prompts that nobody waits for any more, whether it is their turn or not."""
        with self._lock:
            stopped = [prompt for prompt in self._prompts if prompt.writing.cancel.cancelled]
            self._prompts = deque(prompt for prompt in self._prompts if prompt not in stopped)
        for prompt in stopped:  # the lock is free: who hears of it may let another text join
            prompt.writing.fail(Cancelled("error.cancelled"))

    def _read_prompt(self) -> None:
        with self._lock:
            prompt = self._prompts.popleft() if self._prompts else None
        if prompt is not None:
            self._guarded([prompt.writing], partial(self._read_part, prompt))

    def _read_part(self, turn: _Prompt) -> None:
        import torch

        writing, cache = turn.writing, turn.cache or _new_cache(self.model)
        device = self.model.device
        part = torch.tensor([writing.prompt[turn.read :][: tokens_at_once(device)]], device=device)
        logits = self.model(part, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
        read = turn.read + part.shape[1]
        if read < len(writing.prompt):
            with self._lock:
                self._prompts.append(_Prompt(writing, cache, read))
            return
        prompt = torch.tensor([list(writing.prompt)], device=device)
        writing.ids = prompt.repeat(writing.count, 1)
        if writing.count > 1:
            cache.batch_repeat_interleave(writing.count)
        _choose(writing, logits.repeat(writing.count, 1))
        if not writing.over:
            self._groups.append(Group([writing], cache, torch.ones_like(writing.ids[:, :-1])))
            if self._merges:
                self._groups = joined(self._groups)

    def _continue(self, group: Group) -> None:
        import torch

        last = torch.cat([writing.ids[:, -1:] for writing in group.writings])
        group.mask = torch.cat([group.mask, torch.ones_like(last)], dim=1)
        logits = self._steps.next_logits(self.model, last, group.cache, group.mask)
        row = 0
        for writing in group.writings:
            self._guarded([writing], partial(_choose, writing, logits[row : row + writing.count]))
            row += writing.count

    def _tidy(self) -> None:
        """Hand over what is finished, forget what was cancelled, and keep the rest."""
        for group in tuple(self._groups):
            for writing in group.writings:
                if writing.cancel.cancelled and not writing.over:
                    writing.fail(Cancelled("error.cancelled"))
            if any(writing.over for writing in group.writings):
                self._shrink(group)

    def _shrink(self, group: Group) -> None:
        import torch

        kept: list[Writing] = []
        rows: list[int] = []
        row = 0
        for writing in group.writings:
            if not writing.over:
                kept.append(writing)
                rows.extend(range(row, row + writing.count))
            row += writing.count
        if not kept:
            self._groups.remove(group)
            return
        chosen = torch.tensor(rows, device=group.mask.device)
        group.writings, group.mask = kept, group.mask[chosen]
        group.cache.batch_select_indices(chosen)
        drop_common_padding(group)


def _choose(writing: Writing, logits: torch.Tensor) -> None:
    """Add one token to each row that goes on; `logits`: (rows, vocabulary)."""
    import torch

    logits = logits.float()
    scores = writing.rule.process(writing.ids, logits)
    if writing.rule.generator is None:
        chosen = scores.argmax(-1)
    else:
        drawn = torch.multinomial(scores.softmax(-1).cpu(), 1, generator=writing.rule.generator)
        chosen = drawn[:, 0].to(scores.device)
    writing.ids = torch.cat([writing.ids, chosen[:, None]], dim=1)
    told = _tokens(writing, logits, chosen)
    if not writing.first_token_seconds:
        writing.first_token_seconds = time.perf_counter() - writing.began
    ends = writing.rule.ended(writing.ids)
    for row, (token, reason) in enumerate(zip(told, ends, strict=True)):
        if token is not None:
            writing.rows[row].append(token)
            full = len(writing.rows[row]) >= writing.rule.max_new_tokens
            writing.reasons[row] = reason or ("length" if full else None)
    writing.told(told)
    if all(reason is not None for reason in writing.reasons):
        writing.finish()


def _tokens(writing: Writing, logits: torch.Tensor, chosen: torch.Tensor) -> list[Token | None]:
    """Describe the chosen tokens with their probabilities as the model gave them."""
    probabilities = logits.softmax(-1)
    picked = probabilities.gather(1, chosen[:, None])[:, 0].tolist()
    found: list[list[tuple[int, float]]] = [[] for _ in picked]
    if writing.rule.candidates:
        best = probabilities.topk(min(writing.rule.candidates, probabilities.shape[-1]))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        found = [list(zip(ids, values, strict=True)) for ids, values in pairs]
    return [
        Token(id_, chance, tuple(candidates)) if reason is None else None
        for id_, chance, candidates, reason in zip(chosen.tolist(), picked, found, writing.reasons, strict=True)
    ]


def tokens_at_once(device: torch.device) -> int:
    """Return how many tokens of a prompt are read in one step."""
    return PROMPT_TOKENS_AT_ONCE * (1 if device.type == "cpu" else ACCELERATED)


def _new_cache(model: Any) -> Any:
    from transformers import DynamicCache

    return DynamicCache(config=model.config)


def inputs_of(model: Any) -> frozenset[str]:
    """Return the names of what a model's forward pass takes; some take anything, and ignore what they do not know."""
    whole = model.get_base_model() if hasattr(model, "get_base_model") else model  # PEFT's own takes anything
    return frozenset(inspect.signature(whole.forward).parameters)
