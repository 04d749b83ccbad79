"""Question answering without the pipeline that transformers 5 dropped: windows, span scores, whole words."""

from __future__ import annotations

from core.catalogue import find_task
from core.snippets.loading import Plan, load
from core.snippets.source import Code, call, code, literal
from core.tasks.text.question_answering import QuestionAnsweringSettings


def question_answering(settings: QuestionAnsweringSettings, plan: Plan) -> list[Code]:
    """Write the windows, one forward pass, and the search for the likeliest span."""
    return [
        load(plan, find_task("question-answering").auto_class),
        _windows(settings, plan),
        _search(settings),
        _choice(settings),
    ]


def _windows(settings: QuestionAnsweringSettings, plan: Plan) -> Code:
    inputs = call(
        "inputs = tokenizer",
        "question",
        "context",
        truncation='"only_second"',
        max_length=f"min({settings.max_seq_len}, tokenizer.model_max_length)",
        stride=literal(settings.doc_stride),
        return_overflowing_tokens="True",
        return_offsets_mapping="True",
        padding="True",
        return_tensors='"pt"',
    )
    names = "tensors = {name: inputs[name] for name in tokenizer.model_input_names}"
    moved = "tensors = {name: inputs[name].to(model.device) for name in tokenizer.model_input_names}"
    return code(
        "torch",
        f"question = {literal(settings.question)}",
        f"context = {literal(settings.context)}",
        "# a long context is read in overlapping windows",
        inputs,
        names if plan.device == "cpu" else moved,
        "with torch.inference_mode():",
        "    output = model(**tensors)",
    )


def _search(settings: QuestionAnsweringSettings) -> Code:
    wanted = settings.top_k * 2 + 10 if settings.align_to_words else settings.top_k
    return code(
        "torch",
        "answers, nothing = {}, 1.0",
        "for window, ids in enumerate(inputs.input_ids):",
        "    # chances of each token to begin or end the answer; [CLS] stands for no answer",
        "    own = torch.tensor([part == 1 for part in inputs.sequence_ids(window)])",
        "    hidden = ~(own | (ids == tokenizer.cls_token_id))",
        "    logits = torch.stack([output.start_logits[window], output.end_logits[window]]).float().cpu()",
        '    starts, ends = logits.masked_fill(hidden, float("-inf")).softmax(-1)',
        "    nothing = min(nothing, float((starts * ends)[~own].sum()))",
        f"    spans = torch.outer(starts * own, ends * own).triu().tril({settings.max_answer_length - 1})",
        f"    best = spans.flatten().topk(min({wanted}, spans.numel()))",
        "    found = {}",
        "    for score, place in zip(best.values.tolist(), best.indices.tolist()):",
        "        if score == 0:",
        "            break",
        *(f"        {line}" for line in _characters(settings)),
        "        answer = context[start:end].strip()",
        "        start = context.index(answer, start)",
        '        new = {"score": score, "start": start, "end": start + len(answer), "answer": answer}',
        "        same = found.setdefault(answer.lower(), new)",
        "        if same is not new:  # the same words again: the chances add up",
        '            same["score"] += score',
        "    for words, new in found.items():",
        '        if words and (words not in answers or new["score"] > answers[words]["score"]):',
        "            answers[words] = new",
    )


def _characters(settings: QuestionAnsweringSettings) -> tuple[str, ...]:
    """Write how tokens become characters: whole words, or exactly what the tokens cover."""
    first = "first, last = divmod(place, len(ids))"
    if not settings.align_to_words:
        return (
            first,
            "start, end = inputs.token_to_chars(window, first).start, inputs.token_to_chars(window, last).end",
        )
    return (
        first,
        "first, last = inputs.token_to_word(window, first), inputs.token_to_word(window, last)",
        "start = inputs.word_to_chars(window, first, 1).start",
        "end = inputs.word_to_chars(window, last, 1).end",
    )


def _choice(settings: QuestionAnsweringSettings) -> Code:
    score = "nothing" if settings.handle_impossible_answer else "0.0"
    nowhere = f'nowhere = {{"score": {score}, "start": 0, "end": 0, "answer": ""}}'
    impossible = ['answers[""] = nowhere'] if settings.handle_impossible_answer else []
    ranked = 'ranked = sorted(answers.values(), key=lambda answer: answer["score"], reverse=True)'
    result = "result = ranked[0]" if settings.top_k == 1 else f"result = ranked[:{settings.top_k}]"
    return code("", nowhere, *impossible, f"{ranked} or [nowhere]", result)
