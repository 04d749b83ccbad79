"""A training from a form's values to a job: the data are looked at, the plan is made, and a worker is started."""

from __future__ import annotations

import dataclasses
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import Busy, InvalidInput, NotAModel
from core.events import CancelToken
from core.jobs.process import FOLDER
from core.jobs.runner import ANYBODY, Jobs, ProcessWork, State
from core.jobs.views import JobView
from core.models.registry import Registry
from core.runs import PREFIX, Run
from core.training.base import Files, base_spec, refuse_prompts
from core.training.command import worker_command
from core.training.data.prepared import Preview, Splits
from core.training.data.preview import preview
from core.training.data.reading import Desk, read_training_rows
from core.training.data.roles import ColumnChoices, column_choices
from core.training.data.rows import read_splits
from core.training.data.rules import ModelReader
from core.training.data.survey import survey
from core.training.data.thumbnails import Thumbnail, thumbnails
from core.training.data.watch import Watch
from core.training.defaults import DataShape
from core.training.evaluated import newest_change
from core.training.export import export_run
from core.training.measurement import Stopwatch
from core.training.network import read_tokenizer
from core.training.offers import offered_bases
from core.training.plan import Surroundings, TrainPlan, plan_run
from core.training.readers import model_reader
from core.training.refusals import refuse_missing_tracker
from core.training.settings import TrainSettings, read_settings, write_settings
from core.words import Sentence, say

KIND = "training"
"""What a training's job is called."""
UPLOADS = Path("data") / "upload"
"""Where a run's folder keeps its own copy of what was uploaded."""
EXPORT = "export"
"""Where a run's folder keeps its zip."""
BYTES_A_CHECKPOINT = 12
"""For each number that learns: itself and AdamW's two moments, in float32."""
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Looked:
    """Data as a training would see them."""

    splits: Splits
    shape: DataShape
    preview: Preview | None
    """The chosen row in tokens; None for pictures, and where the tokenizer is not on this machine yet."""
    note: Sentence | None = None
    """Why there is no preview."""
    pictures: tuple[Thumbnail, ...] = ()
    """The first pictures, where the data are pictures."""


@dataclass(frozen=True)
class TrainDesk:
    """Where trainings are looked at, planned and started; one for each instance."""

    registry: Registry
    files: Files
    jobs: Jobs
    scratch: Path
    """For what is unpacked while it is looked at, and for measurements that are remembered."""
    budget_bytes: int | None = None

    def look(self, settings: TrainSettings, row: int = 0, watch: Watch | None = None) -> Looked:
        """Read the data, split them, and show row number `row` (0 = the first that trains) in tokens.

        Raises BadFile, InvalidInput, HubError, ModelError and Cancelled; downloads nothing of a model.
        """
        watch = watch or Watch()
        with self._unpacking() as folder:
            splits = read_splits(settings, Desk(folder), watch)
            reader = self._reader(settings, watch.cancel)
            shape = survey(settings, splits, reader)
            if settings.known_task.kind == "diffusion":
                seen = thumbnails(splits, row, center_crop=settings.center_crop)
                return Looked(splits, shape, None, pictures=seen)
            if reader is None:
                return Looked(splits, shape, None, say("say.train_no_tokenizer_yet"))
            return Looked(splits, shape, preview(settings, splits, reader, row or splits.train[0]["row"]))

    def columns(self, settings: TrainSettings, watch: Watch | None = None) -> ColumnChoices:
        """Return which column is which as far as it was told or guessed, and what else there is to choose.

        Raises BadFile, HubError and Cancelled; what the rows hold is `look`'s affair.
        """
        with self._unpacking() as folder:
            source = read_training_rows(settings, Desk(folder), watch or Watch())
            return column_choices(source, settings.task, settings.kind, settings.columns)

    def bases(self, task: str) -> list[str]:
        """Return the names that are offered as bases, the one to choose first in front; raises UnknownName."""
        return offered_bases(task, self.registry)

    def plan(
        self, settings: TrainSettings, data: DataShape, cancel: CancelToken | None = None, *, measured: bool = True
    ) -> TrainPlan:
        """Return what the training would take; `measured`: its time, too, from a real step. Raises as `plan_run`."""
        stopwatch = Stopwatch(self.scratch / "measured") if measured else None
        around = Surroundings(self.registry, self.files, stopwatch, self.budget_bytes)
        return plan_run(settings, data, around, cancel=cancel)

    def start(self, settings: TrainSettings, owner: str | None = None, watch: Watch | None = None) -> str:
        """Start the training as planned and return its job's id; what the plan evicts, goes.

        Raises what `look`, `plan` and `Jobs.launch` do; Busy where this very training waits or runs, and InvalidInput
        where another run has its name.
        """
        name = settings.name or self._free_name(settings)
        self._refuse_name(name)
        refuse_missing_tracker(settings)
        watch = watch or Watch()
        looked = self.look(settings, watch=watch)
        plan = self.plan(dataclasses.replace(settings, name=name), looked.shape, watch.cancel, measured=False)
        watch.cancel.check()
        for one in plan.evict_ids:
            self.registry.release(one)
        return self._launch(settings, plan, owner)

    def runs(self, owner: str | None = None) -> list[JobView]:
        """Return this owner's trainings, newest first."""
        return [view for view in self.jobs.list(owner) if view.kind == KIND]

    def finished(self, job: str, owner: str | None = None) -> Run:
        """Return what a training has made; raises UnknownName, and NotAModel for one that has not ended well."""
        view = self.jobs.view(job, owner)
        if view.state is not State.SUCCEEDED:
            raise NotAModel("error.run_unfinished", name=f"{PREFIX}{view.settings.get('name') or view.id}")
        return self.registry.run(f"{PREFIX}{view.id}")

    def continuing(self, job: str, owner: str | None = None) -> TrainSettings:
        """Return the settings of a training that goes on from a run: its own, on the same data, under a new name.

        Raises what `finished` does, and InvalidInput for a run whose weights are its base's.
        """
        run = self.finished(job, owner)
        settings = dataclasses.replace(read_settings(run.folder), model=run.name, name="")
        refuse_prompts(base_spec(settings, self.registry.resolve), (run.result,))
        return settings

    def export(self, job: str, owner: str | None = None, cancel: CancelToken | None = None) -> Path:
        """Return a run as a zip (see export_run), written again once it was evaluated: its card tells of that."""
        run = self.finished(job, owner)
        folder = run.folder / EXPORT
        made = next(folder.glob("[!.]*.zip"), None)
        if made and made.stat().st_mtime > newest_change(run.folder):
            return made
        return export_run(run, folder, cancel)

    def _launch(self, wished: TrainSettings, plan: TrainPlan, owner: str | None) -> str:
        settings, fill = with_own_copies(plan.settings)
        before = {view.id for view in self.jobs.list(owner) if view.state.alive}
        work = ProcessWork(
            arguments=worker_command(settings, FOLDER),
            fill=fill,
            bytes_needed=plan.parameters.trainable * BYTES_A_CHECKPOINT * (settings.save_total_limit + 2),
        )
        found = self.jobs.launch(KIND, settings, work, owner, once_key=wished.to_json(), device=plan.device)
        if found in before:
            raise Busy("error.train_runs_already", name=str(self.jobs.view(found, owner).settings.get("name", found)))
        return found

    def _reader(self, settings: TrainSettings, cancel: CancelToken) -> ModelReader | None:
        if settings.known_task.kind == "diffusion":
            return None
        spec = base_spec(settings, self.registry.resolve)
        if self.files.preview(spec, cancel).download_bytes:
            return None
        files = self.files.locate(spec, None, cancel)
        return model_reader(files, read_tokenizer(files, spec.name))

    def _refuse_name(self, name: str) -> None:
        """Refuse a name that a run has: under run/<name> there is one."""
        for view in self.jobs.list(ANYBODY):
            if view.kind == KIND and view.settings.get("name") == name:
                if view.state.alive:
                    raise Busy("error.train_runs_already", name=name)
                raise InvalidInput("error.train_name_taken", name=name)

    def _free_name(self, settings: TrainSettings) -> str:
        """Return a name made from task and model, with the first number that is free."""
        model = settings.model_name.rstrip("/").rpartition("/")[2].partition("@")[0]
        stem = _NO_NAME.sub("-", f"{settings.task}-{model}")[:50].strip("-.")
        taken = {view.settings.get("name") for view in self.jobs.list(ANYBODY) if view.kind == KIND}
        number = 1
        while f"{stem}-{number}" in taken:
            number += 1
        return f"{stem}-{number}"

    @contextmanager
    def _unpacking(self) -> Iterator[Path]:
        """Lend a folder for what an archive holds; it is gone afterwards."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="look-", dir=self.scratch) as folder:
            yield Path(folder)


def with_own_copies(settings: TrainSettings) -> tuple[TrainSettings, Callable[[Path], None]]:
    """Return the settings with files named inside the run's folder, and what copies them there with the settings.

    Uploads are swept; a run must find its data for as long as it exists.
    """
    copies: dict[Path, Path] = {}
    named: dict[str, str] = {}
    for field in ("file", "validation_file"):
        source = getattr(settings, field).strip()
        if source:
            place = UPLOADS / field / Path(source).name
            copies[place], named[field] = Path(source), str(place)
    own = dataclasses.replace(settings, **named)  # type: ignore[arg-type]

    def fill(folder: Path) -> None:
        for place, source in copies.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / place)
        write_settings(own, folder)

    return own, fill
