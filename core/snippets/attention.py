"""Attention weights: transformers has never had a pipeline for looking inside."""

from __future__ import annotations

from core.catalogue import find_task
from core.snippets.loading import Plan, load
from core.snippets.source import Code, call, code, literal
from core.tasks.text.attention import MOST_TOKENS, TASK, AttentionSettings


def attention(settings: AttentionSettings, plan: Plan) -> list[Code]:
    """Write one forward pass that keeps its weights, and the choice of layer and head."""
    paired = bool(settings.text_pair.strip())
    texts = [f"text = {literal(settings.text)}"]
    if paired:
        texts.append(f"text_pair = {literal(settings.text_pair)}")
    return [
        load(plan, find_task(TASK).auto_class),
        code("", *texts),
        _forward(plan, ("text", "text_pair") if paired else ("text",)),
        _result(settings, plan, paired=paired),
    ]


def _forward(plan: Plan, names: tuple[str, ...]) -> Code:
    inputs = call(
        "inputs = tokenizer",
        *names,
        truncation="True",
        max_length=literal(MOST_TOKENS),
        return_offsets_mapping="True",
        return_tensors='"pt"',
    )
    whole = "model.get_encoder()" if plan.origin.encoder_decoder else "model"
    return code(
        "torch",
        inputs + plan.to_device,
        'offsets = inputs.pop("offset_mapping")[0].tolist()',
        "with torch.inference_mode():",
        f"    attentions = {whole}(**inputs, output_attentions=True).attentions",
    )


def _result(settings: AttentionSettings, plan: Plan, *, paired: bool) -> Code:
    exact = plan.dtype == "float32"
    text = "(text, text_pair)[part]" if paired else "text"
    return code(
        "torch",
        "weights = torch.cat(attentions).float()  # (layers, heads, tokens, tokens)",
        *([] if exact else ["weights /= weights.sum(-1, keepdim=True)  # what half precision has rounded off"]),
        "names = tokenizer.convert_ids_to_tokens(inputs.input_ids[0])",
        "tokens = [  # as written in the text; special tokens by their name",
        f"    name if part is None else {text}[start:end].strip() or name",
        "    for name, part, (start, end) in zip(names, inputs.sequence_ids(), offsets)",
        "]",
        "result = {",
        '    "tokens": tokens,',
        f'    "weights": {_chosen(settings.layer, settings.head)}.tolist(),',
        f'    "layer": {settings.layer},',
        f'    "head": {settings.head},',
        '    "layers": weights.shape[0],',
        '    "heads": weights.shape[1],',
        "}",
    )


def _chosen(layer: int, head: int) -> str:
    """Write one layer and head, counted from 1; 0 is the mean of all."""
    if layer and head:
        return f"weights[{layer - 1}, {head - 1}]"
    if layer:
        return f"weights[{layer - 1}].mean(0)"
    return f"weights[:, {head - 1}].mean(0)" if head else "weights.mean((0, 1))"
