"""What may be asked of placement."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInput
from core.placement.wish import Wish


@pytest.mark.parametrize("name", ["attention_slicing", "vae_slicing", "vae_tiling"])
@pytest.mark.parametrize("value", [True, False, None, "true", "ON", "", 1])
def test_three_states_and_nothing_truthy(name: str, value: Any) -> None:
    """A bool or any other word is refused with the words that are allowed."""
    with pytest.raises(InvalidInput, match=f"{name}.*auto, on, off"):
        Wish(**{name: value})


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:12", "xpu", "xpu:1"])
def test_devices_are_named_as_pytorch_names_them(device: str) -> None:
    """Kinds and numbered devices are accepted."""
    assert Wish(device=device).device == device


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "cpu:0", "CUDA", "cuda:0; rm", True, None])
def test_other_devices_are_refused(device: Any) -> None:
    """What is no device name is refused with examples."""
    with pytest.raises(InvalidInput, match="Use auto, cpu"):
        Wish(device=device)


@pytest.mark.parametrize(
    ("attention", "slicing"), [("sdpa", "on"), ("eager", "on"), ("flash_attention_2", "on"), ("sliced", "off")]
)
def test_attention_and_slicing_may_not_contradict(attention: str, slicing: str) -> None:
    """One of the two would have to be ignored, so neither is."""
    with pytest.raises(InvalidInput, match="exclude each other"):
        Wish(attention=attention, attention_slicing=slicing)


def test_both_ways_to_ask_for_slicing() -> None:
    """attention=sliced and attention_slicing=on mean the same, also together."""
    assert Wish(attention="sliced").sliced
    assert Wish(attention_slicing="on").sliced
    assert Wish(attention="sliced", attention_slicing="on").sliced
    assert not Wish().sliced


@pytest.mark.parametrize("name", ["dtype", "attention", "offload", "quantisation"])
def test_other_words_are_refused(name: str) -> None:
    """Every choice is one of its listed words."""
    with pytest.raises(InvalidInput, match="is not one of"):
        Wish(**{name: "fastest"})
