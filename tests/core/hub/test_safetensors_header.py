"""Safetensors headers: read without the weights, and refused when damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.errors import NotAModel
from core.hub.safetensors_header import count_parameters, read_header
from core.models.folder import starter_base_folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write 10 + 6 values."""
    tensors = {"a": np.ones(10, np.float32), "b": np.ones((2, 3), np.float16)}
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    return tmp_path / "model.safetensors"


def test_counts_what_the_library_wrote(path: Path) -> None:
    """Names, shapes and the sum of values are those that were saved; metadata is no tensor."""
    assert {name: one["shape"] for name, one in read_header(path).items()} == {"a": [10], "b": [2, 3]}
    assert count_parameters([path, path]) == 32


def test_a_scalar_is_one_value(tmp_path: Path) -> None:
    """A tensor without dimensions counts as one."""
    save_file({"s": np.array(1.0, np.float32)}, tmp_path / "s.safetensors")
    assert count_parameters([tmp_path / "s.safetensors"]) == 1


def test_tables_of_positions_are_no_parameters(tmp_path: Path) -> None:
    """Whole numbers of 64 bits and masks, as old checkpoints carry them, are not counted."""
    tensors = {"weight": np.ones(6, np.float32), "position_ids": np.arange(512), "mask": np.ones((4, 4), np.bool_)}
    save_file(tensors, tmp_path / "t.safetensors")
    assert count_parameters([tmp_path / "t.safetensors"]) == 6


def test_the_starters_base_is_counted_as_its_model_is() -> None:
    """The header of the base tells as many parameters as the model of its configuration has."""
    import torch
    import transformers

    base = starter_base_folder()
    assert base
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(transformers.AutoConfig.from_pretrained(base))
    assert count_parameters([base / "model.safetensors"]) == model.num_parameters()


@pytest.mark.parametrize("keep", [0, 4, 8, 40, -1])
def test_a_truncated_file_is_refused(path: Path, keep: int) -> None:
    """A file that ends anywhere too early is named as damaged."""
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(NotAModel, match=r"model\.safetensors is damaged"):
        read_header(path)


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"3",
        b"null",
        b'{"a": 1}',
        b'{"a": {}}',
        b'{"a": {"shape": [1], "data_offsets": [0]}}',
        b'{"a": {"shape": [1], "data_offsets": ["x", "y"]}}',
        b"\xff\xfe",
        b'{"a": {"shape": "x", "data_offsets": [0, 4]}}',
        b"[" * 5_000,
    ],
)
def test_a_header_of_another_shape_is_refused(tmp_path: Path, header: bytes) -> None:
    """JSON that describes no tensors is damage, not a crash."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(NotAModel):
        count_parameters([path])


def test_an_impossible_length_is_not_read(tmp_path: Path) -> None:
    """A header of exabytes is refused before memory is asked for."""
    path = tmp_path / "model.safetensors"
    path.write_bytes((2**63).to_bytes(8, "little") + json.dumps({}).encode())
    with pytest.raises(NotAModel):
        read_header(path)
