"""Makes the sentiment starter: is a short text positive or negative."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset
from transformers import DataCollatorWithPadding, PreTrainedModel

from recipes._card import Card
from recipes._data import APACHE, CC_BY, Source, read
from recipes._measure import Measurement, class_logits, score
from recipes._mixed import softmax
from recipes._run import main
from recipes._train import Recipe, tokenizer

POSITIVE = {
    "admiration",
    "amusement",
    "excitement",
    "gratitude",
    "joy",
    "love",
    "optimism",
    "pride",
    "relief",
}
NEGATIVE = {
    "anger",
    "annoyance",
    "disappointment",
    "disapproval",
    "disgust",
    "embarrassment",
    "fear",
    "grief",
    "nervousness",
    "remorse",
    "sadness",
}
EMOTIONS_PER_LABEL = 600
MEASURED_EMOTIONS = 1500
TYPED_SHARE = 0.4
"""Of the reviews that are trained as people type them; the rest stays as published."""

RECIPE = Recipe(
    name="sentiment",
    task="text-classification",
    head=("pooler", "classifier"),
    labels=("NEGATIVE", "POSITIVE"),
    epochs=5,
    learning_rate=5e-4,
    max_length=96,
    rank=32,
    alpha=64,
    label_smoothing=0.05,
    consistency=2.0,
    average_decay=0.998,
)
CARD = Card(
    title="Sentiment",
    summary="Says whether a short English text is positive or negative, with a probability.",
    sources=(
        Source(
            "sentiment_polarity",
            "film review sentences of Bo Pang and Lillian Lee, “Seeing stars”, ACL 2005",
            CC_BY,
            f"{TYPED_SHARE:.0%} of them as people type, the rest as published",
        ),
        Source(
            "go_emotions",
            "GoEmotions, Demszky et al. 2020",
            APACHE,
            f"up to {EMOTIONS_PER_LABEL} comments per label whose emotions are all on one side",
        ),
    ),
    license="cc-by-4.0",
    license_reason="The film reviews are CC BY 4.0, which asks for the attribution above.",
    limits=(
        "There is no neutral class: a text without an opinion still gets one of the two labels.",
        (
            "Turned phrases fool it: “I don't hate it” and “No complaints” come out negative, “I can't recommend it.” "
            "positive."
        ),
        "Irony is read literally: “Thanks for nothing” and “Yeah, great, another delay.” come out positive.",
        (
            "Trained on film reviews and Reddit comments, it may judge words of other trades wrongly (“The battery "
            "lasts forever” and “The staff went out of their way to help us.” come out negative), and of a review that "
            "both praises and damns it follows the part behind the “but”."
        ),
        "English only, and single sentences or short paragraphs rather than pages.",
    ),
    example="I love this!",
)


def training_rows(data: Path) -> Dataset:
    """Return tokenised reviews, some of them as people type, and comments with clear emotions."""
    reviews = read(data, "sentiment_polarity", "train")
    typed = reviews.sample(frac=TYPED_SHARE, random_state=RECIPE.seed).index
    reviews.loc[typed, "text"] = reviews.loc[typed, "text"].map(detokenise).map(truecase)
    table = pd.concat([reviews, polar_comments(data, "train", EMOTIONS_PER_LABEL)])
    encoded = tokenizer()(table.text.tolist(), truncation=True, max_length=RECIPE.max_length)
    return Dataset.from_dict({"input_ids": encoded["input_ids"], "labels": table.label.tolist()})


def collator() -> DataCollatorWithPadding:
    """Return the collator that pads each batch to its longest text."""
    return DataCollatorWithPadding(tokenizer())


def polar_comments(data: Path, split: str, per_label: int) -> pd.DataFrame:
    """Return comments whose emotions are all positive or all negative, at most `per_label` of each."""
    table = read(data, "go_emotions", split)
    names = table.emotions.map(set)
    text = table.text.str.replace("[NAME]", "Alex").str.replace("[RELIGION]", "church")
    sides = [
        table.assign(text=text, label=label)[names.map(emotions.issuperset)][["text", "label"]]
        for label, emotions in ((1, POSITIVE), (0, NEGATIVE))
    ]
    return pd.concat([side.sample(min(per_label, len(side)), random_state=RECIPE.seed) for side in sides])


def detokenise(text: str) -> str:
    """Undo the corpus tokenisation, so that `it 's not bad , really` becomes `it's not bad, really`."""
    text = text.replace(". . .", "...").replace(" n't", "n't").replace("--", "—")
    text = re.sub(r" ('(?:s|re|ve|ll|d|m)\b)", r"\1", text)
    text = re.sub(r'"\s*([^"]*?)\s*"', r'"\1"', text)
    text = re.sub(r"\s+([,.!?;:)\]%])", r"\1", text)
    return re.sub(r"([(\[$])\s+", r"\1", text)


def truecase(text: str) -> str:
    """Capitalise sentence starts and the word I, as a person would type them."""
    text = re.sub(r"(^\W*|[.!?]\s+)([a-z])", lambda found: found[1] + found[2].upper(), text)
    return re.sub(r"\bi\b", "I", text)


def measure(model: PreTrainedModel, data: Path) -> list[Measurement]:
    """Score accuracy on the official reviews, on the same ones as people type, and on comments."""
    reviews = read(data, "sentiment_polarity", "test")
    natural = [truecase(detokenise(text)) for text in reviews.text]
    comments = polar_comments(data, "test", MEASURED_EMOTIONS)

    def right(texts: Iterable[str], labels: pd.Series) -> np.ndarray:
        return class_logits(model, tokenizer(), list(texts)).argmax(-1) == np.asarray(labels)

    return [
        score("accuracy", "sentiment_polarity", "test", right(reviews.text, reviews.label)),
        score(
            "accuracy",
            "sentiment_polarity",
            "test",
            right(natural, reviews.label),
            "detokenised and capitalised, as people type",
        ),
        score(
            "accuracy",
            "go_emotions",
            "test",
            right(comments.text, comments.label),
            "comments whose emotions are all positive or all negative",
        ),
    ]


def compared_scores(model: PreTrainedModel, data: Path) -> np.ndarray:
    """Return the scores (texts, labels) of the validation reviews, for a comparison of dtypes."""
    texts = read(data, "sentiment_polarity", "validation").text.map(detokenise).map(truecase)
    return softmax(class_logits(model, tokenizer(), texts.tolist()))


if __name__ == "__main__":
    main(RECIPE.name)
