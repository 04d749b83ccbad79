"""The pictures that visitors keep: what their jobs have drawn so far, newest first, each visitor's own.

A picture is a PNG directly in a job's result folder, with its recipe inside; its id is the job's, a dash and the file's
name without suffix. What lies in folders below, and the names in BESIDE, is no picture of the gallery.
"""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import localtime, strftime

from core.errors import AtelierError, Busy, DiskFull, InvalidInput, UnknownName
from core.jobs.files import written_whole
from core.jobs.runner import Jobs
from core.jobs.shelf import is_job_id
from core.jobs.views import JobView, Owner
from core.jobs.work import disk_is_full
from core.pictures.recipe import NAME_FIELDS, Recipe, names_alone, read_recipe
from core.settings import LIMITS
from core.words import in_bytes

BESIDE = frozenset({"condition", "mask", "input"})
"""Names of pictures that a job keeps for other ends than to be looked at in the gallery."""
THUMBNAILS = "thumbnails"
"""Folder of a job with the small copies, made when somebody first looks."""
THUMBNAIL_SIDE = 320
"""Pixels; a picture no larger than that is its own thumbnail."""

_STEM = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class KeptPicture:
    """One picture of a visitor; `created` in seconds since 1970."""

    id: str
    job: str
    path: Path
    """Where it lies: for the server alone."""
    created: float
    size: int
    """Bytes."""

    @property
    def file_name(self) -> str:
        """A name to take away: when it was drawn, and which of its job."""
        return f"{strftime('%Y%m%d-%H%M%S', localtime(self.created))}-{self.job[:6]}-{self.path.name}"


@dataclass(frozen=True)
class Gallery:
    """Pictures in the result folders of `jobs`; another visitor's picture is one that never was."""

    jobs: Jobs

    def list(self, owner: Owner = None, first: int = 0, most: int | None = None) -> list[KeptPicture]:
        """Return this owner's pictures, those of the newest job first, in the order in which it drew them."""
        pictures = [picture for view in self.jobs.list(owner) for picture in self._of_job(view, owner)]
        return pictures[first : None if most is None else first + most]

    def of_job(self, job: str, owner: Owner = None) -> Sequence[KeptPicture]:
        """Return what one job has drawn so far; raises UnknownName."""
        return self._of_job(self.jobs.view(job, owner), owner)

    def find(self, id: str, owner: Owner = None) -> KeptPicture:  # noqa: A002
        """Return one picture; raises UnknownName, alike for what is not there and what is not this owner's."""
        job, stem = _parts(id)
        try:
            found = _kept(job, self.jobs.result_folder(job, owner) / f"{stem}.png")
        except UnknownName as error:
            raise UnknownName("error.picture_unknown") from error
        if found is None:
            raise UnknownName("error.picture_unknown")
        return found

    def recipe(self, id: str, owner: Owner = None) -> Recipe:  # noqa: A002
        """Return a picture's recipe, with the models as they were named: the file itself tells no folder.

        Raises UnknownName, or BadFile where there is no recipe inside.
        """
        picture = self.find(id, owner)
        recipe, asked = read_recipe(picture.path), self.jobs.view(picture.job, owner).settings
        names = {name: asked[name] for name in NAME_FIELDS if name in recipe.settings and asked.get(name)}
        ran = dict(recipe.provenance)
        if "model" in names and ran.get("model") == names_alone(names["model"]):
            ran["model"] = names["model"]
        return replace(recipe, settings={**recipe.settings, **names}, provenance=ran)

    def thumbnail(self, id: str, owner: Owner = None) -> Path:  # noqa: A002
        """Return a small copy of a picture, made on the first call; where none can be made, the picture itself."""
        picture = self.find(id, owner)
        small = picture.path.parent.parent / THUMBNAILS / f"{picture.path.stem}.webp"
        return small if small.exists() else _shrunk(picture, small)

    def delete(self, id: str, owner: Owner = None) -> None:  # noqa: A002
        """Remove a picture, and its job with the last one; raises UnknownName, or Busy while its job is alive."""
        picture = self.find(id, owner)
        state = self.jobs.state(picture.job, owner)
        if state.alive:
            raise Busy("error.job_alive", state=state.value)
        picture.path.unlink(missing_ok=True)
        (picture.path.parent.parent / THUMBNAILS / f"{picture.path.stem}.webp").unlink(missing_ok=True)
        if not self.of_job(picture.job, owner):
            self.jobs.delete(picture.job, owner)

    def download(self, target: Path, owner: Owner = None, ids: Iterable[str] | None = None) -> int:
        """Write these pictures, or all of this owner's, into the zip file `target`; returns how many.

        Nothing is held in memory. Raises InvalidInput where there is none or too much, UnknownName, DiskFull.
        """
        pictures = self.list(owner) if ids is None else [self.find(id, owner) for id in dict.fromkeys(ids)]  # noqa: A001
        size = sum(picture.size for picture in pictures)
        if not pictures:
            raise InvalidInput("error.no_pictures")
        if size > LIMITS.download_bytes:
            raise InvalidInput("error.download_too_large", size=in_bytes(size), limit=in_bytes(LIMITS.download_bytes))
        try:
            return _packed(pictures, target)
        except OSError as error:
            if disk_is_full(error):
                raise DiskFull("error.download_disk_full", size=in_bytes(size)) from error
            raise

    def _of_job(self, view: JobView, owner: Owner) -> Sequence[KeptPicture]:
        try:
            paths = self.jobs.result_folder(view.id, owner).glob("*.png")
            found = [_kept(view.id, path) for path in paths if _is_picture(path.stem)]
        except (AtelierError, OSError):  # deleted since it was listed
            return ()
        return sorted((one for one in found if one), key=lambda one: (one.created, one.path.name))


def _parts(id: str) -> tuple[str, str]:  # noqa: A002
    """Split an id into the job's and the file's name; nothing else ever becomes part of a path."""
    job, _, stem = id.partition("-") if isinstance(id, str) else ("", "", "")
    if not (is_job_id(job) and _is_picture(stem)):
        raise UnknownName("error.picture_unknown")
    return job, stem


def _is_picture(stem: str) -> bool:
    return stem not in BESIDE and _STEM.fullmatch(stem) is not None


def _kept(job: str, path: Path) -> KeptPicture | None:
    """Look at a file; None when it is no longer there."""
    try:
        held = path.lstat()
    except FileNotFoundError:
        return None
    return KeptPicture(f"{job}-{path.stem}", job, path, held.st_mtime, held.st_size)


def _shrunk(picture: KeptPicture, small: Path) -> Path:
    from PIL import Image

    try:
        with Image.open(picture.path) as opened:
            if max(opened.size) <= THUMBNAIL_SIDE:
                return picture.path
            opened.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            small.parent.mkdir(exist_ok=True)
            with written_whole(small) as draft:
                opened.convert("RGB").save(draft, "WEBP", quality=80)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        logging.getLogger(__name__).warning("no thumbnail of %s: %s", picture.id, error)
        return picture.path
    return small


def _packed(pictures: Sequence[KeptPicture], target: Path) -> int:
    """Write the zip file whole or not at all; what is deleted meanwhile is left out. PNGs are packed already."""
    target.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with (
        written_whole(target) as draft,
        zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED, strict_timestamps=False) as held,
    ):
        for picture in pictures:
            try:
                held.write(picture.path, picture.file_name)
            except FileNotFoundError:
                continue
            count += 1
    return count
