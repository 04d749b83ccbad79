"""Sentence embeddings: no pipeline of transformers pools the tokens of a line into one vector."""

from __future__ import annotations

from core.catalogue import find_task
from core.snippets.loading import Plan, load, pipeline
from core.snippets.source import Code, RowCode, call, code, literal
from core.tasks.text.feature_extraction import FeatureExtractionSettings
from core.tasks.text.row_tasks import DECIMALS

POOLINGS = {
    "mean": "vectors = (hidden * mask).sum(1) / mask.sum(1)",
    "cls": "vectors = hidden[:, 0]",
    "max": 'vectors = hidden.masked_fill(mask == 0, float("-inf")).amax(1)',
}


def feature_extraction(settings: FeatureExtractionSettings, plan: Plan) -> list[Code]:
    """Write one vector a line; vectors of single tokens are what the pipeline returns."""
    auto_class = find_task("feature-extraction").auto_class
    lines = code("", f"lines = {literal(settings.lines)}")
    if settings.pooling == "none":
        cut = {"tokenize_kwargs": f'{{"truncation": True, "max_length": {plan.cut_to}}}'} if plan.cut_to else {}
        made = pipeline(plan, "feature-extraction", auto_class, "extract")
        return [made, lines, code("", call("result = extract", "lines", **cut))]
    return [load(plan, auto_class), lines, embedding(settings, plan)]


def vector_of_row(settings: FeatureExtractionSettings, plan: Plan) -> RowCode:
    """Write one vector for the whole of `text`, with as many digits as a table keeps."""
    rounded = code("", f"result = [round(value, {DECIMALS}) for value in result[0]]")
    inside = (code("", "lines = [text.strip()]"), embedding(settings, plan), rounded)
    return RowCode(load(plan, find_task("feature-extraction").auto_class), inside)


def embedding(settings: FeatureExtractionSettings, plan: Plan) -> Code:
    """Write how `lines` become `result`."""
    cut = {"truncation": "True", "max_length": literal(plan.cut_to)} if plan.cut_to else {}
    inputs = call("inputs = tokenizer", "lines", padding="True", **cut, return_tensors='"pt"')
    whole = "model.get_encoder()" if plan.origin.encoder_decoder else "model"
    unit = "vectors = torch.nn.functional.normalize(vectors, dim=-1)"
    masked = settings.pooling != "cls"
    return code(
        "torch",
        f"{inputs}{plan.to_device}",
        "with torch.inference_mode():",
        f"    hidden = {whole}(**inputs).last_hidden_state.float()",
        *(["mask = inputs.attention_mask[..., None]  # 0 where a shorter line was padded"] if masked else []),
        POOLINGS[settings.pooling],
        *([unit] if settings.normalize else []),
        "result = vectors.tolist()",
    )
