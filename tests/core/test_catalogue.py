"""What exists, and what a typed name means in each mode."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core import catalogue
from core.catalogue import TASKS, Catalogue, ModelSpec, Source, find_task, languages_in, model_choices
from core.errors import InvalidInput, NotAllowed, NotAModel, UnknownName, WrongTask
from core.placement.wish import Wish
from core.settings import Mode, Settings
from core.words import say

TASK = "text-classification"
PRESET = TASKS[TASK].presets[0]


@pytest.fixture
def starters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ship two invented starters, and a folder that is none."""
    for name in ("sentiment", "nli"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps({"name": name}))
    (tmp_path / "unfinished").mkdir()
    monkeypatch.setattr(catalogue, "STARTERS_FOLDER", tmp_path)
    return tmp_path


def in_mode(mode: Mode, *hub_models: str) -> Catalogue:
    """Open the catalogue as an instance of this mode sees it."""
    return Catalogue(Settings(mode=mode, public=True, hub_models=hub_models))


@pytest.fixture
def local() -> Catalogue:
    """Open the catalogue of one's own machine."""
    return in_mode(Mode.LOCAL)


@pytest.mark.parametrize("name", [*TASKS, *(alias for task in TASKS.values() for alias in task.aliases)])
def test_every_task_is_found_by_each_of_its_names(name: str) -> None:
    """Today's name and the cheat sheets' older one lead to the same task, in any spelling of case and dashes."""
    found = find_task(name)
    assert name == found.name or name in found.aliases
    assert find_task(f" {name.upper().replace('-', '_')} ") is found


@pytest.mark.parametrize(
    ("name", "languages"),
    [
        ("translation_en_to_fr", ("en", "fr")),
        (" Translation-de-to-zh-TW ", ("de", "zh-TW")),
        ("translation_eng_Latn_to_fra_Latn", ("eng_Latn", "fra_Latn")),
    ],
)
def test_a_translation_may_name_its_languages(name: str, languages: tuple[str, str]) -> None:
    """The cheat sheets' translation_xx_to_yy is translation, and tells from which language into which."""
    assert find_task(name).name == "translation"
    assert languages_in(name) == languages


@pytest.mark.parametrize("name", ["translation", "translation_en_fr", "text-classification", "translation_to_fr"])
def test_other_names_tell_no_languages(name: str) -> None:
    """Only a name with both languages tells any."""
    assert languages_in(name) is None


def test_no_name_means_two_tasks() -> None:
    """Task names and aliases are unambiguous."""
    names = [name for task in TASKS.values() for name in (task.name, *task.aliases)]
    assert len(names) == len(set(names))


def test_an_unknown_task_lists_the_known_ones() -> None:
    """Who asks for a task that is not there reads which are."""
    with pytest.raises(UnknownName) as refusal:
        find_task("time-travel")
    assert all(name in str(refusal.value) for name in ("time-travel", *TASKS))


@pytest.mark.parametrize("task", TASKS)
def test_choices_begin_with_the_starter(task: str) -> None:
    """Each task suggests its starter first, where it has one, then Hub ids, each once; nothing named is the first."""
    first, *others = model_choices(task)
    assert first == TASKS[task].default
    assert first.startswith("starter/") or not TASKS[task].starter
    assert all("/" in name and not name.startswith("starter/") for name in others)
    assert len(set(others)) == len(others)


@pytest.mark.usefixtures("starters")
def test_starters_are_what_lies_there() -> None:
    """A folder with measurements is a starter; one without is not."""
    assert catalogue.starter_names() == ["starter/nli", "starter/sentiment"]
    assert catalogue.starter_metrics("starter/nli") == {"name": "nli"}


@pytest.mark.usefixtures("starters")
@pytest.mark.parametrize("name", ["starter/unfinished", "starter/..", "starter/../..", "starter/", "nli"])
def test_unknown_starters(name: str) -> None:
    """A starter that is not shipped is refused with the list, and a path is no name."""
    with pytest.raises(UnknownName, match="starter/sentiment"):
        catalogue.starter_folder(name)


@pytest.mark.usefixtures("starters")
@pytest.mark.parametrize("name", ["", "  ", "starter/sentiment"])
def test_nothing_typed_means_the_starter(local: Catalogue, name: str) -> None:
    """An empty name is the task's starter."""
    assert local.resolve(name, TASK) == ModelSpec("starter/sentiment", Source.STARTER, TASK)


@pytest.mark.parametrize(
    ("typed", "name", "revision", "adapters"),
    [
        ("gpt2", "gpt2", None, ()),
        (" org/model ", "org/model", None, ()),
        ("org/model@v1.0", "org/model", "v1.0", ()),
        ("org/model@refs/pr/1", "org/model", "refs/pr/1", ()),
        ("org/model@", "org/model", None, ()),
        ("org/model+org/adapter", "org/model", None, ("org/adapter",)),
        ("org/model@v1+org/one@v2+org/two", "org/model", "v1", ("org/one@v2", "org/two")),
    ],
)
def test_hub_names(local: Catalogue, typed: str, name: str, revision: str | None, adapters: tuple[str, ...]) -> None:
    """A Hub id may carry a revision and adapters."""
    assert local.resolve(typed, TASK) == ModelSpec(name, Source.HUB, TASK, revision, adapters)


@pytest.mark.parametrize(
    "typed", ["a/b/c", "org/", "/org/model/x y", "org/mo del", "org/model+", "org/model+a b", "😀"]
)
def test_impossible_names(local: Catalogue, typed: str) -> None:
    """What can be neither a Hub id nor a folder is refused, with what was typed."""
    with pytest.raises((InvalidInput, NotAModel)):
        local.resolve(typed, TASK)


def test_the_task_may_have_its_old_name(local: Catalogue) -> None:
    """The spec carries today's task name, whichever was asked for."""
    assert local.resolve("gpt2", "sentiment_analysis").task == TASK


def test_the_wish_travels(local: Catalogue) -> None:
    """How the model shall run is part of what was asked for."""
    wish = Wish(device="cpu")
    assert local.resolve("gpt2", TASK, wish).wish == wish
    assert local.resolve("gpt2", TASK) != local.resolve("gpt2", TASK, wish)


def test_a_folder_is_resolved(local: Catalogue, tmp_path: Path) -> None:
    """On one's own machine a folder is a model, by its full path."""
    (tmp_path / "model").mkdir()
    crooked = tmp_path / "x" / ".." / "model"
    (tmp_path / "x").mkdir()
    assert local.resolve(str(crooked), TASK) == ModelSpec(str(tmp_path / "model"), Source.FOLDER, TASK)


def test_a_folder_that_is_not_there(local: Catalogue, tmp_path: Path) -> None:
    """A path that leads nowhere is named in the refusal."""
    with pytest.raises(NotAModel, match="nowhere"):
        local.resolve(str(tmp_path / "nowhere"), TASK)


@pytest.mark.parametrize("mode", [Mode.SPACE, Mode.SHARE])
@pytest.mark.parametrize("typed", ["/etc", "./assets", "../x", "~/models", r"C:\models", r".\models"])
def test_visitors_reach_no_folder(mode: Mode, typed: str) -> None:
    """A visitor of a Space or a share link reaches no folder, and learns nothing about it."""
    with pytest.raises(NotAllowed) as refusal:
        in_mode(mode).resolve(typed, TASK)
    assert refusal.value.sentence.key == "error.not_in_this_mode"


@pytest.mark.parametrize("mode", [Mode.SPACE, Mode.SHARE])
def test_visitors_choose_from_the_list(mode: Mode) -> None:
    """Listed presets are open to visitors; any other Hub id and any unlisted adapter is not."""
    shop = in_mode(mode)
    assert shop.resolve(PRESET, TASK).name == PRESET
    assert shop.resolve(TASKS["attention"].presets[0], TASK).source is Source.HUB
    for typed in ("somebody/unknown", f"{PRESET}+somebody/adapter"):
        with pytest.raises(NotAllowed, match="somebody/"):
            shop.resolve(typed, TASK)


def test_a_space_may_list_more() -> None:
    """The owner of a Space may open further Hub ids; a share link knows presets only."""
    assert in_mode(Mode.SPACE, "mine/model").resolve("mine/model", TASK).name == "mine/model"
    with pytest.raises(NotAllowed):
        in_mode(Mode.SHARE, "mine/model").resolve("mine/model", TASK)


@pytest.mark.parametrize("mode", [Mode.SPACE, Mode.SHARE])
@pytest.mark.parametrize("revision", ["refs/pr/1", "main", "v1.0", "0" * 40])
def test_visitors_choose_no_revision(mode: Mode, revision: str) -> None:
    """A listed id does not open its revisions, which strangers may upload; the refusal says what is allowed."""
    shop = in_mode(mode)
    for typed in (f"{PRESET}@{revision}", f"{PRESET}+{PRESET}@{revision}", f"{PRESET}@{revision}+{PRESET}"):
        with pytest.raises(NotAllowed) as refusal:
            shop.resolve(typed, TASK)
        told = say("error.revision_not_listed", name=PRESET, revision=revision, mode=mode.value)
        assert refusal.value.sentence == told


def test_a_space_may_list_a_revision() -> None:
    """A listed id@revision opens that revision alone, for a model and for an adapter; a share link lists none."""
    listed = "mine/model@v1"
    shop = in_mode(Mode.SPACE, listed)
    assert shop.resolve(listed, TASK) == ModelSpec("mine/model", Source.HUB, TASK, "v1")
    assert shop.resolve(f"{PRESET}+{listed}", TASK).adapters == (listed,)
    for typed in ("mine/model", "mine/model@v2", f"{PRESET}+mine/model", f"{PRESET}+mine/model@v2"):
        with pytest.raises(NotAllowed, match="mine/model"):
            shop.resolve(typed, TASK)
    with pytest.raises(NotAllowed):
        in_mode(Mode.SHARE, listed).resolve(listed, TASK)


def test_one_loads_any_revision_on_ones_own_machine(local: Catalogue) -> None:
    """The list binds visitors only."""
    assert local.resolve(f"{PRESET}@refs/pr/1", TASK).revision == "refs/pr/1"


def test_presets_are_well_formed(local: Catalogue) -> None:
    """Every suggestion can be resolved as a Hub id."""
    for task in TASKS.values():
        for preset in task.presets:
            assert local.resolve(preset, task.name).source is Source.HUB


ELSEWHERE = ("http://gpu-box:8000/v1#my-model", "https://api.example.com", "hf-inference:org/model:groq")


@pytest.mark.parametrize(
    ("typed", "name", "source"),
    [
        (" http://GPU-box:8000/v1/#my-model ", "http://gpu-box:8000/v1#my-model", Source.ENDPOINT),
        ("https://api.example.com", "https://api.example.com/v1", Source.ENDPOINT),
        ("HF-inference:org/model:groq", "hf-inference:org/model:groq", Source.PROVIDER),
    ],
)
@pytest.mark.parametrize("task", ["chat", "conversational"])
def test_models_elsewhere(local: Catalogue, typed: str, name: str, source: Source, task: str) -> None:
    """For chat an address or a model of Inference Providers is a model, too, under one spelling of its name."""
    assert local.resolve(typed, task) == ModelSpec(name, source, "chat")
    assert source.remote


@pytest.mark.parametrize("typed", ELSEWHERE)
@pytest.mark.parametrize("task", sorted(set(TASKS) - {"chat"}))
def test_models_elsewhere_only_chat(local: Catalogue, typed: str, task: str) -> None:
    """Every other task says that it needs a model that runs here."""
    with pytest.raises(WrongTask) as refusal:
        local.resolve(typed, task)
    assert refusal.value.sentence == say("error.remote_only_chat", task=task)


@pytest.mark.parametrize("mode", [Mode.SPACE, Mode.SHARE])
@pytest.mark.parametrize("typed", [*ELSEWHERE, "http://169.254.169.254/latest", "http://user:pass@host/", "https://"])
def test_visitors_choose_no_other_host(mode: Mode, typed: str) -> None:
    """A visitor cannot make our server call a host, and learns nothing about the address that was tried."""
    with pytest.raises(NotAllowed) as refusal:
        in_mode(mode).resolve(typed, "chat")
    assert refusal.value.sentence.key == "error.not_in_this_mode"
    assert typed not in str(refusal.value)


@pytest.mark.parametrize("typed", ELSEWHERE)
def test_a_space_may_list_models_elsewhere(typed: str) -> None:
    """What the owner of a Space lists is open to visitors word for word, and no more; a share link lists nothing."""
    shop = in_mode(Mode.SPACE, typed)
    assert shop.resolve(f" {typed} ", "chat").source.remote
    for other in (f"{typed}x", typed.upper(), typed.replace("//", "//evil."), f"{typed}#other"):
        if other != typed:
            with pytest.raises(NotAllowed):
                shop.resolve(other, "chat")
    with pytest.raises(WrongTask):
        shop.resolve(typed, TASK)
    with pytest.raises(NotAllowed):
        in_mode(Mode.SHARE, typed).resolve(typed, "chat")


def test_adapters_cannot_lead_elsewhere(local: Catalogue) -> None:
    """An address behind a "+" is no adapter."""
    with pytest.raises(InvalidInput):
        local.resolve("org/model+https://host/v1", "chat")
