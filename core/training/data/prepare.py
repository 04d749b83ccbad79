"""From settings to tokens on disk: read, checked, split, tokenized once, and found again by a resumed run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import BadFile
from core.training.data.encoding.rules import Encoded
from core.training.data.encoding.table import ENCODERS
from core.training.data.keys import key_of
from core.training.data.masking import mask
from core.training.data.packing import joined, pack
from core.training.data.prepared import CHAT, COMPLETION, IGNORED, MASKED, PLAIN, Counts, Prepared, Row, Splits
from core.training.data.reading import Desk
from core.training.data.rows import read_splits, write_rows
from core.training.data.rules import ModelReader, Ruled, fit_tokenizer, rules_for
from core.training.data.store import TRAIN, VALIDATION, keep, kept, rows_file, tokens_file
from core.training.data.watch import Watch
from core.training.settings import TrainSettings
from core.words import Sentence, say

AT_ONCE = 200
"""Rows between two looks at the stop flag: a fraction of a second."""
PACKED = (PLAIN, CHAT, COMPLETION)
_NUMBERS = ("length", "row", "start_positions", "end_positions")


@dataclass
class _Tally:
    """What is counted while rows become tokens."""

    rows: int = 0
    truncated: int = 0
    dropped: int = 0
    loss_tokens: int = 0


@dataclass(frozen=True)
class _Bench:
    """One preparation: what is wished, by which rules, and where the tokens go."""

    settings: TrainSettings
    ruled: Ruled
    folder: Path
    key: str
    watch: Watch
    tallies: dict[str, _Tally] = field(default_factory=dict)

    @property
    def packs(self) -> bool:
        """Tell whether texts share rows; settings refuse it where vectors are learnt in front of a row."""
        return self.settings.packing == "on" and self.ruled.shape in PACKED


def prepare(
    settings: TrainSettings, reader: ModelReader, folder: Path, watch: Watch | None = None, token: str | None = None
) -> Prepared:
    """Return the tokens that a training with `settings` sees; what an earlier attempt prepared is taken as it is.

    `folder` (of a run: its data/) keeps tokens and rows; `token` opens private data sets. The tokenizer is told
    languages where `settings` name some. Raises what `read_splits` raises, and BadFile where no row fits max_length.
    """
    watch = watch or Watch()
    fit_tokenizer(settings, reader.tokenizer)
    key = key_of(settings, reader)
    found = kept(folder, key)
    if found is not None:
        return found
    splits = read_splits(settings, Desk(folder, token), watch)
    ruled = rules_for(settings, splits, reader)
    bench = _Bench(settings, ruled, folder, key, watch)
    for half, rows in ((TRAIN, splits.train), (VALIDATION, splits.validation)):
        write_rows(rows, rows_file(folder, half))
    train = _tokens(splits.train, TRAIN, bench)
    if train is None:
        raise BadFile("error.data_nothing_fits", max_length=ruled.rules.max_length)
    validation = _tokens(splits.validation, VALIDATION, bench) if splits.validation else None
    prepared = _described(bench, splits, train, validation)
    keep(prepared)
    return prepared


def _described(bench: _Bench, splits: Splits, train: Any, validation: Any) -> Prepared:
    counts = _counts(bench, splits, train, validation)
    rules = bench.ruled.rules
    return Prepared(
        task=bench.settings.task,
        shape=bench.ruled.shape,
        train=train,
        validation=validation,
        folder=bench.folder,
        key=bench.key,
        data_hash=splits.data_hash,
        counts=counts,
        max_length=rules.max_length,
        max_target_length=rules.max_target_length,
        labels=rules.labels,
        columns=splits.columns,
        chat_template=rules.template,
        packed=bench.packs,
        notes=(*splits.notes, *bench.ruled.notes, *_notes(counts, rules.max_length)),
    )


def _counts(bench: _Bench, splits: Splits, train: Any, validation: Any) -> Counts:
    tallies = bench.tallies.values()
    return Counts(
        train_rows=len(splits.train),
        validation_rows=len(splits.validation),
        train_sequences=len(train),
        validation_sequences=len(validation) if validation is not None else 0,
        train_tokens=sum(train["length"]),
        loss_tokens=bench.tallies[TRAIN].loss_tokens,
        truncated=sum(one.truncated for one in tallies),
        dropped=sum(one.dropped for one in tallies),
        longest=max(train["length"]),
    )


def _notes(counts: Counts, max_length: int) -> tuple[Sentence, ...]:
    rows = counts.train_rows + counts.validation_rows
    cut = (say("say.data_truncated", count=counts.truncated, rows=rows, max_length=max_length),)
    dropped = (say("say.data_dropped", count=counts.dropped, rows=rows, max_length=max_length),)
    return (*(cut if counts.truncated else ()), *(dropped if counts.dropped else ()))


def _tokens(rows: Sequence[Row], half: str, bench: _Bench) -> Any:
    """Tokenize a half with `datasets`, into a file of its own; None where nothing is left of it."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    example = _first_sequence(rows, half, bench)
    if example is None:
        return None
    tally = bench.tallies.setdefault(half, _Tally())
    lines = Dataset.from_dict({"line": [json.dumps(row, ensure_ascii=False) for row in rows]})
    file = tokens_file(bench.folder, half, bench.key)
    file.parent.mkdir(parents=True, exist_ok=True)

    def encode(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
        bench.watch.tell("tokenize", tally.rows, len(rows))
        several = [json.loads(line) for line in batch["line"]]
        sequences = _sequences(several, half, bench, tally)
        return {name: [one[name] for one in sequences] for name in example}

    found = lines.map(
        encode,
        batched=True,
        batch_size=AT_ONCE,
        remove_columns=["line"],
        features=_features(example),
        cache_file_name=str(file.with_suffix(".loose.arrow") if bench.packs else file),
        load_from_cache_file=False,
        new_fingerprint=f"{bench.key[:32]}{half}",
    )
    bench.watch.tell("tokenize", len(rows), len(rows))
    return _packed(found, half, bench, file) if bench.packs else found


def _first_sequence(rows: Sequence[Row], half: str, bench: _Bench) -> dict[str, Any] | None:
    """Return the first sequence there is: it tells the columns, which `datasets` would else guess from a batch."""
    for row in rows:
        found = _sequences([row], half, bench, _Tally())
        if found:
            return found[0]
    return None


def _sequences(rows: Sequence[Row], half: str, bench: _Bench, tally: _Tally) -> list[dict[str, Any]]:
    found = []
    for row, encoded in zip(rows, ENCODERS[bench.ruled.shape](rows, bench.ruled.rules), strict=True):
        tally.rows += 1
        tally.truncated += encoded.truncated
        tally.dropped += not encoded.sequences
        for one in finished(row, encoded, bench.ruled, bench.settings, drawn=half == VALIDATION):
            tally.loss_tokens += loss_tokens(one)
            found.append(one)
    return found


def finished(row: Row, encoded: Encoded, ruled: Ruled, settings: TrainSettings, *, drawn: bool) -> list[dict[str, Any]]:
    """Return a row's sequences with their numbers, and, of a text to be masked where `drawn`, what is hidden of it."""
    found = []
    for place, one in enumerate(encoded.sequences):
        shown = one
        if ruled.shape == MASKED and drawn:
            seed = f"{settings.seed}/{row['row']}/{place}"
            shown = mask(one, ruled.rules.tokenizer, settings.mlm_probability, seed)
        length = one.get("length") or len(one["input_ids"])
        found.append({**shown, "length": length, "row": row["row"]})
    return found


def loss_tokens(sequence: dict[str, Any]) -> int:
    """Count the places of a sequence that carry loss; a class, and an answer's two ends, are one."""
    if "chosen_ids" in sequence:
        return len(sequence["chosen_ids"]) + len(sequence["rejected_ids"])
    labels = sequence.get("labels")
    if isinstance(labels, list):
        return sum(label != IGNORED for label in labels)
    return 1


def _features(example: dict[str, Any]) -> Any:
    from datasets import Features, List, Value

    number, numbers = Value("int64"), List(Value("int64"))
    kinds = {name: number if name in _NUMBERS or isinstance(example[name], int) else numbers for name in example}
    if "offset_mapping" in kinds:
        kinds["offset_mapping"] = List(numbers)
    return Features(kinds)


def _packed(loose: Any, half: str, bench: _Bench, file: Path) -> Any:
    """Join short texts in rows of max_length, into another file; the loose one is not needed any more."""
    from datasets import Dataset

    rows = Dataset.from_dict({"places": pack(loose["length"], bench.ruled.rules.max_length)})

    def join(row: dict[str, Any]) -> dict[str, Any]:
        several = [loose[place] for place in row["places"]]
        together = joined(several)
        return {**together, "length": len(together["input_ids"]), "row": several[0]["row"]}

    found = rows.map(
        join,
        remove_columns=["places"],
        cache_file_name=str(file),
        load_from_cache_file=False,
        new_fingerprint=f"{bench.key[:32]}{half}packed",
    )
    Path(file.with_suffix(".loose.arrow")).unlink(missing_ok=True)
    return found
