"""Which files of a repository are downloaded: a model's, a pipeline's component by component, or one adapter's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.hub.adapter_files import choose_adapter_file
from core.hub.pipeline_files import choose_pipeline_files, has_index
from core.hub.repository import RepoFile, require_weights


@dataclass(frozen=True)
class Choice:
    """The weights that loading reads, and the small files (None = whatever `choose_companions` finds)."""

    weights: tuple[RepoFile, ...]
    companions: tuple[RepoFile, ...] | None = None


def choose(
    files: tuple[RepoFile, ...], repo_id: str, read_index: Callable[[], Mapping[str, Any]], *, adapter: bool
) -> Choice:
    """Choose among a repository's files; `read_index` brings its model_index.json where it is a pipeline.

    Raises UnsafeWeights or NotAModel where there is nothing that can be loaded.
    """
    if adapter:
        return Choice((choose_adapter_file(files, repo_id),), ())
    if not has_index(files):
        return Choice(require_weights(files, repo_id))
    parts = choose_pipeline_files(read_index(), files, repo_id)
    return Choice(parts.weights, parts.companions)
