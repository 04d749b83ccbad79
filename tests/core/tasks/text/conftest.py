"""A real registry over tiny local models, so that these tests run the whole way from settings to result."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from core.catalogue import Catalogue
from core.hub.client import Hub
from core.models.loading import LoadedModel, Loader
from core.models.registry import Registry
from core.settings import Settings
from tests.fakes.models import tiny_bert

SHARP = 12
"""Fresh weights are so small that every answer is a coin toss; these are multiplied, so that answers differ."""

MakeModel = Callable[..., str]
Borrow = Callable[[Any, str], Any]


@pytest.fixture(scope="session")
def registry() -> Registry:
    """Give a registry that can load local folders, as in local mode."""
    catalogue = Catalogue(Settings())
    return Registry(catalogue, Loader(catalogue, Hub(offline=True)))


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Give a maker of tiny models: it takes a head, labels and changes to config.json, and returns the folder."""

    @cache
    def make(
        head: str,
        labels: tuple[str, ...] | None = None,
        *,
        lexical: bool = False,
        byte_level: bool = False,
        **config: Any,
    ) -> str:
        folder = tiny_bert(tmp_path_factory.mktemp("model") / "tiny", head, labels)
        if byte_level:
            _write_byte_level_tokenizer(folder)
            config["vocab_size"] = 300
        _change_config(folder, config)
        _change_weights(folder, lexical=lexical, rows=config.get("vocab_size"))
        return str(folder)

    return make


@pytest.fixture
def borrowed(registry: Registry) -> Callable[[Any, str], Any]:
    """Give a context that lends the model of some settings, for functions that want one already borrowed."""

    @contextmanager
    def borrow(settings: Any, task: str) -> Iterator[LoadedModel]:
        with registry.borrow(settings.spec(registry, task)) as model:
            yield model

    return borrow


def _change_config(folder: Path, changes: dict[str, Any]) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _change_weights(folder: Path, *, lexical: bool, rows: int | None) -> None:
    """Sharpen the answers; a lexical model does not look at a token's place or neighbours."""
    import torch
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    for name, weight in weights.items():
        if weight.ndim == 2:
            weight.mul_(SHARP)
        if lexical and ("position_embeddings" in name or "attention.output.dense" in name):
            weight.zero_()
        if rows and "word_embeddings" in name:
            weights[name] = torch.randn(rows, weight.shape[1], generator=torch.Generator().manual_seed(1))
        if rows and name.endswith("predictions.bias"):
            weights[name] = torch.zeros(rows)
    save_file(weights, path, metadata={"format": "pt"})


def _write_byte_level_tokenizer(folder: Path) -> None:
    """Replace the tokenizer by one like RoBERTa's: bytes are its tokens, so an emoji fills four."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    names = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġth", "in", "er"]
    merges = [("i", "n"), ("e", "r"), ("t", "h"), ("Ġ", "th")]
    names.insert(len(names) - 3, "th")
    vocabulary = {name: place for place, name in enumerate(names)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", vocabulary["</s>"]), ("<s>", vocabulary["<s>"]), trim_offsets=True, add_prefix_space=False
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 128, **special})
    )
    (folder / "vocab.txt").unlink()
