"""Many arrays in one file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.training.pictures.tensor_file import TensorFile, TensorWriter, is_whole


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    """Whatever their shape and precision, by their names; and what is not there is told apart."""
    first, second = torch.randn(2, 3, 4), torch.randn(5).half()
    with TensorWriter(tmp_path / "held.bin") as writer:
        writer.add("first", first)
        writer.add("second", second)
    held = TensorFile(tmp_path / "held.bin")
    assert torch.equal(held["first"], first)
    assert torch.equal(held["second"], second.float())
    assert held.get("third") is None


def test_an_unfinished_or_shortened_file_counts_for_nothing(tmp_path: Path) -> None:
    """A writer that fails leaves nothing to be trusted, even where there was a whole file before."""
    file = tmp_path / "held.bin"
    assert not is_whole(file)
    with TensorWriter(file) as writer:
        writer.add("first", torch.ones(4))
    assert is_whole(file)
    with file.open("r+b") as opened:
        opened.truncate(8)
    assert not is_whole(file)
    with pytest.raises(TypeError, match="unhashable"), TensorWriter(file) as writer:
        writer.add([], torch.ones(4))  # type: ignore[arg-type]
    assert not is_whole(file)
