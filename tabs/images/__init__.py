"""The Images tab: four ways of drawing over one form and one result, and the gallery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from core.atelier import Atelier
from tabs._events import HIDDEN, QUIET, Endpoint, Visit, compute, follow, look_up
from tabs._language import word
from tabs.images import controlnet, gallery, image_to_image, inpainting, text_to_image
from tabs.images._desk import Desk
from tabs.images._form import WEIGHS, Form
from tabs.images._painter import mask_values, show_under
from tabs.images._panel import Panel

TITLE = "tab.images"
GALLERY = "gallery"
PANELS = {one.PANEL.task: one.PANEL for one in (text_to_image, image_to_image, inpainting, controlnet)}
BEGIN_WITH = tuple(name for name in PANELS if name != text_to_image.PANEL.task)
"""Panels that begin with a picture, which another one can be sent to."""
TO_THE_TOP = "() => document.getElementById('images').scrollIntoView()"
"""Where the picture that was sent has gone."""
PROMPTS = ("red heart", "pizza", "cat face", "A cat wearing sunglasses")


def build(atelier: Atelier, _: gr.Blocks, tab: gr.Tab) -> None:
    """Lay out panels, form, result and gallery, and wire them; heavy parts are fetched when the tab is opened."""
    with gr.Tabs(elem_id="images") as tabs:
        places: dict[str, Any] = {}
        own: dict[str, dict[str, Any]] = {}
        for panel in PANELS.values():
            with gr.Tab(word(panel.title), id=panel.task) as places[panel.task]:
                own[panel.task] = panel.lay_out()
        with gr.Tab(word("task.pictures"), id=GALLERY) as places[GALLERY]:
            shelf = gallery.Shelf.lay_out()
    with gr.Row(equal_height=False, elem_id="images-desk") as table:
        with gr.Column(scale=1, min_width=320):
            form = Form.lay_out()
            runs, stop = _buttons()
            plan = gr.HTML(f'<p class="empty">{word("empty_plan")}</p>', label="view", elem_id="images-plan")
            _examples(form)
            form.lay_out_more()
            restore = _Restore.lay_out()
        with gr.Column(scale=1, min_width=320):
            result = _Result.lay_out()
    parts = _Parts(atelier, tabs, table, own, form, runs, stop, plan, restore, result, shelf)
    opened = _wire_form(parts, tab, places)
    _wire_drawing(parts, opened)
    _wire_condition(parts)
    _wire_pictures(parts)
    _wire_gallery(parts, places[GALLERY])


@dataclass(frozen=True)
class _Restore:
    """The place to drop a PNG."""

    file: gr.File
    view: gr.HTML
    found: gr.JSON

    @classmethod
    def lay_out(cls) -> _Restore:
        with gr.Accordion(word("images.restore"), open=False, elem_id="images-restore-panel"):
            file = gr.File(label=word("field.recipe_file"), file_types=[".png"], height=120, elem_id="images-restore")
            view = gr.HTML(label="view", elem_id="images-restored")
        return cls(file, view, gr.JSON(label="result", visible=False))


@dataclass(frozen=True)
class _Result:
    """What drawing gives."""

    outputs: list[Any]
    """gallery, view, job, snippets, result, provenance"""
    chosen: gr.Textbox
    again: gr.Button
    seed: gr.Button
    send: dict[str, gr.Button]

    @classmethod
    def lay_out(cls) -> _Result:
        pictures = gr.Gallery(
            label="gallery",
            show_label=False,
            columns=2,
            fit_columns=False,
            object_fit="contain",
            interactive=False,
            buttons=["download", "fullscreen"],
            visible=False,
            elem_id="images-gallery",
        )
        view = gr.HTML(f'<p class="empty">{word("empty_pictures")}</p>', label="view", elem_id="images-view")
        with gr.Row(elem_id="images-send"):
            seed = gr.Button(word("images.seed_again"), size="sm", min_width=130, elem_id="images-seed-again")
            send = {
                task: gr.Button(
                    word(f"pictures.{PANELS[task].api_name}"), size="sm", min_width=130, elem_id=f"images-to-{task}"
                )
                for task in BEGIN_WITH
            }
        with gr.Accordion(word("code"), open=False, elem_id="images-code-panel"):
            code = gr.Markdown(label="snippets", elem_id="images-code")
        with gr.Accordion(word("json"), open=False, elem_id="images-json"):
            found = gr.JSON(label="result", elem_id="images-result")
            provenance = gr.JSON(label="provenance", elem_id="images-provenance")
            job = gr.Textbox("", label="job", info=word("field.picture_job.info"), elem_id="images-job")
            again = gr.Button(word("show_job"), size="sm", elem_id="images-show")
        chosen = gr.Textbox("", label="picture", visible=False)
        return cls([pictures, view, job, code, found, provenance], chosen, again, seed, send)


@dataclass(frozen=True)
class _Parts:
    """Everything on the tab that is wired."""

    atelier: Atelier
    tabs: gr.Tabs
    table: gr.Row
    own: dict[str, dict[str, Any]]
    form: Form
    runs: dict[str, gr.Button]
    stop: gr.Button
    plan: gr.HTML
    restore: _Restore
    result: _Result
    shelf: gallery.Shelf

    @property
    def desk(self) -> Desk:
        """What the buttons do."""
        return Desk(self.atelier, PANELS)

    def inputs(self, panel: Panel) -> dict[str, Any]:
        """The controls of one way of drawing, its own first; what is painted is no setting."""
        own = self.own[panel.task]
        return {**{name: own[name] for name in panel.names(own)}, **self.form.values}

    @property
    def restored(self) -> dict[str, Any]:
        """Every control that a recipe may set: shared ones by their field, others as task:field."""
        own = {f"{task}:{name}": made[name] for task, made in self.own.items() for name in PANELS[task].names(made)}
        return {**self.form.values, **own}

    @property
    def heavy(self) -> list[Any]:
        """What the browser fetches once the tab is opened."""
        uploads = [made[name] for made in self.own.values() for name in ("image", "mask") if name in made]
        return [self.result.outputs[0], *uploads]


def _buttons() -> tuple[dict[str, gr.Button], gr.Button]:
    """Lay out one Run a panel, of which one is seen, and Stop."""
    with gr.Row():
        runs = {
            task: gr.Button(word("run"), variant="primary", visible=not place, elem_id=f"{panel.api_name}-run")
            for place, (task, panel) in enumerate(PANELS.items())
        }
        stop = gr.Button(word("stop"), elem_id="images-stop")
    return runs, stop


def _examples(form: Form) -> None:
    gr.Examples(
        [[prompt] for prompt in PROMPTS],
        [form.values["prompt"]],
        label=word("examples"),
        example_labels=list(PROMPTS),
        api_visibility="private",
    )


def _wire_drawing(parts: _Parts, opened: Any) -> None:
    """Wire Run and Stop; whoever opens the tab, after a reload, say, finds the latest drawing again."""
    desk, outputs, job = parts.desk, parts.result.outputs, parts.result.outputs[2]
    following: dict[str, Any] = {}
    for task, panel in PANELS.items():
        asked = Endpoint(panel.api_name, parts.inputs(panel), outputs)
        if "painted" not in parts.own[task]:
            following[task] = follow(parts.runs[task].click, desk.draws(panel), asked)
            continue
        painted = parts.own[task]["painted"]
        follow(painted.submit, desk.draws(panel), asked)  # for programs: nobody presses Enter in a hidden box
        by_hand = Endpoint(f"{panel.api_name}_painted", {**asked.inputs, "painted": painted}, outputs, public=False)
        folder = parts.atelier.settings.uploads_folder / "results"
        brush = Panel(task, panel.settings, panel.describe, panel.lay_out, partial(mask_values, folder=folder))
        following[task] = follow(parts.runs[task].click, desk.draws(brush), by_hand)
    following["again"] = follow(parts.result.again.click, desk.follow, Endpoint("image_job", {"job": job}, outputs))
    reattach = Endpoint("image_reattach", {"job": gr.State(None)}, outputs, public=False)
    following["opened"] = follow(opened.then, desk.follow, reattach)
    for task, run in parts.runs.items():  # who draws anew looks at that, and no longer at what came before
        others = [one for name, one in following.items() if name != task]
        run.click(None, cancels=others, api_visibility="private")
    state = gr.Textbox(label="state", visible=False)
    look_up(parts.stop.click, desk.stop, Endpoint("image_stop", {"job": job}, [state]), **HIDDEN)


def _wire_form(parts: _Parts, tab: gr.Tab, places: dict[str, Any]) -> Any:
    """Wire what follows from a choice; returns the event of opening the tab, after which all of it can be shown."""
    desk = parts.desk
    shown: list[Any] = [parts.table, *parts.runs.values()]
    turned = partial(gr.on, [place.select for place in places.values()])
    look_up(turned, desk.open, Endpoint("images_panel", {}, shown, public=False), **QUIET)
    heavy = parts.heavy
    opened = look_up(tab.select, _shows(len(heavy)), Endpoint("images_opened", {}, heavy, public=False), **QUIET)
    weighs = {name: parts.form.values[name] for name in WEIGHS}
    changes = partial(gr.on, [one.change for one in weighs.values()])
    plan = Endpoint("images_plan", weighs, [parts.plan], public=False)
    look_up(changes, desk.plan, plan, trigger_mode="always_last", show_progress="hidden")
    first = Endpoint("images_first_plan", weighs, [parts.plan], public=False)
    look_up(opened.then, desk.plan, first, show_progress="hidden")
    return opened


def _shows(count: int) -> Callable[[Visit], list[Any]]:
    def show(_: Visit) -> list[Any]:
        """Show what was not fetched before the tab was opened."""
        return [gr.update(visible=True) for _ in range(count)]

    return show


def _wire_condition(parts: _Parts) -> None:
    made = parts.own[controlnet.PANEL.task]
    asked = {name: made[name] for name in ("image", *controlnet.OF_CONDITIONS)}
    found = Endpoint("controlnet_condition", asked, [made[controlnet.FOUND]], public=False)
    compute(made[controlnet.FIND].click, parts.desk.condition, found)


def _wire_pictures(parts: _Parts) -> None:
    desk, result = parts.desk, parts.result
    pictures, _, _, _, found, _ = result.outputs
    choice = {"result": found, "chosen": result.chosen}
    look_up(
        pictures.select,
        desk.choose,
        Endpoint("images_choose", {"result": found}, [result.chosen], public=False),
        **HIDDEN,
    )
    look_up(
        result.seed.click,
        desk.seed_again,
        Endpoint("images_seed", choice, [parts.form.values["seed"]], public=False),
        **HIDDEN,
    )
    for task, button in result.send.items():
        _wire_send(parts, f"images_to_{PANELS[task].api_name}", task, button.click, choice)
    names = tuple(parts.restored)
    outputs = [parts.tabs, parts.restore.view, *parts.restored.values()]
    restore = Endpoint("images_restore", {"file": parts.restore.file}, outputs, public=False)
    look_up(parts.restore.file.change, desk.restores(names), restore, **HIDDEN)
    recipe = Endpoint("picture_recipe", {"file": parts.restore.file}, [parts.restore.view, parts.restore.found])
    look_up(parts.restore.file.download, desk.picture_recipe, recipe)  # for programs: an upload has no download


def _wire_send(parts: _Parts, name: str, task: str, trigger: Any, choice: dict[str, Any]) -> None:
    outputs = [parts.tabs, parts.own[task]["image"]]
    sent = look_up(trigger, parts.desk.sends(PANELS[task]), Endpoint(name, choice, outputs, public=False), **HIDDEN)
    sent.success(None, js=TO_THE_TOP, api_visibility="private")
    if task == inpainting.PANEL.task:
        show_under(sent.then, outputs[1])


def _wire_gallery(parts: _Parts, place: gr.Tab) -> None:
    keeper, shelf = gallery.Keeper(parts.atelier), parts.shelf
    span, shown = (
        {"first": shelf.first, "most": shelf.most},
        [shelf.first, shelf.pictures, shelf.listed, shelf.chosen, shelf.view],
    )
    one = {"picture": shelf.chosen}
    press = shelf.buttons
    for name, trigger, handler, inputs in (
        ("show", place.select, keeper.show, {"most": shelf.most}),
        ("again", press["refresh"].click, keeper.show, span),
        ("newer", press["newer"].click, keeper.newer, span),
        ("older", press["older"].click, keeper.older, span),
        ("delete", press["delete"].click, keeper.delete, {**one, **span}),
        ("delete_all", press["delete_all_now"].click, keeper.delete_all, span),
    ):
        look_up(trigger, handler, Endpoint(f"pictures_{name}", inputs, shown, public=False), **HIDDEN)
    choice = {"result": shelf.listed, "chosen": shelf.chosen}
    chosen = Endpoint("pictures_choose", {"result": shelf.listed}, [shelf.chosen, shelf.view], public=False)
    look_up(shelf.pictures.select, keeper.choose, chosen, **HIDDEN)
    look_up(shelf.chosen.submit, keeper.pictures, Endpoint("pictures", span, [shelf.pictures, shelf.listed]), **QUIET)
    look_up(shelf.chosen.submit, keeper.picture_delete, Endpoint("picture_delete", one, [shelf.view, shelf.told]))
    ids = {"pictures": gr.Textbox("", label="pictures", visible=False)}
    look_up(press["download"].click, keeper.pictures_download, Endpoint("pictures_download", ids, [shelf.files]))
    for task in BEGIN_WITH:
        api_name = PANELS[task].api_name
        _wire_send(parts, f"pictures_to_{api_name}", task, press[api_name].click, choice)
    names, outputs = tuple(parts.restored), [parts.tabs, parts.restore.view, *parts.restored.values()]
    restore = Endpoint("pictures_restore", choice, outputs, public=False)
    look_up(press["restore"].click, parts.desk.restores_kept(names), restore, **HIDDEN)
    press["delete_all"].click(lambda: gr.Row(visible=True), None, shelf.sure, queue=False, api_visibility="private")
    for name in ("keep", "delete_all_now"):
        press[name].click(lambda: gr.Row(visible=False), None, shelf.sure, queue=False, api_visibility="private")
