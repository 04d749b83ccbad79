"""What a page shows of a plan: steps, parameters, memory in parts, time, evictions, settings file and command."""

from __future__ import annotations

from html import escape
from typing import Any

from core.training.plan import TrainPlan
from core.words import in_bytes, say
from tabs._events import Visit
from tabs._views import counts, notes, paragraph, table


def show_plan(plan: TrainPlan, visit: Visit) -> tuple[str, dict[str, Any]]:
    """Draw a plan, and return the same for programs."""
    language = visit.language
    told = [
        say(
            "say.train_plan_steps",
            steps=plan.steps,
            each=plan.steps_per_epoch,
            rows=plan.rows,
            held=plan.validation_rows,
        ),
        say(
            "say.train_plan_parameters",
            trainable=plan.parameters.trainable,
            total=plan.parameters.total,
            share=f"{plan.parameters.share:.2%}",
        ),
        say(
            "say.train_plan_memory",
            needed=in_bytes(plan.needed_bytes),
            free=in_bytes(plan.free_bytes),
            device=plan.device,
        ),
    ]
    if plan.seconds is not None:
        told.append(say("say.train_plan_time", time=_duration(plan.seconds)))
    if plan.evicts:
        told.append(say("say.plan_evicts", names=", ".join(plan.evicts)))
    view = "".join(paragraph(one, language) for one in told) + _parts(plan, visit) + notes(plan.notes, language)
    view += _layers(plan, visit)
    view += _shell(visit.say(say("say.train_plan_settings")), plan.settings_json)
    view += _shell(visit.say(say("say.train_plan_command")), plan.command)
    view += _shell(visit.say(say("say.train_plan_nodes")), plan.nodes_command)
    return view, as_result(plan)


def as_result(plan: TrainPlan) -> dict[str, Any]:
    """Return a plan for programs."""
    from dataclasses import asdict

    return {
        "steps": plan.steps,
        "steps_per_epoch": plan.steps_per_epoch,
        "rows": plan.rows,
        "validation_rows": plan.validation_rows,
        "trainable_parameters": plan.parameters.trainable,
        "total_parameters": plan.parameters.total,
        "memory": {part.name: part.bytes for part in plan.parts},
        "needed_bytes": plan.needed_bytes,
        "free_bytes": plan.free_bytes,
        "device": plan.device,
        "seconds": plan.seconds,
        "evicts": list(plan.evicts),
        "layers": [asdict(one) for one in plan.layers],
        "settings": asdict(plan.settings),
        "command": plan.command,
        "nodes_command": plan.nodes_command,
        "notes": [str(note) for note in plan.notes],
    }


def _parts(plan: TrainPlan, visit: Visit) -> str:
    """Draw the memory's parts as bars: megabytes each."""
    rows = [
        (visit.say(say(f"say.train_part_{part.name}")), round(part.bytes / 1e6)) for part in plan.parts if part.bytes
    ]
    return paragraph(say("say.train_plan_parts"), visit.language) + counts(rows)


def _layers(plan: TrainPlan, visit: Visit) -> str:
    """Draw the layers that `target_modules` may name, the chosen ones ticked."""
    if not plan.layers:
        return ""
    head = [visit.say(say(f"say.train_layer_{name}")) for name in ("chosen", "name", "count", "size", "example")]
    rows = [
        ("✓" if one.proposed else "", one.name, one.count, f"{one.inputs} × {one.outputs}", one.example)
        for one in plan.layers
    ]
    return f"<details><summary>target_modules</summary>{table(head, rows)}</details>"


def _shell(head: str, text: str) -> str:
    return f"<details><summary>{escape(head)}</summary><pre>{escape(text)}</pre></details>"


def _duration(seconds: float) -> str:
    """Write 3725 seconds as 1:02:05."""
    whole = max(round(seconds), 1)
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
