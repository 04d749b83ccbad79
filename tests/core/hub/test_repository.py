"""Which files of a repository loading needs."""

from __future__ import annotations

import pytest

from core.errors import ModelError
from core.hub.repository import RepoFile, choose_companions, choose_weights, is_complete, require_weights


def files(*names: str) -> list[RepoFile]:
    """Invent files of these names."""
    return [RepoFile(name, 1) for name in names]


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("model.safetensors", "model.fp16.safetensors", "consolidated.safetensors"), {"model.safetensors"}),
        (
            ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "consolidated.safetensors"),
            {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"},
        ),
        (("model.safetensors", "model-00001-of-00001.safetensors"), {"model.safetensors"}),
        (
            ("adapter_model.safetensors", "adapter_config.json", "checkpoint-5/adapter_model.safetensors"),
            {"adapter_model.safetensors"},
        ),
        (
            (
                "model_index.json",
                "sd.safetensors",
                "text_encoder/model.safetensors",
                "unet/diffusion_pytorch_model.safetensors",
                "unet/diffusion_pytorch_model.fp16.safetensors",
            ),
            {"unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"},
        ),
        (("../model.safetensors", "/model.safetensors", "a\\model.safetensors"), set()),
    ],
)
def test_choice_of_weights(names: tuple[str, ...], chosen: set[str]) -> None:
    """Of all safetensors, only those that the libraries load are chosen."""
    assert {file.name for file in choose_weights(files(*names))} == chosen


def test_choice_of_companions() -> None:
    """Of all small files, the texts that loading reads are chosen, and never code."""
    wanted = {"config.json", "tokenizer.json", "merges.txt", "spiece.model", "source.spm", "chat_template.jinja"}
    clutter = {"modeling.py", "README.md", "trainer_state.json", "all_results.json", "tf.h5.index.json", "x/c.json"}
    assert {file.name for file in choose_companions(files(*wanted, *clutter))} == wanted


@pytest.mark.parametrize(
    ("names", "complete"),
    [
        ((), False),
        (("model.safetensors",), True),
        (("model-00001-of-00002.safetensors",), False),
        (("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"), True),
    ],
)
def test_completeness(names: tuple[str, ...], complete: bool) -> None:
    """A missing shard is noticed by the number in the others' names."""
    assert is_complete(files(*names)) is complete


HALF = ("model-00001-of-00002.safetensors",)


@pytest.mark.parametrize(
    ("names", "of_folder", "of_repository"),
    [
        (HALF, "error.shards_missing", "error.hub_shards_missing"),
        ((*HALF, "pytorch_model.bin"), "error.shards_missing", "error.hub_shards_missing"),
        (("model.ckpt", "training_args.bin"), "error.only_pickles", "error.hub_only_pickles"),
        (("training_args.bin", "config.json"), "error.no_weights", "error.hub_no_weights"),
        ((), "error.no_weights", "error.hub_no_weights"),
    ],
)
def test_whole_safetensors_or_nothing(names: tuple[str, ...], of_folder: str, of_repository: str) -> None:
    """Folder and repository follow one rule, each in its own words; a trainer's own pickles are no weights."""
    for repo_id, key in ((None, of_folder), ("org/name", of_repository)):
        with pytest.raises(ModelError) as caught:
            require_weights(files(*names), repo_id)
        assert caught.value.sentence.key == key
        assert "training_args" not in str(caught.value) or key == "error.hub_no_weights"
    assert require_weights(files("model.safetensors", *names)) == tuple(files("model.safetensors"))
