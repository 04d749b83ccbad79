"""The way that all picture skills share: borrow, lay adapters over, draw picture after picture, tell the cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from core.errors import NotEnoughMemory
from core.events import CancelToken
from core.imaging.adapters import fetch_overlay, laid_over
from core.imaging.canvas import Canvas
from core.imaging.contact_sheet import contact_sheet
from core.imaging.cost import Meter, measured
from core.imaging.grid import cells, is_grid
from core.imaging.options import DrawingOptions
from core.imaging.painting import Easel, paint
from core.imaging.pictures import Cost, Drawn, Watch
from core.imaging.pipelines import fresh_pipeline
from core.imaging.recorded import may_be_recorded, recorded
from core.imaging.repair import Shortage, next_remedy
from core.imaging.request import Request
from core.imaging.schedulers import AUTO, make_scheduler
from core.imaging.stepping import Stepping
from core.models.loading import LoadedModel
from core.models.registry import Registry
from core.placement.model_facts import Needs, picture_needs
from core.placement.wish import Wish
from core.seeds import drawn
from core.unload import let_go
from core.words import say

RAN_OUT = "error.memory_ran_out_computing"
LOCK_SECONDS = 0.1
"""How often whoever waits for a model that somebody else draws with looks whether to stop."""
PIPELINE_TASKS = {"controlnet": "text-to-image"}
"""The task of the pipeline that a skill borrows, where it is not the skill's own."""


def draw(settings: DrawingOptions, canvas: Canvas, registry: Registry, watch: Watch) -> Drawn:
    """Draw what the settings ask for; raises InvalidInput, ModelError, HubError or Cancelled in words.

    If memory runs out while drawing, idle models go, the next remedy is taken, and what is missing is drawn once more,
    one picture at a time; the result says so.
    """
    settings = replace(settings, seed=drawn(settings.seed))
    places = cells(settings)
    request = Request(settings, canvas, watch, fetch_overlay(settings, registry, watch), places)
    for note in canvas.notes:
        request.tell(note)
    outcome = _attempt(request, registry, settings.wish())
    if isinstance(outcome, Shortage):
        outcome = _attempt(request, registry, _make_room(request, registry, outcome))
    if isinstance(outcome, Shortage):
        raise outcome.problem
    return outcome


def _attempt(request: Request, registry: Registry, wish: Wish) -> Drawn | Shortage:
    """Draw what is missing; memory that runs out meanwhile is an outcome, any other problem is raised."""
    task = PIPELINE_TASKS.get(request.canvas.task, request.canvas.task)
    spec = registry.resolve(request.settings.model, task, wish)
    watch = request.watch
    with registry.borrow(spec, _needs(request), watch.cancel, watch.report) as model:
        stepping = Stepping(watch, sum(run.steps for run in request.runs()))
        with _held(model, watch.cancel), measured(model) as meter:
            try:
                registry.batcher.take_turns(lambda give_way: _paint_all(request, model, stepping, meter, give_way))
            except NotEnoughMemory as problem:
                if problem.sentence.key != RAN_OUT:
                    raise
                let_go(problem)
                return Shortage(problem, model.placement, stepping.decoding, _slices(model.model))
        return _result(request, model, meter)


def _paint_all(
    request: Request, model: LoadedModel, stepping: Stepping, meter: Meter, give_way: Callable[[], None]
) -> None:
    borrowed = model.model
    own = make_scheduler(AUTO, borrowed.scheduler)
    name = model.spec.name
    with (
        fresh_pipeline(borrowed, request.canvas, own, name) as pipeline,
        laid_over(pipeline, request.overlay),
        _without_python(pipeline, request, model),
    ):
        easel = Easel(pipeline, request.canvas, request.overlay, stepping, meter, request.tell, give_way, model.kept)
        for run in request.runs():
            request.watch.cancel.check()
            settings = run.cell.settings
            pipeline.scheduler = make_scheduler(settings.scheduler, borrowed.scheduler)
            request.keep(run, _painted(easel, settings, run.seeds), settings.scheduler, model)


def _without_python(pipeline: Any, request: Request, model: LoadedModel) -> AbstractContextManager[None]:
    """Let a small UNet's steps run as recordings; those with adapters in them, or beside a ControlNet, do not."""
    plain = request.overlay.loras or request.canvas.network is not None or model.placement.offload != "none"
    return nullcontext() if plain or not may_be_recorded(pipeline) else recorded(pipeline.unet, model.kept)


def _painted(easel: Easel, settings: DrawingOptions, seeds: tuple[int, ...]) -> Any:
    import torch

    with torch.inference_mode():
        return paint(easel, settings, seeds)


def _result(request: Request, model: LoadedModel, meter: Meter) -> Drawn:
    pairs = [(one.labels, one.image) for one in request.pictures]
    placement = model.placement
    return Drawn(
        pictures=tuple(request.pictures),
        provenance=request.provenance(model, request.settings.seed),
        notes=tuple(request.notes),
        cost=Cost(placement.predicted_bytes, meter.bytes, request.seconds, meter.seconds_per_step),
        reasons=placement.reasons,
        sheet=contact_sheet(request.settings, pairs) if is_grid(request.settings) else None,
        condition=request.canvas.condition,
    )


def _make_room(request: Request, registry: Registry, short: Shortage) -> Wish:
    """Let every idle model go and return the wish with the next remedy; tells both."""
    wish = request.settings.wish()
    gone = [one.name for one in registry.release_all() if one.refusal is None]
    remedy = next_remedy(wish, short)
    names = ", ".join(gone) or "–"
    if remedy is None:
        request.tell(say("say.drawn_again", names=names))
    else:
        request.tell(say("say.drawn_again_with", names=names, remedy=f"{remedy[0]} = {remedy[1]}"))
    request.singly = True
    return replace(wish, **dict([remedy])) if remedy else wish


def _needs(request: Request) -> Needs:
    """Return what the largest call of the request holds beside the weights."""
    settings = request.settings
    most = max((len(run.seeds) for run in request.runs()), default=1)
    return picture_needs(settings.width, settings.height, most, guided=settings.guidance_scale > 1)


def _slices(pipeline: Any) -> bool:
    """Tell whether the denoiser's attention has a sliced form: UNets' has."""
    return getattr(pipeline, "unet", None) is not None


@contextmanager
def _held(model: LoadedModel, cancel: CancelToken) -> Iterator[None]:
    """Hold the model's lock: while adapters lie over its components, nobody else may draw with them."""
    while not model.lock.acquire(timeout=LOCK_SECONDS):
        cancel.check()
    try:
        yield
    finally:
        model.lock.release()
