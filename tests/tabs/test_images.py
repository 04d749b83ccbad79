"""The Images tab without a browser: the plan, what a job shows, masks, recipes back in the form, and the gallery."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core.atelier import Atelier, open_atelier
from core.errors import AtelierError, BadFile, InvalidInput, UnknownName
from core.imaging.options import WISHES
from core.imaging.text_to_image import TextToImageSettings
from core.imaging.work import draw
from core.jobs.runner import JobHandle, State
from core.pictures.recipe import recipe_of, write_png
from core.settings import Mode, Settings
from core.words import dictionary, say
from tabs._events import Visit
from tabs.images import PANELS
from tabs.images._desk import Desk
from tabs.images._painter import BEGINS, as_file, mask_values
from tabs.images._plan import show_plan
from tabs.images._restore import settings_in, update_of
from tabs.images._upload import PictureUpload
from tabs.images._view import SETTINGS, watch
from tabs.images.gallery import Keeper
from tests.core.jobs.test_runner import ended
from tests.fakes.pipelines import tiny_pipeline

ADA, BO = Visit(visitor="ada"), Visit(visitor="bo")
ASKED = TextToImageSettings(prompt="a red heart", model="./models/emoji", seed=5)
PLANNED = {**dict.fromkeys(WISHES, "auto"), "width": 0, "height": 0, "num_images_per_prompt": 1, "guidance_scale": 5.0}


@pytest.fixture
def atelier(tmp_path: Path) -> Iterator[Atelier]:
    """Give an instance that several visitors share."""
    made = open_atelier(Settings(mode=Mode.SPACE, home=tmp_path / "home", host="127.0.0.1"))
    yield made
    assert made.shutdown(20)


@pytest.fixture
def own_atelier(tmp_path: Path) -> Iterator[Atelier]:
    """Give an instance of one's own, on which a folder is a model."""
    made = open_atelier(Settings(home=tmp_path / "own"))
    yield made
    assert made.shutdown(20)


def drawing(*seeds: int) -> Callable[[JobHandle], None]:
    """Return work that leaves a picture a seed, as drawing does, and is then stopped or not by the caller."""

    def work(job: JobHandle) -> None:
        for place, seed in enumerate(seeds):
            recipe = recipe_of("text-to-image", dataclasses.replace(ASKED, seed=seed))
            write_png(job.result_folder / f"{place + 1:03d}.png", Image.new("RGB", (16, 16), (seed, 0, 0)), recipe)

    return work


def drawn(atelier: Atelier, visit: Visit, *seeds: int) -> str:
    """Draw in a job, wait for it, and return its id."""
    job = atelier.pictures.start("text-to-image", ASKED, drawing(*seeds), visit.visitor)
    assert ended(atelier.pictures, job) is State.SUCCEEDED
    return job


def last_shown(atelier: Atelier, visit: Visit, job: str) -> tuple[Any, ...]:
    """Return what a page shows once a job has ended."""
    return [shown for shown in watch(atelier, visit, job) if shown is not None][-1]


def png(path: Path, text: str) -> Path:
    """Write a PNG as AUTOMATIC1111's web UI does."""
    texts = PngInfo()
    texts.add_text("parameters", text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=texts)
    return path


def test_a_job_of_a_real_pipeline_shows_pictures_cost_and_code(own_atelier: Atelier) -> None:
    """Pictures with their seeds, what was predicted and measured, why, and code come together."""
    settings = TextToImageSettings(
        prompt="a red heart", model=str(tiny_pipeline("sd")), num_inference_steps=2, seed=7, num_images_per_prompt=2
    )
    registry = own_atelier.registry
    job = own_atelier.pictures.start("text-to-image", settings, lambda handle: draw(handle, settings, registry))
    gallery, view, shown_job, code, result, provenance = last_shown(own_atelier, ADA, job)
    assert [caption for _, caption in gallery] == ["seed 7", "seed 8"]
    assert [(one["seed"], one["width"], one["height"]) for one in result] == [(7, 64, 64), (8, 64, 64)]
    assert all(Path(path).exists() for path, _ in gallery)
    assert shown_job == job
    assert provenance["seed"] == 7
    assert dictionary("en")["say.drawn_cost"].split("{")[0] in view
    assert "diffusers" in code
    assert "/gradio_api/call/v2/text_to_image" in code


def test_a_job_without_an_end_still_shows_its_pictures(atelier: Atelier) -> None:
    """What a stopped or interrupted job has drawn is shown with its seeds."""
    gallery, view, _, _, result, _ = last_shown(atelier, ADA, drawn(atelier, ADA, 3, 4))
    assert [caption for _, caption in gallery] == ["seed 3", "seed 4"]
    assert [one["seed"] for one in result] == [3, 4]
    assert str(say("say.state_succeeded")) in view


def test_another_visitors_job_is_none(atelier: Atelier) -> None:
    """Following, listing, deleting and sending on know nothing of another visitor's pictures."""
    job = drawn(atelier, ADA, 3)
    keeper, desk = Keeper(atelier), Desk(atelier, PANELS)
    assert keeper.pictures(BO) == ([], [])
    listed = keeper.pictures(ADA)[1]
    assert [one["seed"] for one in listed] == [3]
    for act in (
        lambda: list(watch(atelier, BO, job)),
        lambda: keeper.picture_delete(BO, listed[0]["id"]),
        lambda: desk.sends(PANELS["inpainting"])(BO, listed, listed[0]["id"]),
        lambda: desk.stop(BO, job),
    ):
        with pytest.raises(UnknownName):
            act()
    assert [one["id"] for one in keeper.pictures(ADA)[1]] == [listed[0]["id"]]


def test_the_gallery_deletes_one_and_all_and_packs_the_rest(atelier: Atelier) -> None:
    """A deleted picture is gone, the others come as one file, and an empty gallery says what to do."""
    drawn(atelier, ADA, 1, 2, 3)
    keeper = Keeper(atelier)
    first = keeper.pictures(ADA)[1][0]["id"]
    keeper.picture_delete(ADA, first)
    assert [one["seed"] for one in keeper.pictures(ADA)[1]] == [2, 3]
    assert Path(keeper.pictures_download(ADA)["value"]).stat().st_size > 0
    *_, view = keeper.delete_all(ADA, 0, 60)
    assert str(say("say.empty_gallery")) in view
    with pytest.raises(InvalidInput):
        keeper.pictures_download(ADA)


def test_the_plan_knows_size_and_batch(own_atelier: Atelier) -> None:
    """The plan names the size that would be drawn, and why the model would sit where it sits; it loads nothing."""
    model = str(tiny_pipeline("sd"))
    one = show_plan(own_atelier, ADA, {**PLANNED, "model": model})
    assert "64 × 64" in one
    assert 'class="note"' in one
    assert "128 × 96" in show_plan(own_atelier, ADA, {**PLANNED, "model": model, "width": 128, "height": 96})
    assert own_atelier.registry.ledger() == []


@pytest.mark.parametrize(
    "wrong", [{"model": "starter/nothing"}, {"model": "./nowhere"}, {"model": "", "device": "abacus"}]
)
def test_a_plan_that_cannot_be_is_told_in_words(own_atelier: Atelier, wrong: dict[str, Any]) -> None:
    """What is wrong stands in the plan's place; no dialog opens while somebody still types."""
    assert 'role="alert"' in show_plan(own_atelier, ADA, {**PLANNED, **wrong})


def test_every_setting_of_a_picture_comes_back(tmp_path: Path) -> None:
    """A picture's recipe sets every control of its panel, uploads apart."""
    settings = dataclasses.replace(ASKED, model="starter/emoji", num_inference_steps=33, x_axis="seed", x_values="1, 2")
    write_png(tmp_path / "one.png", Image.new("RGB", (8, 8)), recipe_of("text-to-image", settings))
    found = settings_in(str(tmp_path / "one.png"), SETTINGS)
    told = {one.name: update_of(one.name, found) for one in dataclasses.fields(settings)}
    assert told == {**dataclasses.asdict(settings)}


def test_settings_of_another_tool_come_with_sentences(tmp_path: Path) -> None:
    """What AUTOMATIC1111 wrote is taken over as far as there is such a setting; the rest is named."""
    told = "Steps: 12, Sampler: Euler a, CFG scale: 6, Seed: 9, Wings: 2"
    text = f"a cat <lora:some-file:0.7>\nNegative prompt: blurry\n{told}"
    found = settings_in(str(png(tmp_path / "one.png", text)), SETTINGS)
    settings = found.restored.settings
    assert (settings["prompt"], settings["negative_prompt"]) == ("a cat", "blurry")
    assert (settings["num_inference_steps"], settings["scheduler"], settings["seed"]) == (12, "euler_ancestral", 9)
    view = found.view(ADA)
    assert "some-file" in view
    assert "Wings" in view


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n broken"])
def test_a_file_without_a_recipe_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    """A file that is no PNG, or a broken one, is refused; it changes no control."""
    (tmp_path / "one.png").write_bytes(content)
    with pytest.raises(AtelierError):
        settings_in(str(tmp_path / "one.png"), SETTINGS)


def test_a_painted_mask_becomes_a_file(tmp_path: Path) -> None:
    """What was painted replaces the mask's file; nothing painted leaves it."""
    held = io.BytesIO()
    Image.new("L", (4, 4), 255).save(held, "PNG")
    painted = BEGINS + base64.b64encode(held.getvalue()).decode()
    path = as_file(painted, tmp_path)
    assert path
    assert Path(path).read_bytes() == held.getvalue()
    assert mask_values({"mask": "file.png", "painted": painted}, tmp_path)["mask"] == path
    assert mask_values({"mask": "file.png", "painted": ""}, tmp_path) == {"mask": "file.png"}


@pytest.mark.parametrize("painted", ["/etc/passwd", "data:text/html,x", BEGINS + "&&&", BEGINS + "A" * 9_000_000])
def test_what_is_no_painted_mask_is_refused(tmp_path: Path, painted: str) -> None:
    """The box takes a PNG of a sensible size and nothing else, least of all a path."""
    with pytest.raises(BadFile):
        as_file(painted, tmp_path)


def test_edges_are_seen_before_anything_is_drawn(own_atelier: Atelier, tmp_path: Path) -> None:
    """What a ControlNet would be shown is found without a job: white edges on black, of the picture's size."""
    picture = Image.new("RGB", (32, 24))
    picture.paste("white", (8, 6, 24, 18))
    picture.save(tmp_path / "one.png")
    asked = {"condition": "canny", "condition_model": "", "low_threshold": 100, "high_threshold": 200}
    found = Desk(own_atelier, PANELS).condition(ADA, image=str(tmp_path / "one.png"), **asked)["value"]
    assert found.size == picture.size
    assert found.convert("L").getextrema() == (0, 255)
    assert own_atelier.pictures.list() == []


def test_a_missing_picture_is_asked_for(atelier: Atelier) -> None:
    """Without an upload the click is refused in words, and no job is begun."""
    handler = Desk(atelier, PANELS).draws(PANELS["image-to-image"])
    with pytest.raises(AtelierError):
        list(handler(ADA, image=None, prompt="a cat", model="stable-diffusion-v1-5/stable-diffusion-v1-5"))
    assert atelier.pictures.list("ada") == []


def test_a_broken_upload_reaches_the_skill(tmp_path: Path) -> None:
    """Gradio does not look into an upload: what is wrong with it is told by the skill, in words."""
    (tmp_path / "one.png").write_bytes(b"broken")
    component = PictureUpload()
    payload = component.data_model(path=str(tmp_path / "one.png"))
    assert component.preprocess(payload) == str(tmp_path / "one.png")
    assert component.get_block_name() == "image"


def test_controls_are_the_settings(built_page: Any) -> None:
    """Each field of a panel's settings is one control, by the field's name, and there is no other."""
    described = built_page.get_api_info()["named_endpoints"]
    for panel in PANELS.values():
        names = {one["parameter_name"] for one in described[f"/{panel.api_name}"]["parameters"]}
        assert names == {one.name for one in dataclasses.fields(panel.settings)}
