"""The code beside an evaluation: Python for its first classifier, curl for all of it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from core.atelier import Atelier
from core.errors import AtelierError
from core.evaluation.settings import EvaluateSettings
from core.provenance import Provenance
from core.remote.names import is_remote
from core.snippets import EvaluatedClassifier, evaluation_markdown
from core.tasks.text.options import WISHES
from core.tasks.text.row_tasks import UNUSED
from core.tasks.text.text_classification import TASK, TextClassificationSettings
from tabs._events import Visit
from tabs.evaluation._run_view import Look, Told

MOST_LABELS = 100
"""Probabilities that an evaluation keeps of a classifier."""


def code_of(atelier: Atelier, visit: Visit, seen: Look) -> str:
    """Return the blocks of an evaluation that has ended well; "" for any other, and for one of another version."""
    if not seen.succeeded or seen.told is None:
        return ""
    held = seen.told["settings"]
    known = {field.name for field in fields(EvaluateSettings)}
    try:
        settings = EvaluateSettings(**{name: value for name, value in held.items() if name in known})
    except AtelierError:
        return ""
    classifier = _classifier(atelier, seen.told)
    return evaluation_markdown(classifier, settings, seen.view.id, visit.address, user=atelier.settings.login)


def _classifier(atelier: Atelier, told: Told) -> EvaluatedClassifier | None:
    """Return the first model whose Python can be written: a classifier of single texts that was not trained here."""
    model = next((one for one in told["models"] if one["n"]), None)
    single = told["task"] == TASK and "text_pair" not in told["data"]["columns"] and not told["data"]["run"]
    if model is None or not single or model["lineage"] or is_remote(model["model"]):
        return None
    try:
        names, longest = atelier.evaluation_desk.names_of(dict(told), model["name"])
    except AtelierError:  # its answers are gone: only the calls are told
        return None
    wishes = {name: told["settings"][name] for name in WISHES}
    return EvaluatedClassifier(
        TextClassificationSettings(text=UNUSED, model=model["name"], top_k=MOST_LABELS, **wishes),
        _provenance(model),
        longest,
        names,
        [one["name"] for one in model["metrics"]],
        f"{model['name']} detail",
    )


def _provenance(model: Told) -> Provenance:
    names = ("model", "revision", "adapter", "device", "dtype", "attention")
    held: dict[str, Any] = {name: model[name] for name in names}
    return Provenance(**held, seed=model["seed"])
