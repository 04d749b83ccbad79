"""The code of a text_batch: pandas and transformers over the same column, or an upload and a call by curl."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from core.provenance import Provenance
from core.snippets.loading import Plan
from core.snippets.origin import origin_of
from core.snippets.panel import fenced
from core.snippets.python import WRITERS
from core.snippets.source import Code, code, literal, source

READERS = {
    ".csv": "pandas.read_csv({file}, dtype=str)",
    ".tsv": 'pandas.read_csv({file}, sep="\\t", dtype=str)',
    ".jsonl": "pandas.read_json({file}, lines=True, dtype=False)",
    ".parquet": "pandas.read_parquet({file})",
}
ROW_INPUTS = {
    "text-classification": "text",
    "zero-shot-classification": "text",
    "token-classification": "text",
    "question-answering": "context",
}
"""Tasks whose code is the same for every text, and the variable that holds it."""
UPLOADED = "@uploaded@"
"""Stands for the path of the upload while the JSON is quoted."""


@dataclass(frozen=True)
class TableJob:
    """What a batch did: which column of which file (its name), by which task, with which settings a row."""

    file: str
    column: str
    task: str
    row: Any
    """The settings of one row's task."""
    parameters: Mapping[str, Any]
    """What /text_batch was asked besides the file."""


def table_markdown(job: TableJob, provenance: Provenance, longest: int, base_url: str) -> str:
    """Return fenced blocks: Python where one program serves every row, and curl; `longest` = tokens read of a text."""
    blocks = [fenced(curl_of_table(job, base_url), "bash")]
    if job.task in ROW_INPUTS:
        blocks.insert(0, fenced(python_of_table(job, provenance, longest), "python"))
    return "\n\n".join(blocks)


def python_of_table(job: TableJob, provenance: Provenance, longest: int) -> str:
    """Write a program that adds a column `result` (JSON a row, in the pipeline's format) and saves result.csv."""
    plan = Plan(
        origin=origin_of(job.row.model, provenance),
        device=provenance.device,
        dtype=provenance.dtype,
        attention=provenance.attention,
        quantisation=job.row.quantisation,
        cut_to=longest,
    )
    loading, *work = WRITERS[job.task](job.row, plan)
    return source(loading, _function(work, ROW_INPUTS[job.task]), _over_table(job))


def curl_of_table(job: TableJob, base_url: str) -> str:
    """Write the upload, the call, and the wait for the outputs; the third of them names both files."""
    upload = {"path": UPLOADED, "meta": {"_type": "gradio.FileData"}}
    body = shlex.quote(json.dumps({"file": upload, "column": job.column, **job.parameters}, ensure_ascii=False))
    body = body.replace(UPLOADED, "'\"$FILE\"'")
    return (
        f"BASE={shlex.quote(base_url.rstrip('/'))}\n"
        f"FILE=$(curl -s -F {shlex.quote('files=@' + job.file)} \"$BASE/gradio_api/upload\" | sed 's/^\\[\"//; s/\"\\]$//')\n"
        f"EVENT=$(curl -s -X POST \"$BASE/gradio_api/call/v2/text_batch\" -H 'Content-Type: application/json' -d {body}"
        " | sed 's/.*\"event_id\": *\"\\([^\"]*\\)\".*/\\1/')\n"
        "curl -sN \"$BASE/gradio_api/call/text_batch/$EVENT\" | sed -n 's/^data: //p' | tail -n 1\n"
    )


def _function(work: Sequence[Code], name: str) -> Code:
    """Make `answer(text)` of a task's code: the line that sets its text becomes the parameter."""
    imports = frozenset[str]().union(*(piece.imports for piece in work))
    lines = [line for piece in work for line in piece.lines if not line.startswith(f"{name} = ")]
    return Code(imports, (f"def answer({name}):", *(f"    {line}" for line in lines), "    return result"))


def _over_table(job: TableJob) -> Code:
    reader = READERS[PurePath(job.file).suffix.lower()].format(file=literal(job.file))
    answered = "json.dumps(answer(text), ensure_ascii=False, default=float) if text.strip() else None"
    return code(
        "json pandas",
        f"table = {reader}",
        f'texts = table[{literal(job.column)}].fillna("").astype(str)',
        f'table["result"] = [{answered} for text in texts]',
        'table.to_csv("result.csv", index=False)',
    )
