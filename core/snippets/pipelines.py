"""Tasks that transformers still has a pipeline for."""

from __future__ import annotations

from core.catalogue import find_task
from core.snippets.loading import Plan, pipeline
from core.snippets.source import Code, call, changed, code, literal
from core.tasks.text.text_classification import TextClassificationSettings
from core.tasks.text.token_classification import TokenClassificationSettings
from core.tasks.text.zero_shot_classification import ZeroShotClassificationSettings

SURELY_SHORT = 240
"""Bytes of UTF-8 that no tokenizer turns into more tokens than models read at once."""


def text_classification(settings: TextClassificationSettings, plan: Plan) -> list[Code]:
    """Write `pipeline("text-classification")`."""
    options = {
        "top_k": literal(settings.top_k),
        **changed({"function_to_apply": settings.function_to_apply}, {"function_to_apply": "default"}),
        **({"truncation": "True", "max_length": literal(plan.cut_to)} if plan.cut_to else {}),
    }
    return [
        pipeline(plan, "text-classification", find_task("text-classification").auto_class, "classify"),
        code("", f"text = {literal(settings.text)}", call("result = classify", "text", **options)),
    ]


def zero_shot_classification(settings: ZeroShotClassificationSettings, plan: Plan) -> list[Code]:
    """Write `pipeline("zero-shot-classification")`; what it cuts a long text to, it asks its tokenizer."""
    chosen = {"hypothesis_template": settings.hypothesis_template, "multi_label": settings.multi_label}
    options = changed(chosen, {"hypothesis_template": "This example is {}.", "multi_label": False})
    return [
        pipeline(plan, "zero-shot-classification", find_task("zero-shot-classification").auto_class, "classify"),
        code(
            "",
            f"text = {literal(settings.text)}",
            f"labels = {literal(settings.label_list)}",
            *([f"classify.tokenizer.model_max_length = {plan.cut_to}"] if plan.cut_to else []),
            call("result = classify", "text", candidate_labels="labels", **options),
        ),
    ]


def token_classification(settings: TokenClassificationSettings, plan: Plan) -> list[Code]:
    """Write `pipeline("token-classification")`; it reads a long text by windows only where it groups tokens."""
    options = {"aggregation_strategy": literal(settings.aggregation_strategy)}
    before: tuple[str, ...] = ()
    if len(settings.text.encode(errors="replace")) > SURELY_SHORT:
        before = (_limit("tag"),)
        if settings.aggregation_strategy == "none":
            before += ("# without grouping, the pipeline stops at this limit",)
        else:
            options["stride"] = literal(settings.stride)
    return [
        pipeline(plan, "token-classification", find_task("token-classification").auto_class, "tag"),
        code("", f"text = {literal(settings.text)}", *before, call("result = tag", "text", **options)),
    ]


def _limit(name: str) -> str:
    """Write how a tokenizer learns what its model reads at once: some on the Hub do not know."""
    limit = f"min({name}.tokenizer.model_max_length, {name}.model.config.max_position_embeddings)"
    return f"{name}.tokenizer.model_max_length = {limit}"
