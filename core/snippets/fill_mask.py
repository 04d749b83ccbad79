"""The code of /fill_mask: transformers' own pipeline, over what was read of the text."""

from __future__ import annotations

from core.catalogue import find_task
from core.snippets.loading import Plan, pipeline
from core.snippets.source import Code, RowCode, call, code, literal, source_of
from core.tasks.text import masks
from core.tasks.text.fill_mask import TASK, FillMaskSettings


def fill_mask(settings: FillMaskSettings, plan: Plan) -> list[Code]:
    """Write `pipeline("fill-mask")`; gaps are written as the model's mask token, targets as its vocabulary has them."""
    options = {"top_k": literal(settings.top_k), **({"targets": literal(plan.targets)} if plan.targets else {})}
    text = settings.text if plan.part is None else plan.part
    return [_pipeline(plan), code("", f"text = {literal(text)}", call("result = fill", "text", **options))]


def filled_row(settings: FillMaskSettings, plan: Plan) -> RowCode:
    """Write the filling of any `text`; how its gaps are found, and what of a long one is read, comes along."""
    found = call("part = part_with_masks", "gaps", "mask", "fill.tokenizer", literal(plan.cut_to))
    words, options = settings.target_list, {"top_k": literal(settings.top_k)}
    chosen = f"tokens_of_words({literal(list(words))}, gaps, fill.tokenizer, fill.tokenizer).values()"
    targets = [f"targets = fill.tokenizer.convert_ids_to_tokens({chosen})"] if words else []
    inside = code(
        "",
        "mask = fill.tokenizer.mask_token",
        "gaps = with_mask_token(text, mask)",
        "if mask not in gaps:",
        "    return None",
        found,
        *targets,
        call("result = fill", "part", **options, **({"targets": "targets"} if words else {})) + " if part else None",
    )
    return RowCode(_pipeline(plan), (inside,), (source_of(masks),))


def _pipeline(plan: Plan) -> Code:
    return pipeline(plan, TASK, find_task(TASK).auto_class, "fill")
