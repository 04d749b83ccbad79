"""A skill's own results as what metrics count: a label with its probabilities, tags, an answer, a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import InvalidInput
from core.training.data.prepared import ANSWERS, CHAT, COMPLETION, LABELS, PAIRS, PLAIN, WORDS, Row

OUTSIDE = "O"
_OTHER_SCHEMES = {"S": "B", "U": "B", "E": "I", "L": "I"}
"""First letters of IOBES and BILOU, by those of IOB2."""
_GENERIC = "LABEL_"


def input_of(row: Row, shape: str) -> str:
    """Return what the model is asked, as a person reads it."""
    if shape == LABELS:
        return "\n".join(filter(None, (row["text"], row.get("text_pair", ""))))
    if shape == WORDS:
        return " ".join(row["tokens"])
    if shape == ANSWERS:
        return f"{row['question']}\n\n{row['context']}"
    if shape == PAIRS:
        return str(row["source"])
    if shape in (CHAT, COMPLETION):
        return "\n\n".join(message["content"] for message in row["messages"][:-1])
    return str(row["text"])


def reference_of(row: Row, shape: str) -> Any:
    """Return what the answer should be: a label, tags, SQuAD's answers, or a text; running text is its own."""
    if shape == LABELS:
        return row["label"]
    if shape == WORDS:
        return iob2(row["tags"])
    if shape == ANSWERS:
        return list(row["answers"]["text"])
    if shape in (CHAT, COMPLETION):
        return row["messages"][-1]["content"]
    return row["text"] if shape == PLAIN else row["target"]


@dataclass(frozen=True)
class Reader:
    """Reads a skill's results on rows of one shape."""

    shape: str
    names: Mapping[str, str] = field(default_factory=dict)
    """The model's labels → the data's words for them."""
    plain_tags: bool = False
    """The data's tags are classes of words, without B- and I-."""

    def answer(self, result: Any, row: Row) -> Any:
        """Return {label, scores} of a class, tags of words, the answer, the text, or {loss, tokens, bytes}."""
        if self.shape == LABELS:
            scores = {self.names.get(one["label"], one["label"]): one["score"] for one in result}
            return {"label": next(iter(scores)), "scores": scores}
        if self.shape == WORDS:
            return tags_of(result, row["tokens"], plain=self.plain_tags, names=self.names)
        if self.shape == ANSWERS:
            return str(result["answer"])
        return result if self.shape == PLAIN else str(next(iter(result[0].values())))


def shown(answer: Any, shape: str) -> str:
    """Return an answer, or a reference, as a cell of a table."""
    if shape == LABELS and isinstance(answer, Mapping):
        return str(answer["label"])
    if shape == WORDS:
        return " ".join(answer)
    if shape == ANSWERS and isinstance(answer, list):
        return " | ".join(answer)
    return "" if isinstance(answer, Mapping) else str(answer)


def iob2(tags: Sequence[str]) -> list[str]:
    """Return tags of IOBES or BILOU in IOB2; others as they are."""
    return [
        f"{_OTHER_SCHEMES[tag[0]]}{tag[1:]}" if tag[1:2] == "-" and tag[0] in _OTHER_SCHEMES else tag for tag in tags
    ]


def are_plain(tags: Iterable[str]) -> bool:
    """Tell whether tags are classes of words, none of them with a prefix."""
    named = {tag for tag in tags if tag != OUTSIDE}
    return bool(named) and not any(tag[1:2] == "-" for tag in named)


def tags_of(
    entities: Sequence[Mapping[str, Any]], tokens: Sequence[str], *, plain: bool, names: Mapping[str, str]
) -> list[str]:
    """Return the tag of each word, whose text was the words with a blank between; `plain` tags have no B- and I-.

    A word belongs to the first entity that covers any of its characters.
    """
    tags, start, number = [], 0, 0
    last: int | None = None
    for token in tokens:
        end = start + len(token)
        while number < len(entities) and entities[number]["end"] <= start:
            number += 1
        covered = number < len(entities) and entities[number]["start"] < end
        if covered:
            label = str(entities[number].get("entity_group") or entities[number].get("entity"))
            label = names.get(label, label)
            tags.append(label if plain else f"{'I' if last == number else 'B'}-{label}")
        else:
            tags.append(OUTSIDE)
        last = number if covered else None
        start = end + 1
    return tags


def names_for(wanted: Sequence[str], offered: Sequence[str], told: Mapping[str, str], model: str) -> dict[str, str]:
    """Return the model's labels → the data's words for them; raises InvalidInput for words that the model lacks.

    `told` (data's word → model's label) goes first, then the same word, then the same but for upper and lower case. The
    numbers 0, 1, … of the data mean the model's labels in their order, where there is a 0 or the labels have no names.
    """
    strange = [label for label in told.values() if label not in offered]
    if strange:
        raise InvalidInput("error.evaluate_labels_unknown", model=model, labels=strange[0], known=_listed(offered))
    found = {label: own for own, label in told.items()}
    left = [word for word in wanted if word not in told]
    folded = {label.casefold(): label for label in offered}
    numbered = "0" in wanted or all(label.startswith(_GENERIC) for label in offered)
    missing = []
    for word in left:
        label = word if word in offered else folded.get(word.casefold())
        if label is None and numbered and word.isdecimal() and int(word) < len(offered):
            label = offered[int(word)]
        if label is None or found.get(label, word) != word:
            missing.append(word)
        else:
            found[label] = word
    if missing:
        raise InvalidInput(
            "error.evaluate_labels_unknown", model=model, labels=_listed(missing), known=_listed(offered)
        )
    return found


def entity_types(tags: Iterable[str]) -> list[str]:
    """Return what tags are about: PER of B-PER and I-PER, and a tag without a prefix itself."""
    return sorted({kind for kind in map(kind_of, tags) if kind != OUTSIDE})


def kind_of(tag: str) -> str:
    """Return what a tag is about: PER of B-PER; O, and a tag without a prefix, are themselves."""
    return tag[2:] if tag[1:2] == "-" else tag


def _listed(labels: Sequence[str], most: int = 20) -> str:
    told = ", ".join(labels[:most])
    return told if len(labels) <= most else f"{told}, … ({len(labels)})"
