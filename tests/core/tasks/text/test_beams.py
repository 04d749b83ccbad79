"""Beam search: what `generate` finds, though the prompt is read in parts, with candidates where they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OpenAIGPTConfig,
    OpenAIGPTLMHeadModel,
)

from core.compute.batching import Batcher
from core.compute.decoding import PROMPT_TOKENS_AT_ONCE, Written
from core.errors import Cancelled
from core.events import CancelToken, Progress
from core.tasks.text.beams import PLACES_AT_ONCE, write_with_beams
from core.tasks.text.request import Request
from core.tasks.text.sampling import GenerationOptions, arguments
from core.tasks.text.text_generation import TextGenerationSettings

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
GPT_SIZES = {"n_positions": 512, "n_embd": 32, "n_layer": 2, "n_head": 4}
SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(vocab_size=64, num_key_value_heads=2, **SIZES, **SPECIAL)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=64, **GPT_SIZES, **SPECIAL)),
    "mistral, which forgets": lambda: MistralForCausalLM(
        MistralConfig(vocab_size=64, sliding_window=16, num_key_value_heads=2, **SIZES, **SPECIAL)
    ),
    "openai-gpt, without a cache": lambda: OpenAIGPTLMHeadModel(OpenAIGPTConfig(vocab_size=64, **GPT_SIZES, **SPECIAL)),
}
LONG = PROMPT_TOKENS_AT_ONCE + 40
NOBODY: Callable[[], None] = lambda: None  # noqa: E731


def network(name: str) -> Any:
    """Give a tiny model whose answers differ from each other: fresh weights alone are nearly flat."""
    torch.manual_seed(0)
    made = MODELS[name]().eval()
    for parameter in made.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(8)
    return made


def prompt(length: int) -> list[int]:
    """Return a prompt of so many tokens."""
    return torch.randint(3, 64, (length,), generator=torch.Generator().manual_seed(3)).tolist()


def settings(**options: Any) -> TextGenerationSettings:
    """Ask for two texts of four beams."""
    usual = {"do_sample": False, "num_beams": 4, "num_return_sequences": 2, "max_new_tokens": 40, "candidates": 0}
    return TextGenerationSettings(prompt="-", **{**usual, **options})


class Beside(Batcher):
    """Calls `others` whenever the one whose turn it is gives way."""

    def __init__(self, others: Callable[[], None] = NOBODY) -> None:
        """Let `others` compute between two steps."""
        super().__init__()
        self.others = others

    def take_turns(self, work: Callable[[Callable[[], None]], Any], *, background: bool = False) -> Any:
        """Take turns as ever, and let the others in."""

        def in_turn(give_way: Callable[[], None]) -> Any:
            return work(lambda: (give_way(), self.others())[0])

        return super().take_turns(in_turn, background=background)


def found(
    model: Any,
    ids: Sequence[int],
    how: TextGenerationSettings,
    others: Callable[[], None] = NOBODY,
    cancel: CancelToken | None = None,
    *,
    keep: bool = False,
    **more: Any,
) -> Written:
    """Search with seed 7, while `others` compute in between."""
    request = Request(ids, how, 7, cancel or CancelToken(), candidates=how.candidates, **more)
    registry: Any = SimpleNamespace(batcher=Beside(others))
    loaded: Any = SimpleNamespace(model=model, tokenizer=None)
    return write_with_beams(request, registry, loaded, keep=keep)


def plain(model: Any, ids: Sequence[int], how: GenerationOptions) -> list[list[int]]:
    """Return what the library's own `generate` finds with seed 7, cut behind the end of each row."""
    torch.manual_seed(7)
    inputs = torch.tensor([list(ids)])
    rows = model.generate(inputs, attention_mask=torch.ones_like(inputs), **arguments(how))[:, len(ids) :].tolist()
    return [row[: row.index(2) + 1] if 2 in row else row for row in rows]


@contextmanager
def watched(model: Any) -> Iterator[list[tuple[tuple[int, ...], tuple[int, ...]]]]:
    """Write down the size of what goes into each forward pass, and of the logits that come out."""
    seen: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def see(_: Any, given: tuple[Any, ...], named: dict[str, Any], made: Any) -> None:
        ids = given[0] if given else named["input_ids"]
        seen.append((tuple(ids.shape), tuple(made.logits.shape)))

    handle = model.register_forward_hook(see, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()


@pytest.mark.parametrize("length", [1, 9, LONG])
@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize("name", list(MODELS))
def test_it_finds_what_generate_finds(name: str, length: int, *, sampled: bool) -> None:
    """Best or drawn, after a short prompt or one that is read in parts: the very tokens of `generate`."""
    model, how = network(name), settings(do_sample=sampled)
    rows = found(model, prompt(length), how).rows
    assert [[token.id for token in row] for row in rows] == plain(model, prompt(length), how)


@pytest.mark.parametrize("name", list(MODELS))
def test_candidates_are_the_models_probabilities(name: str) -> None:
    """Each token of each row has its probability and the best candidates, as one pass over the whole gives them."""
    model, ids = network(name), prompt(LONG)
    rows = found(model, ids, settings(candidates=3)).rows
    assert len(rows) == 2
    for row in rows:
        with torch.inference_mode():
            whole = model(torch.tensor([[*ids, *(token.id for token in row)]])).logits[0].softmax(-1)
        for place, token in enumerate(row, start=len(ids) - 1):
            best = whole[place].topk(3)
            assert token.probability == pytest.approx(float(whole[place, token.id]), rel=1e-3, abs=1e-6)
            assert [chance for _, chance in token.candidates] == pytest.approx(best.values.tolist(), rel=1e-3, abs=1e-6)
            assert [id_ for id_, _ in token.candidates] == best.indices.tolist()


def test_a_long_prompt_takes_no_table_of_its_length() -> None:
    """The prompt is read in parts, once for all beams, and no pass makes logits of more than some places."""
    model = network("llama")
    with watched(model) as seen:
        found(model, prompt(3 * PROMPT_TOKENS_AT_ONCE), settings(candidates=5))
    assert max(rows * length for (rows, length), _ in seen) == PROMPT_TOKENS_AT_ONCE
    assert max(rows * places for _, (rows, places, _) in seen) <= PLACES_AT_ONCE


def test_what_nobody_sees_is_not_computed() -> None:
    """Where nobody sees probabilities no pass follows the search, and they are not a number."""
    model, how = network("llama"), settings(min_new_tokens=40)
    with watched(model) as seen:
        rows = found(model, prompt(9), how, probabilities=False).rows
    assert len(seen) == 1 + 40
    assert all(math.isnan(token.probability) and not token.candidates for row in rows for token in row)


@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_stop_is_heard_at_the_next_pause(at: int) -> None:
    """Whoever stops between two parts of the prompt or two tokens causes no further pass."""
    model, cancel, pauses = network("llama"), CancelToken(), []
    passes: list[int] = []

    def others() -> None:
        pauses.append(len(seen))
        if len(pauses) == at:
            passes.append(len(seen))
            cancel.cancel()

    with watched(model) as seen, pytest.raises(Cancelled):
        found(model, prompt(2 * PROMPT_TOKENS_AT_ONCE + 1), settings(candidates=5), others, cancel)
    assert passes == [len(seen)] == [at]


def test_a_stop_is_heard_while_candidates_are_looked_up() -> None:
    """Whoever stops after the search causes no further pass."""
    model, cancel, how = network("llama"), CancelToken(), settings(candidates=5, min_new_tokens=40)
    searched = 1 + 40

    def others() -> None:
        if len(seen) == searched + 2:
            cancel.cancel()

    with watched(model) as seen, pytest.raises(Cancelled):
        found(model, prompt(9), how, others, cancel)
    assert len(seen) == searched + 2


def test_a_stop_keeps_what_the_best_beams_have() -> None:
    """Where it is to be kept, a search that is stopped after five tokens gives what one of five tokens finds."""
    model, cancel, how = network("llama"), CancelToken(), settings(candidates=5, min_new_tokens=40)

    def others() -> None:
        if len(seen) == 1 + 5:
            cancel.cancel()

    with watched(model) as seen:
        kept = found(model, prompt(9), how, others, cancel, keep=True)
    assert len(seen) == 1 + 5
    assert kept.reasons == ("stopped", "stopped")
    shorter = settings(min_new_tokens=5, max_new_tokens=5)
    assert [[token.id for token in row] for row in kept.rows] == plain(model, prompt(9), shorter)
    assert all(math.isnan(token.probability) for row in kept.rows for token in row)


def test_a_stop_while_candidates_are_looked_up_keeps_the_text() -> None:
    """Where it is to be kept, whoever stops after the search has the whole text, without the candidates."""
    model, cancel, how = network("llama"), CancelToken(), settings(candidates=5, min_new_tokens=40)

    def others() -> None:
        if len(seen) == 1 + 40 + 2:
            cancel.cancel()

    with watched(model) as seen:
        kept = found(model, prompt(9), how, others, cancel, keep=True)
    assert len(seen) == 1 + 40 + 2
    assert kept.reasons == ("length", "length")
    assert [[token.id for token in row] for row in kept.rows] == plain(model, prompt(9), how)


def test_a_stop_before_the_first_token_keeps_nothing() -> None:
    """Whoever stops while the prompt is read is told that it was stopped."""
    cancel = CancelToken()
    with pytest.raises(Cancelled):
        found(network("llama"), prompt(LONG), settings(), cancel.cancel, cancel, keep=True)


def test_progress_is_told_token_by_token() -> None:
    """After each token but the last it is told how many there are, and how many there can be."""
    told: list[Progress] = []
    found(network("llama"), prompt(9), settings(min_new_tokens=40), report=told.append)
    assert [(one.phase, one.done, one.total) for one in told] == [("write", done, 40) for done in range(1, 40)]


def test_what_others_draw_changes_nothing() -> None:
    """A sampled search finds the same, however much is drawn beside it, and leaves the generator as it was."""
    model, how = network("llama"), settings(do_sample=True)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    alone = found(model, prompt(9), how).rows
    assert torch.equal(torch.rand(3), expected)
    beside = found(model, prompt(9), how, others=lambda: (torch.manual_seed(5), None)[1]).rows
    assert [[token.id for token in row] for row in beside] == [[token.id for token in row] for row in alone]
