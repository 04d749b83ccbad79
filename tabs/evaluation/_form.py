"""The form of an evaluation: task, models, data and metrics; all other fields below, as far as the task has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.catalogue import model_choices
from core.evaluation.settings import MOST_MODELS, EvaluateSettings
from core.evaluation.tasks import EVALUATION_TASKS, MOST_METRICS, find_evaluation_task
from core.known_tasks import find_task
from core.runs import PREFIX
from core.settings import Capability
from core.tasks.text.options import WISHES
from core.training.data.reading import EVERY_FORMAT
from core.training.data.samples import is_sample, samples_for
from tabs._events import Visit
from tabs._form import control
from tabs._language import word
from tabs.text._languages import language_control

Controls = dict[str, Any]

FIRST = next(iter(EVALUATION_TASKS))
SEVERAL = ("models", "metrics")
"""Fields that are chosen from lists, and stand in the settings with commas between."""
_CLASSES, _WRITTEN = ("text-classification", "token-classification"), ("translation", "summarization")
OF_TASKS: Mapping[str, tuple[str, ...]] = {
    "labels": _CLASSES,
    **dict.fromkeys(("source_language", "target_language"), ("translation",)),
    "sentences": ("summarization",),
    **dict.fromkeys(("max_new_tokens", "num_beams"), (*_WRITTEN, "text-generation")),
}
"""Fields that only some tasks have."""
_WORDS = {
    "labels": "evaluate_labels",
    "max_new_tokens": "max_new_tokens_row",
    "seed": "evaluate_seed",
    "columns": "evaluate_columns",
}
"""Where a field's usual words do not say what it means here."""
_PLAIN = ("max_samples", "draws", "seed", "sentences", "max_new_tokens", "num_beams")


def main_controls() -> Controls:
    """Make the controls that everybody needs, for the first task."""
    task = EVALUATION_TASKS[FIRST]
    return {
        "task": gr.Dropdown(list(EVALUATION_TASKS), value=FIRST, label=word("field.task"), elem_id="evaluate-task"),
        "models": gr.Dropdown(
            model_choices(FIRST),
            value=[find_task(FIRST).default],
            multiselect=True,
            max_choices=MOST_MODELS,
            allow_custom_value=True,
            label=word("field.models"),
            info=word("field.models.info"),
            elem_id="evaluate-models",
        ),
        "dataset": gr.Dropdown(
            list(samples_for(FIRST)),
            value="",
            allow_custom_value=True,
            label=word("field.dataset"),
            info=word("field.evaluate_dataset.info"),
            elem_id="evaluate-dataset",
        ),
        "file": gr.File(
            label=word("field.train_file"), file_types=list(EVERY_FORMAT), height=140, elem_id="evaluate-file"
        ),
        "metrics": gr.Dropdown(
            list(task.fitting),
            value=[],
            multiselect=True,
            max_choices=MOST_METRICS,
            allow_custom_value=True,
            label=word("field.metrics"),
            info=word("field.metrics.info"),
            elem_id="evaluate-metrics",
        ),
    }


def further_controls() -> Controls:
    """Make what fewer people need."""
    made: Controls = {name: _further(name) for name in ("columns", "labels", "dataset_config", "dataset_split")}
    made |= {name: language_control(name, **_marks(name)) for name in ("source_language", "target_language")}
    with gr.Row():
        made |= {name: _further(name) for name in _PLAIN}
    with gr.Row():
        made |= {name: control(EvaluateSettings, name, min_width=150) for name in WISHES}
    return made


def _further(name: str) -> Any:
    hints = {"columns": word("field.evaluate_columns.info"), "labels": word("field.evaluate_labels.info")}
    told = {"info": hints[name]} if name in hints else {}
    label = word(f"field.{_WORDS.get(name, name)}")
    return control(EvaluateSettings, name, label=label, min_width=150, **told, **_marks(name))


def _marks(name: str) -> dict[str, Any]:
    return {"visible": FIRST in OF_TASKS.get(name, (FIRST,)), "elem_id": f"evaluate-{name}"}


def of_task(atelier: Atelier, task: str) -> tuple[Any, ...]:
    """Return the updates for a task: its models, data and metrics, and in OF_TASKS' order the fields it has."""
    known = find_evaluation_task(task)
    models = atelier.registry.choices(task)
    return (
        gr.update(choices=models, value=[find_task(task).default]),
        gr.update(choices=datasets(atelier, task), value=""),
        gr.update(choices=list(known.fitting), value=[]),
        *(gr.update(visible=task in tasks) for tasks in OF_TASKS.values()),
    )


def offered(atelier: Atelier, _: Visit, task: str) -> tuple[Any, Any]:
    """Return the updates that offer what was trained meanwhile; what is chosen stays chosen."""
    known = task if task in EVALUATION_TASKS else FIRST
    return gr.update(choices=atelier.registry.choices(known)), gr.update(choices=datasets(atelier, known))


def datasets(atelier: Atelier, task: str) -> list[str]:
    """Return the data that are offered: samples, and runs by what they held out."""
    runs = [name for name in atelier.registry.choices(task) if name.startswith(PREFIX)]
    return [*samples_for(task), *runs]


def settings_of(atelier: Atelier, values: Mapping[str, Any]) -> EvaluateSettings:
    """Return the settings that a form's values mean.

    Raises InvalidInput, UnknownName for a task there is not, and NotAllowed for a visitor who names a data set of the
    Hub: it would be downloaded here.
    """
    told = {name: _plain(name, value) for name, value in values.items()}
    if told.get("task", FIRST) != FIRST and told.get("models") == find_task(FIRST).default:
        told["models"] = ""  # a program that names no model has the page's first one, which is of another task
    find_evaluation_task(told.get("task", FIRST))
    settings = EvaluateSettings(**told)
    dataset = settings.dataset.strip()
    if dataset and not is_sample(dataset) and not settings.of_run:
        atelier.settings.require(Capability.HUB_DATA)
    return settings


def _plain(name: str, value: Any) -> Any:
    """Return a control's value as its field has it: lists with commas between, and nothing as an empty text."""
    if name in SEVERAL and isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return "" if value is None and name in _TEXTS else value


_TEXTS = tuple(field.name for field in fields(EvaluateSettings) if field.metadata.get("kind") != "number")
