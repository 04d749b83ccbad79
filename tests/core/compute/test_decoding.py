"""Writing token by token: the same as `generate`, for one and for many at once."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import (
    BartConfig,
    BartForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from core.compute.batching import Batcher
from core.compute.decoding import PROMPT_TOKENS_AT_ONCE, Decoder, Token, Writing, Written, inputs_of
from core.compute.shared_cache import most_columns
from core.errors import Cancelled
from core.events import CancelToken
from core.tasks.text.sampling import GenerationOptions, arguments, rule

SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
MODELS = {
    "llama": lambda: LlamaForCausalLM(
        LlamaConfig(vocab_size=64, max_position_embeddings=512, num_key_value_heads=2, **SIZES, **SPECIAL)
    ),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=64, n_positions=512, n_embd=32, n_layer=2, n_head=4, **SPECIAL)
    ),
    "mistral, which forgets": lambda: MistralForCausalLM(
        MistralConfig(vocab_size=64, sliding_window=16, num_key_value_heads=2, **SIZES, **SPECIAL)
    ),
}
GREEDY = GenerationOptions(do_sample=False, max_new_tokens=24)
WAYS = {
    "greedy": GREEDY,
    "drawn": GenerationOptions(max_new_tokens=24),
    "three drawn together": GenerationOptions(max_new_tokens=24, num_return_sequences=3),
    "every filter": GenerationOptions(
        max_new_tokens=24,
        min_new_tokens=20,
        temperature=1.7,
        top_k=40,
        top_p=0.9,
        min_p=0.01,
        typical_p=0.9,
        repetition_penalty=1.3,
        no_repeat_ngram_size=2,
    ),
}


@pytest.fixture(params=list(MODELS))
def network(request: pytest.FixtureRequest) -> Any:
    """Give a tiny model whose answers differ from each other: fresh weights alone are nearly flat."""
    torch.manual_seed(0)
    return sharpened(MODELS[request.param]())


def sharpened(network: Any) -> Any:
    """Make fresh weights so large that no two tokens are nearly as likely."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(8)
    return network.eval()


def prompts() -> list[list[int]]:
    """Return prompts of one to some hundred tokens; the longest is read in several parts."""
    chance = torch.Generator().manual_seed(3)
    lengths = (1, 5, 40, 9, 4 * PROMPT_TOKENS_AT_ONCE + 50, 17)
    return [torch.randint(3, 64, (length,), generator=chance).tolist() for length in lengths]


def written(batcher: Batcher, network: Any, prompt: Sequence[int], options: GenerationOptions = GREEDY) -> Written:
    """Write with seed 7."""
    how = rule(options, SimpleNamespace(model=network, tokenizer=None), len(prompt), seed=7)
    return batcher.write(network, Writing(prompt, how, options.num_return_sequences))[0]


def ids(found: Written) -> list[list[int]]:
    """Return the tokens of each row."""
    return [[token.id for token in row] for row in found.rows]


def plain(network: Any, prompt: Sequence[int], options: GenerationOptions = GREEDY) -> list[list[int]]:
    """Return what the library's own `generate` writes with seed 7, cut behind the end of each row."""
    torch.manual_seed(7)
    inputs = torch.tensor([list(prompt)])
    rows = network.generate(inputs, attention_mask=torch.ones_like(inputs), **arguments(options))
    return [_until_end(row[len(prompt) :].tolist()) for row in rows]


def _until_end(row: list[int]) -> list[int]:
    return row[: row.index(2) + 1] if 2 in row else row


@pytest.mark.parametrize("way", list(WAYS))
def test_it_writes_what_generate_writes(network: Any, way: str) -> None:
    """Greedy or drawn, with any filter, seed by seed: the very tokens of transformers' `generate`."""
    batcher = Batcher()
    for prompt in prompts():
        assert ids(written(batcher, network, prompt, WAYS[way])) == plain(network, prompt, WAYS[way])


def test_many_at_once_write_what_each_writes_alone(network: Any) -> None:
    """Six visitors at once, with prompts of other lengths, get the tokens that each would get alone."""
    batcher, found = Batcher(), {}

    def visit(place: int) -> None:
        found[place] = ids(written(batcher, network, prompts()[place]))

    visitors = [threading.Thread(target=visit, args=(place,)) for place in range(len(prompts()))]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert [found[place] for place in range(len(found))] == [plain(network, prompt) for prompt in prompts()]


@pytest.fixture
def llama() -> Any:
    """Give the tiny Llama, as it comes."""
    torch.manual_seed(0)
    return MODELS["llama"]().eval()


def test_candidates_are_the_models_probabilities(llama: Any) -> None:
    """Each token comes with its probability and the best candidates, as a plain forward pass gives them."""
    prompt = prompts()[1]
    how = rule(GREEDY, SimpleNamespace(model=llama, tokenizer=None), len(prompt), seed=0, candidates=3)
    found = Batcher().write(llama, Writing(prompt, how))[0].rows[0]
    with torch.inference_mode():
        whole = llama(torch.tensor([[*prompt, *(token.id for token in found)]])).logits[0].softmax(-1)
    for place, token in enumerate(found, start=len(prompt) - 1):
        best = whole[place].topk(3)
        assert token.probability == pytest.approx(float(whole[place, token.id]), rel=1e-4)
        assert [id_ for id_, _ in token.candidates] == best.indices.tolist()
        assert [chance for _, chance in token.candidates] == pytest.approx(best.values.tolist(), rel=1e-4)


def test_a_stop_is_heard_within_one_token(llama: Any) -> None:
    """Whoever stops after the fifth token sees no seventh, and another's text goes on unharmed."""
    batcher, cancel, seen = Batcher(), CancelToken(), []
    beside: list[list[list[int]]] = []

    def told(tokens: Sequence[Token | None]) -> None:
        seen.append(tokens)
        if len(seen) == 5:
            cancel.cancel()

    how = rule(
        GenerationOptions(max_new_tokens=400, min_new_tokens=400),
        SimpleNamespace(model=llama, tokenizer=None),
        3,
        seed=1,
    )
    other = threading.Thread(target=lambda: beside.append(ids(written(batcher, llama, prompts()[2]))))
    other.start()
    with pytest.raises(Cancelled):
        batcher.write(llama, Writing([1, 5, 9], how, told=told, cancel=cancel))
    other.join()
    assert len(seen) <= 6
    assert beside == [plain(llama, prompts()[2])]


def test_a_short_text_passes_a_long_one(llama: Any) -> None:
    """A short request that comes while a long text is being written is done long before it."""
    batcher, done = Batcher(), []
    options = GenerationOptions(max_new_tokens=300, min_new_tokens=300)
    begun = threading.Event()
    how = rule(options, SimpleNamespace(model=llama, tokenizer=None), 3, seed=1)
    long = Writing([1, 5, 9], how, told=lambda _: begun.set())
    longer = threading.Thread(target=lambda: (batcher.write(llama, long), done.append("long")))
    longer.start()
    begun.wait(30)
    written(batcher, llama, prompts()[1])
    done.append("short")
    longer.join()
    assert done == ["short", "long"]


def test_other_work_gets_in_between(llama: Any) -> None:
    """A forward pass of another request is computed between two tokens, and background work, too."""
    batcher, begun = Batcher(), threading.Event()
    options = GenerationOptions(max_new_tokens=400, min_new_tokens=400)
    how = rule(options, SimpleNamespace(model=llama, tokenizer=None), 3, seed=1)
    writing = Writing([1, 5, 9], how, told=lambda _: begun.set())
    writer = threading.Thread(target=batcher.write, args=(llama, writing))
    writer.start()
    begun.wait(30)
    assert batcher.submit("group", [1, 2], lambda items: [item + 1 for item in items]) == [2, 3]
    assert not writing.outcome.done()
    writer.join()
    assert batcher.submit("group", [1], list, background=True) == [1]


@pytest.mark.parametrize("last", [5, 9_999])
def test_nothing_of_a_finished_text_is_kept(last: int) -> None:
    """After a text, written or failed, the compute thread holds neither its model nor its cache."""
    network = MODELS["llama"]().eval()
    alive, batcher = weakref.ref(network), Batcher()
    with nullcontext() if last < 64 else pytest.raises(IndexError):
        written(batcher, network, [1, last])
    del network
    batcher.submit("next", [1], list)  # answered only when the thread has left the text behind
    batcher.submit("next", [1], list)
    gc.collect()
    assert alive() is None


def side_by_side(network: Any, *places: int) -> list[Writing]:
    """Return greedy writings of some prompts."""
    found = []
    for prompt in (prompts()[place] for place in places):
        how = rule(GREEDY, SimpleNamespace(model=network, tokenizer=None), len(prompt), seed=7)
        found.append(Writing(prompt, how))
    return found


def test_what_goes_wrong_reaches_its_own_requester(llama: Any) -> None:
    """A prompt that the model does not know, and a listener that fails, harm no text beside theirs."""
    batcher, (harmed, whole) = Batcher(), side_by_side(llama, 1, 3)
    unknown = Writing([1, 9_999], harmed.rule)
    seen: list[Any] = []

    def told(tokens: Sequence[Token | None]) -> None:
        seen.append(tokens)
        if len(seen) == 5:
            raise ValueError("nobody listens")

    harmed.told = told
    with pytest.raises((ValueError, IndexError)):
        batcher.write(llama, harmed, unknown, whole)
    assert isinstance(harmed.outcome.exception(), ValueError)
    assert isinstance(unknown.outcome.exception(), IndexError)
    assert ids(whole.outcome.result()) == plain(llama, prompts()[3])


def test_texts_stay_apart_where_memory_is_short(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where caches cannot be put together, both texts are written all the same."""

    def full(_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("core.compute.shared_cache._laid_out", full)
    found = Batcher().write(llama, *side_by_side(llama, 1, 3))
    assert [ids(one) for one in found] == [plain(llama, prompts()[place]) for place in (1, 3)]


def test_a_short_text_is_not_padded_beyond_what_was_promised(llama: Any) -> None:
    """Beside a much longer text a short one keeps a cache of its own; beside one of its like it does not."""
    decoder = Decoder(llama)
    for writing in side_by_side(llama, 4, 1, 3):
        decoder.join(writing)
    widths: list[tuple[int, ...]] = []
    while not decoder.idle:
        decoder.step()
        widths.append(tuple(sorted(len(group.writings) for group in decoder._groups)))
        for group in decoder._groups:
            assert group.mask.shape[1] <= most_columns(int(group.mask.sum(1).min()))
    assert (1, 2) in widths


def steps_until(decoder: Decoder, writing: Writing) -> int:
    """Step until the text has its first token or ends; returns the number of steps."""
    for steps in range(1, 100):
        decoder.step()
        if writing.rows[0] or writing.outcome.done():
            return steps
    raise AssertionError("nothing was written")


def parts(network: Any, number: int, cancel: CancelToken | None = None) -> Writing:
    """Return a greedy writing whose prompt is read in so many parts of four tokens."""
    prompt = [5, 9, 11, 6] * number
    how = rule(GREEDY, SimpleNamespace(model=network, tokenizer=None), len(prompt), seed=7)
    return Writing(prompt, how, cancel=cancel or CancelToken())


def test_prompts_are_read_in_turns(llama: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a prompt of ten parts one of a single part waits for one of them, and the long one for one of each."""
    monkeypatch.setattr("core.compute.decoding.PROMPT_TOKENS_AT_ONCE", 4)
    decoder, long, short, later = Decoder(llama), parts(llama, 10), parts(llama, 1), parts(llama, 2)
    decoder.join(long)
    decoder.step()
    for writing in (short, later):
        decoder.join(writing)
    assert steps_until(decoder, short) == 2  # a part of the long one, its own
    assert steps_until(decoder, later) == 3  # its own, a part of the long one, its own
    assert steps_until(decoder, long) == 7
    while not decoder.idle:
        decoder.step()
    found = [ids(writing.outcome.result()) for writing in (long, short, later)]
    assert found == [plain(llama, writing.prompt) for writing in (long, short, later)]


@pytest.mark.parametrize("own_parts", [1, 5])
def test_a_stop_is_heard_while_another_prompt_is_read(
    llama: Any, monkeypatch: pytest.MonkeyPatch, own_parts: int
) -> None:
    """A text that is stopped before its prompt is read, or half way, ends at the next step, whoever's turn it is."""
    monkeypatch.setattr("core.compute.decoding.PROMPT_TOKENS_AT_ONCE", 4)
    cancel = CancelToken()
    decoder, long, stopped = Decoder(llama), parts(llama, 10), parts(llama, own_parts, cancel)
    for writing in (long, stopped):
        decoder.join(writing)
    for _ in range(own_parts // 2):
        decoder.step()
    cancel.cancel()
    decoder.step()
    assert isinstance(stopped.outcome.exception(timeout=0), Cancelled)
    assert steps_until(decoder, long) <= 10
    assert not stopped.rows[0]


def test_who_hears_of_a_stop_may_begin_another_text(llama: Any) -> None:
    """Where a text is stopped before it begins, the one that waited for its end joins the same decoding."""
    cancel = CancelToken()
    decoder, stopped, next_one = Decoder(llama), parts(llama, 1, cancel), parts(llama, 1)
    stopped.outcome.add_done_callback(lambda _: decoder.join(next_one))
    decoder.join(stopped)
    cancel.cancel()
    worker = threading.Thread(target=steps_until, args=(decoder, next_one), daemon=True)
    worker.start()
    worker.join(60)
    assert next_one.rows[0]


def test_a_model_that_counts_its_padding_writes_each_text_alone() -> None:
    """Without position_ids a model would take padding for text, so its texts are never put together."""
    torch.manual_seed(0)
    config = BartConfig(vocab_size=64, d_model=32, decoder_layers=2, decoder_attention_heads=4, **SPECIAL)
    bart = sharpened(BartForCausalLM(config))
    assert "position_ids" not in inputs_of(bart)
    found = Batcher().write(bart, *side_by_side(bart, 1, 2, 3))
    assert [ids(one) for one in found] == [plain(bart, prompts()[place]) for place in (1, 2, 3)]
