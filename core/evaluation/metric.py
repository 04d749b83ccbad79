"""What every metric is: columns in, scores out, with who computed them, how, and why a score says nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

from core.errors import InvalidInput
from core.words import Sentence

if TYPE_CHECKING:
    from core.models.registry import Registry

MOST_ROWS = 2_000_000
"""Rows that one call takes: the columns lie in memory, several times while they are counted."""

_LONGEST_SETTING = 200
"""Values of one setting that a result repeats."""


@dataclass(frozen=True)
class Implementation:
    """Who computed a score and with which settings: what a reader needs to get the same number."""

    library: str
    version: str
    function: str
    settings: Mapping[str, Any]
    signature: str = ""
    """The library's own line for papers, where it has one (sacreBLEU)."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON: library version function settings signature."""
        return {**dataclasses.asdict(self), "settings": plain(self.settings)}


class Scores(dict[str, Any]):
    """What `compute` returns: the keys of the evaluate library, and beside them who computed it and what to know."""

    def __init__(self, values: Mapping[str, Any], implementation: Implementation, notes: Sequence[Sentence]) -> None:
        """Keep the values as a dict's own."""
        super().__init__(values)
        self.implementation = implementation
        self.notes = tuple(notes)

    def plain(self) -> dict[str, Any]:
        """Return the values as JSON: arrays as lists, NaN and infinity as None."""
        result: dict[str, Any] = plain(self)
        return result


class Score(float):
    """What `compute` returns where evaluate returns a bare number (wer, cer, r_squared): a float that can tell more."""

    def __new__(cls, name: str, value: float, implementation: Implementation, notes: Sequence[Sentence]) -> Self:
        """Keep the number as the float itself."""
        score = super().__new__(cls, value)
        score.name, score.implementation, score.notes = name, implementation, tuple(notes)
        return score

    name: str
    implementation: Implementation
    notes: tuple[Sentence, ...]

    def plain(self) -> dict[str, Any]:
        """Return the score as JSON under its metric's name, as Scores does."""
        return {self.name: plain(float(self))}


@dataclass(frozen=True)
class NoOptions:
    """For metrics without settings."""


@dataclass(frozen=True)
class Rows:
    """The columns of one call, and what else a metric may use."""

    columns: Mapping[str, Any]
    config_name: str = "default"
    models: Callable[[], Registry] | None = None

    @property
    def predictions(self) -> Any:
        """The column of that name."""
        return self.columns["predictions"]

    @property
    def references(self) -> Any:
        """The column of that name."""
        return self.columns["references"]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True)
class Outcome:
    """What a metric found: values by the keys of the evaluate library, and what to know about them."""

    values: Mapping[str, Any]
    notes: Sequence[Sentence] = ()
    signature: str = ""
    used: Mapping[str, Any] = field(default_factory=dict)
    """Settings that nobody gave and that change the value, such as a tokenizer or a dictionary that was found."""
    function: str = ""
    """What really ran, where that depends on the settings."""


@dataclass(frozen=True)
class Recipe:
    """One metric: its names, the library that computes it, and our adapter to that."""

    name: str
    library: str
    """The distribution whose version counts; "" = the numbers are our own code's."""
    function: str
    score: Callable[[Rows, Any], Outcome]
    options: type[Any] = NoOptions
    """A frozen dataclass: its fields are the keyword arguments of `compute`, with evaluate's names and defaults."""
    columns: tuple[str, ...] = ("predictions", "references")
    configs: tuple[str, ...] = ("default",)
    lower_is_better: bool = False
    same_length: bool = True
    """Whether the columns stand beside each other row by row."""
    bare: bool = False
    """Whether evaluate returns the one value without a dictionary around it."""


class Metric:
    """One loaded metric; it holds its own rows and nothing else, so that any number may work at once."""

    def __init__(
        self, recipe: Recipe, config_name: str | None = None, models: Callable[[], Registry] | None = None
    ) -> None:
        """Keep what is to be computed; raises InvalidInput for a configuration that the metric does not have."""
        self.recipe = recipe
        self.config_name = config_name or "default"
        if self.config_name not in recipe.configs:
            known = ", ".join(recipe.configs)
            raise InvalidInput("error.metric_config", name=recipe.name, value=self.config_name, options=known)
        self._models = models
        self._added: dict[str, list[Any]] = {}

    @property
    def name(self) -> str:
        """The name it was loaded by."""
        return self.recipe.name

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of `compute` with their defaults."""
        return _values(self.recipe.options())

    def __len__(self) -> int:
        """Count the rows that were added and not yet computed."""
        return max(map(len, self._added.values()), default=0)

    def add(self, **row: Any) -> None:
        """Add one row: `prediction=…, reference=…`, or a column's own name."""
        self.add_batch(**{self._column_of(name): [value] for name, value in row.items()})

    def add_batch(self, **columns: Any) -> None:
        """Add rows: `predictions=[…], references=[…]`; raises InvalidInput for unknown columns and unequal lengths."""
        for name in columns:
            self._column_of(name)
        self._refuse_unequal(columns)
        for name, column in columns.items():
            self._added.setdefault(name, []).extend(_as_rows(column))

    def compute(self, **given: Any) -> Any:
        """Score the given columns, together with the rows added before, which are then forgotten.

        Returns Scores, a dictionary with evaluate's keys; or Score, a float, for wer, cer and r_squared.
        Raises InvalidInput for missing, empty or unequal columns, unknown options and values that cannot be scored.
        """
        columns = {name: given.pop(name) for name in self.recipe.columns if given.get(name) is not None}
        given = {name: value for name, value in given.items() if name not in self.recipe.columns}
        options = self._options(given)
        if self._added:
            if columns:
                self.add_batch(**columns)
            columns, self._added = dict(self._added), {}
        self._check(columns)
        return self._scores(Rows(columns, self.config_name, self._models), options)

    def _scores(self, rows: Rows, options: Any) -> Scores | Score:
        try:
            outcome = self.recipe.score(rows, options)
        except ValueError as refusal:  # the libraries' own word for input that they do not take
            raise InvalidInput("error.metric_refused", name=self.name, detail=str(refusal)) from refusal
        implementation = Implementation(
            self.recipe.library or "atelier",
            version(self.recipe.library) if self.recipe.library else "",
            outcome.function or self.recipe.function,
            {name: _shown(value) for name, value in {**_values(options), **outcome.used}.items()},
            outcome.signature,
        )
        if self.recipe.bare:
            return Score(self.name, outcome.values[self.name], implementation, outcome.notes)
        return Scores(outcome.values, implementation, outcome.notes)

    def _column_of(self, name: str) -> str:
        for column in (name, f"{name}s"):
            if column in self.recipe.columns:
                return column
        known = ", ".join(self.recipe.columns)
        raise InvalidInput("error.metric_column", name=self.name, column=name, columns=known)

    def _options(self, given: Mapping[str, Any]) -> Any:
        known = {one.name for one in dataclasses.fields(self.recipe.options)}
        unknown = sorted(set(given) - known)
        if unknown:
            names = ", ".join(sorted(known)) or "–"
            raise InvalidInput("error.metric_option", name=self.name, option=unknown[0], options=names)
        return self.recipe.options(**given)

    def _check(self, columns: Mapping[str, Any]) -> None:
        missing = [name for name in self.recipe.columns if name not in columns]
        if missing:
            raise InvalidInput("error.metric_missing", name=self.name, columns=", ".join(missing))
        self._refuse_unequal(columns)
        count = max(map(len, columns.values()))
        if not min(map(len, columns.values())):
            raise InvalidInput("error.metric_empty", name=self.name, columns=", ".join(columns))
        if count > MOST_ROWS:
            raise InvalidInput("error.metric_too_many", name=self.name, count=count, limit=MOST_ROWS)

    def _refuse_unequal(self, columns: Mapping[str, Any]) -> None:
        lengths = {column: len(values) for column, values in columns.items()}
        if self.recipe.same_length and len(set(lengths.values())) > 1:
            told = ", ".join(f"{column}: {length}" for column, length in lengths.items())
            raise InvalidInput("error.metric_unequal", name=self.name, lengths=told)


def plain(value: Any) -> Any:
    """Return a value as JSON: arrays as lists, numbers of NumPy as Python's, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else getattr(value, "__name__", repr(value))


def _values(options: Any) -> dict[str, Any]:
    return {one.name: getattr(options, one.name) for one in dataclasses.fields(options)}


def _shown(value: Any) -> Any:
    """Keep a setting; of a long column, such as weights, keep how long it is."""
    long = hasattr(value, "__len__") and not isinstance(value, str) and len(value) > _LONGEST_SETTING
    return f"{len(value)} values" if long else value


def _as_rows(column: Any) -> Iterable[Any]:
    rows: Iterable[Any] = column.tolist() if hasattr(column, "tolist") else column
    return rows
