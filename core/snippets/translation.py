"""Translations without the pipeline that transformers 5 dropped: sentences in batches, put back into their layout."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from core.catalogue import find_task
from core.snippets.loading import Plan, load
from core.snippets.source import Code, RowCode, code, literal, source_of
from core.snippets.writing import AT_ONCE, DECODED, generated, indented, stand_in
from core.tasks.text import fitting, layout
from core.tasks.text import sentences as splitting
from core.tasks.text.direction import Direction, find_direction
from core.tasks.text.layout import in_one_line, laid_out
from core.tasks.text.sentences import Span
from core.tasks.text.translation import TASK, TranslationSettings, options_of

_LINE_BREAK = re.compile(r"[\r\n]")


def translation(settings: TranslationSettings, plan: Plan) -> list[Code]:
    """Write the sentences and what stands between them; where lines were wrapped, the code that wraps them again."""
    direction = plan.direction or Direction()
    spans = [Span(pair.start, pair.end) for pair in plan.pairs]
    text = code("", f"text = {literal(settings.text)}")
    if not spans:
        return [text, code("", 'result = [{"translation_text": text}]  # no words to translate')]
    loading = [load(plan, find_task(TASK).auto_class), _told(direction)]
    if any(_LINE_BREAK.search(settings.text[span.start : span.end]) for span in spans):
        return [*loading, *_helpers(), text, _of_any_text(settings, plan, direction)]
    if spans == [Span(0, len(settings.text))]:
        return [*loading, text, _alone(settings, plan, direction)]
    translated = [pair.translation for pair in plan.pairs]
    between = laid_out(settings.text, spans, translated)[::2]
    sentences = [in_one_line(settings.text, span) for span in spans]
    return [*loading, _literals(sentences, between), _in_batches(settings, plan, direction), _joined()]


def translation_of_row(settings: TranslationSettings, plan: Plan) -> RowCode:
    """Write the translation of any `text`; how its sentences and its layout are found comes along."""
    direction = plan.direction or _direction_of_files(settings, plan)
    inside = (_of_any_text(settings, plan, direction),)
    loading = load(plan, find_task(TASK).auto_class)
    told = _told(direction)
    whole = Code(loading.imports | told.imports, (*loading.lines, *told.lines))
    return RowCode(whole, inside, _helpers())


def _direction_of_files(settings: TranslationSettings, plan: Plan) -> Direction:
    """Find the direction again from the files that answered."""
    folder = plan.origin.folder
    if folder is None:
        return Direction()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    name = plan.origin.base.name if plan.origin.base else settings.model
    seen: Any = SimpleNamespace(tokenizer=tokenizer, model=stand_in(folder), spec=SimpleNamespace(name=name))
    return find_direction(seen, settings.source_language, settings.target_language)


def _told(direction: Direction) -> Code:
    return code("", *([f"tokenizer.src_lang = {literal(direction.language)}"] if direction.language else []))


def _arguments(settings: TranslationSettings, plan: Plan, direction: Direction) -> dict[str, str]:
    """Write the numbers that our skill took: the asked ones, else the model's own."""
    folder = plan.origin.folder
    if folder is None:
        asked = {"num_beams": settings.num_beams, "max_new_tokens": settings.max_new_tokens}
        return {name: literal(value) for name, value in asked.items() if value}
    arguments = options_of(settings, direction, stand_in(folder)).arguments
    written = {name: literal(value) for name, value in arguments.items()}
    if direction.forced_bos_token_id is not None and direction.target is not None:
        finds = "convert_tokens_to_ids" if "_" in direction.target else "get_lang_id"
        written["forced_bos_token_id"] = f"tokenizer.{finds}({literal(direction.target)})"
    return written


def _alone(settings: TranslationSettings, plan: Plan, direction: Direction) -> Code:
    text = f"{literal(direction.prefix)} + text" if direction.prefix else "text"
    lines = generated(text, plan, _arguments(settings, plan, direction))
    return code("torch", *lines, f'result = [{{"translation_text": {DECODED.format(row="ids[0]")}}}]')


def _literals(sentences: list[str], between: list[str]) -> Code:
    return code(
        "",
        "sentences = [",
        *(f"    {literal(one)}," for one in sentences),
        "]",
        "# what stands before, between and behind them",
        f"between = {literal(between)}",
    )


def _in_batches(settings: TranslationSettings, plan: Plan, direction: Direction) -> Code:
    before = f"{literal(direction.prefix)} + sentence" if direction.prefix else "sentence"
    chosen = f"sentences[start : start + {AT_ONCE}]"
    some = f"[{before} for sentence in {chosen}]" if direction.prefix else chosen
    lines = generated(some, plan, _arguments(settings, plan, direction), padding="True")
    return code(
        "torch",
        "translations = []",
        f"for start in range(0, len(sentences), {AT_ONCE}):",
        *indented(lines),
        f"    translations += [{DECODED.format(row='row')} for row in ids]",
    )


def _joined() -> Code:
    return code(
        "",
        'text = between[0] + "".join(one + gap for one, gap in zip(translations, between[1:]))',
        'result = [{"translation_text": text}]',
    )


def _of_any_text(settings: TranslationSettings, plan: Plan, direction: Direction) -> Code:
    """Write how any `text` is cut, translated and laid out, as our skill does it."""
    prefix = f"{literal(direction.prefix)} + piece" if direction.prefix else "piece"
    batches = _in_batches(settings, plan, direction)
    limit = [f"limit = {plan.cut_to}"] if plan.cut_to else [_limit()]
    return Code(
        batches.imports,
        (
            *limit,
            "def lengths(pieces):",
            f"    return [len(tokenizer({prefix}).input_ids) for piece in pieces]",
            "spans = fitting(text, translatable(text), lengths, limit)",
            "sentences = [in_one_line(text, span) for span in spans]",
            *batches.lines,
            'result = [{"translation_text": "".join(laid_out(text, spans, translations))}]',
        ),
    )


def _limit() -> str:
    """Write how many tokens the model reads: its tokenizer's word, or as many as it has positions."""
    positions = 'getattr(model.config, "max_position_embeddings", 512)'
    return f"limit = min(tokenizer.model_max_length, {positions})"


def _helpers() -> tuple[Code, ...]:
    return source_of(splitting), source_of(fitting), source_of(layout)
