"""Makes the question-answering starter: finds the answer to a question inside a given text."""

from __future__ import annotations

import collections
import re
import string
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from datasets import Dataset
from transformers import BatchEncoding, DataCollatorWithPadding, PreTrainedModel

from recipes._card import Card
from recipes._data import CC_BY_SA, Source, read
from recipes._measure import Measurement, batches, score
from recipes._run import main
from recipes._train import Recipe, tokenizer

STRIDE = 128
LONGEST_ANSWER = 30
CANDIDATES = 20
UNANSWERABLE_SHARE = 0.08
SHORTENED_SHARE = 0.75
MOST_NEIGHBOURS = 2
SENTENCE_END = re.compile(r"[.!?][\"”)]?\s+(?=[A-Z\"“(])")

RECIPE = Recipe(
    name="question-answering",
    task="question-answering",
    head=("qa_outputs",),
    epochs=0.95,
    learning_rate=8e-4,
    batch_size=16,
    rank=32,
    alpha=64,
    max_length=384,
    dropout=0.0,
)
CARD = Card(
    title="Question answering",
    summary="Finds the answer to a question inside an English text that you give, or says that it is not there.",
    sources=(
        Source(
            "squad",
            "SQuAD 1.1, Rajpurkar et al. 2016",
            CC_BY_SA,
            "questions of whole articles, most with the sentences around the answer instead of the whole paragraph; "
            "some repeated with a paragraph that lacks the answer",
        ),
    ),
    license="cc-by-sa-4.0",
    license_reason="SQuAD is CC BY-SA 4.0, whose share-alike the weights keep.",
    limits=(
        "It copies a span of the text; it cannot count, compare, calculate or combine two sentences.",
        (
            "It picks a phrase of the right type near the words of the question, and is then often sure of it: asked "
            "who released a disco version of a theme, it names somebody else in the paragraph."
        ),
        "Long answers are cut short: asked for a problem with internet pharmacies, it answers “ease”.",
        (
            "A text about the same subject that lacks the answer is harder to refuse than the score suggests: the "
            "paragraphs that it was measured with were drawn from the whole article."
        ),
    ),
    example=("Where did she study?", "Ada was born in Leeds and studied chemistry in Bristol."),
)


def training_rows(data: Path) -> Dataset:
    """Return tokenised windows with answer positions; position 0 ([CLS]) means no answer."""
    table = read(data, "squad", "train")
    extra = unanswerable(table, UNANSWERABLE_SHARE, RECIPE.seed)
    table = shorten(table, SHORTENED_SHARE, RECIPE.seed)
    return Dataset.from_list(_windows_with_answers(pd.concat([table, extra], ignore_index=True)))


def shorten(table: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Keep, in a share of the paragraphs, only the answer's sentence and its neighbours: half the tokens."""
    random = np.random.default_rng(seed)
    rows = [_near_answer(row, random) if random.random() < share else row for row in table.to_dict("records")]
    return pd.DataFrame(rows)


def _near_answer(row: dict, random: np.random.Generator) -> dict:
    first = int(row["answers"]["answer_start"][0])
    last = first + len(row["answers"]["text"][0])
    edges = [0, *(found.end() for found in SENTENCE_END.finditer(row["context"])), len(row["context"])]
    before, after = random.integers(0, MOST_NEIGHBOURS, 2, endpoint=True)
    start = [edge for edge in edges if edge <= first][-1 - before :][0]
    end = [edge for edge in edges if edge >= last][: 1 + after][-1]
    answers = {"text": row["answers"]["text"], "answer_start": [first - start]}
    return row | {"context": row["context"][start:end], "answers": answers}


def collator() -> DataCollatorWithPadding:
    """Return the collator that pads each batch to its longest window."""
    return DataCollatorWithPadding(tokenizer())


def unanswerable(table: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Pair a share of the questions with another paragraph of the article that lacks the answer."""
    random = np.random.default_rng(seed)
    paragraphs = table.groupby("title").context.unique().to_dict()
    rows = []
    for row in table.sample(frac=share, random_state=seed).itertuples():
        context = random.choice(paragraphs[row.title])
        if any(answer.lower() in context.lower() for answer in row.answers["text"]):
            continue
        rows.append({"title": row.title, "question": row.question, "context": context, "answers": None})
    return pd.DataFrame(rows)


def _windows_with_answers(table: pd.DataFrame) -> list[dict]:
    encoded = _encode(table)
    rows = []
    for window, source in enumerate(encoded["overflow_to_sample_mapping"]):
        start, end = _answer_tokens(encoded, window, table.answers[source])
        rows.append(
            {
                "input_ids": encoded["input_ids"][window],
                "token_type_ids": encoded["token_type_ids"][window],
                "start_positions": start,
                "end_positions": end,
            }
        )
    return rows


def _encode(table: pd.DataFrame) -> BatchEncoding:
    return tokenizer()(
        [question.strip() for question in table.question],
        table.context.tolist(),
        truncation="only_second",
        max_length=RECIPE.max_length,
        stride=STRIDE,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )


def _answer_tokens(encoded: BatchEncoding, window: int, answers: dict | None) -> tuple[int, int]:
    if answers is None:
        return 0, 0
    first = int(answers["answer_start"][0])
    last = first + len(answers["text"][0])
    offsets = encoded["offset_mapping"][window]
    context = [i for i, part in enumerate(encoded.sequence_ids(window)) if part == 1]
    if offsets[context[0]][0] > first or offsets[context[-1]][1] < last:
        return 0, 0
    start = max(i for i in context if offsets[i][0] <= first)
    end = min(i for i in context if offsets[i][1] >= last)
    return start, end


def measure(model: PreTrainedModel, data: Path) -> list[Measurement]:
    """Score the official exact match and F1, and how well the [CLS] score tells that there is no answer."""
    table = read(data, "squad", "validation")
    found = answer(model, table)
    golds = [list(answers["text"]) for answers in table.answers]
    exact = [max(_exact(text, gold) for gold in gold_list) for (text, _), gold_list in zip(found, golds, strict=True)]
    overlap = [max(_f1(text, gold) for gold in gold_list) for (text, _), gold_list in zip(found, golds, strict=True)]
    return [
        score("f1", "squad", "validation", overlap, "official normalisation, best of the gold answers"),
        score("exact_match", "squad", "validation", exact, "official normalisation"),
        _no_answer_score(model, table, found),
    ]


def _no_answer_score(model: PreTrainedModel, table: pd.DataFrame, found: list) -> Measurement:
    without = unanswerable(table, 0.5, RECIPE.seed)
    margins = [margin for _, margin in answer(model, without)]
    with_answer = [margin for _, margin in found]
    note = (
        "share of right decisions between answering and not answering when the best span must "
        f"outscore [CLS]; {len(with_answer)} questions with their paragraph, {len(margins)} with another one"
    )
    right = [margin > 0 for margin in with_answer] + [margin <= 0 for margin in margins]
    return score("answerability_accuracy", "squad", "validation", right, note)


def answer(model: PreTrainedModel, table: pd.DataFrame) -> list[tuple[str, float]]:
    """Return for each row the best span and by how much it outscores [CLS], the no-answer position."""
    encoded = _encode(table)
    starts, ends = _logits(model, encoded)
    contexts = table.context.tolist()
    best: dict[int, tuple[float, str]] = {}
    null = collections.defaultdict(lambda: float("inf"))
    for window, source in enumerate(encoded["overflow_to_sample_mapping"]):
        null[source] = min(null[source], float(starts[window][0] + ends[window][0]))
        value, first, last = _best_span(encoded, window, starts[window], ends[window])
        if source not in best or value > best[source][0]:
            best[source] = (value, contexts[source][first:last])
    return [(best[i][1], best[i][0] - null[i]) for i in range(len(table))]


def _best_span(encoded: BatchEncoding, window: int, starts: np.ndarray, ends: np.ndarray) -> tuple[float, int, int]:
    offsets, parts = encoded["offset_mapping"][window], encoded.sequence_ids(window)
    top_starts = [i for i in np.argsort(-starts)[: 4 * CANDIDATES] if parts[i] == 1][:CANDIDATES]
    top_ends = [i for i in np.argsort(-ends)[: 4 * CANDIDATES] if parts[i] == 1][:CANDIDATES]
    spans = [
        (float(starts[i] + ends[j]), offsets[i][0], offsets[j][1])
        for i in top_starts
        for j in top_ends
        if i <= j < i + LONGEST_ANSWER
    ]
    return max(spans, default=(float("-inf"), 0, 0))


def _logits(model: PreTrainedModel, encoded: BatchEncoding) -> tuple[list[np.ndarray], list[np.ndarray]]:
    count = len(encoded["input_ids"])
    starts: list = [None] * count
    ends: list = [None] * count
    pad = tokenizer().pad
    for batch in batches([len(ids) for ids in encoded["input_ids"]], size=32):
        features = {key: [encoded[key][i] for i in batch] for key in ("input_ids", "token_type_ids", "attention_mask")}
        with torch.inference_mode():
            output = model(**pad(features, return_tensors="pt"))
        for row, i in enumerate(batch):
            length = len(encoded["input_ids"][i])
            starts[i] = output.start_logits[row, :length].numpy()
            ends[i] = output.end_logits[row, :length].numpy()
    return starts, ends


def normalise(text: str) -> list[str]:
    """Return the words of an answer as the official SQuAD script compares them."""
    text = "".join(char for char in text.lower() if char not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def _exact(prediction: str, gold: str) -> float:
    return float(normalise(prediction) == normalise(gold))


def _f1(prediction: str, gold: str) -> float:
    found, expected = normalise(prediction), normalise(gold)
    common = sum((collections.Counter(found) & collections.Counter(expected)).values())
    return 2 * common / (len(found) + len(expected)) if common else float(found == expected)


if __name__ == "__main__":
    main(RECIPE.name)
