"""Pairs for an encoder-decoder: order, batches, files, answers and corpus scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sacrebleu.metrics import BLEU, CHRF
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedTokenizerFast

from recipes import _pairs, translate_en_fr
from recipes._scratch import LARGEST_FILE, byte_level_tokenizer, save_starter, trained_parameters
from recipes._scratch_run import Places, make, shortened

ENGLISH = [f"I have {number} cats." for number in range(1100)]
FRENCH = [f"J'ai {number} chats, déjà." for number in range(1100)]
RECIPE = replace(translate_en_fr.RECIPE, batch_size=4, steps=50)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Give one tokenizer for both languages."""
    return byte_level_tokenizer([*ENGLISH, *FRENCH], 300, _pairs.SPECIALS, _pairs.TEMPLATE)


def test_each_pass_reads_whole_batches_of_like_lengths() -> None:
    """The longer side's lengths in a batch are closer than in the data, no pass has a row twice, and orders differ."""
    lengths = np.random.default_rng(1).integers((1, 51), (50, 150), (42, 2))
    read = _pairs.reading_order(lengths, RECIPE)
    passes = read.reshape(5, 40)
    assert all(len(set(one)) == 40 for one in passes.tolist())
    assert passes[0].tolist() != passes[1].tolist()
    spans = np.ptp(lengths[read.reshape(-1, 4), 1], axis=1)
    assert spans.mean() < np.ptp(lengths[:, 1]) / 4


def test_the_lesson_is_what_the_library_collates(tokenizer: PreTrainedTokenizerFast) -> None:
    """A batch has sources, masks, labels, and the labels moved by one for the decoder; padding is no label."""
    model = _pairs.new_model(tokenizer, translate_en_fr.SHAPE, 0.1)
    lesson = _pairs.lesson(RECIPE, model, tokenizer, (ENGLISH, FRENCH), (ENGLISH[:5], FRENCH[:5]))
    assert len(lesson.rows) == RECIPE.steps * RECIPE.batch_size
    assert len(lesson.check) == 5
    batch = lesson.collator([lesson.rows[i] for i in range(4)])
    row = lesson.rows.order[0]
    target = tokenizer(FRENCH[row])["input_ids"]
    assert batch["labels"][0, : len(target)].tolist() == target
    assert target[-1] == tokenizer.eos_token_id
    assert batch["decoder_input_ids"][0, : len(target)].tolist() == [tokenizer.pad_token_id, *target[:-1]]
    assert set(batch["labels"][0, len(target) :].tolist()) <= {-100}


def test_held_out_sentences_have_no_other_translation_in_the_rows(tmp_path: Path) -> None:
    """An English sentence with two translations is held out with both, or with none."""
    (tmp_path / "translation_en_fr").mkdir()
    table = pd.DataFrame({"en": ENGLISH * 2, "fr": [*FRENCH, *FRENCH[::-1]]})
    table.to_parquet(tmp_path / "translation_en_fr" / "train.parquet")
    taught, held_out = translate_en_fr._tables(tmp_path)
    assert held_out.en.nunique() == translate_en_fr.HELD_OUT
    assert len(taught) + len(held_out) == len(table)
    assert not set(taught.en) & set(held_out.en)


def test_a_few_steps_give_files_that_load_and_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe runs from pairs to a card, and plain Auto classes load what it wrote and generate with it."""
    small = replace(translate_en_fr.SHAPE, width=32, feed_forward=32, answer=8)
    monkeypatch.setattr(translate_en_fr, "SHAPE", small)
    folder = tmp_path / "data" / "translation_en_fr"
    folder.mkdir(parents=True)
    table = pd.DataFrame({"en": ENGLISH, "fr": FRENCH})
    table.to_parquet(folder / "train.parquet")
    table.head(12).to_parquet(folder / "validation.parquet")
    recipe = replace(shortened(RECIPE, 2), evaluate_every=2, save_every=2)
    make(translate_en_fr, recipe, Places(tmp_path / "data", tmp_path / "starters", tmp_path / "checkpoints"))
    made = tmp_path / "starters" / "translate-en-fr"
    model, known = AutoModelForSeq2SeqLM.from_pretrained(made), AutoTokenizer.from_pretrained(made)
    assert model.generation_config.num_beams == 4
    inputs = known(["I have 3 cats.", "I have."], padding=True, return_tensors="pt")
    assert model.generate(**inputs, max_new_tokens=4).shape[0] == 2
    assert "nrefs:1" in (made / "README.md").read_text(encoding="utf-8")


def test_answers_come_in_the_order_of_the_texts(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    """Texts of different lengths are answered together, and each gets the answer it gets alone."""
    torch.manual_seed(20)
    shape = replace(translate_en_fr.SHAPE, width=32, feed_forward=32, answer=6)
    save_starter(_pairs.new_model(tokenizer, shape, 0.0), tokenizer, tmp_path)
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    texts = ["I have three cats and no dogs.", "I.", "I have 3."]
    assert _pairs.answers(model, tokenizer, texts) == [_pairs.answers(model, tokenizer, [text])[0] for text in texts]


def test_the_shipped_shape_fits() -> None:
    """With its whole vocabulary the weights stay under the limit for a file."""
    specials = {"eos_token": "a", "pad_token": "b"}
    known = byte_level_tokenizer([], 4096, specials, "$A")
    model = _pairs.new_model(known, translate_en_fr.SHAPE, 0.1)
    missing = translate_en_fr.RECIPE.vocabulary - len(known)
    assert 2 * (trained_parameters(model) + missing * model.config.d_model) < LARGEST_FILE - 50_000


def test_corpus_scores_are_those_of_sacrebleu() -> None:
    """Value and signature are sacreBLEU's, and the interval lies around the value."""
    outputs = [text.replace("déjà", "ici") for text in FRENCH[:50]]
    for name, metric in (("sacrebleu", BLEU(trg_lang="fr")), ("chrf", CHRF())):
        found = translate_en_fr.corpus_score(name, metric, (outputs, FRENCH[:50]), "greedy")
        assert found.value == round(metric.corpus_score(outputs, [FRENCH[:50]]).score, 4)
        assert found.ci95[0] <= found.value <= found.ci95[1]
        assert "version:" in found.note


def test_a_corpus_that_scores_nothing_has_an_interval_too() -> None:
    """Nothing in common is 0, from 0 to 0."""
    found = translate_en_fr.corpus_score("sacrebleu", BLEU(trg_lang="fr"), (["x"] * 9, ["y z"] * 9), "greedy")
    assert (found.value, found.ci95) == (0.0, (0.0, 0.0))
