"""The gallery: what a visitor's jobs have drawn, found again, taken away and deleted, and never anybody else's."""

from __future__ import annotations

import errno
import json
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.atelier import open_atelier
from core.errors import BadFile, Busy, DiskFull, InvalidInput, UnknownName
from core.imaging.text_to_image import TextToImageSettings
from core.jobs.runner import JobHandle, Jobs, State
from core.pictures import gallery as module
from core.pictures.gallery import THUMBNAIL_SIDE, Gallery
from core.pictures.recipe import recipe_of, settings_of, write_png
from core.provenance import Provenance
from core.settings import LIMITS, Mode, Settings
from core.words import in_bytes
from tests.core.jobs.test_runner import Gate, ended

ADA, BO = "ada's cookie", "bo's cookie"
ASKED = TextToImageSettings(prompt="a red heart", model="./models/emoji", seed=5)
RAN = Provenance(ASKED.model, "0f1e2d", None, "cpu", "float32", "sdpa")
PATIENCE = 20.0


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    """Give an empty gallery, and see that nothing runs on."""
    made = Gallery(Jobs(tmp_path / "pictures"))
    yield made
    assert made.jobs.shutdown(PATIENCE)


def drawing(
    *names: str, side: int = 16, then: Callable[[JobHandle], None] | None = None
) -> Callable[[JobHandle], None]:
    """Return work that draws a picture a name, as the skills do: the recipe inside, a preview and files beside."""

    def work(job: JobHandle) -> None:
        for seed, name in enumerate(names):
            pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
            recipe = recipe_of("text-to-image", replace(ASKED, seed=seed), RAN)
            write_png(job.result_folder / f"{name}.png", Image.fromarray(pixels), recipe)
        (job.result_folder / "preview.jpg").write_bytes(b"a preview")
        (job.result_folder / "result.json").write_text("{}")
        if then:
            then(job)

    return work


def draw(gallery: Gallery, owner: str | None = None, *names: str, side: int = 16) -> str:
    """Draw in a job, wait for it, and return its id."""
    job = gallery.jobs.start("text-to-image", ASKED, drawing(*(names or ("1",)), side=side), owner)
    assert ended(gallery.jobs, job) is State.SUCCEEDED
    return job


def test_newest_first_and_a_batch_in_its_order(gallery: Gallery) -> None:
    """Pictures of the last request come first, those of one request in the order in which they were drawn."""
    old, new = draw(gallery, None, "1", "2"), draw(gallery, None, "1", "2", "3")
    listed = [picture.id for picture in gallery.list()]
    assert listed == [f"{new}-1", f"{new}-2", f"{new}-3", f"{old}-1", f"{old}-2"]
    assert [picture.id for picture in gallery.list(first=1, most=3)] == listed[1:4]
    assert [picture.id for picture in gallery.of_job(old)] == listed[3:]


def test_only_pictures_are_pictures(gallery: Gallery) -> None:
    """Previews, notes, drafts, inputs and what lies in folders below are not listed, and not to be had by an id."""
    job = draw(gallery)
    folder = gallery.jobs.result_folder(job)
    (folder / "inputs").mkdir()
    for name in (".0123.png", "condition.png", "inputs/cat.png", "A B.png", "x" * 41 + ".png"):
        (folder / name).write_bytes(b"no matter")
    assert [picture.id for picture in gallery.list()] == [f"{job}-1"]
    for name in (".0123", "condition", "inputs/cat", "A B", "../result/1", "preview.jpg", "", "2"):
        with pytest.raises(UnknownName):
            gallery.find(f"{job}-{name}")


def test_pictures_are_there_while_others_are_drawn(gallery: Gallery) -> None:
    """A finished picture of a running job can be looked at; deleted it can be when the job has ended."""
    gate = Gate()
    job = gallery.jobs.start("text-to-image", ASKED, drawing("1", then=gate))
    assert gate.begun.wait(PATIENCE)
    assert [picture.id for picture in gallery.list()] == [f"{job}-1"]
    with pytest.raises(Busy):
        gallery.delete(f"{job}-1")
    gate.open.set()
    ended(gallery.jobs, job)
    gallery.delete(f"{job}-1")
    assert gallery.list() == []


def test_pictures_of_a_stopped_job_stay(gallery: Gallery) -> None:
    """What was finished before somebody pressed Stop is in the gallery."""
    gate = Gate()
    job = gallery.jobs.start("text-to-image", ASKED, drawing("1", then=gate))
    assert gate.begun.wait(PATIENCE)
    gallery.jobs.stop(job)
    assert ended(gallery.jobs, job) is State.CANCELLED
    assert [picture.id for picture in gallery.list()] == [f"{job}-1"]


def test_a_restart_finds_them(gallery: Gallery) -> None:
    """Another server over the same folder shows the same pictures."""
    job = draw(gallery, ADA)
    again = Gallery(Jobs(gallery.find(f"{job}-1", ADA).path.parents[2]))
    assert again.list(ADA) == gallery.list(ADA)


def test_two_visitors_never_meet(gallery: Gallery, tmp_path: Path) -> None:
    """One visitor's picture is, for another, one that never was: listed, found, shown, told, taken or deleted."""
    hers, his = draw(gallery, ADA), draw(gallery, BO)
    assert [picture.job for picture in gallery.list(ADA)] == [hers]
    assert [picture.job for picture in gallery.list(BO)] == [his]
    assert gallery.list() == gallery.list("somebody else") == []
    picture = f"{hers}-1"
    attempts: tuple[Callable[[], object], ...] = (
        lambda: gallery.find(picture, BO),
        lambda: gallery.recipe(picture, BO),
        lambda: gallery.thumbnail(picture, BO),
        lambda: gallery.delete(picture, BO),
        lambda: gallery.of_job(hers, BO),
        lambda: gallery.download(tmp_path / "a.zip", BO, [f"{his}-1", picture]),
        lambda: gallery.find(picture),
    )
    with pytest.raises(UnknownName) as refused:
        gallery.find(f"{'0' * 32}-1", BO)
    never_was = str(refused.value)
    for attempt in attempts[:4]:
        with pytest.raises(UnknownName) as refused:
            attempt()
        assert str(refused.value) == never_was
    for attempt in attempts[4:]:
        with pytest.raises(UnknownName):
            attempt()
    assert not (tmp_path / "a.zip").exists()
    assert gallery.download(tmp_path / "a.zip", BO) == 1
    assert gallery.find(picture, ADA).path.exists()


@pytest.mark.parametrize("id", ["", "-", "x", "../../etc-passwd", f"{'0' * 32}", f"{'0' * 32}-", "0-1", None, 5, ["a"]])
def test_a_malformed_id_is_an_unknown_picture(gallery: Gallery, id: object) -> None:  # noqa: A002
    """Whatever is sent as an id, it never becomes part of a path."""
    with pytest.raises(UnknownName):
        gallery.find(id)  # type: ignore[arg-type]


def test_the_recipe_names_the_models_as_they_were_chosen(gallery: Gallery) -> None:
    """In one's own gallery even a model's folder is restored, which the file itself keeps to itself."""
    picture = f"{draw(gallery, ADA, '1', '2')}-2"
    recipe = gallery.recipe(picture, ADA)
    assert recipe.provenance["model"] == ASKED.model
    restored = settings_of(recipe, TextToImageSettings, "text-to-image")
    assert restored.settings == vars(replace(ASKED, seed=1))
    with Image.open(gallery.find(picture, ADA).path) as opened:
        assert "./models" not in str(opened.info)


def test_a_picture_without_a_recipe_is_told(gallery: Gallery) -> None:
    """A file in which there is none is refused in words, and still shown."""
    job = draw(gallery)
    Image.new("RGB", (4, 4)).save(gallery.jobs.result_folder(job) / "bare.png")
    with pytest.raises(BadFile, match="no recipe"):
        gallery.recipe(f"{job}-bare")
    assert f"{job}-bare" in {picture.id for picture in gallery.list()}


def test_thumbnails_are_small_and_made_once(gallery: Gallery) -> None:
    """A large picture has a small copy that is kept with its job; a small one is its own."""
    job = draw(gallery, None, "1", side=700)
    small = gallery.thumbnail(f"{job}-1")
    with Image.open(small) as opened:
        assert max(opened.size) == THUMBNAIL_SIDE
    made = small.stat().st_mtime_ns
    assert gallery.thumbnail(f"{job}-1").stat().st_mtime_ns == made
    tiny = f"{draw(gallery)}-1"
    assert gallery.thumbnail(tiny) == gallery.find(tiny).path
    gallery.delete(f"{job}-1")
    assert not small.exists()


def test_a_damaged_picture_spoils_no_page(gallery: Gallery, caplog: pytest.LogCaptureFixture) -> None:
    """Where no small copy can be made, the file itself is shown, and the log says why."""
    job = draw(gallery)
    path = gallery.find(f"{job}-1").path
    path.write_bytes(path.read_bytes()[:60])
    assert gallery.thumbnail(f"{job}-1") == path
    assert f"no thumbnail of {job}-1" in caplog.text


def test_deleting_the_last_picture_deletes_its_job(gallery: Gallery) -> None:
    """A deleted picture is gone, the others stay; with the last one goes what its job had left."""
    job = draw(gallery, ADA, "1", "2")
    folder = gallery.jobs.result_folder(job, ADA).parent
    gallery.delete(f"{job}-1", ADA)
    assert [picture.id for picture in gallery.list(ADA)] == [f"{job}-2"]
    with pytest.raises(UnknownName):
        gallery.delete(f"{job}-1", ADA)
    gallery.delete(f"{job}-2", ADA)
    assert not folder.exists()
    assert gallery.jobs.list(ADA) == []


def test_all_pictures_go_into_one_file(gallery: Gallery, tmp_path: Path) -> None:
    """The zip file holds each picture as it is, by a name of its own; chosen ones alone where some were chosen."""
    first, second = draw(gallery, ADA, "1", "2"), draw(gallery, ADA, "1")
    assert gallery.download(tmp_path / "new" / "all.zip", ADA) == 3
    with zipfile.ZipFile(tmp_path / "new" / "all.zip") as held:
        assert held.testzip() is None
        content = sorted(held.read(name) for name in held.namelist())
        assert {name.split("-")[2] for name in held.namelist()} == {first[:6], second[:6]}
    assert content == sorted(picture.path.read_bytes() for picture in gallery.list(ADA))
    assert gallery.download(tmp_path / "two.zip", ADA, [f"{first}-2", f"{second}-1", f"{first}-2"]) == 2


def test_a_download_holds_nothing_in_memory(gallery: Gallery, tmp_path: Path) -> None:
    """Many pictures are copied piece by piece: what Python holds meanwhile is a fraction of one of them."""
    job = draw(gallery, None, "1", side=1_200)
    original = gallery.find(f"{job}-1").path
    for number in range(2, 12):
        (original.parent / f"{number}.png").write_bytes(original.read_bytes())
    tracemalloc.start()
    assert gallery.download(tmp_path / "all.zip") == 11
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "all.zip").stat().st_size > 11 * original.stat().st_size
    assert peak < original.stat().st_size / 4


def test_a_download_of_nothing_or_too_much_is_refused(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty gallery says what to do first; more than the limit names both numbers; nothing is written."""
    with pytest.raises(InvalidInput, match="no picture yet"):
        gallery.download(tmp_path / "a.zip")
    size = gallery.find(f"{draw(gallery)}-1").size
    monkeypatch.setattr(module, "LIMITS", replace(LIMITS, download_bytes=size - 1))
    with pytest.raises(InvalidInput, match=f"take {in_bytes(size)} together.*{in_bytes(size - 1)}"):
        gallery.download(tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_full_disk_leaves_no_half_file(gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room, a sentence says how much is needed, and no half file stays."""
    size = gallery.find(f"{draw(gallery)}-1").size

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "write", refuse)
    with pytest.raises(DiskFull, match=f"no room.*{in_bytes(size)}"):
        gallery.download(tmp_path / "all.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_what_is_deleted_meanwhile_is_left_out(gallery: Gallery, tmp_path: Path) -> None:
    """Pictures may vanish while they are listed or packed; the others arrive."""
    jobs = [draw(gallery, ADA) for _ in range(6)]
    over = threading.Event()

    def delete_some() -> None:
        for job in jobs[:4]:
            gallery.delete(f"{job}-1", ADA)
        over.set()

    thread = threading.Thread(target=delete_some)
    thread.start()
    while not over.is_set():
        assert gallery.download(tmp_path / "a.zip", ADA) >= 2
        assert len(gallery.list(ADA)) >= 2
    thread.join()
    assert {picture.job for picture in gallery.list(ADA)} == set(jobs[4:])


def test_visitors_have_a_share_of_the_room_and_an_owner_all_of_it(tmp_path: Path) -> None:
    """Where there are several visitors, each one's oldest pictures go beyond a share; alone, only beyond all room."""
    alone = open_atelier(Settings(home=tmp_path / "alone"))
    shared = open_atelier(Settings(home=tmp_path / "shared", mode=Mode.SPACE))
    shares = [one.pictures._shelf.quota_bytes_each for one in (alone, shared)]
    assert shares == [None, 500_000_000]
    assert shared.gallery.jobs is shared.pictures
    job = draw(alone.gallery)
    assert (tmp_path / "alone" / "pictures" / job / "result" / "1.png").exists()
    assert alone.jobs.list() == []
    assert alone.shutdown(PATIENCE)


def test_pictures_do_not_wait_behind_tables(tmp_path: Path) -> None:
    """Drawing has a line of its own; at the end of the server both lines end."""
    house, gate, drawn = open_atelier(Settings(home=tmp_path)), Gate(), Gate()
    table = house.jobs.start("text_batch", {}, gate)
    assert gate.begun.wait(PATIENCE)
    draw(house.gallery)
    picture = house.pictures.start("text-to-image", {}, drawn)
    assert drawn.begun.wait(PATIENCE)
    assert house.shutdown(PATIENCE)
    states = house.jobs.state(table), house.pictures.state(picture)
    assert states == (State.INTERRUPTED, State.INTERRUPTED)


def test_a_start_up_looks_at_both_lines_and_makes_room(tmp_path: Path) -> None:
    """What died with its server is written down as interrupted, in either line, and pictures past their days go."""
    house = open_atelier(Settings(home=tmp_path))
    old, dead = draw(house.gallery), draw(house.gallery)
    endings = {job: house.pictures.result_folder(job).parent / "exit.json" for job in (old, dead)}
    endings[old].write_text(json.dumps({**json.loads(endings[old].read_text()), "ended": 1.0}))
    endings[dead].unlink()
    record = endings[dead].with_name("job.json")
    held = json.loads(record.read_text())
    record.write_text(json.dumps({**held, "process": {**held["process"], "started": 1.0}}))
    open_atelier(Settings(home=tmp_path)).adopt()
    assert [view.id for view in house.pictures.list()] == [dead]
    assert house.pictures.state(dead) is State.INTERRUPTED
    assert endings[dead].exists()
    assert [picture.job for picture in house.gallery.list()] == [dead]
