"""The model card of what a run made: where it came from, what it was measured to do, how plain libraries load it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.runs import ANSWERS, Run
from core.training.evaluated import kept_evaluations, values_of
from core.training.record import RunRecord
from core.training.tasks import find_train_task

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_PRETRAINED = ".from_pretrained"
_SENTENCES = ("sentence", "test_sentence")


def adapter_card(run: Run, record: RunRecord) -> str:
    """Return the card of an adapter, or of the model that full training made; it tells of the run's evaluations."""
    kind = "A model" if run.whole else f"An adapter ({record.method})"
    evaluations = kept_evaluations(run.folder)
    lines = [
        *_head(run, record, evaluations, adapter=not run.whole),
        f"{kind} for {record.task}, trained with Atelier.",
        "",
    ]
    told = [*_story(run, record), *_evaluated(evaluations, record), *_loading(run, record, merged=run.whole)]
    return "\n".join([*lines, *told])


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
    evaluations = kept_evaluations(run.folder)
    head = _head(run, record, evaluations, adapter=False)
    story = [*_story(run, record), *checked, *_evaluated(evaluations, record)]
    return "\n".join([*head, told, "", *story, *_loading(run, record, merged=True)])


def _head(run: Run, record: RunRecord, evaluations: Sequence[Mapping[str, Any]], *, adapter: bool) -> list[str]:
    """Return the metadata that the Hub reads, and the title."""
    from huggingface_hub import ModelCardData

    known, results = record.base.source == "hub" or _public(record.base.id), _results(run, record, evaluations)
    data = ModelCardData(
        base_model=record.base.id if known else None,
        library_name="diffusers" if run.draws else "peft" if adapter else "transformers",
        pipeline_tag=ANSWERS.get(record.task, (record.task,))[0],
        tags=["atelier", record.method, *(["lora"] if run.draws and adapter and record.method != "lora" else [])],
        model_name=record.name if results else None,
        eval_results=results or None,
    )
    return ["---", data.to_yaml(), "---", "", f"# {record.name}", ""]


def _results(run: Run, record: RunRecord, evaluations: Sequence[Mapping[str, Any]]) -> list[EvalResult]:
    """Return the run's own numbers as the Hub's model-index has them; a later evaluation replaces an earlier one."""
    from huggingface_hub import EvalResult

    found = {}
    for one in evaluations:
        data = _data_name(one, record)
        for model in (model for model in one["models"] if model["name"] == run.name):
            for metric, key, told in values_of(model):
                if isinstance(told["value"], int | float):
                    found[data, metric, key] = EvalResult(
                        task_type=ANSWERS.get(one["task"], (one["task"],))[0],
                        dataset_type=data,
                        dataset_name=data,
                        metric_type=metric,
                        metric_name=key,
                        metric_value=told["value"],
                    )
    return list(found.values())


def _evaluated(evaluations: Sequence[Mapping[str, Any]], record: RunRecord) -> Iterable[str]:
    """Tell of each evaluation: every model's numbers with their intervals, and who is better, in words."""
    for one in evaluations:
        data, models = one["data"], one["models"]
        yield from (f"## Evaluation on {_data_name(one, record)}", "")
        rows = f"{data['rows']:,} rows (`{str(data['hash'])[:12]}`)"
        yield f"{rows}, seed {one['seed']}; intervals are 95 %, by bootstrap."
        keys = dict.fromkeys(key for model in models for _, key, _ in values_of(model))
        yield from ("", "| | " + " | ".join(keys) + " |", "|---" * (len(keys) + 1) + "|")
        for model in models:
            told = {key: _number(value) for _, key, value in values_of(model)}
            cells = " | ".join(told.get(key, "") for key in keys)
            yield f"| {_without_place(model['name']).replace('|', '/')} | {cells} |"
        sentences = [compared[name]["text"] for compared in one["comparisons"] for name in _SENTENCES if compared[name]]
        yield from ("", *(_without_places(text, models) for text in sentences), "")


def _data_name(evaluation: Mapping[str, Any], record: RunRecord) -> str:
    """Return what the data are called: rows that the run held out are those of what it was trained on."""
    if evaluation["data"].get("run"):
        return f"{record.settings.get('dataset') or 'its own data'} (rows that were held out)"
    return _without_place(str(evaluation["data"]["name"]))


def _without_places(text: str, models: Iterable[Mapping[str, Any]]) -> str:
    for model in models:
        text = text.replace(model["name"], _without_place(model["name"]))
    return text


def _number(told: Mapping[str, Any]) -> str:
    value, interval = told["value"], told.get("interval")
    if not isinstance(value, int | float):
        return ""
    return f"{value:.4g}" + (f" ({interval['low']:.4g} – {interval['high']:.4g})" if interval else "")


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
