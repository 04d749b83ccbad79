"""Every visible word: there in four languages, used, and complete."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from string import Formatter
from typing import Any

import pytest

from core.evaluation.dashboard.row import KINDS as KINDS_OF_RUNS
from core.evaluation.row_choice import ORDERS
from core.imaging.controlnet import CONDITIONS
from core.imaging.schedulers import SCHEDULERS
from core.jobs.folder import State
from core.messages import ROLES
from core.models.diagnosis import Diagnosis
from core.pictures.recipe import KINDS
from core.placement.remedies import REMEDIES
from core.settings import Capability, Mode
from core.tasks.text.sampling import PRESETS
from core.training.data.columns import FORMS
from core.words import FOLDER, LANGUAGES
from tabs.evaluation.runs import BUTTONS as RUN_BUTTONS
from tabs.images._painter import WORDS
from tabs.images.gallery import BUTTONS
from tabs.train._form import GROUPS
from tests.source import Module, modules

SECTIONS = ("error", "reason", "say", "page")
KEY = re.compile(rf"({'|'.join(SECTIONS)})(\.[a-z0-9_]+)+")
TRANSLATIONS = [language for language in LANGUAGES if language != "en"]

PHASES = (
    *("download", "verify", "load", "compute", "rows", "write", "steps", "read", "tokenize"),
    *("train", "evaluate", "save", "draw", "encode", "read_captions", "merge"),
)
"""What long work calls its phases: the first argument of Progress, or of the Meter that counts bytes."""

ROLES_OF_COLUMNS = tuple(sorted({name for forms in FORMS.values() for form in forms for name in form.every}))

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "say.phase_{}": PHASES,
    "say.role_{}": ROLES,
    "say.runs_kind_{}": KINDS_OF_RUNS,
    "page.runs.{}": (*KINDS_OF_RUNS, *RUN_BUTTONS),
    "say.state_{}": tuple(state.value for state in State),
    "say.advice_{}": ("device", "dtype", "quantisation"),
    "say.diagnosis_{}": tuple(field.name for field in fields(Diagnosis) if field.name != "provenance"),
    "say.capability_{}": tuple(capability.value for capability in Capability),
    "reason.train_precision_{}": ("fp32", "bf16", "fp16"),
    "reason.mode_{}": tuple(mode.value for mode in Mode),
    "reason.dtype_{}_cuda": ("bf16", "fp16"),
    "reason.{}_remedy": tuple(remedy.name for remedy in REMEDIES),
    "say.scheduler_{}": tuple(SCHEDULERS),
    "page.preset.{}": tuple(PRESETS),
    "page.condition.{}": CONDITIONS,
    "say.painter_{}": WORDS,
    "page.pictures.{}": BUTTONS,
    "say.kind_{}": tuple(kind.replace("-", "_") for kind in KINDS),
    "say.ended_{}": ("eos", "stop", "length", "cut", "stopped"),
    "page.train_group.{}": tuple(GROUPS),
    "say.shelf_{}": ("tables", "pictures", "training", "evaluations"),
    "say.train_field_{}": tuple(name for names in GROUPS.values() for name in names),
    "say.train_role_{}": ROLES_OF_COLUMNS,
    "say.train_side_{}": ("base", "run"),
    "say.train_half_{}": ("train", "validation", "none"),
    "page.order.{}": ORDERS,
    "say.evaluate_order_{}": ORDERS,
    "say.train_part_{}": ("weights", "gradients", "optimiser", "activations", "libraries"),
    "page.field.{}": (),  # as many as the forms have fields: the built page knows
}
"""Keys that are put together while the app runs, and what may stand in the gap."""

TERMS = """
Atelier Python curl JSON Hub HF_TOKEN HF_HUB_OFFLINE HF_ENDPOINT GPU CPU ID URL CSV API dtype sdpa eager flash float32
float16 bfloat16 cpu cuda mps xpu top_k function_to_apply LoRA VAE safetensors token tokens FlashAttention SDPA PyTorch
softmax sigmoid attention stride max_answer_length aggregation_strategy multi_label hypothesis_template MB GB KB
ControlNet num_inference_steps guidance_scale num_images_per_prompt
""".split()
"""Field terms that stay English in every language."""

SCRIPTS: Mapping[str, str] = {"zh-TW": "big5", "zh-CN": "gb2312", "ko": "ascii"}
"""For each language an encoding that holds the Chinese characters it writes, and none of another script."""


@dataclass(frozen=True)
class Use:
    """A key in the source: where it stands, and the values that are given with it (None where that cannot be seen)."""

    key: str
    where: str
    values: frozenset[str] | None = None


@cache
def texts(language: str) -> dict[str, str]:
    """Return a language's own file, without the English that fills its gaps."""
    found: dict[str, str] = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return found


def placeholders(text: str) -> Counter[tuple[str, str]]:
    """Return each placeholder's name and format, with how often it stands there."""
    parts = Formatter().parse(text)
    return Counter((name, form or "") for _, name, form, _ in parts if name is not None)


def names_in(text: str) -> set[str]:
    """Return the names of a text's placeholders."""
    return {name for name, _ in placeholders(text)}


@cache
def uses() -> tuple[Use, ...]:
    """Return every key that the source names; a gap is written {}."""
    return tuple(use for module in modules().values() for use in _uses_of(module))


def _uses_of(module: Module) -> Iterator[Use]:
    parents = {child: node for node in ast.walk(module.tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(module.tree):
        for key in _keys_at(node, parents, module):
            if KEY.fullmatch(key.replace("{}", "x")):
                yield Use(key, module.at(node), _values(parents.get(node), node))


def _keys_at(node: ast.AST, parents: Mapping[ast.AST, ast.AST], module: Module) -> list[str]:
    """Return the keys that a string stands for: literal, put together, or behind `word(...)` and TITLE."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and not isinstance(parents[node], ast.JoinedStr):
        keys = [node.value]
    elif isinstance(node, ast.JoinedStr):
        keys = _put_together(node, parents, module)
    else:
        return []
    return [f"page.{key}" for key in keys] if _is_page_word(parents[node]) else keys


def _is_page_word(parent: ast.AST) -> bool:
    if isinstance(parent, ast.Call):
        return ast.unparse(parent.func) == "word"
    return isinstance(parent, ast.Assign) and ast.unparse(parent.targets[0]) == "TITLE"


def _put_together(node: ast.JoinedStr, parents: Mapping[ast.AST, ast.AST], module: Module) -> list[str]:
    """Write f"say.{name}" as often as `name` has values to be seen in its loop, else once with a gap."""
    holes = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
    form = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if len(holes) == 1 and isinstance(holes[0], ast.Name):
        return [form.format(one) for one in _looped_over(holes[0].id, node, parents, module)] or [form]
    return [form]


def _looped_over(name: str, node: ast.AST, parents: Mapping[ast.AST, ast.AST], module: Module) -> list[str]:
    above: ast.AST | None = node
    while (above := parents.get(above)) if above else None:
        loops = [above] if isinstance(above, ast.For) else getattr(above, "generators", [])
        for loop in loops:
            if isinstance(loop.target, ast.Name) and loop.target.id == name:
                return _literals(loop.iter, module)
    return []


def _literals(node: ast.expr, module: Module) -> list[str]:
    """Return the strings of a literal tuple, or of the module's constant that has this name."""
    if isinstance(node, ast.Name):
        values = [
            line.value
            for line in module.tree.body
            if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == node.id
        ]
        return _literals(values[0], module) if values else []
    if isinstance(node, ast.Tuple | ast.List) and all(isinstance(one, ast.Constant) for one in node.elts):
        return [str(one.value) for one in node.elts if isinstance(one, ast.Constant)]
    return []


def _values(parent: ast.AST | None, node: ast.AST) -> frozenset[str] | None:
    """Return the keywords given beside a key; None where `**` hides some, or where the key is no first argument."""
    if not isinstance(parent, ast.Call) or not parent.args or parent.args[0] is not node:
        return None
    if any(one.arg is None for one in parent.keywords):
        return None
    return frozenset(one.arg for one in parent.keywords if one.arg)


@pytest.fixture(scope="module")
def page_keys(built_page: Any) -> set[str]:
    """Collect the words on the page as it is built."""
    from gradio.i18n import I18nData

    def as_marker(value: object) -> str:
        return str(value) if isinstance(value, I18nData) else repr(value)

    written = json.dumps(built_page.get_config_file(), default=as_marker).replace("\\", "")
    return set(re.findall(r'"key": ?"([^"]+)"', written))


def literal_keys() -> set[str]:
    """Return the keys that the source names in full."""
    return {use.key for use in uses() if "{}" not in use.key}


def family_keys() -> set[str]:
    """Return the keys of every family."""
    return {family.replace("{}", one) for family, several in FAMILIES.items() for one in several}


def test_the_source_is_read() -> None:
    """The reader of the source finds what it looks for: errors, reasons, words of the page, loops and titles."""
    assert {"error.text_empty", "reason.fits", "page.run", "page.tab.text", "say.ledger_model"} <= literal_keys()


@pytest.mark.parametrize("key", sorted(literal_keys() | family_keys()))
def test_every_key_has_its_sentence(key: str) -> None:
    """What the source names is written in English."""
    where = sorted({use.where for use in uses() if use.key == key})
    assert key in texts("en"), f"{key} has no sentence; it is used at {', '.join(where) or 'FAMILIES'}"


def test_every_word_on_the_page_is_written(page_keys: set[str]) -> None:
    """Whatever the built page asks to translate has its English."""
    assert {"page.run", "page.field.text"} <= page_keys
    assert sorted(page_keys - set(texts("en"))) == []


def test_no_sentence_is_left_over(page_keys: set[str]) -> None:
    """A sentence that nothing uses any more is deleted."""
    assert sorted(set(texts("en")) - literal_keys() - family_keys() - page_keys) == []


def test_families_are_known() -> None:
    """A key with a gap is a family whose members are listed, and no listed family is gone."""
    assert {use.key for use in uses() if "{}" in use.key} == set(FAMILIES)


def test_phases_are_known() -> None:
    """Each phase that a Progress or a Meter names has its word."""
    calls = [node for module in modules().values() for node in ast.walk(module.tree) if isinstance(node, ast.Call)]
    named = {
        ast.unparse(call.args[0]) for call in calls if call.args and ast.unparse(call.func) in {"Progress", "Meter"}
    }
    assert {ast.literal_eval(one) for one in named if one.startswith(("'", '"'))} <= set(PHASES)


def test_every_value_is_given() -> None:
    """Who raises an error or says a sentence gives each value that the sentence shows."""
    poor = [
        f"{use.where} {use.key} lacks {sorted(names_in(texts('en')[use.key]) - use.values)}"
        for use in uses()
        if use.values is not None and use.key in texts("en") and not use.key.startswith("page.")
        if names_in(texts("en")[use.key]) - use.values
    ]
    assert poor == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_of_the_page_have_no_gaps(language: str) -> None:
    """The browser cannot fill values in, so its words ask for none."""
    assert [key for key, text in texts(language).items() if key.startswith("page.") and placeholders(text)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_keys_are_well_formed(language: str) -> None:
    """A key is a section and a name; its text is not empty and has no space around it."""
    assert [key for key in texts(language) if not KEY.fullmatch(key)] == []
    assert [key for key, text in texts(language).items() if not text or text != text.strip()] == []


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_translations_are_complete(language: str) -> None:
    """Each language says all that English says, and nothing else."""
    missing, extra = sorted(set(texts("en")) - set(texts(language))), sorted(set(texts(language)) - set(texts("en")))
    assert (len(missing), missing[:5]) == (0, []), f"{language}.json lacks translations"
    assert extra == [], f"{language}.json translates what English does not say"


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_translations_show_the_same_values(language: str) -> None:
    """A translation has the placeholders of the English, in the same formats, in whatever order."""
    english = texts("en")
    differing = [
        key
        for key, text in texts(language).items()
        if key in english and placeholders(text) != placeholders(english[key])
    ]
    assert differing == []


def _is_a_term(text: str) -> bool:
    """Tell whether a text is field terms, values and signs only."""
    bare = re.sub(r"\{[^}]*\}", " ", text)
    return all(word in TERMS or not re.search(r"[A-Za-z]", word) for word in re.findall(r"[\w-]+", bare))


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_no_english_is_left(language: str) -> None:
    """A text equal to the English one is made of field terms only."""
    english = texts("en")
    assert [key for key, text in texts(language).items() if text == english.get(key) and not _is_a_term(text)] == []


def _foreign_characters(text: str, encoding: str) -> list[str]:
    """Return the Chinese characters of a text that an encoding does not hold."""
    return [one for one in text if "\u4e00" <= one <= "\u9fff" and not one.encode(encoding, "ignore")]


@pytest.mark.parametrize(("language", "encoding"), SCRIPTS.items())
def test_each_language_keeps_its_script(language: str, encoding: str) -> None:
    """Traditional Chinese has no simplified characters, simplified no traditional ones, and Korean neither."""
    foreign = {key: _foreign_characters(text, encoding) for key, text in texts(language).items()}
    assert {key: characters for key, characters in foreign.items() if characters} == {}


@pytest.mark.parametrize("language", ["zh-TW", "zh-CN"])
def test_chinese_sentences_end_in_full_width(language: str) -> None:
    """Between Chinese characters stand full-width signs, never an English comma, colon or bracket."""
    half = re.compile("[\u4e00-\u9fff][,:;?!()]|[,;?!()][\u4e00-\u9fff]")
    assert [key for key, text in texts(language).items() if half.search(text)] == []
