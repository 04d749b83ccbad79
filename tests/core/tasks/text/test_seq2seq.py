"""Many texts from one encoder-decoder: the same as one by one, in turns with others, stopped, refused in numbers."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers

from core.catalogue import Catalogue
from core.errors import Cancelled, NotEnoughMemory
from core.events import CancelToken
from core.hub.client import Hub
from core.machine.devices import Device, Hardware
from core.models.loading import LoadedModel, Loader
from core.models.registry import Registry
from core.settings import Settings
from core.tasks.text.encoder import INTERACTIVE, Lane, encode
from core.tasks.text.seq2seq import (
    WrittenText,
    batches,
    bytes_of_batch,
    own_beams,
    own_length,
    rows_at_once,
    write_texts,
    writing_options,
)
from tests.fakes.translators import OWN, tiny_marian

SECONDS = 60
TEXTS = ("Hello.", "How are you today, my friend?", "A cat", "No.", "Some words that say nothing!", "x" * 60)


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a tiny translator."""
    return str(tiny_marian(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def loaded(translator: str, registry: Registry) -> Any:
    """Lend it."""
    with registry.borrow(registry.resolve(translator, "translation")) as model:
        yield model


def one_by_one(folder: str, texts: tuple[str, ...], **options: Any) -> list[str]:
    """Return what plain `generate` writes for each text alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    rows = (model.generate(**tokenizer(text, return_tensors="pt"), **options)[0] for text in texts)
    return [tokenizer.decode(row, skip_special_tokens=True).strip() for row in rows]


def written(model: LoadedModel, registry: Registry, beams: int, lane: Lane = INTERACTIVE, **more: Any) -> list[str]:
    """Return what ours writes for all texts at once."""
    options = writing_options(model.model, beams, OWN["max_new_tokens"])
    return [one.decoded(model) for one in write_texts(encode(model, TEXTS), options, registry, model, lane, **more)]


@pytest.mark.parametrize("beams", [1, 3])
def test_padding_changes_nothing(loaded: LoadedModel, translator: str, registry: Registry, beams: int) -> None:
    """Texts of all lengths in one batch come out as `generate` writes each of them alone, greedy and with beams."""
    found = written(loaded, registry, beams)
    assert found == one_by_one(translator, TEXTS, num_beams=beams)
    assert len({len(text) for text in found}) > 1, "rows that all end at once prove little"


def test_padding_goes_behind_the_text(loaded: LoadedModel, translator: str, registry: Registry) -> None:
    """A tokenizer that pads on the left does not move the positions that the encoder counts."""
    loaded.tokenizer.padding_side = "left"
    try:
        assert written(loaded, registry, 1) == one_by_one(translator, TEXTS, num_beams=1)
    finally:
        loaded.tokenizer.padding_side = "right"


def test_each_batch_is_told(loaded: LoadedModel, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for few rows there are several batches, the longest texts first, and each is told when it is done."""
    monkeypatch.setattr("core.tasks.text.seq2seq.rows_at_once", lambda _: 2)
    told: list[Mapping[int, WrittenText]] = []
    found = written(loaded, registry, 1, told=told.append)
    assert [list(one) for one in told] == [[5, 1], [4, 0], [2, 3]]
    assert {place: one.decoded(loaded) for done in told for place, one in done.items()} == dict(enumerate(found))


def test_batches_are_alike_in_length_and_small_enough() -> None:
    """No batch has more rows than allowed, beams counted, nor more padded tokens than one pass of the encoder."""
    assert list(batches([5, 9, 5, 1], beams=2, rows=4)) == [[1, 0], [2, 3]]
    assert list(batches([5], beams=8, rows=4)) == [[0]]
    assert list(batches([1500, 1500], beams=1, rows=64)) == [[0], [1]]


@pytest.mark.parametrize(("width", "rows"), [(16, 128), (512, 64), (1024, 32), (8192, 8), (None, 32)])
def test_wider_models_write_fewer_rows_at_once(width: int | None, rows: int) -> None:
    """A step of a wide model takes long, and others wait for it."""
    assert rows_at_once(SimpleNamespace(config=SimpleNamespace(hidden_size=width))) == rows


@pytest.mark.parametrize(
    ("own", "beams", "length", "passed"),
    [
        ({"max_new_tokens": 30, "num_beams": 4}, 4, 30, {"max_new_tokens": 20}),
        ({"max_length": 30}, 1, 29, {"max_length": 21}),
        ({}, 1, None, {"max_new_tokens": 20}),
    ],
)
def test_what_the_files_ask_for(own: dict[str, Any], beams: int, length: int | None, passed: dict[str, int]) -> None:
    """Beams and lengths are the model's own; a length is passed under the name that the file uses."""
    model = SimpleNamespace(config=SimpleNamespace(), generation_config=transformers.GenerationConfig(**own))
    assert (own_beams(model), own_length(model)) == (beams, length)
    assert writing_options(model, 1, 20, early_stopping=None).settings == passed


def test_no_more_tokens_than_positions(loaded: LoadedModel) -> None:
    """More tokens than the decoder has positions for cannot be written."""
    options = writing_options(loaded.model, 1, 500)
    assert options.max_new_tokens == loaded.model.config.max_position_embeddings - 1


def test_a_text_at_its_limit_is_full(loaded: LoadedModel, translator: str, registry: Registry) -> None:
    """Whether a text has as many tokens as allowed is told, for its end may be missing; here the last one is forced."""
    options = writing_options(loaded.model, 1, 7)
    found = write_texts(encode(loaded, TEXTS), options, registry, loaded)
    expected = one_by_one(translator, TEXTS, num_beams=1, max_new_tokens=7)
    assert [one.full for one in found] == [len(text) == 6 for text in expected]
    assert {one.full for one in found} == {True, False}


def test_a_text_whose_end_came_last_is_whole(loaded: LoadedModel, registry: Registry) -> None:
    """Where no end is forced, a text that ends with the last token that is allowed is not full; one token less is."""
    own = loaded.model.generation_config
    forced, own.forced_eos_token_id = own.forced_eos_token_id, None
    try:
        ended = min(_of_length(loaded, registry, OWN["max_new_tokens"]), key=lambda one: len(one.ids))
        length = len(ended.ids) + 1
        found = [next(one for one in _of_length(loaded, registry, limit) if one.ids == ended.ids[:limit])
                 for limit in (length, length - 1)]  # fmt: skip
    finally:
        own.forced_eos_token_id = forced
    assert length < OWN["max_new_tokens"]
    assert [one.full for one in found] == [False, True]


def _of_length(model: LoadedModel, registry: Registry, limit: int) -> list[WrittenText]:
    return write_texts(encode(model, TEXTS), writing_options(model.model, 1, limit), registry, model)


def test_a_stop_is_heard_within_a_token(loaded: LoadedModel, registry: Registry) -> None:
    """Set while a token is computed, the stop ends the writing before the next one."""
    cancel, steps = CancelToken(), []

    def stop(*_: Any) -> None:
        steps.append(1)
        cancel.cancel()

    watch = loaded.model.get_decoder().register_forward_hook(stop)
    with pytest.raises(Cancelled):
        written(loaded, registry, 1, Lane(cancel=cancel))
    watch.remove()
    assert steps == [1]


def test_others_compute_between_two_tokens(loaded: LoadedModel, registry: Registry) -> None:
    """Somebody who asks while many texts are written is answered before they are done."""
    order: list[str] = []

    def step(*_: Any) -> None:
        order.append("token")
        if len(order) == 2:
            asked.append(people.submit(registry.batcher.submit, "other", [1], other))
            until_waiting(registry, 1)

    def other(items: Any) -> Any:
        order.append("other")
        return items

    asked: list[Future[Any]] = []
    with ThreadPoolExecutor(1) as people:
        watch = loaded.model.get_decoder().register_forward_hook(step)
        written(loaded, registry, 1)
        watch.remove()
        assert asked[0].result(SECONDS) == [1]
    assert order[:4] == ["token", "token", "other", "token"]


def test_background_texts_wait_for_others(loaded: LoadedModel, registry: Registry) -> None:
    """Where a table and a person are written for at once, the person's text is done first."""
    order: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def hold(items: Any) -> Any:
        begun.set()
        assert go_on.wait(SECONDS)
        return items

    def ask(name: str, lane: Lane) -> None:
        written(loaded, registry, 1, lane)
        order.append(name)

    with ThreadPoolExecutor(3) as people:
        holder = people.submit(registry.batcher.submit, "holder", [None], hold)
        assert begun.wait(SECONDS)
        table = people.submit(ask, "table", Lane(background=True))
        until_waiting(registry, 1)
        person = people.submit(ask, "person", INTERACTIVE)
        until_waiting(registry, 2)
        go_on.set()
        for one in (holder, table, person):
            one.result(SECONDS)
    assert order == ["person", "table"]


def until_waiting(registry: Registry, count: int) -> None:
    """Return once so many wait for their turn."""
    end = time.monotonic() + SECONDS
    while len(registry.batcher._turns._waiting) < count:
        assert time.monotonic() < end
        time.sleep(0.001)


def registry_with(free: list[int]) -> Registry:
    """Make a registry on a machine with so many bytes free."""
    catalogue = Catalogue(Settings())
    hardware = lambda: Hardware((Device("cpu", 0, "test", 10**9, free[0]),), cores=2)  # noqa: E731
    return Registry(catalogue, Loader(catalogue, Hub(offline=True)), probe=hardware)


def test_memory_is_asked_for_the_batch_that_is_used(translator: str) -> None:
    """With room for two texts at once, batches are halved until they fit; with room for none, numbers say so."""
    free = [10**9]
    registry = registry_with(free)
    with registry.borrow(registry.resolve(translator, "translation")) as model:
        options = writing_options(model.model, 1, OWN["max_new_tokens"])
        expected = written(model, registry, 1)
        told: list[Mapping[int, WrittenText]] = []
        free[0] = bytes_of_batch(model.model, options, texts=2, tokens=61)
        assert written(model, registry, 1, told=told.append) == expected
        assert [len(one) for one in told] == [1, 2, 3]
        free[0] = 1000
        with pytest.raises(NotEnoughMemory, match=r"1\.0 KB"):
            written(model, registry, 1)


def test_memory_grows_with_beams_texts_and_tokens(loaded: LoadedModel) -> None:
    """Keys, values and scores of each row count; the numbers of one row are those of its tensors."""
    options = writing_options(loaded.model, 1, 9)
    alone = bytes_of_batch(loaded.model, options, texts=1, tokens=5)
    assert bytes_of_batch(loaded.model, options, texts=3, tokens=5) == 3 * alone
    assert bytes_of_batch(loaded.model, replace(options, num_beams=3), texts=1, tokens=5) == 3 * alone
    with torch.inference_mode():
        inputs = loaded.tokenizer("abcd", return_tensors="pt")
        cache = loaded.model.generate(**inputs, num_beams=1, max_new_tokens=9, return_dict_in_generate=True)
    halves = (cache.past_key_values.self_attention_cache, cache.past_key_values.cross_attention_cache)
    held = sum(layer.keys.nbytes + layer.values.nbytes for half in halves for layer in half.layers)
    assert 0 < held <= alone
