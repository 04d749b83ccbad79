"""The pictures that visitors keep: what finished jobs drew, newest first, each visitor's own."""

from __future__ import annotations

from dataclasses import dataclass

from core.jobs import Jobs


@dataclass(frozen=True)
class Gallery:
    """Pictures in the result folders of `jobs`; another visitor's picture is one that never was."""

    jobs: Jobs
