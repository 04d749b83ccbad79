"""Finished trainings as models: run/<name>, read from each run's folder.

home/runs/<job id>/result/run.json says what a run made; it is written last, so where it is, the result is whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import NotAModel, UnknownName

PREFIX = "run/"
RUN_FILE = "run.json"
FULL = "full"
"""The method whose result is a model of its own; that of every other stands on its base."""
PICTURES = ("text-to-image", "image-to-image", "inpainting")
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "text-generation": ("text-generation", "chat"),
    "preference": ("text-generation", "chat"),
    "reward": ("text-classification",),
    "text-to-image": PICTURES,
}
"""What was trained → the tasks that such a model answers; every other answers the task it is named after."""
ENTAILMENT = "entail"
"""A classifier with a label that begins so compares two texts, as choosing among any labels needs it."""
_ID = re.compile(r"[0-9a-f]{32}")
_SHORT = 8


@dataclass(frozen=True)
class RunBase:
    """What a run stands on, as its record tells."""

    id: str
    """Hub id, starter, folder or run/<name>."""
    revision: str
    source: str
    """hub, starter, folder or run."""
    adapters: tuple[str, ...] = ()
    """Labels (name@revision) of the adapters that were merged into it, in this order."""
    lineage: tuple[str, ...] = ()
    """Labels from the first weights to this base; empty in records that do not tell."""

    @property
    def name(self) -> str:
        """The name that `Catalogue.resolve` finds these very files by."""
        if self.source != "hub":
            return self.id
        own = next((label for label in self.adapters if label.startswith(f"{self.id}@")), None)
        others = [label for label in self.adapters if label != own]
        return "+".join([own or f"{self.id}@{self.revision}", *others])


@dataclass(frozen=True)
class Run:
    """A finished training."""

    name: str
    """run/<name>"""
    id: str
    """Its job's id, and the name of its folder."""
    folder: Path
    task: str
    """What was trained; `answers` are the tasks of a page."""
    method: str
    base: RunBase
    labels: tuple[str, ...]
    created: float
    """Seconds since 1970."""

    @property
    def result(self) -> Path:
        """The folder with its weights."""
        return self.folder / "result"

    @property
    def whole(self) -> bool:
        """True where it is a model of its own, and no adapter."""
        return self.method == FULL

    @property
    def draws(self) -> bool:
        """True for a run that learnt to make pictures."""
        return self.task in PICTURES

    @property
    def revision(self) -> str:
        """What a result names it by: a result never changes, and no other run has this id."""
        return self.id[:12]

    @property
    def lineage(self) -> tuple[str, ...]:
        """Labels from the first weights to this run."""
        before = self.base.lineage or (f"{self.base.id}@{self.base.revision}", *self.base.adapters)
        return (*before, f"{self.name}@{self.revision}")

    @property
    def answers(self) -> tuple[str, ...]:
        """The tasks in whose lists of models it appears."""
        found = ANSWERS.get(self.task, (self.task,))
        compares = self.task == "text-classification" and any(
            label.lower().startswith(ENTAILMENT) for label in self.labels
        )
        laid_over = self.draws and not self.whole
        return (*found, *(("zero-shot-classification",) if compares else ()), *(("lora",) if laid_over else ()))


@dataclass(frozen=True)
class Runs:
    """The runs below one folder that belong to one owner; None are those of an instance of one's own."""

    folder: Path
    owner: str | None = None
    """An owner's digest, as job.json has it."""
    everybody: bool = False
    """Whoever can ask here is the owner of all runs, as on a Space with a password."""
    _read: dict[Path, tuple[int, Run | None]] = field(default_factory=dict, compare=False, repr=False)
    """What was read of a folder, by the time at which its record was written: a page asks whenever it opens."""

    def all(self) -> list[Run]:
        """Return every finished run of this owner, newest first; of two with one name the younger tells its id, too."""
        found = sorted(filter(None, map(self._run_in, self._folders())), key=lambda run: (run.created, run.id))
        names: set[str] = set()
        runs = []
        for run in found:
            told = run if run.name not in names else replace(run, name=f"{run.name}-{run.id[:_SHORT]}")
            names.add(told.name)
            runs.append(told)
        return runs[::-1]

    def names(self, task: str) -> list[str]:
        """Return the names of the runs that answer a task of core.known_tasks, newest first."""
        return [run.name for run in self.all() if task in run.answers]

    def find(self, name: str) -> Run:
        """Return a run by run/<name>, run/<name>-<first digits of its id> or run/<id>.

        Raises NotAModel for one that has not finished, UnknownName, with the names there are, for one that is not here.
        """
        runs = self.all()
        for run in runs:
            plain = run.name.removesuffix(f"-{run.id[:_SHORT]}")
            if name in (run.name, f"{plain}-{run.id[:_SHORT]}", f"{PREFIX}{run.id}"):
                return run
        if name.removeprefix(PREFIX) in self._unfinished():
            raise NotAModel("error.run_unfinished", name=name)
        raise UnknownName("error.run_unknown", name=name, names=", ".join(run.name for run in runs[:20]) or "–")

    def taken(self) -> set[str]:
        """Return all names that are in use, those of unfinished runs included, without run/."""
        return {run.name.removeprefix(PREFIX) for run in self.all()} | self._unfinished()

    def _unfinished(self) -> set[str]:
        """Return the names and ids of this owner's runs without a record."""
        open_ones = [one for one in self._folders() if not (one / "result" / RUN_FILE).exists() and self._mine(one)]
        names = (_object_in(one / "settings.json").get("name") for one in open_ones)
        return {*(one.name for one in open_ones), *(name for name in names if isinstance(name, str) and name)}

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return [path for path in self.folder.iterdir() if _ID.fullmatch(path.name)]

    def _run_in(self, folder: Path) -> Run | None:
        """Return the run, or None for a folder without one, or of somebody else."""
        file = folder / "result" / RUN_FILE
        try:
            written = file.stat().st_mtime_ns
        except OSError:
            self._read.pop(folder, None)
            return None
        known = self._read.get(folder)
        if known is None or known[0] != written:
            known = self._read[folder] = (written, _run_of(folder, _object_in(file)) if self._mine(folder) else None)
        return known[1]

    def _mine(self, folder: Path) -> bool:
        job = _object_in(folder / "job.json")
        return "owner" in job and (self.everybody or job["owner"] == self.owner)


def _run_of(folder: Path, told: Mapping[str, Any]) -> Run | None:
    """Read what run.json tells; None where it makes no sense."""
    try:
        base = told["base"]
        return Run(
            name=f"{PREFIX}{told['name']}",
            id=folder.name,
            folder=folder,
            task=str(told["task"]),
            method=str(told["method"]),
            base=RunBase(
                str(base["id"]),
                str(base["revision"]),
                str(base["source"]),
                tuple(map(str, base.get("adapters", ()))),
                tuple(map(str, base.get("lineage", ()))),
            ),
            labels=tuple(map(str, told.get("labels", ()))),
            created=float(told["created"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _object_in(file: Path) -> dict[str, Any]:
    """Return a JSON object; an empty one where there is none, or something else."""
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return held if isinstance(held, dict) else {}
