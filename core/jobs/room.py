"""Whether there is room on the disk for a job."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from core.errors import DiskFull
from core.words import in_bytes

LEAST_FREE_BYTES = 2_000_000_000
"""What must be left beside a job's own needs: a full disk stops everything else on this machine, too."""


@dataclass(frozen=True)
class Room:
    """The disk under `folder`, and how much of it stays free."""

    folder: Path
    least_free_bytes: int = LEAST_FREE_BYTES

    def require(self, needed_bytes: int) -> None:
        """Raise DiskFull unless `needed_bytes` fit and enough is left beside them."""
        free, needed = shutil.disk_usage(_there(self.folder)).free, needed_bytes + self.least_free_bytes
        if free < needed:
            raise DiskFull("error.job_disk_nearly_full", free=in_bytes(free), needed=in_bytes(needed))


def _there(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there by now."""
    return next(path for path in (folder, *folder.parents) if path.exists())
