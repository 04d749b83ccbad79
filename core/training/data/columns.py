"""Which column is which: the user's word first, then names that everybody uses, then what the cells look like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import BadFile, InvalidInput
from core.training.data.prepared import (
    ANSWERS,
    CHAT,
    COMPLETION,
    LABELS,
    MASKED,
    PAIRS,
    PICTURES,
    PLAIN,
    PREFERENCE,
    WORDS,
)
from core.training.data.source import Source

SEEN = 200
"""Rows that are looked at to tell what a column holds."""
MOST_CLASSES = 1_000
_NEXT = re.compile(r"[,，、،\n](?=\s*[a-z_]+\s*=|\s*$)")


@dataclass(frozen=True)
class Form:
    """One way in which the rows of a task can be written down: canonical columns, and what a row then is."""

    shape: str
    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[str, ...]:
        """All canonical columns."""
        return (*self.needed, *self.optional)


_CHAT = Form(CHAT, ("messages",))
_COMPLETION = Form(COMPLETION, ("prompt", "completion"), ("system",))
_INSTRUCTION = Form(CHAT, ("instruction", "output"), ("input", "system"))
_PLAIN = Form(PLAIN, ("text",))
FORMS: Mapping[str, tuple[Form, ...]] = {
    "text-classification": (Form(LABELS, ("text", "label"), ("text_pair",)),),
    "token-classification": (Form(WORDS, ("tokens", "tags")), Form(WORDS, ("text", "entities"))),
    "question-answering": (Form(ANSWERS, ("question", "context", "answers"), ("answer_start",)),),
    "translation": (Form(PAIRS, ("source", "target")),),
    "summarization": (Form(PAIRS, ("source", "target")),),
    "text-generation": (_CHAT, _COMPLETION, _INSTRUCTION, _PLAIN),
    "fill-mask": (Form(MASKED, ("text",)),),
    "preference": (Form(PREFERENCE, ("prompt", "chosen", "rejected")), Form(PREFERENCE, ("chosen", "rejected"))),
    "reward": (Form(PREFERENCE, ("chosen", "rejected"), ("prompt",)),),
    "text-to-image": (Form(PICTURES, ("image", "caption")),),
}
"""Task → its forms, the one that is looked for first in front."""

USUAL: Mapping[str, list[str]] = {
    "text": (
        "text sentence sentence1 review content comment document tweet body story 文本 內容 内容 문장 텍스트 리뷰"
    ).split(),
    "text_pair": "text_pair sentence2 hypothesis text2".split(),
    "label": (
        "label labels class category sentiment intent topic target stars rating 標籤 标签 類別 类别 라벨 레이블"
    ).split(),
    "tokens": "tokens words".split(),
    "tags": "tags ner_tags ner labels pos_tags bio".split(),
    "entities": "entities spans".split(),
    "question": "question query 問題 问题 질문".split(),
    "context": "context passage paragraph document text".split(),
    "answers": "answers answer 答案 답변".split(),
    "answer_start": "answer_start start".split(),
    "source": "source src text article document dialogue input en english 原文 본문".split(),
    "target": (
        "target tgt summary title headline highlights abstract translation output fr french 譯文 译文 摘要 요약"
    ).split(),
    "messages": "messages conversations conversation dialog".split(),
    "prompt": "prompt question query".split(),
    "completion": "completion response answer".split(),
    "instruction": "instruction instructions 指令".split(),
    "input": "input inputs".split(),
    "output": "output response".split(),
    "system": "system system_prompt".split(),
    "chosen": "chosen preferred accepted".split(),
    "rejected": "rejected dispreferred".split(),
    "image": "image picture img".split(),
    "caption": "caption text prompt description".split(),
}
"""Canonical column → what people call it, the most telling first."""


def columns_as_text(columns: Mapping[str, str]) -> str:
    """Write what `told_columns` reads."""
    return ", ".join(f"{canonical}={own}" for canonical, own in columns.items() if own)


def forms_of(task: str, kind: str) -> tuple[Form, ...]:
    """Return the forms of a task; of text generation only those of the `kind` that was asked for."""
    wanted = {"plain": (_PLAIN,), "instructions": (_CHAT, _COMPLETION, _INSTRUCTION)}
    return wanted.get(kind, FORMS[task]) if task == "text-generation" else FORMS[task]


def told_columns(text: str) -> dict[str, str]:
    """Read "text=review, label=stars"; raises InvalidInput for what has no = or names a column twice.

    A comma within a column's name is part of it: only one before the next "name=" ends it.
    """
    told: dict[str, str] = {}
    for part in filter(None, map(str.strip, _NEXT.split(text))):
        canonical, sign, own = (piece.strip() for piece in part.partition("="))
        if not sign or not canonical or not own or canonical in told:
            raise InvalidInput("error.data_columns_unreadable", part=part)
        told[canonical] = own
    return told


@dataclass(frozen=True)
class Mapped:
    """A form, and which of the file's columns stands for each of its canonical ones."""

    form: Form
    columns: Mapping[str, str]

    def cells(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row's cells under their canonical names."""
        return {canonical: cell_of(row, own) for canonical, own in self.columns.items()}


def cell_of(row: Mapping[str, Any], own: str) -> Any:
    """Return a cell; "translation.fr" is what stands under fr in the cell of translation."""
    if own in row or "." not in own:
        return row.get(own)
    outer, _, inner = own.partition(".")
    cell = row.get(outer)
    return cell.get(inner) if isinstance(cell, Mapping) else None


def map_columns(source: Source, task: str, kind: str, told: str = "") -> Mapped:
    """Return the first form whose columns are all found; BadFile lists what is missing and what there is."""
    said = told_columns(told)
    forms = forms_of(task, kind)
    available = all_columns(source)
    _refuse_strange(said, forms, available)
    tried = [(form, guess(form, said, source, available)) for form in forms if set(said) <= set(form.every)]
    for form, columns in tried:
        if set(form.needed) <= set(columns):
            return Mapped(form, columns)
    form, columns = min(tried, key=lambda one: len(set(one[0].needed) - set(one[1])))
    missing = ", ".join(name for name in form.needed if name not in columns)
    raise BadFile("error.data_columns_missing", file=source.name, missing=missing, columns=", ".join(available))


def all_columns(source: Source) -> tuple[str, ...]:
    """Return the file's columns; one whose cells are objects is followed by its parts, "translation.fr"."""
    found: list[str] = []
    for name in source.columns:
        found.append(name)
        cells = [row.get(name) for row in source.rows[:SEEN]]
        parts = dict.fromkeys(key for cell in cells if isinstance(cell, Mapping) for key in cell)
        found.extend(f"{name}.{key}" for key in parts)
    return tuple(found)


def _refuse_strange(said: Mapping[str, str], forms: tuple[Form, ...], available: tuple[str, ...]) -> None:
    allowed = dict.fromkeys(name for form in forms for name in form.every)
    strange = [name for name in said if name not in allowed]
    if strange or not any(set(said) <= set(form.every) for form in forms):
        named = ", ".join(strange or said)
        raise InvalidInput("error.data_columns_unknown", names=named, allowed=", ".join(allowed))
    for own in said.values():
        if own not in available:
            raise BadFile("error.no_such_column", column=own, columns=", ".join(available))


def guess(form: Form, said: Mapping[str, str], source: Source, available: tuple[str, ...]) -> dict[str, str]:
    """Fill the form: told columns, then usual names, then contents; no column stands for two things."""
    found = dict(said)
    parted = {name.rpartition(".")[0] for name in available}
    for canonical in form.every:
        whole = [name for name in available if name not in parted or canonical == "answers"]
        by_name = {_bare(name): name for name in reversed(whole)}
        if canonical not in found:
            free = [by_name[one] for one in USUAL[canonical] if one in by_name and by_name[one] not in found.values()]
            found.update({canonical: free[0]} if free else {})
    for canonical in form.needed:
        if canonical not in found and (own := _by_content(canonical, source, set(found.values()))):
            found[canonical] = own
    return {canonical: found[canonical] for canonical in form.every if canonical in found}


def _bare(name: str) -> str:
    """Compare names as people write them: "Review Text" is review_text, "translation.fr" is fr."""
    return re.sub(r"[\s-]+", "_", name.strip().lower()).rpartition(".")[2]


def _by_content(canonical: str, source: Source, taken: Iterable[str]) -> str | None:
    free = [name for name in all_columns(source) if name not in taken]
    seen = {name: [cell_of(row, name) for row in source.rows[:SEEN]] for name in free}
    if canonical == "label":
        return _classes(seen)
    return _longest(seen) if canonical in ("text", "source", "target") else None


def _longest(seen: Mapping[str, list[Any]]) -> str | None:
    """Return the column with the longest texts on average."""
    texts = {name: [cell for cell in cells if isinstance(cell, str)] for name, cells in seen.items()}
    worded = {name: cells for name, cells in texts.items() if any(any(map(str.isalpha, cell)) for cell in cells)}
    return max(worded, key=lambda name: sum(map(len, worded[name])) / len(worded[name]), default=None)


def _classes(seen: Mapping[str, list[Any]]) -> str | None:
    """Return the column with the fewest different cells, where they come again often."""
    kinds = {name: len({str(cell) for cell in cells}) for name, cells in seen.items()}
    likely = {name: count for name, count in kinds.items() if 1 < count <= max(2, len(seen[name]) // 4)}
    return min(likely, key=likely.__getitem__, default=None)
