"""Makes the translate-en-fr starter: a small encoder-decoder, trained from its first weights, English to French."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sacrebleu.metrics import BLEU, CHRF
from transformers import MarianMTModel, PreTrainedModel, PreTrainedTokenizerFast

from recipes import _pairs
from recipes._card import Card
from recipes._data import CC_BY_2_FR, Source, read
from recipes._measure import Measurement, score
from recipes._scratch import Lesson, ScratchRecipe, byte_level_tokenizer
from recipes._scratch_run import main

HELD_OUT = 1000
"""English sentences of the training split that are only evaluated on, with all their translations."""
SAMPLES = 10
SHAPE = _pairs.Shape(longest=256, answer=128)

RECIPE = _pairs.new_recipe("translate-en-fr", "translation", steps=7000, batch_size=256, learning_rate=1.5e-3)
CARD = Card(
    title="English to French",
    summary="Translates short everyday English sentences into French.",
    sources=(
        Source(
            "translation_en_fr",
            "sentence pairs of Tatoeba (tatoeba.org) through manythings.org/anki",
            CC_BY_2_FR,
            f"training split, {HELD_OUT:,} English sentences of it held out; validation measured only",
        ),
    ),
    license="cc-by-2.0",
    license_reason="The sentences are CC BY 2.0 FR, which asks for the attribution above.",
    limits=(
        "It was trained on sentences of six words on average: longer ones lose parts, and paragraphs come out wrong.",
        "Names, numbers and words that Tatoeba rarely has are guessed, and may be made up from pieces of French words.",
        "Tatoeba has few greetings and headings: “Hello.”, “Good morning.” and “My name is Anna.” come out wrong.",
        "“You” becomes “tu” or “vous” as it happens, and “I” may become a woman or a man.",
        "One meaning is chosen without context: “bank” and “bat” are guesses.",
        "English to French only.",
    ),
    example="Where did you learn to cook?",
    languages=("en", "fr"),
)


def new_tokenizer(data: Path) -> PreTrainedTokenizerFast:
    """Return one tokenizer for both languages, made from the training pairs; a text ends in the end-of-text token."""
    table, _ = _tables(data)
    return byte_level_tokenizer([*table.en, *table.fr], RECIPE.vocabulary, _pairs.SPECIALS, _pairs.TEMPLATE)


def new_model(tokenizer: PreTrainedTokenizerFast) -> MarianMTModel:
    """Return an encoder-decoder with random weights."""
    return _pairs.new_model(tokenizer, SHAPE, RECIPE.dropout)


def lesson(data: Path, tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel, recipe: ScratchRecipe) -> Lesson:
    """Return the pairs of all passes."""
    taught, held_out = ((table.en.tolist(), table.fr.tolist()) for table in _tables(data))
    return _pairs.lesson(recipe, model, tokenizer, taught, held_out)


def _tables(data: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the pairs to train on, and those of the English sentences held out."""
    table = read(data, "translation_en_fr", "train")
    sentences = table.en.drop_duplicates().sample(HELD_OUT, random_state=RECIPE.seed)
    is_held_out = table.en.isin(sentences)
    return table[~is_held_out], table[is_held_out]


def measure(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, data: Path) -> list[Measurement]:
    """Score sacreBLEU and chrF with beam search."""
    table = read(data, "translation_en_fr", "validation")
    outputs = _pairs.answers(model, tokenizer, table.en.tolist())
    way = f"beam search of {model.generation_config.num_beams}"
    metrics = {"sacrebleu": BLEU(trg_lang="fr"), "chrf": CHRF()}
    return [corpus_score(name, metric, (outputs, table.fr.tolist()), way) for name, metric in metrics.items()]


def corpus_score(name: str, metric: BLEU | CHRF, texts: tuple[list[str], list[str]], way: str) -> Measurement:
    """Return the score of outputs and references as corpora, with sacreBLEU's signature in the note."""
    outputs, references = texts
    # sacreBLEU's own bootstrap would print its interval, but not give it out.
    counts = metric._extract_corpus_statistics(outputs, [references])  # noqa: SLF001

    def of_corpus(rows: np.ndarray) -> float:
        return float(metric._compute_score_from_stats(rows.sum(axis=0).tolist()).score)  # noqa: SLF001

    return score(
        name, "translation_en_fr", "validation", counts, f"{way}; {metric.get_signature()}", statistic=of_corpus
    )


def samples(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, data: Path) -> list[dict[str, str]]:
    """Return the first rows of the validation split."""
    table = read(data, "translation_en_fr", "validation").head(SAMPLES)
    outputs = _pairs.answers(model, tokenizer, table.en.tolist())
    return [
        {"English": row.en, "French": output, "reference": row.fr}
        for row, output in zip(table.itertuples(), outputs, strict=True)
    ]


if __name__ == "__main__":
    main(RECIPE.name)
