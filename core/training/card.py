"""The model card of what a run made: where it came from, what it was measured to do, how plain libraries load it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from core.runs import ANSWERS, Run
from core.training.record import RunRecord
from core.training.tasks import find_train_task

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_PRETRAINED = ".from_pretrained"


def adapter_card(run: Run, record: RunRecord) -> str:
    """Return the card of an adapter, or of the model that full training made."""
    kind = "A model" if run.whole else f"An adapter ({record.method})"
    lines = [*_head(run, record, adapter=not run.whole), f"{kind} for {record.task}, trained with Atelier.", ""]
    return "\n".join([*lines, *_story(run, record), *_loading(run, record, merged=run.whole)])


def merged_card(run: Run, record: RunRecord, verdict: Mapping[str, Any]) -> str:
    """Return the card of a merged model, with what the comparison of its answers found."""
    told = f"Base and adapter ({record.method}) of `{run.name}` as one model for {record.task}, trained with Atelier."
    checked = [
        "## Merge",
        "",
        f"Asked {verdict['probes']} probes, it differs from base + adapter by {verdict['difference']:.2g}",
        f"at most (allowed: {verdict['tolerance']:.0e} of {verdict['largest']:.3g}, the largest output), and from the",
        f"base alone by {verdict['moved']:.2g}.",
        "",
    ]
    head = _head(run, record, adapter=False)
    return "\n".join([*head, told, "", *_story(run, record), *checked, *_loading(run, record, merged=True)])


def _head(run: Run, record: RunRecord, *, adapter: bool) -> list[str]:
    """Return the metadata that the Hub reads, and the title."""
    library = "diffusers" if run.draws else "peft" if adapter else "transformers"
    known = [f"base_model: {record.base.id}"] if record.base.source == "hub" or _public(record.base.id) else []
    tags = ["atelier", record.method, *(["lora"] if run.draws and adapter and record.method != "lora" else [])]
    task = ANSWERS.get(record.task, (record.task,))[0]
    return [
        "---",
        *known,
        f"library_name: {library}",
        f"pipeline_tag: {task}",
        "tags:",
        *(f"- {tag}" for tag in tags),
        "---",
        "",
        f"# {record.name}",
        "",
    ]


def _public(name: str) -> bool:
    return bool(_HUB_ID.fullmatch(name)) and not name.startswith(("starter/", "run/"))


def _story(run: Run, record: RunRecord) -> Iterable[str]:
    """Tell what it came from, from which data and with which result."""
    share = f"{record.parameters.trainable:,} of {record.parameters.total:,} ({record.parameters.share:.2%})"
    rows = [
        ("lineage", " → ".join(f"`{one}`" for one in map(_without_place, run.lineage))),
        ("method", record.method),
        ("parameters trained", share),
        ("data", f"`{record.data_hash}`; rows: " + ", ".join(f"{name} {count}" for name, count in record.rows.items())),
        ("columns", ", ".join(f"{name} = {column}" for name, column in record.columns.items())),
        ("steps", f"{record.steps} ({record.epochs:.2f} epochs), seed {record.settings.get('seed')}"),
        *([("labels", ", ".join(record.labels))] if record.labels else []),
        *((name.removeprefix("eval_"), f"{value:.4f}") for name, value in record.metrics.items()),
        ("versions", ", ".join(f"{name} {version}" for name, version in record.versions.items())),
    ]
    yield from ("| | |", "|---|---|")
    yield from (f"| {name} | {value.replace('|', '/')} |" for name, value in rows)
    yield ""


def _without_place(label: str) -> str:
    """Name a folder of one's own by its last part: where it lies is nobody's business."""
    return label.replace("\\", "/").rpartition("/")[2] if label.startswith(("/", "~")) or label[1:3] == ":\\" else label


def _loading(run: Run, record: RunRecord, *, merged: bool) -> list[str]:
    if run.draws:
        load = "pipeline = DiffusionPipeline" + _PRETRAINED
        code = (
            [f'{load}(".")']
            if merged
            else [f'{load}("{_without_place(record.base.id)}")', 'pipeline.load_lora_weights(".")']
        )
        return _python("from diffusers import DiffusionPipeline", *code)
    auto_class = find_train_task(record.task).auto_class
    imports = f"from transformers import {auto_class}, AutoConfig, AutoTokenizer"
    tokenizer = f'tokenizer = AutoTokenizer{_PRETRAINED}(".")'
    if merged:
        imports = imports.replace(", AutoConfig", "")
        return _python(imports, f'model = {auto_class}{_PRETRAINED}(".")', tokenizer)
    base = f'base = {auto_class}{_PRETRAINED}("{_without_place(record.base.id)}", config=AutoConfig{_PRETRAINED}("."))'
    return _python("from peft import PeftModel", imports, base, f'model = PeftModel{_PRETRAINED}(base, ".")', tokenizer)


def _python(*lines: str) -> list[str]:
    return ["## Use", "", "```python", *lines, "```", ""]
