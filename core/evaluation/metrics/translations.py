"""Texts against reference texts: BLEU, chrF and TER by sacreBLEU, METEOR by NLTK."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.evaluation.columns import empty_rows, references_of, texts, transposed
from core.evaluation.metric import Outcome, Recipe, Rows
from core.words import Sentence, say

LIBRARY = "sacrebleu"

Tokenize = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class BleuOptions:
    """Keywords of evaluate's bleu; without a tokenizer it is mteval's 13a."""

    tokenizer: Tokenize | None = None
    max_order: int = 4
    smooth: bool = False


@dataclass(frozen=True)
class SacrebleuOptions:
    """Keywords of evaluate's sacrebleu."""

    smooth_method: str = "exp"
    smooth_value: float | None = None
    force: bool = False
    lowercase: bool = False
    tokenize: str | None = None
    use_effective_order: bool = False


@dataclass(frozen=True)
class ChrfOptions:
    """Keywords of evaluate's chrf; word_order=2 is chrF++."""

    char_order: int = 6
    word_order: int = 0
    beta: int = 2
    lowercase: bool = False
    whitespace: bool = False
    eps_smoothing: bool = False


@dataclass(frozen=True)
class TerOptions:
    """Keywords of evaluate's ter."""

    normalized: bool = False
    ignore_punct: bool = False
    support_zh_ja_chars: bool = False
    case_sensitive: bool = False


def _columns(rows: Rows) -> tuple[list[str], list[list[str]]]:
    return texts(rows.predictions, "predictions"), references_of(rows.references)


def _bleu(rows: Rows, options: BleuOptions) -> Outcome:
    """Count as tensorflow/nmt's bleu.py, which evaluate has: the shortest reference counts, and 0 has no smoothing."""
    predictions, references = _columns(rows)
    tokenize = options.tokenizer or _tokenizer_13a()
    split = [tokenize(text) for text in predictions]
    expected = [[tokenize(text) for text in several] for several in references]
    right, possible = _matches(split, expected, options.max_order)
    extra = int(options.smooth)
    precisions = [(one + extra) / (of + extra) if of + extra else 0.0 for one, of in zip(right, possible, strict=True)]
    length, wanted = sum(map(len, split)), sum(min(map(len, several)) for several in expected)
    ratio = length / wanted if wanted else 0.0
    penalty = 0.0 if not ratio else 1.0 if ratio > 1 else math.exp(1 - 1 / ratio)
    mean = math.exp(math.fsum(map(math.log, precisions)) / len(precisions)) if min(precisions) > 0 else 0.0
    values = {
        "bleu": mean * penalty,
        "precisions": precisions,
        "brevity_penalty": penalty,
        "length_ratio": ratio,
        "translation_length": length,
        "reference_length": wanted,
    }
    notes = _why_no_bleu("bleu", predictions, right, possible) if not values["bleu"] else []
    name = "13a" if options.tokenizer is None else getattr(options.tokenizer, "__name__", repr(options.tokenizer))
    return Outcome(values, notes, used={"tokenizer": name})


def _tokenizer_13a() -> Tokenize:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    tokenizer = Tokenizer13a()
    return lambda text: str(tokenizer(text)).split()


def _matches(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]], orders: int
) -> tuple[list[int], list[int]]:
    """Count the n-grams that occur in a reference, too, and all of them, for each n."""
    right, possible = [0] * orders, [0] * orders
    for predicted, several in zip(predictions, references, strict=True):
        for order in range(1, orders + 1):
            most: Counter[tuple[str, ...]] = Counter()
            for expected in several:
                most |= _ngrams(expected, order)
            found = _ngrams(predicted, order)
            right[order - 1] += (found & most).total()
            possible[order - 1] += found.total()
    return right, possible


def _ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))


def _sacrebleu(rows: Rows, options: SacrebleuOptions) -> Outcome:
    from sacrebleu.metrics.bleu import BLEU

    predictions, references = _columns(rows)
    metric = BLEU(
        lowercase=options.lowercase,
        force=options.force,
        tokenize=options.tokenize,
        smooth_method=options.smooth_method,
        smooth_value=options.smooth_value,
        effective_order=options.use_effective_order,
    )
    score = metric.corpus_score(predictions, transposed(references, "sacrebleu"))
    keys = ("score", "counts", "totals", "precisions", "bp", "sys_len", "ref_len")
    values = {key: getattr(score, key) for key in keys}
    notes = _why_no_bleu("sacrebleu", predictions, score.counts, score.totals) if not score.score else []
    return Outcome(values, notes, str(metric.get_signature()))


def _why_no_bleu(
    name: str, predictions: Sequence[str], right: Sequence[int], possible: Sequence[int]
) -> list[Sentence]:
    empty = empty_rows(predictions)
    if empty == len(predictions):
        return [say("reason.metric_empty_predictions", count=empty, rows=len(predictions))]
    order = next((order for order, count in enumerate(right, 1) if not count), len(right))
    if not possible[order - 1]:
        return [say("reason.metric_too_short", name=name, order=order)]
    return [say("reason.metric_no_ngram", name=name, order=order, count=possible[order - 1])]


def _chrf(rows: Rows, options: ChrfOptions) -> Outcome:
    from sacrebleu.metrics.chrf import CHRF

    predictions, references = _columns(rows)
    metric = CHRF(
        options.char_order,
        options.word_order,
        options.beta,
        options.lowercase,
        options.whitespace,
        options.eps_smoothing,
    )
    score = metric.corpus_score(predictions, transposed(references, "chrf"))
    values = {key: getattr(score, key) for key in ("score", "char_order", "word_order", "beta")}
    notes = [] if score.score else nothing_common("chrf", predictions)
    return Outcome(values, notes, str(metric.get_signature()))


def _ter(rows: Rows, options: TerOptions) -> Outcome:
    from sacrebleu.metrics.ter import TER

    predictions, references = _columns(rows)
    metric = TER(
        normalized=options.normalized,
        no_punct=options.ignore_punct,
        asian_support=options.support_zh_ja_chars,
        case_sensitive=options.case_sensitive,
    )
    score = metric.corpus_score(predictions, transposed(references, "ter"))
    values = {key: getattr(score, key) for key in ("score", "num_edits", "ref_length")}
    notes = [] if score.score else [say("reason.metric_perfect", name="ter")]
    return Outcome(values, notes, str(metric.get_signature()))


def nothing_common(name: str, predictions: Sequence[str]) -> list[Sentence]:
    """Say that a score of overlap is 0, because the predictions are empty or share nothing with their references."""
    empty = empty_rows(predictions)
    notes = [say("reason.metric_empty_predictions", count=empty, rows=len(predictions))] if empty else []
    if empty < len(predictions):
        notes.append(say("reason.metric_nothing_common", name=name, count=len(predictions) - empty))
    return notes


RECIPES = (
    Recipe("bleu", LIBRARY, "tensorflow/nmt bleu.py", _bleu, BleuOptions),
    Recipe("sacrebleu", LIBRARY, "sacrebleu.metrics.BLEU.corpus_score", _sacrebleu, SacrebleuOptions),
    Recipe("chrf", LIBRARY, "sacrebleu.metrics.CHRF.corpus_score", _chrf, ChrfOptions),
    Recipe("ter", LIBRARY, "sacrebleu.metrics.TER.corpus_score", _ter, TerOptions, lower_is_better=True),
)
"""The metrics of this file."""
