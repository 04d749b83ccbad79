"""The recipe inside a picture: every setting that gives it again, in a PNG that other tools read, too.

Two texts lie in the file. "atelier" is JSON with everything; "parameters" is what AUTOMATIC1111's web UI and its kin
write and read (core/pictures/parameters.py). Neither ever holds a folder of this machine, or a secret.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from core.errors import BadFile, InvalidInput
from core.jobs.files import written_whole
from core.jobs.views import installed_versions
from core.jobs.work import to_json
from core.pictures.parameters import parameters_text, read_parameters
from core.pictures.png_text import PngHead, read_texts
from core.provenance import Provenance
from core.redaction import Redactor
from core.settings import LIMITS
from core.words import Sentence, say

if TYPE_CHECKING:
    from PIL.Image import Image

OWN, SHARED, COMFY_UI = "atelier", "parameters", ("prompt", "workflow")
"""The keywords of the texts inside a PNG: ours, the one that many tools share, and those of ComfyUI."""
VERSION = 1
FILE_FIELDS = ("image", "mask")
"""Settings that are an upload: its name is kept, not where it lay."""
NAME_FIELDS = ("model", "controlnet", "condition_model", "loras", "textual_inversions")
"""Settings that name models, which may be folders of this machine."""
KINDS = ("text-to-image", "image-to-image", "inpainting", "controlnet")
LONGEST_VALUE = 2_000
"""Characters of a setting that has no limit of its own."""
LONGEST_NAME, MOST_NAMED = 60, 20
LARGEST_NUMBER = 2.0**64
MOST_SETTINGS = 200
Value = str | int | float | bool | None

_BETWEEN_NAMES = re.compile(r"(\s*[,，、،+\n]\s*)")
_FOLDER = re.compile(r"[/~.\\]|[A-Za-z]:[\\/]")


@dataclass(frozen=True)
class Recipe:
    """What drew one picture; `kind` is the task's name in the catalogue, such as "text-to-image"."""

    kind: str
    settings: Mapping[str, Value]
    """By the names of the settings' fields; the seed is the picture's own."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    """Its place in a grid: axis → value."""
    versions: Mapping[str, str] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    """Pixels of the picture that was read; 0 before one was."""
    notes: tuple[Sentence, ...] = ()
    """What reading it could not take over."""


@dataclass(frozen=True)
class Restored:
    """Every field of a settings dataclass, and what could not be restored."""

    settings: dict[str, Value]
    notes: tuple[Sentence, ...] = ()


def recipe_of(
    kind: str, settings: Any, provenance: Provenance | None = None, labels: Mapping[str, str] | None = None
) -> Recipe:
    """Return the recipe of a picture that `settings`, a dataclass, draws alone: its own seed, one picture."""
    values = to_json(settings)
    redactor = Redactor.of(values, os.environ)
    shared = {name: _without_folder(name, value) for name, value in values.items()}
    ran = provenance.as_dict() if provenance else {}
    ran |= {name: names_alone(ran[name]) for name in ("model", "adapter") if ran.get(name)}
    return Recipe(kind, redactor.value(shared), redactor.value(to_json(ran)), labels or {}, installed_versions())


def write_png(path: Path, image: Image, recipe: Recipe) -> None:
    """Write a picture with its recipe inside, whole or not at all; raises OSError."""
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_itxt(OWN, _as_json(recipe))
    texts.add_text(SHARED, _storable(parameters_text(recipe.settings, *image.size)))
    with written_whole(path) as draft:
        image.save(draft, "PNG", pnginfo=texts)


def read_recipe(path: Path) -> Recipe:
    """Return what drew this PNG, ours or another tool's; raises BadFile, in words, where that cannot be told."""
    head = read_texts(path, (OWN, SHARED), LIMITS.recipe_bytes)
    if OWN in head.texts:
        return _own(path, head)
    read = read_parameters(head.texts.get(SHARED, ""))
    if read is None:
        key = "error.recipe_comfyui" if head.keywords.intersection(COMFY_UI) else "error.recipe_none"
        raise BadFile(key, name=path.name)
    return Recipe(read.kind, read.settings, width=head.width, height=head.height, notes=read.notes)


def settings_of(recipe: Recipe, settings: type, kind: str = "") -> Restored:
    """Return a value for every field of the dataclass `settings`, and say what the recipe could not restore.

    What breaks a limit keeps its usual value. Between kinds, only what both have is taken over; with the recipe's own
    `kind`, a setting that this version has no field for is named, too.
    """
    known = {one.name: one for one in fields(settings)}
    given = {name: value for name, value in recipe.settings.items() if name in known and name not in FILE_FIELDS}
    taken = _accepted(settings, {name: value for name, value in given.items() if _fits(known[name], value)})
    left = [name for name in given if name not in taken]
    if kind == recipe.kind:
        left += [name for name in recipe.settings if name not in known]
    notes = [*recipe.notes, *_missing_uploads(recipe, known), *([_not_taken(left)] if left else [])]
    return Restored({name: taken.get(name, _usual(one)) for name, one in known.items()}, tuple(notes))


def _missing_uploads(recipe: Recipe, known: Iterable[str]) -> list[Sentence]:
    return [
        say("say.recipe_upload", field=name, name=recipe.settings[name])
        for name in FILE_FIELDS
        if name in known and recipe.settings.get(name)
    ]


def _not_taken(names: list[str]) -> Sentence:
    return say("say.recipe_not_taken", names=", ".join(name[:LONGEST_NAME] for name in names[:MOST_NAMED]))


def _accepted(settings: type, given: Mapping[str, Value]) -> dict[str, Value]:
    """Return what the dataclass takes: all of it, else one by one until nothing more fits beside the others."""
    needed = {one.name: "-" for one in fields(settings) if one.default is MISSING}
    if _makes(settings, {**needed, **given}):
        return dict(given)
    taken: dict[str, Value] = {}
    while found := {name: given[name] for name in _fitting(settings, needed, taken, given)}:
        taken |= found
    return taken


def _fitting(
    settings: type, needed: Mapping[str, Value], taken: Mapping[str, Value], given: Mapping[str, Value]
) -> Iterator[str]:
    """Yield what fits beside what was taken and yielded before."""
    held = {**needed, **taken}
    for name in given.keys() - taken.keys():
        if _makes(settings, {**held, name: given[name]}):
            held[name] = given[name]
            yield name


def _makes(settings: type, values: Mapping[str, Value]) -> bool:
    try:
        settings(**values)
    except InvalidInput:
        return False
    return True


def _usual(one: Field[Any]) -> Value:
    """Return what a field is without a recipe; what must be given is empty."""
    usual: Value = "" if one.default is MISSING else one.default
    return usual


def _fits(one: Field[Any], value: Value) -> bool:
    """Tell whether a value has a field's type; the dataclass checks the rest."""
    if one.type == "bool":
        return isinstance(value, bool)
    if one.type in {"int", "float"}:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str) and len(value) <= one.metadata.get("limit", LONGEST_VALUE)


def _without_folder(name: str, value: Any) -> Any:
    """Keep an upload's own name, and of models that are folders of this machine the last part."""
    if name in FILE_FIELDS:
        return PureWindowsPath(str(value)).name  # it takes both kinds of slashes apart
    return names_alone(value) if name in NAME_FIELDS else value


def names_alone(names: str) -> str:
    """Return names of models without the folders of this machine in which some lie: "/home/x/sd:0.5" is "sd:0.5"."""
    parts = _BETWEEN_NAMES.split(names)
    return "".join(PureWindowsPath(part).name if _FOLDER.match(part) else part for part in parts)


def _as_json(recipe: Recipe) -> str:
    """Write everything in ASCII, so that no tool on the way can misread a letter."""
    content = {
        OWN: VERSION,
        "kind": recipe.kind,
        "settings": dict(recipe.settings),
        "provenance": dict(recipe.provenance),
        "labels": dict(recipe.labels),
        "versions": dict(recipe.versions),
    }
    return json.dumps(content, allow_nan=False)


def _storable(text: str) -> str:
    """Take out what a PNG's text cannot hold: zero bytes, and halves of signs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _own(path: Path, head: PngHead) -> Recipe:
    try:
        held = _object(json.loads(head.texts[OWN], parse_constant=_refuse_constant))
        return Recipe(
            kind=_kind(held.get("kind")),
            settings=_flat(held.get("settings")),
            provenance=_ran(held.get("provenance", {})),
            labels=_texts(held.get("labels", {})),
            versions=_texts(held.get("versions", {})),
            width=head.width,
            height=head.height,
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise BadFile("error.recipe_damaged", name=path.name) from error


def _refuse_constant(name: str) -> None:
    """NaN and the infinities are no JSON, and no setting."""
    raise ValueError(name)


def _object(held: Any) -> dict[str, Any]:
    if not isinstance(held, dict):
        raise TypeError(type(held).__name__)
    if len(held) > MOST_SETTINGS:
        raise ValueError(len(held))
    return held


def _kind(held: Any) -> str:
    if held not in KINDS:
        raise ValueError("kind")
    return str(held)


def _flat(held: Any) -> dict[str, Value]:
    return {_name(name): _value(value) for name, value in _object(held).items()}


def _texts(held: Any) -> dict[str, str]:
    return {_name(name): str(_value(value)) for name, value in _object(held).items()}


def _ran(held: Any) -> dict[str, Any]:
    """Read a provenance: flat, but for the list of fallbacks."""
    told = dict(_object(held))
    fallbacks = told.pop("fallbacks", [])
    if not isinstance(fallbacks, list) or len(fallbacks) > MOST_SETTINGS:
        raise TypeError("fallbacks")
    return {**_flat(told), "fallbacks": [str(_value(one)) for one in fallbacks]} if told else {}


def _name(name: str) -> str:
    if not name.isidentifier() or len(name) > LONGEST_NAME:
        raise ValueError(name[:LONGEST_NAME])
    return name


def _value(value: Any) -> Value:
    if value is not None and not isinstance(value, str | int | float | bool):
        raise TypeError(type(value).__name__)
    if isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:  # not, for NaN compares to nothing
        raise ValueError("number")
    return value
