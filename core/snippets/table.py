"""The code of a text_batch: pandas and transformers over the same column, or an upload and a call by curl."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import PurePath
from typing import Any

from core.provenance import MIXED, Provenance
from core.snippets.curl import curl_snippet
from core.snippets.feature_extraction import vector_of_row
from core.snippets.fill_mask import filled_row
from core.snippets.loading import Plan
from core.snippets.origin import origin_of
from core.snippets.panel import fenced
from core.snippets.python import WRITERS
from core.snippets.source import Code, RowCode, call, code, literal, source
from core.snippets.summarization import summary_of_row
from core.snippets.translation import translation_of_row
from core.tables import Layout
from core.tasks.text.options import WISHES, ModelOptions
from core.tasks.text.row_tasks import ASKED_BY

ONE_CELL = "\x1f"
"""A delimiter that no text holds, where a line is one cell."""
FORWARD = "with torch.inference_mode():"
"""The line above a forward pass."""
ROW_INPUTS = {
    "text-classification": "text",
    "zero-shot-classification": "text",
    "token-classification": "text",
    "question-answering": "context",
    "summarization": "text",
    "text-generation": "prompt",
    "translation": "text",
    "fill-mask": "text",
    "feature-extraction": "text",
}
"""Tasks whose rows have code, and the variable that holds a row's text."""
ROW_WRITERS: Mapping[str, Callable[[Any, Plan], RowCode]] = {
    "summarization": summary_of_row,
    "feature-extraction": vector_of_row,
    "fill-mask": filled_row,
    "translation": translation_of_row,
}
"""Tasks whose code for any text is another than that for one; the others' differs in the text only."""


@dataclass(frozen=True)
class TableJob:
    """What a batch did: which column of which file (its name), by which task, with which settings a row."""

    file: str
    column: str
    task: str
    row: Any
    """The settings of one row's task."""
    parameters: Mapping[str, Any]
    """What /text_batch was asked besides file and column."""
    layout: Layout = field(default_factory=Layout)
    """How the file was read."""


def table_parameters(settings: ModelOptions) -> dict[str, Any]:
    """Return what /text_batch was asked besides file and column; of a task's own fields and wishes what is not usual.

    The model is always told: the endpoint's own default belongs to its first task.
    """
    usual = {one.name: one.default for one in fields(settings)}
    told = {name: getattr(settings, name) for name in ("task", "model", *ASKED_BY, *WISHES)}
    return {name: value for name, value in told.items() if name in {"task", "model"} or value != usual[name]}


def table_markdown(
    job: TableJob, provenance: Provenance, longest: int, base_url: str, *, user: str | None = None
) -> str:
    """Return fenced blocks: Python where one program serves every row, and curl; `longest` = tokens read of a text.

    `user` is the name to log in with, where this instance asks for a password.
    """
    blocks = [fenced(curl_of_table(job, base_url, user=user), "bash")]
    if job.task in ROW_INPUTS:
        blocks.insert(0, fenced(python_of_table(job, provenance, longest), "python"))
    return "\n\n".join(blocks)


def python_of_table(job: TableJob, provenance: Provenance, longest: int) -> str:
    """Write a program that adds a column `result` (JSON a row, in the pipeline's format) and saves result.csv."""
    return source(*asking_code(job, provenance, longest), _over_table(job))


def asking_code(job: TableJob, provenance: Provenance, longest: int) -> tuple[Code, ...]:
    """Write how the model is loaded, and the function `answer` that asks it for one text."""
    mixed = provenance.dtype == MIXED
    plan = Plan(
        origin=origin_of(job.row.model, provenance),
        device=provenance.device,
        dtype="float32" if mixed else provenance.dtype,
        attention=provenance.attention,
        quantisation=job.row.quantisation,
        cut_to=longest,
    )
    row = _row_code(job, plan)
    function = _function(row.inside, ROW_INPUTS[job.task], mixed=mixed)
    return row.loading, function, *row.helpers


def curl_of_table(job: TableJob, base_url: str, *, user: str | None = None) -> str:
    """Write the upload, the call, and the wait for the result, which names both files."""
    return curl_snippet(
        "text_batch", {"column": job.column, **job.parameters}, base_url, user=user, uploads={"file": job.file}
    )


def _function(work: Sequence[Code], name: str, *, mixed: bool) -> Code:
    """Make `answer(text)` of a task's code: the line that sets its text becomes the parameter."""
    imports = frozenset[str]().union(*(piece.imports for piece in work), {"torch"} if mixed else ())
    body = [f"    {line}" for piece in work for line in piece.lines if not line.startswith(f"{name} = ")]
    lines = [f"def answer({name}):", *body, "    return result"]
    return Code(imports, tuple(_under_autocast(lines) if mixed else lines))


def _under_autocast(lines: Sequence[str]) -> list[str]:
    """Let the model run under autocast, and nothing else; where a pipeline hides it, the whole function does."""
    autocast = 'torch.autocast("cpu", dtype=torch.bfloat16)'
    within = [line.replace(":", f", {autocast}:") if line.strip() == FORWARD else line for line in lines]
    return within if within != list(lines) else [f"@{autocast}", *lines]


def _row_code(job: TableJob, plan: Plan) -> RowCode:
    if writer := ROW_WRITERS.get(job.task):
        return writer(job.row, plan)
    loading, *work = WRITERS[job.task](job.row, plan)
    return RowCode(loading, tuple(work))


def _over_table(job: TableJob) -> Code:
    answered = "json.dumps(answer(text), ensure_ascii=False, default=float) if text.strip() else None"
    return code(
        "json pandas",
        f"table = {_reader(job)}",
        f'texts = table[{literal(job.column)}].fillna("").astype(str)',
        f'table["result"] = [{answered} for text in texts]',
        'table.to_csv("result.csv", index=False)',
    )


def _reader(job: TableJob) -> str:
    """Write how pandas reads the file as Atelier does: every cell a text, NA among them, a blank line a blank row."""
    kind, file, layout = PurePath(job.file).suffix.lower(), literal(job.file), job.layout
    encoding = {} if layout.encoding == "utf-8" else {"encoding": literal(layout.encoding)}
    if kind == ".parquet":
        return call("pandas.read_parquet", file)
    if kind == ".jsonl":
        return call("pandas.read_json", file, lines="True", dtype="False", convert_dates="False", **encoding)
    apart = {} if layout.delimiter == "," else {"sep": literal(layout.delimiter or ONE_CELL)}
    above = {"skiprows": str(layout.above)} if layout.above else {}
    cells = {"dtype": "str", "keep_default_na": "False", "skip_blank_lines": "False"}
    return call("pandas.read_csv", file, **cells, **apart, **encoding, **above)
