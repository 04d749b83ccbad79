"""The plan before the click: where these pictures would be drawn, how, with how much memory, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.atelier import Atelier
from core.errors import AtelierError
from core.imaging.options import WISHES
from core.models.forecast import Forecast
from core.placement.model_facts import ModelFacts, picture_needs
from core.placement.wish import Wish
from core.words import Sentence, in_bytes, say
from tabs._events import Visit
from tabs._views import failure, notes, paragraph

PIPELINE_TASK = "text-to-image"
"""All ways of drawing use the same pipeline, loaded once."""
GUIDED_ABOVE = 1.0


def show_plan(atelier: Atelier, visit: Visit, values: Mapping[str, Any]) -> str:
    """Draw the plan for what the page's controls hold, or why there is none; loads nothing."""
    try:
        found = _forecast(atelier, visit, values)
    except AtelierError as problem:
        return failure(problem.sentence, visit.language)
    placement = found.placement
    if placement is None:
        return failure(found.refusal or say("say.nothing_idle"), visit.language)
    where = " · ".join((placement.device, placement.dtype, placement.attention, *placement.remedies))
    said = [
        say("say.drawing_plan", where=where, predicted=in_bytes(placement.predicted_bytes), size=_size(found, values))
    ]
    if found.preview.download_bytes:
        said.append(say("say.drawing_download", size=in_bytes(found.preview.download_bytes)))
    view = "".join(paragraph(one, visit.language) for one in said)
    return view + notes([*placement.reasons, *_evictions(found)], visit.language)


def _forecast(atelier: Atelier, visit: Visit, values: Mapping[str, Any]) -> Forecast:
    wish = Wish(**{name: values[name] for name in WISHES})
    spec = atelier.registry.resolve(str(values["model"] or ""), PIPELINE_TASK, wish)
    return atelier.registry.forecast(spec, visit.cancel, _needs(values))


def _needs(values: Mapping[str, Any]) -> Any:
    width, height, images = (int(values[name] or 0) for name in ("width", "height", "num_images_per_prompt"))
    return picture_needs(width, height, max(images, 1), guided=float(values["guidance_scale"] or 0) > GUIDED_ABOVE)


def _size(found: Forecast, values: Mapping[str, Any]) -> str:
    own = _own_side(found.preview.facts)
    return f"{int(values['width'] or own)} × {int(values['height'] or own)}"


def _own_side(facts: ModelFacts) -> int:
    return facts.picture.side * facts.picture.factor


def _evictions(found: Forecast) -> list[Sentence]:
    return [say("say.plan_evicts", names=", ".join(found.evicts))] if found.evicts else []
