"""The Models tab: what is in memory and why, what would happen next, and what a model is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import gradio as gr

from core.atelier import Atelier
from core.catalogue import TASKS, model_choices
from core.models.diagnosis import Diagnosis, diagnose
from core.models.forecast import Forecast
from core.models.registry import Freed, Resident
from core.overview import describe_memory, memory_state
from core.settings import Capability
from core.tasks.text.options import WISHES, ModelOptions
from core.words import Sentence, in_bytes, say
from tabs._events import QUIET, Endpoint, Visit, compute, look_up
from tabs._form import control
from tabs._language import word
from tabs._views import failure, folded, notes, paragraph, ran_on, table

TITLE = "tab.models"
LEDGER_REFRESH_SECONDS = 2.0
"""How often an opened tab shows anew what is in memory."""


def build(atelier: Atelier, _: gr.Blocks, tab: gr.Tab) -> None:
    """Lay out ledger, plan and diagnosis, and wire them; the tabs beside this one are there already."""
    ledger = gr.HTML(label="view", elem_id="models-ledger")
    ledger_json = gr.JSON(label="result", visible=False)
    with gr.Row():
        resident = gr.Dropdown(
            choices=[],
            value="",
            allow_custom_value=True,
            label=word("field.resident"),
            info=word("field.resident.info"),
            elem_id="models-resident",
            scale=3,
        )
        unload = gr.Button(word("unload"), elem_id="models-unload", scale=1)
        unload_all = gr.Button(word("unload_all"), elem_id="models-unload-all", scale=1)
        diagnosis = gr.Button(word("diagnose"), elem_id="models-diagnose", scale=1)
    freed = gr.HTML(label="view", elem_id="models-freed")
    freed_json = gr.JSON(label="result", visible=False)
    diagnosed = gr.HTML(label="view", elem_id="models-diagnosis")
    diagnosed_json = [gr.JSON(label="result", visible=False), gr.JSON(label="provenance", visible=False)]
    _build_plan(atelier)
    timer = gr.Timer(LEDGER_REFRESH_SECONDS, active=False)

    def _ledger(visit: Visit) -> tuple[str, Any]:
        """Return what is in memory: models, bytes predicted and measured, borrowers, and who would go next."""
        return _show_ledger(atelier, visit)

    def _choices(_: Visit) -> tuple[Any, Any]:
        """Offer the models in memory, and keep looking while this tab is open."""
        return _resident_choices(atelier), gr.Timer(active=True)

    def _left(_: Visit) -> Any:
        """Look no more: another tab was opened."""
        return gr.Timer(active=False)

    def _unload(visit: Visit, resident: str) -> tuple[str, Any]:
        """Unload one idle model by its id in the ledger; returns the bytes measured as freed."""
        atelier.settings.require(Capability.UNLOAD)
        return _show_freed([atelier.registry.release(resident)], visit)

    def _unload_all(visit: Visit) -> tuple[str, Any]:
        """Unload every idle model; returns the bytes measured as freed."""
        atelier.settings.require(Capability.UNLOAD)
        return _show_freed(atelier.registry.release_all(), visit)

    def _diagnosis(visit: Visit, resident: str) -> tuple[str, Any, Any]:
        """Look into a loaded model: parameters, vocabulary, longest input, and the median latency of 20 passes."""
        return _show_diagnosis(diagnose(resident, atelier.registry, visit.cancel), visit)

    look_up(timer.tick, _ledger, Endpoint("models_ledger", {}, [ledger, ledger_json]), **QUIET)
    look_up(tab.select, _ledger, Endpoint("models_opened", {}, [ledger, ledger_json], public=False), **QUIET)
    look_up(tab.select, _choices, Endpoint("models_choices", {}, [resident, timer], public=False), **QUIET)
    look_up(partial(gr.on, _siblings(tab)), _left, Endpoint("models_left", {}, [timer], public=False), **QUIET)
    look_up(resident.focus, _choices, Endpoint("models_choices_again", {}, [resident, timer], public=False), **QUIET)
    look_up(unload.click, _unload, Endpoint("models_unload", {"resident": resident}, [freed, freed_json]))
    look_up(unload_all.click, _unload_all, Endpoint("models_unload_all", {}, [freed, freed_json]))
    compute(
        diagnosis.click, _diagnosis, Endpoint("model_diagnosis", {"resident": resident}, [diagnosed, *diagnosed_json])
    )


def _siblings(tab: gr.Tab) -> list[Any]:
    """Return the events of opening another tab."""
    tabs: Any = tab.parent
    return [other.select for other in tabs.children if other is not tab]


def _build_plan(atelier: Atelier) -> None:
    def _plan(visit: Visit, model: str, task: str, **wishes: Any) -> tuple[str, Any]:
        """Say what loading a model would do (size, device, dtype, remedies, or the refusal) without loading it."""
        spec = ModelOptions(model=model, **wishes).spec(atelier.registry, task)
        return _show_plan(atelier.registry.forecast(spec, visit.cancel), visit)

    gr.Markdown(word("plan.title"))
    tasks = [name for name, task in TASKS.items() if task.form != "adapter"]
    first = tasks[0]
    with gr.Row():
        model = gr.Dropdown(
            choices=model_choices(first),
            value=TASKS[first].default,
            allow_custom_value=True,
            label=word("field.model"),
            info=word("field.model.info"),
            elem_id="model_plan-model",
        )
        task = gr.Dropdown(choices=tasks, value=first, label=word("field.task"), elem_id="model_plan-task")
    with gr.Row():
        wishes = {name: control(ModelOptions, name) for name in WISHES}
    run = gr.Button(word("plan.run"), elem_id="model_plan-run")
    view = gr.HTML(label="view", elem_id="model_plan-view")
    result = gr.JSON(label="result", visible=False)
    look_up(task.change, _models_of(atelier), Endpoint("model_plan_models", {"task": task}, [model], public=False))
    compute(run.click, _plan, Endpoint("model_plan", {"model": model, "task": task, **wishes}, [view, result]))


def _models_of(atelier: Atelier) -> Callable[[Visit, str], Any]:
    def models_of(_: Visit, task: str) -> Any:
        """Offer the models of the chosen task."""
        return gr.Dropdown(choices=atelier.registry.choices(task), value=TASKS[task].default)

    return models_of


def _resident_choices(atelier: Atelier) -> Any:
    rows = atelier.registry.ledger()
    choices = [(f"{row.name} · {row.device} · {row.dtype} · {row.attention}", row.id) for row in rows]
    return gr.Dropdown(choices=choices, value=rows[0].id if rows else "")


LEDGER_COLUMNS = (
    "model",
    "revision",
    "device",
    "dtype",
    "attention",
    "predicted",
    "measured",
    "state",
    "next",
)


def _show_ledger(atelier: Atelier, visit: Visit) -> tuple[str, Any]:
    rows, memory = atelier.registry.ledger(), memory_state(atelier)
    result = {"memory": asdict(memory), "models": [_row_as_dict(row) for row in rows]}
    view = paragraph(describe_memory(memory), visit.language)
    if not rows:
        return view + paragraph(say("say.ledger_empty"), visit.language, kind="empty"), result
    head = [visit.say(say(f"say.ledger_{name}")) for name in LEDGER_COLUMNS]
    return view + table(head, [_row(row, visit) for row in rows]) + _reasons(rows, visit), result


def _reasons(rows: Sequence[Resident], visit: Visit) -> str:
    """Draw why each model sits where it sits, folded up under the table."""
    return "".join(
        folded(f"{row.name}: {visit.say(say('say.ledger_why'))}", map(visit.say, row.reasons)) for row in rows
    )


def _row_as_dict(row: Resident) -> dict[str, Any]:
    return {**asdict(row), "reasons": [str(reason) for reason in row.reasons]}


def _state(row: Resident) -> Sentence:
    if row.leaving:
        return say("say.leaving")
    return say("say.borrowed", borrowers=row.borrowed) if row.borrowed else say("say.idle", seconds=row.idle_seconds)


def _row(row: Resident, visit: Visit) -> list[str]:
    return [
        row.name,
        row.revision[:12],
        row.device,
        row.dtype,
        row.attention,
        in_bytes(row.predicted_bytes),
        in_bytes(row.measured_bytes),
        visit.say(_state(row)),
        "–" if row.goes_next is None else str(row.goes_next),
    ]


def _show_freed(freed: Sequence[Freed], visit: Visit) -> tuple[str, Any]:
    result = [{**asdict(one), "refusal": one.refusal and str(one.refusal)} for one in freed]
    return notes([_freed(one) for one in freed] or [say("say.nothing_idle")], visit.language), result


def _freed(one: Freed) -> Sentence:
    return one.refusal or say(
        "say.freed", name=one.name, tensors=in_bytes(one.tensor_bytes), process=in_bytes(one.process_bytes)
    )


def _show_plan(found: Forecast, visit: Visit) -> tuple[str, Any]:
    preview, placement = found.preview, found.placement
    result = {
        "revision": preview.revision,
        "parameters": preview.facts.parameters,
        "download_bytes": preview.download_bytes,
        "placement": None,
        "refusal": str(found.refusal) if found.refusal else None,
        "evicts": list(found.evicts),
    }
    view = paragraph(
        say(
            "say.plan_size",
            parameters=preview.facts.parameters,
            revision=preview.revision[:12],
            download=in_bytes(preview.download_bytes),
        ),
        visit.language,
    )
    if found.refusal or placement is None:
        return view + failure(found.refusal or say("say.nothing_idle"), visit.language), result
    result["placement"] = {**asdict(placement), "reasons": [str(reason) for reason in placement.reasons]}
    where = say(
        "say.plan_where",
        where=f"{placement.device} · {placement.dtype} · {placement.attention}",
        predicted=in_bytes(placement.predicted_bytes),
    )
    view += paragraph(where, visit.language) + notes(placement.reasons, visit.language)
    if found.evicts:
        view += notes([say("say.plan_evicts", names=", ".join(found.evicts))], visit.language)
    return view, result


def _show_diagnosis(found: Diagnosis, visit: Visit) -> tuple[str, Any, Any]:
    provenance = found.provenance.as_dict()
    result = {name: value for name, value in asdict(found).items() if name != "provenance"}
    rows = [(visit.say(say(f"say.diagnosis_{name}")), _readable(value)) for name, value in result.items()]
    head = [visit.say(say("say.property")), visit.say(say("say.value"))]
    return table(head, rows) + ran_on(provenance, visit.language), result, provenance


def _readable(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value * 1000:.2f} ms"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "–"
    return f"{value:,}" if isinstance(value, int) else str(value)
