"""Summaries without the pipeline that transformers 5 dropped: sentences picked by an encoder, or new ones written."""

from __future__ import annotations

import re
from pathlib import Path

from core.catalogue import find_task
from core.models.loading import read_config
from core.snippets.loading import Plan, load
from core.snippets.source import Code, RowCode, call, code, literal, source_of
from core.snippets.writing import DECODED, generated, indented, stand_in
from core.tasks.text import fitting
from core.tasks.text import sentences as splitting
from core.tasks.text.sentences import split_sentences
from core.tasks.text.summarization import (
    POSITION_PRIOR,
    RELEVANCE,
    SAME,
    TASK,
    SummarizationSettings,
    options_of,
)

SENTENCES_AT_ONCE = 32
SPLIT = r"(?<=[.!?。！？])\s+"
"""Where a plain text is cut; where ours cuts elsewhere (abbreviations, line breaks), the sentences are written out."""
FITTING = (
    "    if chosen or (lengths <= room).any():",
    '        value[lengths > room] = float("-inf")',
    '    if value.max() == float("-inf"):',
    "        break",
)
"""What keeps a choice within the tokens that are left."""
_CLOSED_UP = r"([。！？｡．][」』”’）》】\"')]*) "


def summarization(settings: SummarizationSettings, plan: Plan) -> list[Code]:
    """Write what this model does: an encoder-decoder generates, any other encoder picks sentences."""
    folder = plan.origin.folder
    if folder and plan.origin.encoder_decoder:
        given = code("", f"text = {literal(settings.text)}")
        if plan.in_parts:
            return [load(plan, "AutoModelForSeq2SeqLM"), *_helpers(), given, _in_parts(settings, plan, folder)]
        return [load(plan, "AutoModelForSeq2SeqLM"), given, _generated(settings, plan, folder)]
    sentences = _sentences(settings.text)
    whole = len(sentences) <= settings.sentences
    if whole and not settings.max_length:
        text = f"text = {literal(settings.text)}"
        remark = "# no more sentences than asked for: the text is its own summary"
        return [code("", text, remark, 'result = [{"summary_text": text.strip()}]')]
    return [
        load(plan, find_task(TASK).auto_class),
        _split(settings.text, sentences, whole=whole),
        _embedded(plan, many=len(sentences) > SENTENCES_AT_ONCE),
        *_picked(settings, close_up=any(re.search(_CLOSED_UP, f"{sentence} ") for sentence in sentences), whole=whole),
    ]


def summary_of_row(settings: SummarizationSettings, plan: Plan) -> RowCode:
    """Write the summary of any `text`; how an encoder's sentences are found comes along, as our skill finds them."""
    folder = plan.origin.folder
    if folder and plan.origin.encoder_decoder:
        return RowCode(load(plan, "AutoModelForSeq2SeqLM"), (_in_parts(settings, plan, folder),), _helpers())
    split, picked = _split_any(settings), _picked(settings, close_up=True, whole=bool(settings.max_length))
    inside = (split, _embedded(plan, many=True), *picked)
    return RowCode(load(plan, find_task(TASK).auto_class), inside, (source_of(splitting),))


def _sentences(text: str) -> list[str]:
    """Return the sentences as our skill finds them, each in one line; signs without a letter or digit are none."""
    pieces = [" ".join(text[span.start : span.end].split()) for span in split_sentences(text)]
    return [piece for piece in pieces if any(map(str.isalnum, piece))] or pieces


def _split(text: str, sentences: list[str], *, whole: bool) -> Code:
    given = f"text = {literal(text)}"
    if re.split(SPLIT, text.strip()) == sentences:
        return code("re", given, f'sentences = re.split(r"{SPLIT}", text.strip())')
    return code(
        "", *([given] if whole else []), "sentences = [", *(f"    {literal(sentence)}," for sentence in sentences), "]"
    )


def _split_any(settings: SummarizationSettings) -> Code:
    short = (f"if len(sentences) <= {settings.sentences}:", '    return [{"summary_text": text.strip()}]')
    return code(
        "",
        'pieces = [" ".join(text[span.start : span.end].split()) for span in split_sentences(text)]',
        "sentences = [piece for piece in pieces if any(map(str.isalnum, piece))] or pieces",
        *(() if settings.max_length else short),
    )


def _embedded(plan: Plan, *, many: bool) -> Code:
    """Write the mean of each sentence's token vectors; many sentences go in batches."""
    cut = {"truncation": "True", "max_length": literal(plan.cut_to)} if plan.cut_to else {}
    whole = "model.get_encoder()" if plan.origin.encoder_decoder else "model"

    def pooled(name: str) -> list[str]:
        return [
            call("inputs = tokenizer", name, padding="True", **cut, return_tensors='"pt"') + plan.to_device,
            "with torch.inference_mode():",
            f"    hidden = {whole}(**inputs).last_hidden_state.float()",
            "mask = inputs.attention_mask[..., None]  # 0 where a shorter sentence was padded",
        ]

    mean = "(hidden * mask).sum(1) / mask.sum(1)"
    if not many:
        return code("torch", *pooled("sentences"), _unit(mean))
    batch = pooled(f"sentences[start : start + {SENTENCES_AT_ONCE}]")
    return code(
        "torch",
        "means = []",
        f"for start in range(0, len(sentences), {SENTENCES_AT_ONCE}):",
        *(f"    {line}" for piece in batch for line in piece.split("\n")),
        f"    means.append({mean})",
        _unit("torch.cat(means)"),
    )


def _unit(vectors: str) -> str:
    return f"vectors = torch.nn.functional.normalize({vectors}, dim=-1).cpu()"


def _picked(settings: SummarizationSettings, *, close_up: bool, whole: bool) -> list[Code]:
    """Write centrality and maximal marginal relevance, with the weights of our skill.

    `close_up`: some sentence may end in a script that has no spaces between sentences; `whole`: all may be chosen.
    """
    most = settings.max_length
    score = code(
        "torch",
        "# close to the mean of all sentences, a little better if it comes early",
        "scores = torch.cosine_similarity(vectors, vectors.mean(0, keepdim=True))",
        f"scores -= {POSITION_PRIOR} * torch.linspace(0, 1, len(vectors))",
        "chosen, likeness = [], torch.zeros(len(vectors))",
        *(_room(most) if most else []),
        f"for _ in range({settings.sentences}):",
        f"    value = {RELEVANCE} * scores - {1 - RELEVANCE:.1f} * likeness  # new to those already chosen",
        f"    value[likeness > {SAME}] -= 10  # says again what another has said: only if nothing else is left",
        '    value[chosen] = float("-inf")',
        *(FITTING if most else []),
        "    chosen.append(int(value.argmax()))",
        *(["    room -= int(lengths[chosen[-1]])"] if most else []),
        "    likeness = torch.maximum(likeness, vectors @ vectors[chosen[-1]])",
    )
    return [score, _put_together(close_up=close_up, whole=whole)]


def _room(most: int) -> list[str]:
    counted = "len(tokenizer(sentence, add_special_tokens=False).input_ids)"
    return [
        f"lengths = torch.tensor([{counted} for sentence in sentences])",
        f"room = {most}  # tokens of all chosen ones; if no sentence is that short, the best one stands alone",
    ]


def _put_together(*, close_up: bool, whole: bool) -> Code:
    return code(
        "re" if close_up else "",
        'summary = " ".join(sentences[place] for place in sorted(chosen))',
        *([rf"summary = re.sub(r'''{_CLOSED_UP}''', r'\1', summary)"] if close_up else []),
        *(["if len(chosen) == len(sentences):", "    summary = text.strip()"] if whole else []),
        'result = [{"summary_text": summary}]',
    )


def _generated(settings: SummarizationSettings, plan: Plan, folder: Path) -> Code:
    """Write `generate` with the numbers that our skill took: the asked ones, else the model's own."""
    prefix, arguments = _asked(settings, folder)
    lines = generated(f"{prefix}text.strip()", plan, arguments)
    return code("torch", *lines, f'result = [{{"summary_text": {DECODED.format(row="ids[0]")}}}]')


def _in_parts(settings: SummarizationSettings, plan: Plan, folder: Path) -> Code:
    """Write how a text that is too long is summarised: its parts first, then their summaries, as our skill does it."""
    prefix, arguments = _asked(settings, folder)
    lines = generated(f"{prefix}piece", plan, arguments, truncation="True", max_length="limit")
    return code(
        "torch math",
        f"limit = {plan.cut_to or plan.in_parts}",
        "def lengths(pieces):",
        f"    return [len(tokenizer({prefix}piece).input_ids) for piece in pieces]",
        "def written(piece):",
        *indented(lines),
        f"    return {DECODED.format(row='ids[0]')}",
        "rest, before = text.strip(), math.inf",
        "while limit < lengths([rest])[0] < before:",
        "    before = lengths([rest])[0]",
        '    rest = " ".join(written(part) for part in parts(rest, lengths, limit))',
        'result = [{"summary_text": written(rest)}]',
    )


def _asked(settings: SummarizationSettings, folder: Path) -> tuple[str, dict[str, str]]:
    """Return, as source, what stands before a text, and what is passed to `generate`."""
    own = dict((read_config(folder).get("task_specific_params") or {}).get(TASK) or {})
    arguments = options_of(settings, own, stand_in(folder)).arguments
    prefix = f"{literal(own['prefix'])} + " if own.get("prefix") else ""
    return prefix, {name: literal(value) for name, value in arguments.items()}


def _helpers() -> tuple[Code, ...]:
    return source_of(splitting), source_of(fitting)
