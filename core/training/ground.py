"""What a run stands on, found before anything is learnt: the base's files, the device, and every choice made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from core.catalogue import Catalogue, ModelSpec, Source
from core.events import Progress
from core.hub.client import Hub
from core.jobs.work import JobHandle
from core.machine.devices import Device, Hardware
from core.machine.hardware import probe
from core.models.files import Finder, ModelFiles
from core.placement.model_facts import ModelFacts
from core.runs import Runs
from core.settings import Settings
from core.training.base import base_spec, recorded_name, refuse_prompts
from core.training.choices import AUTO
from core.training.defaults import DataShape, with_defaults
from core.training.record import BaseRecord
from core.training.settings import TrainSettings


@dataclass(frozen=True)
class Ground:
    """A base on this machine, and the device it will learn on."""

    settings: TrainSettings
    """As somebody asked; `decided` makes the choices that are left."""
    spec: ModelSpec
    files: ModelFiles
    facts: ModelFacts
    device: Device

    def decided(self, data: DataShape) -> TrainSettings:
        """Return the settings with every choice made for these data; the device is called by its kind."""
        found = with_defaults(self.settings, self.facts, data, self.device)
        return replace(found, device=self.device.kind)

    @property
    def record(self) -> BaseRecord:
        """Return how run.json names the base."""
        files = self.files
        adapters = tuple((files.adapter_label or "").split(", ")) if files.adapters else ()
        first = files.base_label or recorded_name(self.spec)
        return BaseRecord(
            id=recorded_name(self.spec),
            revision=files.revision,
            source=self.spec.source.value,
            adapters=adapters,
            lineage=files.lineage or (f"{first}@{files.revision}", *adapters),
        )

    @property
    def revision_on_hub(self) -> str | None:
        """Return the commit by which a Hub finds the base; elsewhere a name says it all."""
        return self.files.revision if self.spec.source is Source.HUB else None


def find_ground(settings: TrainSettings, job: JobHandle) -> Ground:
    """Find the base, downloading what is missing; raises HubError, ModelError, InvalidInput or Cancelled.

    Whether this instance offers the model, or this owner the run that goes on, was decided where it was started.
    """
    job.cancel.check()
    catalogue = Catalogue(Settings(), Runs(job.folder.parent, everybody=True))
    finder = Finder(catalogue, Hub())
    spec = base_spec(settings, catalogue.resolve)
    files = finder.locate(spec, _in_phase(job.report), job.cancel)
    refuse_prompts(spec, files.adapters)
    job.cancel.check()
    return Ground(settings, spec, files, finder.facts(spec, files), device_for(settings, probe()))


def device_for(settings: TrainSettings, machine: Hardware) -> Device:
    """Return the device of the kind that is named, or the first; a worker sees no GPU but its own (see `worker`)."""
    kind, _, _ = settings.device.partition(":")
    return machine.devices[0] if kind == AUTO else machine.device(kind)


def _in_phase(report: Callable[[Progress], None]) -> Callable[[Progress], None]:
    def told(progress: Progress) -> None:
        report(replace(progress, phase="download"))

    return told
