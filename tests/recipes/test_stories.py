"""The stories recipe's model as it is shipped, and the text it is taught."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from recipes import stories
from recipes._scratch import LARGEST_FILE, save_starter, trained_parameters

STORIES = [f"Once there was a cat number {number}.\n\nIt slept all day.\n" for number in range(140)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the two data sets, very small."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "tinystories").mkdir()
    (folder / "fairytale_qa").mkdir()
    pd.DataFrame({"text": STORIES}).to_parquet(folder / "tinystories" / "train.parquet")
    tales = {"split": ["train", "test"], "text": ["A king had three sons. " * 50, "A secret tale. " * 50]}
    pd.DataFrame(tales).to_parquet(folder / "fairytale_qa" / "stories.parquet")
    return folder


def test_the_lesson_reads_training_texts_only(data: Path) -> None:
    """Stories are held out of the rows, tales of other splits are not read, and paragraphs end in one line feed."""
    tokenizer = stories.new_tokenizer(data)
    lesson = stories.lesson(data, tokenizer, stories.new_model(tokenizer), stories.RECIPE)
    text, held_out = (
        tokenizer.decode(torch.cat([rows[i]["input_ids"] for i in range(len(rows))]))
        for rows in (lesson.rows, lesson.check)
    )
    taught = [number for number in range(140) if f"number {number}." in text]
    assert len(taught) <= 140 - stories.HELD_OUT
    assert taught
    assert not any(f"number {number}." in held_out for number in taught)
    assert "three sons" in text
    assert "secret" not in text
    assert "\n\n" not in text
    assert len(lesson.rows[0]["input_ids"]) == stories.BLOCK


def test_the_shipped_shape_fits_and_loads(data: Path, tmp_path: Path) -> None:
    """With its whole vocabulary the weights stay under the limit, load plainly, and generate as they were told."""
    tokenizer = stories.new_tokenizer(data)
    model = stories.new_model(tokenizer)
    missing = stories.RECIPE.vocabulary - len(tokenizer)
    assert 2 * (trained_parameters(model) + missing * model.config.hidden_size) < LARGEST_FILE - 50_000
    save_starter(model, tokenizer, tmp_path)
    loaded, known = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.generation_config.max_new_tokens == 250
    tokens = loaded.generate(**known("Once upon a time", return_tensors="pt"), max_new_tokens=3)
    assert known.decode(tokens[0], skip_special_tokens=True).startswith("Once upon a time")


def test_dropout_is_for_training_only() -> None:
    """The same tokens give different numbers while training, and the same ones afterwards."""
    torch.manual_seed(20)
    layer = torch.nn.Identity()
    layer.register_forward_hook(stories._dropped)
    inputs = torch.ones(1, 1000)
    assert not torch.equal(layer.train()(inputs), inputs)
    assert torch.equal(layer.eval()(inputs), inputs)
