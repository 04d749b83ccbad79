"""Writes a starter's metrics.json and, from it, the card that a Hub page shows."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from recipes._base import BASE_ID, BASE_SHA256
from recipes._data import Source
from recipes._measure import Measurement
from recipes._mixed import MixedPrecision
from recipes._train import Recipe

PACKAGES = ("torch", "transformers", "peft", "datasets", "tokenizers", "safetensors", "numpy")
ADAPTER_CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "zero-shot-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "fill-mask": "AutoModelForMaskedLM",
}


@dataclass(frozen=True)
class Card:
    """What a card says that no measurement can: purpose, sources, licence, limits, an example input."""

    title: str
    summary: str
    sources: tuple[Source, ...]
    license: str
    license_reason: str
    limits: tuple[str, ...]
    example: str | tuple[str, str]
    languages: tuple[str, ...] = ("en",)


@dataclass(frozen=True)
class Findings:
    """What was measured of a starter as saved: its scores, and whether bfloat16 autocast keeps its answers."""

    measurements: Sequence[Measurement]
    mixed: MixedPrecision | None = None


def write_metrics(folder: Path, recipe: Recipe, findings: Findings, training: dict | None) -> dict:
    """Write metrics.json and return what it holds."""
    mixed = findings.mixed
    metrics = {
        "starter": recipe.name,
        "task": recipe.task,
        "base_model": BASE_ID,
        "base_sha256": BASE_SHA256,
        "seed": recipe.seed,
        "command": f"python -m recipes.measure {recipe.name} --data DATA",
        "versions": {"python": sys.version.split()[0]} | {name: metadata.version(name) for name in PACKAGES},
        "measurements": [asdict(measurement) for measurement in findings.measurements],
        **({"bf16_agrees": mixed.agrees, "bf16": asdict(mixed)} if mixed else {}),
        "training": training,
    }
    text = json.dumps(metrics, indent=2, ensure_ascii=False) + "\n"
    (folder / "metrics.json").write_text(text, encoding="utf-8")
    return json.loads(text)


def write_card(folder: Path, card: Card, metrics: dict) -> None:
    """Write README.md; every number in it comes from `metrics`."""
    parts = [
        f"---\n{_front_matter(card, metrics)}\n---",
        (
            f"# {card.title}\n\n{card.summary} One of Atelier's starters: small models that work without a "
            f"download.\n\n{_making(metrics)}"
        ),
        f"## Use it\n\n```python\n{usage(card, metrics)}\n```",
        f"## Scores\n\n{score_table(metrics)}",
        "## What it is bad at\n\n" + "\n".join(f"- {limit}" for limit in card.limits),
        (
            f"## Data and licence\n\n{source_list(card)}\n\nLicence of this folder: {card.license}. "
            f"{card.license_reason} The base model is Apache-2.0."
        ),
    ]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def usage(card: Card, metrics: dict) -> str:
    """Return the lines that load the starter with plain transformers and peft, and try it once."""
    adapter = metrics["task"] in ADAPTER_CLASSES
    lines = _adapter_usage(card, metrics) if adapter else _base_usage(card)
    return "\n".join(lines)


def _adapter_usage(card: Card, metrics: dict) -> list[str]:
    class_name = ADAPTER_CLASSES[metrics["task"]]
    texts = (card.example,) if isinstance(card.example, str) else card.example
    lines = [
        "from peft import PeftModel",
        f"from transformers import AutoConfig, AutoTokenizer, {class_name}",
        f'folder, base = "assets/starters/{metrics["starter"]}", "{BASE_ID}"',
        f"model = {class_name}.from_pretrained(base, config=AutoConfig.from_pretrained(folder))",
        "model = PeftModel.from_pretrained(model, folder).eval()",
        "tokenizer = AutoTokenizer.from_pretrained(base)",
        f'inputs = tokenizer({", ".join(json.dumps(text) for text in texts)}, return_tensors="pt")',
    ]
    if metrics["task"] == "question-answering":
        return [
            *lines,
            "output = model(**inputs)",
            "span = slice(output.start_logits.argmax(), output.end_logits.argmax() + 1)",
            "print(tokenizer.decode(inputs.input_ids[0][span]))",
        ]
    if metrics["task"] == "fill-mask":
        return [
            *lines,
            "place = inputs.input_ids[0].tolist().index(tokenizer.mask_token_id)",
            "print(tokenizer.batch_decode(model(**inputs).logits[0, place].topk(5).indices[:, None]))",
        ]
    if metrics["task"] == "token-classification":
        return [
            *lines,
            "for token, label in zip(inputs.tokens(), model(**inputs).logits[0].argmax(-1)):",
            "    print(token, model.config.id2label[int(label)])",
        ]
    return [
        *lines,
        "chances = model(**inputs).logits[0].softmax(-1).tolist()",
        "print(dict(zip(model.config.id2label.values(), chances)))",
    ]


def _base_usage(card: Card) -> list[str]:
    return [
        "from transformers import AutoModel, AutoTokenizer",
        f'base = "{BASE_ID}"',
        "model, tokenizer = AutoModel.from_pretrained(base).eval(), AutoTokenizer.from_pretrained(base)",
        (
            f"inputs = tokenizer([{', '.join(json.dumps(text) for text in card.example)}], padding=True, "
            'return_tensors="pt")'
        ),
        'mask = inputs["attention_mask"].unsqueeze(-1)',
        "vectors = (model(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)",
        "vectors = vectors / vectors.norm(dim=-1, keepdim=True)",
        "print(float(vectors[0] @ vectors[1]))",
    ]


def eval_results(metrics: dict) -> list[EvalResult]:
    """Return the measurements as the Hub reads them from a card's front matter."""
    return [
        EvalResult(
            task_type=metrics["task"],
            dataset_type=row["dataset"],
            dataset_name=row["dataset"],
            dataset_split=row["split"],
            metric_type=row["name"],
            metric_name=f"{row['name']} ({row['note']})" if row["note"] else row["name"],
            metric_value=row["value"],
        )
        for row in metrics["measurements"]
    ]


def _front_matter(card: Card, metrics: dict) -> str:
    adapter = metrics["task"] in ADAPTER_CLASSES
    data = ModelCardData(
        language="en",
        license=card.license,
        base_model=BASE_ID,
        library_name="peft" if adapter else "transformers",
        pipeline_tag=metrics["task"],
        tags=["atelier-starter", "lora"] if adapter else ["atelier-starter"],
        datasets=[source.name for source in card.sources],
        model_name=metrics["starter"],
        eval_results=eval_results(metrics),
    )
    return data.to_yaml()


def _making(metrics: dict) -> str:
    if metrics["training"] is None:
        return f"It is {BASE_ID} as published; nothing was trained, only measured."
    settings, note = metrics["training"]["settings"], metrics["training"].get("note", "")
    return (
        f"It is {BASE_ID} with LoRA adapters of rank {settings['rank']} on every linear layer and a new "
        f"head, stored in half precision. Made by `python -m recipes.{metrics['starter'].replace('-', '_')} "
        f"--data DATA` with seed {metrics['seed']}: {metrics['training']['rows']:,} training rows, "
        f"{settings['epochs']} epochs, learning rate {settings['learning_rate']}, batches of "
        f"{settings['batch_size']}, at most {settings['max_length']} tokens. {note}".rstrip()
    )


def score_table(metrics: dict) -> str:
    """Return the card's table of scores."""
    rows = [
        f"| {row['dataset']} {row['split']} | {row['n']:,} | {row['name']} | {row['value']} "
        f"| {row['ci95'][0]} – {row['ci95'][1]} | {row['note'].replace('|', '&#124;')} |"
        for row in metrics["measurements"]
    ]
    return (
        "| data | rows | measure | value | 95 % interval | |\n|---|---|---|---|---|---|\n"
        + "\n".join(rows)
        + _mixed(metrics)
        + "\n\nIntervals are bootstrap intervals over the rows. Measured in float32 on the files as they load; "
        f"`{metrics['command']}` repeats it."
    )


def _mixed(metrics: dict) -> str:
    if "bf16" not in metrics:
        return ""
    found = metrics["bf16"]
    use = "so a whole table may be computed that way" if metrics["bf16_agrees"] else "so it is always used in float32"
    return (
        f"\n\nUnder bfloat16 autocast {found['labels_equal']:.2%} of {found['n']:,} labels stay the same and no score "
        f"moves by more than {found['scores_apart']}; {use}."
    )


def source_list(card: Card) -> str:
    """Return the card's list of data sets, credited."""
    return "\n".join(
        f"- `{source.name}`: {source.attribution}; {source.licence}. Used: {source.use}." for source in card.sources
    )
