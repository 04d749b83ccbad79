"""What was trained here stands in the lists of models of its tasks."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from core.atelier import open_atelier
from core.catalogue import model_choices
from core.settings import Settings
from tabs._events import Visit
from tabs._form import model_control
from tabs._offers import build, offering, tasks_of
from tests.core.test_runs import write_run


def test_a_list_is_known_by_its_id() -> None:
    """The panels of the Text tab, the chat and the images each have their own tasks; other controls have none."""
    for name in ("text-classification", "chat", "controlnet"):
        assert tasks_of(model_control(name, elem_id=f"{name.replace('-', '_')}-model")) == (name,)
    assert tasks_of(gr.Dropdown(elem_id="images-model")) == ("text-to-image", "image-to-image", "inpainting")
    assert tasks_of(gr.Dropdown(elem_id="text_classification-device")) == tasks_of(gr.Dropdown()) == ()


def test_runs_are_offered_after_the_starter(tmp_path: Path) -> None:
    """A list of their task is told of them and keeps its choice; without any, nothing is sent."""
    atelier = open_atelier(Settings(home=tmp_path))
    ask = offering(atelier, [("text-classification",), ("translation",)])
    assert all("choices" not in update for update in ask(Visit()))
    write_run(tmp_path / "runs", "reviews")
    classes, languages = ask(Visit())
    starter, *presets = model_choices("text-classification")
    assert classes["choices"] == [starter, "run/reviews", *presets]
    assert languages["choices"] == model_choices("translation")
    assert "value" not in classes


def test_a_page_asks_when_it_opens_and_when_a_tab_is_chosen(tmp_path: Path) -> None:
    """One event of the page and one of each outer tab fill every list."""
    atelier = open_atelier(Settings(home=tmp_path))
    with gr.Blocks() as page, gr.Tabs(), gr.Tab("Text"), gr.Tabs(), gr.Tab("Classes"):
        control = model_control("text-classification", elem_id="text_classification-model")
        build(atelier, page)
    events = [one for one in page.fns.values() if control in one.outputs]
    assert sorted(name for one in events for _, name in one.targets) == ["load", "select"]


def test_bases_follow_the_task_that_is_to_be_trained(tmp_path: Path) -> None:
    """The list of bases is filled by the same events, for the task that is chosen beside it."""
    atelier = open_atelier(Settings(home=tmp_path))
    with gr.Blocks() as page, gr.Tabs(), gr.Tab("Train"):
        task = gr.Dropdown(["text-classification"], elem_id="train-task")
        bases = gr.Dropdown(elem_id="train-model")
        build(atelier, page)
    events = [one for one in page.fns.values() if bases in one.outputs]
    assert [one.inputs for one in events] == [[task]] * 2
    write_run(tmp_path / "runs", "reviews")
    ask = offering(atelier, [tasks_of(bases)])
    (found,) = ask(Visit(), task="text-classification")
    assert found["choices"] == atelier.train_desk.bases("text-classification")
    assert "run/reviews" in found["choices"]
