"""Memory is promised to texts that are being written, and refused in numbers where it is spoken for."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    OpenAIGPTConfig,
    OpenAIGPTLMHeadModel,
    pipeline,
)

from core.catalogue import Catalogue
from core.compute.shared_cache import most_columns
from core.errors import NotEnoughMemory
from core.hub.client import Hub
from core.machine.devices import Device, Hardware
from core.models.loading import Loader
from core.models.promises import Promises, cache_bytes
from core.models.registry import Registry
from core.settings import Settings
from core.tasks.text.text_generation import TextGenerationSettings, generate_text
from core.tasks.text.writing import COPIES
from tests.fakes.models import tiny_llama

MACHINE = Device("cpu", 0, "test", 10**9, 10**9)


@pytest.fixture
def story(tmp_path: Path) -> str:
    """Give a tiny causal language model."""
    return str(tiny_llama(tmp_path / "llama"))


def test_promises_add_up() -> None:
    """What is promised to one is not promised to the next, until it is taken back."""
    promises = Promises()
    assert promises.make("cpu", 60, free=100)
    assert not promises.make("cpu", 41, free=100)
    assert promises.make("cpu", 40, free=100)
    assert promises.on("cpu") == (100, 2)
    promises.end("cpu", 60)
    assert promises.on("cpu") == (40, 1)
    assert promises.make("cuda:0", 70, free=70)


def test_cache_bytes_are_those_of_the_cache(story: str) -> None:
    """The number is what transformers' cache takes for so many rows and tokens."""
    model = AutoModelForCausalLM.from_pretrained(story)
    cache = DynamicCache(config=model.config)
    model(torch.ones(3, 7, dtype=torch.long), past_key_values=cache, use_cache=True)
    assert sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers) == cache_bytes(model, 3, 7)


def test_the_second_writer_is_refused_while_the_first_one_writes(story: str) -> None:
    """With memory for one text, a second one hears what it needs, what is free and what is promised; later it may."""
    free = [10**9]
    catalogue = Catalogue(Settings())
    loader = Loader(catalogue, Hub(offline=True))
    registry = Registry(catalogue, loader, probe=lambda: Hardware((replace(MACHINE, free_bytes=free[0]),), cores=2))
    settings = TextGenerationSettings(prompt="Once", model=story, max_new_tokens=40, do_sample=False)
    alone = generate_text(settings, registry)
    with registry.borrow(settings.spec(registry, "text-generation")) as model:
        one = COPIES * cache_bytes(model.model, 1, most_columns(50))
        free[0] = int(1.5 * one)
        with registry.promise(model, one), pytest.raises(NotEnoughMemory, match=r"promised to others \(1\)"):
            generate_text(settings, registry)
    assert generate_text(settings, registry).result == alone.result


def test_a_promise_ends_with_its_text(story: str) -> None:
    """A hundred promises one after the other, from several threads, leave nothing promised."""
    catalogue = Catalogue(Settings())
    registry = Registry(catalogue, Loader(catalogue, Hub(offline=True)), probe=lambda: Hardware((MACHINE,), cores=2))
    with registry.borrow(registry.resolve(story, "text-generation")) as model:

        def promise_often() -> None:
            for _ in range(25):
                with registry.promise(model, 1000):
                    pass

        threads = [threading.Thread(target=promise_often) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with registry.promise(model, MACHINE.free_bytes):
            pass


def test_what_is_promised_is_not_free_for_others(story: str, tmp_path: Path) -> None:
    """While memory is promised, neither another model nor a larger use of this one gets it; afterwards both do."""
    catalogue = Catalogue(Settings())
    machine = Hardware((replace(MACHINE, free_bytes=10**9),), cores=2)
    registry = Registry(catalogue, Loader(catalogue, Hub(offline=True)), probe=lambda: machine)
    spec = registry.resolve(story, "text-generation")
    other = registry.resolve(str(tiny_llama(tmp_path / "other")), "text-generation")
    with registry.borrow(spec) as model:
        with registry.promise(model, 10**9 - 1000):
            with pytest.raises(NotEnoughMemory), registry.borrow(other):
                pass
            with pytest.raises(NotEnoughMemory), registry.borrow(spec, 9 * 10**8):
                pass
            with pytest.raises(NotEnoughMemory), registry.promise(model, 2000):
                pass
        with registry.borrow(other), registry.borrow(spec, 9 * 10**8):
            pass


def test_an_impossible_text_unloads_nobody(story: str, tmp_path: Path) -> None:
    """Where even all idle models would not make room, none of them goes."""
    catalogue = Catalogue(Settings())
    machine = Hardware((MACHINE,), cores=2)
    registry = Registry(catalogue, Loader(catalogue, Hub(offline=True)), probe=lambda: machine)
    with registry.borrow(registry.resolve(str(tiny_llama(tmp_path / "other")), "text-generation")):
        pass
    with registry.borrow(registry.resolve(story, "text-generation")) as model:
        with pytest.raises(NotEnoughMemory), registry.promise(model, 10**12):
            pass
        assert len(registry.ledger()) == 2


def test_a_model_without_such_a_cache_is_asked_all_at_once(story: str, tmp_path: Path) -> None:
    """A model whose forward pass knows no past_key_values writes through the library's own loop, and the same text."""
    tokenizer = AutoTokenizer.from_pretrained(story)
    torch.manual_seed(0)
    config = OpenAIGPTConfig(vocab_size=len(tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=4)
    folder = tmp_path / "gpt"
    OpenAIGPTLMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    catalogue = Catalogue(Settings())
    registry = Registry(catalogue, Loader(catalogue, Hub(offline=True)))
    settings = TextGenerationSettings(prompt="Once", model=str(folder), max_new_tokens=9, do_sample=False)
    write = pipeline("text-generation", model=str(folder), device="cpu")
    assert generate_text(settings, registry).result == write("Once", max_new_tokens=9, do_sample=False)
