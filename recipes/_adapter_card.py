"""Writes metrics.json and the card of a starter that adapts the shared base, or that is the base itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from recipes._base import BASE_ID, BASE_SHA256
from recipes._card import Card, Making, as_rows, command, write_card, write_metrics
from recipes._measure import Measurement
from recipes._mixed import MixedPrecision
from recipes._train import Recipe

ADAPTER_CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "zero-shot-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "fill-mask": "AutoModelForMaskedLM",
}


@dataclass(frozen=True)
class Findings:
    """What was measured of a starter as saved: its scores, and whether bfloat16 autocast keeps its answers."""

    measurements: Sequence[Measurement]
    mixed: MixedPrecision | None = None


def record(folder: Path, recipe: Recipe, card: Card, findings: Findings, training: dict | None) -> None:
    """Write metrics.json and the card."""
    mixed = findings.mixed
    found = {
        "measurements": as_rows(findings.measurements),
        **({"bf16_agrees": mixed.agrees, "bf16": asdict(mixed)} if mixed else {}),
        "training": training,
    }
    metrics = write_metrics(folder, recipe, {"base_model": BASE_ID, "base_sha256": BASE_SHA256}, found)
    write_card(folder, card, metrics, making(card, metrics))


def making(card: Card, metrics: dict) -> Making:
    """Return how a card says that its starter adapts the base, or is the base."""
    adapter = metrics["task"] in ADAPTER_CLASSES
    return Making(
        told=_told(metrics),
        usage=_adapter_usage(card, metrics) if adapter else _base_usage(card),
        front_matter={
            "base_model": BASE_ID,
            "library_name": "peft" if adapter else "transformers",
            "tags": ["atelier-starter", "lora"] if adapter else ["atelier-starter"],
        },
        licence="The base model is Apache-2.0.",
    )


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


def _told(metrics: dict) -> str:
    if metrics["training"] is None:
        return f"It is {BASE_ID} as published; nothing was trained, only measured."
    settings, note = metrics["training"]["settings"], metrics["training"].get("note", "")
    return (
        f"It is {BASE_ID} with LoRA adapters of rank {settings['rank']} on every linear layer and a new "
        f"head, stored in half precision. Made by `{command(metrics)}` "
        f"with seed {metrics['seed']}: {metrics['training']['rows']:,} training rows, "
        f"{settings['epochs']} epochs, learning rate {settings['learning_rate']}, batches of "
        f"{settings['batch_size']}, at most {settings['max_length']} tokens. {note}".rstrip()
    )
