"""Merge and verify: a run's adapter goes into its base's weights, and what was written must answer as the two did.

The merged model is written beside the result, loaded again from there by plain transformers or diffusers, and asked the
same as base and adapter: it stays only where it agrees with them, and differs from the base alone.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import AtelierError, DiskFull, InvalidInput
from core.events import CancelToken, Progress
from core.models.files import Report
from core.models.folder import sha256_of
from core.models.run_files import is_prompt, require_whole
from core.placement.wish import Wish
from core.runs import ANSWERS, Run
from core.training.card import merged_card
from core.training.probes import Answers, largest, probe_texts
from core.training.record import read_run
from core.words import in_bytes

if TYPE_CHECKING:
    from core.models.loading import LoadedModel
    from core.models.registry import Registry

FOLDER = "result-merged"
"""Beside the run's result."""
NOTE = "merge.json"
"""Written last: what was measured."""
TOLERANCE = 1e-4
"""How far merged answers may be from those of base and adapter, as a part of the largest of them: float32 adds the same
numbers in another order.
"""
SAME = 1e-6
"""Answers that are closer to the base's than this are the base's: the adapter changes nothing."""
ROOM = 1.1
"""What must be free on the disk, as a part of the weights."""
EXACT = Wish(device="cpu", dtype="float32")


class MergeRefused(AtelierError):
    """The merged model does not answer as base and adapter do, or answers as the base alone does."""


@dataclass(frozen=True)
class Verdict:
    """What the probes found, in the units of the model's own outputs."""

    probes: int
    difference: float
    """Largest between the merged model and base + adapter."""
    moved: float
    """Largest between the merged model and the base alone."""
    largest: float
    """The largest output of base + adapter, which both are measured by."""
    tolerance: float = TOLERANCE
    same: float = SAME

    @property
    def scale(self) -> float:
        """Return what a part of 1 is: the largest output, and never less than 1."""
        return max(self.largest, 1.0)


@dataclass(frozen=True)
class Merged:
    """A merged model on disk."""

    folder: Path
    verdict: Verdict
    size_bytes: int


def merge_run(name: str, registry: Registry, report: Report | None = None, cancel: CancelToken | None = None) -> Merged:
    """Merge a run's adapter into its base, verify it, and return where it is; a merge that was made stays as it is.

    Raises InvalidInput where there is nothing to merge, MergeRefused where the answers are not the same (or are the
    base's), NotEnoughMemory, DiskFull, ModelError and Cancelled. Nothing is left behind by what was refused.
    """
    cancel = cancel or CancelToken()
    run = registry.run(name)
    _refuse(run)
    known = merged_of(run)
    if known:
        return known
    task = ANSWERS.get(run.task, (run.task,))[0]
    spec = registry.resolve(run.name, task, EXACT)
    with registry.borrow(spec, cancel=cancel, report=report) as model:
        _require_disk(run, model)
        draft = run.folder / f".{FOLDER}-{uuid.uuid4().hex[:8]}"
        try:
            return _merge(_Work(run, registry, model, draft, report, cancel))
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def merged_of(run: Run) -> Merged | None:
    """Return the merged model that was made of a run, or None."""
    folder = run.folder / FOLDER
    try:
        told = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return Merged(folder, Verdict(**told["verdict"]), int(told["size_bytes"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def refuse_difference(run: Run, verdict: Verdict) -> None:
    """Raise MergeRefused for answers that are not those of base and adapter, or that are those of the base."""
    numbers = {"name": run.name, "probes": verdict.probes, "base": run.base.id}
    if not verdict.difference <= verdict.tolerance * verdict.scale:  # NaN agrees with nothing
        limit = f"{verdict.tolerance * verdict.scale:.2g}"
        raise MergeRefused("error.merge_differs", difference=f"{verdict.difference:.2g}", limit=limit, **numbers)
    if not verdict.moved > verdict.same * verdict.scale:
        limit = f"{verdict.same * verdict.scale:.2g}"
        raise MergeRefused("error.merge_is_base", moved=f"{verdict.moved:.2g}", limit=limit, **numbers)


@dataclass(frozen=True)
class _Work:
    run: Run
    registry: Registry
    model: LoadedModel
    draft: Path
    report: Report | None
    cancel: CancelToken

    def tell(self, step: int) -> None:
        self.cancel.check()
        if self.report:
            self.report(Progress("merge", step, 4))


def _refuse(run: Run) -> None:
    require_whole(run)
    if run.whole:
        raise InvalidInput("error.merge_full", name=run.name)
    if is_prompt(run.result):
        raise InvalidInput("error.merge_prompts", name=run.name, method=run.method)


def _require_disk(run: Run, model: LoadedModel) -> None:
    needed, free = int(model.tensor_bytes * ROOM), shutil.disk_usage(run.folder).free
    if free < needed:
        raise DiskFull("error.merge_disk_full", name=run.name, needed=in_bytes(needed), free=in_bytes(free))


def _merge(work: _Work) -> Merged:
    from core.training.merge_pictures import PictureMerge
    from core.training.merge_text import TextMerge

    way = (PictureMerge if work.run.draws else TextMerge)(work.model)
    texts = probe_texts(work.run.folder)
    work.tell(0)
    with work.registry.promise(work.model, work.model.tensor_bytes, work.cancel):
        base, adapted = way.apart(texts)
        work.tell(1)
        with work.model.lock:
            way.save(work.draft)
        work.tell(2)
        merged = way.saved(work.draft, texts)
        work.tell(3)
    verdict = judge(base, adapted, merged)
    refuse_difference(work.run, verdict)
    found = _finish(work, verdict)
    work.tell(4)
    return found


def judge(base: Answers, adapted: Answers, merged: Answers) -> Verdict:
    """Compare what the three answered to the same probes."""
    return Verdict(
        probes=len(adapted),
        difference=largest(one - other for one, other in zip(merged, adapted, strict=True)),
        moved=largest(one - other for one, other in zip(merged, base, strict=True)),
        largest=largest(adapted),
    )


def _finish(work: _Work, verdict: Verdict) -> Merged:
    """Write card and note, and put the folder in its place in one step."""
    record, size = read_run(work.run.result), _size(work.draft)
    (work.draft / "README.md").write_text(merged_card(work.run, record, asdict(verdict)), encoding="utf-8")
    note = {"run": work.run.name, "verdict": asdict(verdict), "size_bytes": size, "sha256": _hashes(work.draft)}
    (work.draft / NOTE).write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")
    target = work.run.folder / FOLDER
    shutil.rmtree(target, ignore_errors=True)
    work.draft.replace(target)
    return Merged(target, verdict, size)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _hashes(folder: Path) -> Mapping[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*.safetensors"))}
