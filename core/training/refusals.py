"""What a machine cannot train: quantisation without CUDA, half precision it lacks, trackers that are not installed."""

from __future__ import annotations

import importlib.util

from core.errors import InvalidInput
from core.machine.devices import Device, Hardware
from core.training.settings import TrainSettings
from core.training.tasks import QLORA

BITS_AND_BYTES = ("adamw_bnb_8bit", "paged_adamw_8bit")


def refuse_for_machine(settings: TrainSettings, device: Device, hardware: Hardware) -> None:
    """Raise InvalidInput, in words, for what this device or installation cannot do."""
    _refuse_quantisation(settings, device, hardware)
    _refuse_precision(settings, device)
    _refuse_processes(settings, device, hardware)
    refuse_missing_tracker(settings)


def refuse_missing_tracker(settings: TrainSettings) -> None:
    """Raise InvalidInput where `report_to` names a package that is not installed."""
    name = settings.report_to
    if name != "none" and importlib.util.find_spec(name) is None:
        raise InvalidInput("error.train_tracker_missing", name=name)


def _refuse_quantisation(settings: TrainSettings, device: Device, hardware: Hardware) -> None:
    wants = {"qlora": settings.method == QLORA, f"optim={settings.optim}": settings.optim in BITS_AND_BYTES}
    for name, asked in wants.items():
        if asked and device.kind != "cuda":
            raise InvalidInput("error.train_needs_cuda", name=name, device=device.label)
        if asked and "bitsandbytes" not in hardware.packages:
            raise InvalidInput("error.bitsandbytes_missing", quantisation=name)


def _refuse_precision(settings: TrainSettings, device: Device) -> None:
    if settings.precision == "fp16" and device.kind == "cpu":
        raise InvalidInput("error.train_fp16_on_cpu")
    if settings.precision == "bf16" and not device.bf16 and device.kind == "mps":
        raise InvalidInput("error.bf16_unsupported", device=device.label, name=device.name)


def _refuse_processes(settings: TrainSettings, device: Device, hardware: Hardware) -> None:
    """Refuse more processes than there are GPUs of the kind, or cores."""
    alike = [one for one in hardware.devices if one.kind == device.kind]
    most = hardware.cores if device.kind == "cpu" else len(alike)
    if settings.num_processes > max(most, 1):
        asked = settings.num_processes
        raise InvalidInput("error.train_too_many_processes", asked=asked, most=most, device=device.kind)
