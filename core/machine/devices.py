"""What can compute: one device, and the machine that holds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core.errors import InvalidInput

Kind = Literal["cuda", "mps", "xpu", "cpu"]


@dataclass(frozen=True)
class Device:
    """One place to compute, as it was when somebody looked."""

    kind: Kind
    index: int
    name: str
    total_bytes: int
    free_bytes: int
    """Available to this process at that moment."""
    bf16: bool = False
    """It computes bfloat16 natively, not by emulation."""
    compute_capability: tuple[int, int] | None = None
    """CUDA only: (8, 0) is Ampere."""

    @property
    def label(self) -> str:
        """The name that PyTorch takes: "cpu", "mps", "cuda:0"."""
        return self.kind if self.kind in ("cpu", "mps") else f"{self.kind}:{self.index}"

    @property
    def shares_main_memory(self) -> bool:
        """True where moving weights to the CPU would free nothing."""
        return self.kind in ("cpu", "mps")


@dataclass(frozen=True)
class Hardware:
    """A machine: exactly one CPU among its devices, and what is installed that changes placement."""

    devices: tuple[Device, ...]
    cores: int
    """Processor cores this process may keep busy: affinity and container quota respected."""
    torch_version: str | None = None
    platform: str = ""
    """As `platform.system()` says: "Linux", "Darwin", "Windows"."""
    packages: frozenset[str] = field(default_factory=frozenset)
    """Optional packages that are installed, of `OPTIONAL_PACKAGES`."""

    @property
    def cpu(self) -> Device:
        """The processor with the main memory."""
        return next(device for device in self.devices if device.kind == "cpu")

    @property
    def gpus(self) -> tuple[Device, ...]:
        """Every device but the processor."""
        return tuple(device for device in self.devices if device.kind != "cpu")

    @property
    def best(self) -> Device:
        """The GPU with the most free memory (the first of equals), else the processor."""
        return max(self.gpus, key=lambda device: device.free_bytes, default=self.cpu)

    def device(self, label: str) -> Device:
        """Return the device called "cuda:1", or the freest of a kind called "cuda"; raises InvalidInput."""
        found = [device for device in self.devices if label in (device.label, device.kind)]
        if not found:
            known = ", ".join(device.label for device in self.devices)
            raise InvalidInput("error.no_such_device", device=label, devices=known)
        return max(found, key=lambda device: device.free_bytes)


OPTIONAL_PACKAGES = ("bitsandbytes", "flash_attn")
"""Importable names whose presence opens a way: quantisation, FlashAttention."""
