"""The "parameters" text that AUTOMATIC1111's web UI and its kin write into a PNG, and read from one.

    a cat wearing <lora:style:0.8> sunglasses
    Negative prompt: blurry
    Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 42, Size: 512x512, Model: name

Nothing marks where the prompt ends but these words; a last line with fewer than three settings is more prompt.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.words import Sentence, say

NEGATIVE = "Negative prompt:"
FEWEST_SETTINGS = 3
LONGEST_LINE = 20_000
"""Characters of the line with the settings; a longer one is a prompt."""
KARRAS = "Karras"
UNIFORM = "Uniform"
AUTOMATIC = "Automatic"

SAMPLERS: Final[Mapping[str, tuple[str, str]]] = {
    "ddim": ("DDIM", ""),
    "ddpm": ("DDPM", ""),
    "pndm": ("PLMS", ""),
    "lms": ("LMS", UNIFORM),
    "euler": ("Euler", UNIFORM),
    "euler_ancestral": ("Euler a", UNIFORM),
    "heun": ("Heun", UNIFORM),
    "dpm2": ("DPM2", UNIFORM),
    "dpm2_ancestral": ("DPM2 a", UNIFORM),
    "dpmpp_2m": ("DPM++ 2M", UNIFORM),
    "dpmpp_2m_karras": ("DPM++ 2M", KARRAS),
    "dpmpp_2m_sde": ("DPM++ 2M SDE", UNIFORM),
    "dpmpp_2m_sde_karras": ("DPM++ 2M SDE", KARRAS),
    "dpmpp_2s": ("DPM++ 2S", UNIFORM),
    "deis": ("DEIS", UNIFORM),
    "unipc": ("UniPC", ""),
    "lcm": ("LCM", ""),
    "tcd": ("TCD", ""),
    "flow_euler": ("Euler", "Simple"),
    "flow_heun": ("Heun", "Simple"),
    "flow_dpmpp_2m": ("DPM++ 2M", "Simple"),
    "flow_unipc": ("UniPC", "Simple"),
}
"""Our scheduler → the other tools' sampler and schedule type ("" = it has no choice)."""
KARRAS_BY_ITSELF = ("dpm++ 2m", "dpm++ 2m sde")
"""Samplers whose schedule is Karras where it says Automatic."""
SIMPLE = "simple"
OF_NO_CONSEQUENCE = frozenset(
    {"model hash", "vae hash", "lora hashes", "ti hashes", "hashes", "version", "user", "created date", "rng"}
)
"""What those tools write beside the settings."""

_NAME = re.compile(r"\s*(\w[\w \-/]*):\s*")
_LORA = re.compile(r"<(lora|lyco):([^<>:,\n]+)(?::([^<>\n]*))?>")
_SPACES = re.compile(r" {2,}")
_WEIGHTED_WORDS = re.compile(r"\([^()\n]*:\s*[\d.]{1,9}\)|\bBREAK\b|\[[^\[\]:\n]*:[^\[\]\n]*\]")
_SIZE = re.compile(r"(\d{1,5})\s*[x×]\s*(\d{1,5})")
_WHOLE = re.compile(r"-?\d{1,19}")


@dataclass(frozen=True)
class Parameters:
    """What such a text says: the kind of picture, settings by our names, and what could not be taken over."""

    kind: str
    settings: Mapping[str, Any]
    notes: tuple[Sentence, ...] = ()


def parameters_text(settings: Mapping[str, Any], width: int, height: int) -> str:
    """Write settings the way those tools read them."""
    prompt = " ".join(part for part in (str(settings.get("prompt", "")), _loras_in_prompt(settings)) if part)
    lines = [prompt]
    if settings.get("negative_prompt"):
        lines.append(f"{NEGATIVE} {settings['negative_prompt']}")
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in _told(settings, width, height).items()))
    return "\n".join(lines)


def read_parameters(text: str) -> Parameters | None:
    """Read such a text; None where nothing looks like a setting."""
    *lines, last = text.strip().split("\n")
    told = _settings_in(last)
    if len(told) < FEWEST_SETTINGS:
        if not any(line.startswith(NEGATIVE) for line in (*lines, last)):
            return None
        lines, told = [*lines, last], {}
    prompt, negative = _prompts(lines)
    prompt, loras, notes = _without_loras(prompt)
    taken, left = _taken(told)
    settings: dict[str, Any] = {"prompt": prompt, "negative_prompt": negative, **taken}
    if loras:
        settings["loras"] = loras
    found = [say("say.recipe_of_another_tool"), *notes, *_notes_on_words(prompt, negative), *_notes_on(told, taken)]
    if left:
        found.append(say("say.recipe_not_taken", names=", ".join(left)))
    return Parameters(_kind(told), settings, tuple(found))


def _told(settings: Mapping[str, Any], width: int, height: int) -> dict[str, Any]:
    sampler, schedule = SAMPLERS.get(str(settings.get("scheduler")), ("", ""))
    told = {
        "Steps": settings.get("num_inference_steps"),
        "Sampler": sampler,
        "Schedule type": schedule,
        "CFG scale": settings.get("guidance_scale"),
        "Seed": settings.get("seed"),
        "Size": f"{width}x{height}" if width and height else "",
        "Model": settings.get("model"),
        "Denoising strength": settings.get("strength"),
        "Mask blur": settings.get("mask_blur"),
        "Version": "Atelier",
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(sign in text for sign in ',\n:"') else text


def _loras_in_prompt(settings: Mapping[str, Any]) -> str:
    parts = (part.strip() for part in str(settings.get("loras", "")).split(","))
    return " ".join(f"<lora:{part if _weighted(part) else f'{part}:1'}>" for part in parts if part)


def _weighted(part: str) -> bool:
    return _number(part.rpartition(":")[2]) is not None and ":" in part


def _settings_in(line: str) -> dict[str, str]:
    """Read `name: value` pairs, the value in JSON's quotes where it holds a comma; the first of a name counts."""
    found: dict[str, str] = {}
    place = 0
    while len(line) <= LONGEST_LINE and place < len(line):
        name = _NAME.match(line, place)
        value, place = _value(line, name.end() if name else place)
        if name:
            found.setdefault(name[1].strip(), value)
    return found


def _value(line: str, place: int) -> tuple[str, int]:
    """Return the value that begins here, and where the next pair begins."""
    if line.startswith('"', place):
        try:
            value, place = json.JSONDecoder().raw_decode(line, place)
        except ValueError:
            return _up_to_comma(line, place)
        return str(value), _up_to_comma(line, place)[1]
    return _up_to_comma(line, place)


def _up_to_comma(line: str, place: int) -> tuple[str, int]:
    end = line.find(",", place)
    end = len(line) if end < 0 else end
    return line[place:end].strip(), end + 1


def _prompts(lines: list[str]) -> tuple[str, str]:
    """Tell the prompt from the negative one, which begins with its own words and goes on to the end."""
    begin = next((number for number, line in enumerate(lines) if line.strip().startswith(NEGATIVE)), len(lines))
    negative = "\n".join(lines[begin:]).strip().removeprefix(NEGATIVE)
    return "\n".join(lines[:begin]).strip(), negative.strip()


def _without_loras(prompt: str) -> tuple[str, str, list[Sentence]]:
    """Take the adapters out of a prompt: "id:weight, id:weight", and a word on those that are files elsewhere."""
    adapters: dict[str, float] = {}
    for found in _LORA.finditer(prompt):
        adapters.setdefault(found[2].strip(), _weight(found[3]))
    bare = _SPACES.sub(" ", _LORA.sub("", prompt)).strip() if adapters else prompt
    loras = ", ".join(f"{name}:{weight:g}" for name, weight in adapters.items() if "/" in name)
    files = [name for name in adapters if "/" not in name]
    return bare, loras, [say("say.recipe_lora_file", names=", ".join(files))] if files else []


def _weight(text: str | None) -> float:
    """Read a weight; of one for each part of the model (0.8:0.6), the first."""
    found = _number((text or "").partition(":")[0])
    return 1.0 if found is None else found


def _taken(told: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return settings by our names, and the other tool's names of what was left."""
    taken: dict[str, Any] = {}
    left: list[str] = []
    for name, text in told.items():
        read = _READERS.get(name.lower())
        settings = read(text, told) if read else None
        if settings is not None:
            taken.update(settings)
        elif name.lower() not in OF_NO_CONSEQUENCE:
            left.append(name)
    return taken, left


def _scheduler(text: str, told: Mapping[str, str]) -> dict[str, Any] | None:
    sampler, schedule = _sampler_and_schedule(text, told)
    wanted = (sampler, KARRAS.lower() if _karras(sampler, schedule) else schedule)
    known = {(one.lower(), kind.lower()): name for name, (one, kind) in SAMPLERS.items()}
    plain = next((name for (one, _), name in known.items() if one == sampler), None)
    name = known.get(wanted) or plain
    return {"scheduler": name} if name else None


def _sampler_and_schedule(text: str, told: Mapping[str, str]) -> tuple[str, str]:
    """Read both; older versions write one behind the other: "DPM++ 2M Karras"."""
    sampler, schedule = text.strip().lower(), told.get("Schedule type", "").strip().lower()
    if sampler.endswith(f" {KARRAS.lower()}"):
        return sampler.removesuffix(f" {KARRAS.lower()}"), KARRAS.lower()
    return sampler, schedule


def _karras(sampler: str, schedule: str) -> bool:
    return schedule == KARRAS.lower() or (schedule == AUTOMATIC.lower() and sampler in KARRAS_BY_ITSELF)


def _schedule(text: str, told: Mapping[str, str]) -> dict[str, Any] | None:
    """Tell whether the schedule was taken over together with the sampler."""
    found = _scheduler(told.get("Sampler", ""), told)
    known = SAMPLERS[found["scheduler"]][1].lower() if found else None
    return {} if known is not None and text.strip().lower() in {known, AUTOMATIC.lower()} else None


def _whole(name: str) -> Callable[[str, Mapping[str, str]], dict[str, Any] | None]:
    return lambda text, _: {name: int(text)} if _WHOLE.fullmatch(text) else None


def _decimal(name: str) -> Callable[[str, Mapping[str, str]], dict[str, Any] | None]:
    def read(text: str, _: Mapping[str, str]) -> dict[str, Any] | None:
        number = _number(text)
        return None if number is None else {name: number}

    return read


def _size(text: str, _: Mapping[str, str]) -> dict[str, Any] | None:
    found = _SIZE.fullmatch(text)
    return {"width": int(found[1]), "height": int(found[2])} if found else None


def _model(text: str, _: Mapping[str, str]) -> dict[str, Any] | None:
    """Take a model that names its owner; a bare name is a file on somebody's disk, which `_notes_on` says."""
    return {"model": text} if "/" in text else {}


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _kind(told: Mapping[str, str]) -> str:
    """Tell what was drawn; "Denoising strength" also belongs to enlarging, which says so."""
    if "Mask blur" in told:
        return "inpainting"
    enlarged = any(name.startswith("Hires") for name in told)
    return "image-to-image" if "Denoising strength" in told and not enlarged else "text-to-image"


def _notes_on(told: Mapping[str, str], taken: Mapping[str, Any]) -> list[Sentence]:
    model = told.get("Model", "")
    return [say("say.recipe_model_file", name=model)] if model and "model" not in taken else []


def _notes_on_words(*prompts: str) -> list[Sentence]:
    return [say("say.recipe_emphasis")] if any(_WEIGHTED_WORDS.search(prompt) for prompt in prompts) else []


_READERS: Final[Mapping[str, Callable[[str, Mapping[str, str]], dict[str, Any] | None]]] = {
    "steps": _whole("num_inference_steps"),
    "sampler": _scheduler,
    "schedule type": _schedule,
    "cfg scale": _decimal("guidance_scale"),
    "seed": _whole("seed"),
    "size": _size,
    "model": _model,
    "denoising strength": _decimal("strength"),
    "mask blur": _whole("mask_blur"),
}
