"""The columns of a data set as choices: what each form of the task needs, what was guessed, and what there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import InvalidInput
from core.training.data.columns import Form, all_columns, forms_of, guess, told_columns
from core.training.data.source import Source


@dataclass(frozen=True)
class FormColumns:
    """One form in which the data may be written down, as far as its columns were found."""

    form: Form
    columns: Mapping[str, str]
    """Canonical column → the file's own; those that were not found are missing."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Canonical columns that are needed, and that nobody has named yet."""
        return tuple(name for name in self.form.needed if name not in self.columns)


@dataclass(frozen=True)
class ColumnChoices:
    """What can be chosen."""

    available: tuple[str, ...]
    """The file's columns."""
    forms: tuple[FormColumns, ...]
    """At least one."""
    chosen: int = 0
    """Place of the form that fits best."""


def column_choices(source: Source, task: str, kind: str, told: str = "") -> ColumnChoices:
    """Return the choices; what was told stays chosen where these data have such columns, else all is guessed anew."""
    available, forms = all_columns(source), forms_of(task, kind)
    said = _still_true(told, forms, available)
    found = tuple(
        FormColumns(form, guess(form, said if set(said) <= set(form.every) else {}, source, available))
        for form in forms
    )
    fitting = [place for place, one in enumerate(found) if set(said) <= set(one.form.every)]
    return ColumnChoices(available, found, min(fitting, key=lambda place: len(found[place].missing)))


def _still_true(told: str, forms: tuple[Form, ...], available: tuple[str, ...]) -> dict[str, str]:
    try:
        said = told_columns(told)
    except InvalidInput:
        return {}
    known = any(set(said) <= set(form.every) for form in forms)
    return said if known and set(said.values()) <= set(available) else {}
