"""Where the bytes of one model lie on this machine, and which bytes they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from core.hub.pipeline_files import PipelineFiles
from core.hub.repository import choose_weights
from core.models.folder import digest_of_folder, listed, pipeline_in


@dataclass(frozen=True)
class ModelFiles:
    """Where a model's bytes lie on this machine, and which bytes they are."""

    folder: Path
    """Weights and tokenizer of the base."""
    config_folder: Path
    """config.json: the base's own, or the starter's with its labels."""
    revision: str
    adapters: tuple[Path, ...] = ()
    tokenizer_folder: Path | None = None
    """Where the tokenizer lies if not with the weights: a training may have taught it a chat template."""
    lineage: tuple[str, ...] = ()
    """For what was trained here: labels (name@revision) from the first weights to this model."""
    places: tuple[tuple[str, str], ...] = ()
    """Where what was trained here lies, by label."""
    adapter_label: str | None = None
    base_label: str | None = None
    adapter_file: Path | None = None
    """The one file that matters where an adapter was asked for alone, to be laid over another model."""
    watched: tuple[tuple[Path, str], ...] = ()
    """Local folders and the digests they had: somebody may write another model there."""

    @property
    def weights(self) -> list[Path]:
        """The safetensors files of the base that loading reads."""
        if self.adapter_file:
            return [self.adapter_file]
        found = self.pipeline.weights if self.pipeline else choose_weights(listed(self.folder))
        return [self.folder / file.name for file in found]

    @property
    def pipeline(self) -> PipelineFiles | None:
        """What loading reads of a diffusers pipeline, component by component; None for any other model."""
        return pipeline_in(self.folder)

    @property
    def head_from(self) -> Path | None:
        """The adapter that brings the head, where it has no config.json to say so; None = the configuration tells."""
        return self.adapters[-1] if self.adapters and self.config_folder not in self.adapters else None

    def changed(self) -> bool:
        """Tell whether a local folder holds something else by now, or is gone."""
        return any(not folder.is_dir() or digest_of_folder(folder) != digest for folder, digest in self.watched)
