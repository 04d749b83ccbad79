"""The Train tab without a browser: the form's law, data and plan as shown, a run's curves, and who may train."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.atelier import Atelier, open_atelier
from core.errors import AtelierError, Busy, InvalidInput, NotAllowed
from core.jobs.events import Event
from core.settings import Capability, Mode, Settings
from core.training.history import History
from core.training.settings import TrainSettings
from tabs._events import Visit
from tabs._jobs import JobHandlers
from tabs.train._after import AfterHandlers
from tabs.train._desk import TrainHandlers
from tabs.train._form import DEFAULTS, GROUPS, MAIN, _merge, fits, settings_of
from tests.fakes.models import tiny_bert

FORM = {"task": "text-classification", "method": "lora", "dataset": "samples/reviews", "file": None}


@pytest.fixture
def atelier(tmp_path: Path) -> Iterator[Atelier]:
    """Give an instance of one's own."""
    made = open_atelier(Settings(home=tmp_path / "home"))
    yield made
    assert made.shutdown(20)


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Give a tiny base."""
    return str(tiny_bert(tmp_path / "bert"))


def event(number: int, name: str, **payload: object) -> Event:
    """Return one event of a run."""
    return Event(number, 0.0, name, payload)


def test_every_field_has_one_place_in_the_form() -> None:
    """Each field of a training is a control of its own, or belongs to one group."""
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted([*MAIN, *grouped]) == sorted(DEFAULTS)


def test_groups_show_what_fits() -> None:
    """A rank belongs to LoRA and not to prompt tuning, a resolution to pictures only."""
    assert fits("r", "text-classification", "lora")
    assert not fits("r", "text-classification", "prompt-tuning")
    assert not fits("resolution", "text-classification", "lora")
    assert fits("learning_rate", "text-to-image", "full")


def test_a_choice_is_written_down_and_taken_back() -> None:
    """What differs from its default stands in the settings, and nothing else does."""
    chosen = _merge(Visit(), '{"seed": 7}', r=16, lora_alpha=0)
    assert json.loads(chosen) == {"seed": 7, "r": 16}
    assert _merge(Visit(), '{"r": 16}', r=0) == ""


def test_a_pasted_settings_file_names_no_place_on_this_machine() -> None:
    """Files come as uploads alone; what a pasted file says of them is left out."""
    pasted = TrainSettings(file="/etc/passwd", validation_file="/etc/shadow", seed=7).to_json()
    found = settings_of({**FORM, "more": pasted})
    assert (found.file, found.validation_file, found.seed) == ("", "", 7)


@pytest.mark.parametrize("more", ["{", "[1]", "3"])
def test_unreadable_settings_are_refused(more: str) -> None:
    """Further settings are a JSON object or nothing."""
    with pytest.raises(InvalidInput) as refusal:
        settings_of({**FORM, "more": more})
    assert refusal.value.sentence.key == "error.train_more_unreadable"


def test_data_and_plan_are_shown_before_anything_starts(atelier: Atelier, model: str) -> None:
    """Columns, split and tokens of a chosen row come first, then steps, memory and the command; no job is made."""
    by = TrainHandlers(atelier)
    view, looked = by.data(Visit(), **FORM, model=model, row=2)
    assert looked["columns"] == {"text": "text", "label": "label"}
    assert looked["preview"]["row"] == 2
    assert looked["train_rows"] > looked["validation_rows"] > 0
    assert 'class="tokens"' in view
    found = atelier.train_desk.look(settings_of({**FORM, "model": model}))
    plan = atelier.train_desk.plan(settings_of({**FORM, "model": model}), found.shape, measured=False)
    assert plan.steps > 0
    assert atelier.training.list() == []


def test_the_first_pictures_are_shown_with_their_captions(atelier: Atelier) -> None:
    """A zip of pictures has no tokens to show: its pictures come with the page, and their sizes with the answer."""
    form = {**FORM, "task": "text-to-image", "dataset": "samples/pictures"}
    view, looked = TrainHandlers(atelier).data(Visit(), **form)
    assert looked["preview"] is None
    assert len(looked["pictures"]) == view.count('src="data:image/jpeg;base64,') == 8
    assert all(one["caption"] in view for one in looked["pictures"])


def test_a_training_runs_once_is_stopped_and_has_its_name_for_itself(atelier: Atelier, model: str) -> None:
    """A second start is refused while the first is alive, and its name afterwards; the drawer lists and deletes it."""
    by, drawer = TrainHandlers(atelier), JobHandlers(atelier)
    asked = {**FORM, "model": model, "name": "mine", "more": '{"max_steps": 100000, "device": "cpu"}'}
    _, job = by.start(Visit(), **asked)
    with pytest.raises(Busy) as refusal:
        by.start(Visit(), **asked)
    assert refusal.value.sentence.key == "error.train_runs_already"
    assert [row["name"] for row in drawer.list(Visit())[1]] == ["run/mine"]
    by.stop(Visit(), job)
    *_, last = [shown for shown in by.follow(Visit(), job) if shown]
    assert last[2]["state"] == "cancelled"
    assert by.runs(Visit())[1][0]["name"] == "mine"
    with pytest.raises(InvalidInput) as refused:
        by.start(Visit(), **asked)
    assert refused.value.sentence.key == "error.train_name_taken"
    assert drawer.delete(Visit(), job) == "deleted"


@pytest.mark.parametrize(
    ("settings", "may"),
    [
        (Settings(), True),
        (Settings(mode=Mode.SPACE, host="127.0.0.1"), False),
        (Settings(mode=Mode.SPACE, host="127.0.0.1", password="of the owner"), True),
        (Settings(mode=Mode.SHARE, password="of the guests"), False),
    ],
)
def test_only_owners_train(settings: Settings, may: bool) -> None:
    """One's own machine and a Space's owner may; guests of a share link may not, whatever password they have."""
    assert settings.allows(Capability.TRAIN) is may


def test_a_guest_is_refused_in_words(tmp_path: Path) -> None:
    """Looking at data, planning and starting are closed to guests: they read files and start processes."""
    guests = open_atelier(Settings(mode=Mode.SPACE, home=tmp_path / "home", host="127.0.0.1"))
    by = TrainHandlers(guests)
    for handler in (by.data, by.plan, by.start):
        with pytest.raises(NotAllowed):
            handler(Visit(visitor="ada"), **FORM)


def test_what_has_not_ended_well_is_not_merged(atelier: Atelier, model: str) -> None:
    """A run that made nothing has nothing to merge; it is refused in words."""
    by, after = TrainHandlers(atelier), AfterHandlers(atelier)
    with pytest.raises(InvalidInput):
        after.merge(Visit(), "")
    _, job = by.start(Visit(), **FORM, model=model, name="early", more='{"max_steps": 100000, "device": "cpu"}')
    by.stop(Visit(), job)
    *_, _ended = by.follow(Visit(), job)
    with pytest.raises(AtelierError):
        after.merge(Visit(), job)


def test_curves_go_on_over_an_attempt_that_died() -> None:
    """Steps that are done again replace what the dead attempt had told of them."""
    history = History()
    history.read([event(1, "metrics", step=1, loss=3.0), event(2, "metrics", step=2, loss=2.0)])
    history.read([event(3, "metrics", step=2, loss=2.5), event(4, "evaluation", step=2, epoch=1.0, f1=0.5)])
    history.read([event(5, "metrics", step="?", loss=1.0), event(6, "checkpoint", step=2), event(7, "else", a=1)])
    assert history.learning["loss"] == [(1.0, 3.0), (2.0, 2.5)]
    assert history.evaluations == {"f1": [(2.0, 0.5)]}
    assert (history.last, history.checkpoint) == (7, 2)
