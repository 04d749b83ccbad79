"""Turns labelled texts into premise-hypothesis pairs, so that entailment learns to name topics."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from recipes._data import read

TEMPLATE = "This example is about {}."
TEMPLATES = (TEMPLATE, TEMPLATE, "This text is about {}.", "The topic is {}.", "It is about {}.", "{}")
FEELING_TEMPLATES = ("This text expresses {}.", "The feeling here is {}.", TEMPLATE)

# The first wording of a domain is the one measured; the others keep the model from learning it by heart.
DOMAIN_WORDS = {
    "travel": ("travel", "trips and flights", "going abroad"),
    "banking": ("banking", "bank accounts", "money and bills"),
    "credit_cards": ("credit cards", "a credit card", "card limits and credit scores"),
    "kitchen_and_dining": ("kitchen and dining", "food and restaurants", "cooking and eating"),
    "home": ("home", "lists, music and reminders", "running a household"),
    "auto_and_commute": ("auto and commute", "cars and driving", "traffic and getting around"),
    "work": ("work", "jobs, pay and time off", "an office job"),
    "utility": ("utility", "everyday tools such as timers and weather", "a quick calculation or phone task"),
    "small_talk": ("small talk", "chatting with an assistant", "friendly conversation"),
    "meta": ("meta", "settings of the assistant", "answering or configuring the assistant"),
}

Words = Callable[[str], Sequence[str]]


def topic_pairs(data: Path, seed: int) -> pd.DataFrame:
    """Return entailment and contradiction pairs made of labelled texts from four data folders."""
    random = np.random.default_rng(seed)
    clinc = read(data, "clinc150", "train").query("domain != 'oos'")
    banking = read(data, "banking77", "train")
    parts = [
        _pairs(clinc.text, clinc.domain, DOMAIN_WORDS.__getitem__, TEMPLATES, 0.6, random),
        _pairs(clinc.text, clinc.intent, plain_words, TEMPLATES, 0.2, random),
        _pairs(banking.text, banking.intent, plain_words, TEMPLATES, 0.2, random),
        _pairs(*_paragraphs(data), plain_words, TEMPLATES, 0.4, random),
        _pairs(*_feelings(data), plain_words, FEELING_TEMPLATES, 0.5, random),
    ]
    return pd.concat(parts, ignore_index=True)


def plain_words(label: str) -> list[str]:
    """Return a label as a person would write it: `card_payment?` becomes `card payment`."""
    return [re.sub(r"[_\W]+", " ", label).strip().lower()]


def opening(paragraph: str, sentences: int = 2) -> str:
    """Return the first sentences of a paragraph."""
    return " ".join(re.split(r"(?<=[.!?])\s+", paragraph)[:sentences])


def _paragraphs(data: Path) -> tuple[pd.Series, pd.Series]:
    table = read(data, "squad", "train").drop_duplicates("context")
    return table.context.map(opening), table.title


def _feelings(data: Path) -> tuple[pd.Series, pd.Series]:
    table = read(data, "go_emotions", "train")
    table = table[table.emotions.map(len) == 1]
    labels = table.emotions.map(lambda names: names[0])
    table, labels = table[labels != "neutral"], labels[labels != "neutral"]
    few = labels.groupby(labels).head(250).index
    return table.text[few].str.replace("[NAME]", "Alex"), labels[few]


def _pairs(
    texts: pd.Series,
    labels: pd.Series,
    words: Words,
    templates: Sequence[str],
    share: float,
    random: np.random.Generator,
) -> pd.DataFrame:
    """Pair a share of the texts with their own label and with another one."""
    known = labels.unique()
    rows = []
    for text, label in zip(texts, labels, strict=True):
        if random.random() >= share:
            continue
        other = next(name for name in random.choice(known, 2, replace=False) if name != label)
        for name in (label, other):
            hypothesis = random.choice(templates).format(random.choice(words(name)))
            rows.append((text, hypothesis, "entailment" if name == label else "contradiction"))
    return pd.DataFrame(rows, columns=["premise", "hypothesis", "label"])
