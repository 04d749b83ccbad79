"""Makes the nli starter: does one sentence follow from another, and, through it, topics by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset
from transformers import DataCollatorWithPadding, PreTrainedModel

from recipes._card import Card
from recipes._data import APACHE, CC_BY, CC_BY_3, CC_BY_SA, Source, read
from recipes._measure import Measurement, class_logits, score
from recipes._mixed import softmax
from recipes._run import main
from recipes._topics import DOMAIN_WORDS, TEMPLATE, opening, plain_words, topic_pairs
from recipes._train import Recipe, tokenizer

ROWS_PER_DOMAIN = 150
LEFT_OUT = "conjnli_adv"
"""Long generated pairs: a quarter of the mixture, and little like what people ask."""

RECIPE = Recipe(
    name="nli",
    task="zero-shot-classification",
    head=("pooler", "classifier"),
    labels=("entailment", "neutral", "contradiction"),
    epochs=0.85,
    learning_rate=7e-4,
    batch_size=64,
    rank=32,
    alpha=64,
    max_length=128,
    dropout=0.05,
)
CARD = Card(
    title="Entailment and topics",
    summary="Says whether a second sentence follows from a first one, contradicts it or neither, and so "
    f"sorts texts under topics that you name (template: “{TEMPLATE}”).",
    sources=(
        Source(
            "nli",
            "SNLI (Bowman et al. 2015) through e-SNLI, MultiNLI (Williams et al. 2018) through "
            "TaxiNLI, ConjNLI (its generated part left out), Breaking NLI and counterfactually augmented SNLI",
            f"{CC_BY_SA}, MultiNLI C-UDA 1.0, parts MIT and Apache-2.0",
            "entailment pairs",
        ),
        Source(
            "clinc150",
            "Larson et al. 2019",
            CC_BY_3,
            "training texts paired with the words of their intent and of their domain",
        ),
        Source("banking77", "Casanueva et al. 2020", CC_BY, "training texts paired with the words of their intent"),
        Source(
            "squad",
            "SQuAD 1.1, Rajpurkar et al. 2016",
            CC_BY_SA,
            "training paragraphs paired with the title of their article",
        ),
        Source(
            "go_emotions",
            "GoEmotions, Demszky et al. 2020",
            APACHE,
            "training comments paired with the name of their emotion",
        ),
    ),
    license="cc-by-sa-4.0",
    license_reason="SNLI and SQuAD are CC BY-SA 4.0, whose share-alike the weights keep.",
    limits=(
        (
            "The ten clinc150 domains and their wordings were seen in training (other texts); expect less on "
            "labels of your own, as the scores on unseen label sets show."
        ),
        "Short or very general labels (“home”, “meta”) mean little to it; a few descriptive words work better.",
        (
            "Details that the first sentence neither states nor denies are often taken for contradictions (“holding "
            "a cup” against “holding a porcelain cup”), and a “not” in a long sentence is often overlooked."
        ),
        "For positive against negative opinions the sentiment starter is far better, as the last score shows.",
    ),
    example=("A man is playing a guitar on stage.", "A musician performs."),
)


def training_rows(data: Path) -> Dataset:
    """Return tokenised premise-hypothesis pairs: the entailment mixture and the topic pairs."""
    columns = ["premise", "hypothesis", "label"]
    pairs = read(data, "nli", "train").query("source != @LEFT_OUT")[columns]
    table = pd.concat([pairs, topic_pairs(data, RECIPE.seed)])
    encoded = tokenizer()(
        table.premise.tolist(), table.hypothesis.tolist(), truncation=True, max_length=RECIPE.max_length
    )
    return Dataset.from_dict(
        {
            "input_ids": encoded["input_ids"],
            "token_type_ids": encoded["token_type_ids"],
            "labels": [RECIPE.labels.index(label) for label in table.label],
        }
    )


def collator() -> DataCollatorWithPadding:
    """Return the collator that pads each batch to its longest pair."""
    return DataCollatorWithPadding(tokenizer())


def measure(model: PreTrainedModel, data: Path) -> list[Measurement]:
    """Score entailment accuracy, and naming topics on seen and on unseen label sets."""
    table = read(data, "nli", "validation")
    logits = class_logits(model, tokenizer(), table.premise.tolist(), table.hypothesis.tolist())
    right = np.array(RECIPE.labels)[logits.argmax(-1)] == table.label
    sources = [
        score("accuracy", "nli", "validation", right[table.source == source], f"{source} rows only")
        for source in sorted(table.source.unique())
    ]
    return [score("accuracy", "nli", "validation", right), *sources, *_topic_scores(model, data)]


def _topic_scores(model: PreTrainedModel, data: Path) -> list[Measurement]:
    clinc = read(data, "clinc150", "test").query("domain != 'oos'")
    clinc = clinc.groupby("domain").sample(ROWS_PER_DOMAIN, random_state=RECIPE.seed)
    domains = {name: words[0] for name, words in DOMAIN_WORDS.items()}
    squad = read(data, "squad", "validation").drop_duplicates("context")
    titles = {title: plain_words(title)[0] for title in squad.title.unique()}
    films = read(data, "sentiment_polarity", "test")
    feelings = {1: "a positive opinion", 0: "a negative opinion"}
    return [
        score(
            "zero_shot_top1",
            "clinc150",
            "test",
            _hits(model, clinc.text, clinc.domain, domains),
            f"10 domains, seen in training, {ROWS_PER_DOMAIN} rows of each; labels: " + ", ".join(domains.values()),
        ),
        score(
            "zero_shot_top1",
            "squad",
            "validation",
            _hits(model, squad.context.map(opening), squad.title, titles),
            "paragraph openings by article, titles not seen in training: " + ", ".join(titles.values()),
        ),
        score(
            "zero_shot_top1",
            "sentiment_polarity",
            "test",
            _hits(model, films.text, films.label, feelings),
            "film reviews, not seen in training; labels: " + ", ".join(feelings.values()),
        ),
    ]


def _hits(model: PreTrainedModel, texts: pd.Series, labels: pd.Series, words: dict) -> np.ndarray:
    """Return for each text whether its own label has the highest entailment score."""
    return np.array(list(words))[entailment(model, texts.tolist(), list(words.values())).argmax(-1)] == labels


def entailment(model: PreTrainedModel, texts: list[str], labels: list[str]) -> np.ndarray:
    """Return the entailment logit of each text (row) with each label (column) in the template."""
    premises = [text for text in texts for _ in labels]
    hypotheses = [TEMPLATE.format(label) for _ in texts for label in labels]
    logits = class_logits(model, tokenizer(), premises, hypotheses)
    column = RECIPE.labels.index("entailment")
    return logits[:, column].reshape(len(texts), len(labels))


def compared_scores(model: PreTrainedModel, data: Path) -> np.ndarray:
    """Return the scores (texts, labels) of validation texts among the ten domains, for a comparison of dtypes."""
    texts = read(data, "clinc150", "validation").query("domain != 'oos'").text.sample(300, random_state=RECIPE.seed)
    return softmax(entailment(model, texts.tolist(), [words[0] for words in DOMAIN_WORDS.values()]))


if __name__ == "__main__":
    main(RECIPE.name)
