"""What the planner must know of a model: counted from headers, read from configurations; no weights are loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from core.hub.pipeline_files import INDEX, PipelineFiles
from core.hub.safetensors_header import count_parameters
from core.models.folder import describe, read_config
from core.placement.model_facts import facts_of_pipeline
from core.placement.planner import ModelFacts, facts_from_config

if TYPE_CHECKING:
    from core.hub.client import HubFacts
    from core.models.model_files import ModelFiles


def facts_of(files: ModelFiles) -> ModelFacts:
    """Return the planner's facts of files on this machine, from configuration and headers."""
    if files.pipeline:
        return _facts_of_pipeline(files.folder, files.pipeline)
    weights = files.weights
    parameters, size = count_parameters(weights), sum(path.stat().st_size for path in weights)
    return facts_from_config(describe(files.config_folder), parameters, size)


def _facts_of_pipeline(folder: Path, parts: PipelineFiles) -> ModelFacts:
    names = dict.fromkeys(str(PurePosixPath(file.name).parent) for file in parts.weights)
    counted = {one: count_parameters(folder / file.name for file in parts.weights_of(one)) for one in names}
    configs = {one: read_config(folder / one) for one in names}
    return facts_of_pipeline(
        read_config(folder, INDEX), counted, configs, sum(file.size_bytes for file in parts.weights)
    )


def facts_on_hub(known: HubFacts) -> ModelFacts:
    """Return the planner's facts of a repository, of which only small files were read."""
    if not known.components:
        return facts_from_config(known.config, known.parameters, known.weight_bytes)
    counted: Counter[str] = Counter()
    for name, count in known.parameters_by_file.items():
        counted[str(PurePosixPath(name).parent)] += count
    return facts_of_pipeline(known.config, counted, known.components, known.weight_bytes)


def configurations_of(files: ModelFiles) -> Mapping[str, Mapping[str, Any]]:
    """Return config.json or model_index.json under "", and a pipeline's components' by name."""
    if files.pipeline is None:
        return {"": describe(files.config_folder)}
    components = dict.fromkeys(str(PurePosixPath(file.name).parent) for file in files.pipeline.weights)
    return {"": read_config(files.folder, INDEX), **{one: read_config(files.folder / one) for one in components}}
