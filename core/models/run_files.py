"""The files of what was trained here: a run's own result, and what it stands on as it was then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import NotAModel
from core.hub.adapter_files import SUFFIX
from core.hub.pipeline_files import INDEX
from core.models.folder import digest_of_folder, read_config
from core.runs import Run

if TYPE_CHECKING:
    from core.models.model_files import ModelFiles

ADAPTER = ("adapter_model.safetensors", "adapter_config.json", "config.json")
"""What a run that adapted a model of transformers leaves; peft's names."""
PICTURE_LORA = ("pytorch_lora_weights.safetensors",)
"""What a run that adapted a pipeline leaves; diffusers' name."""
KEPT_NAMES = ("run", "starter")
"""Sources whose names may come to mean another model: a commit on the Hub cannot, and a folder is its owner's."""


def require_whole(run: Run) -> None:
    """Raise NotAModel where a file without which the run is no model is missing from its result."""
    for name in _needed(run):
        if not (run.result / name).is_file():
            raise NotAModel("error.run_broken", name=run.name, file=name)
    if run.whole and not any(run.result.rglob(f"*{SUFFIX}")):
        raise NotAModel("error.run_broken", name=run.name, file=f"*{SUFFIX}")


def has_vocabulary(folder: Path) -> bool:
    """Tell whether a tokenizer was saved in a folder."""
    return (folder / "tokenizer_config.json").is_file()


def on_base(run: Run, base: ModelFiles) -> ModelFiles:
    """Return the files of an adapter over those of its base; raises NotAModel where the base is another one by now."""
    _require_same(run, base)
    result = run.result
    label = ", ".join(filter(None, (base.adapter_label, f"{run.name}@{run.revision}")))
    return replace(
        base,
        config_folder=result if not run.draws else base.config_folder,
        tokenizer_folder=result if has_vocabulary(result) else base.tokenizer_folder,
        adapters=(*base.adapters, result),
        adapter_label=label,
        base_label=base.base_label or run.base.id,
        lineage=run.lineage,
        places=(*base.places, (run.lineage[-1], str(result))),
        watched=(*base.watched, (result, digest_of_folder(result))),
    )


def is_prompt(adapter: Path) -> bool:
    """Tell whether an adapter is made of learnt inputs (prefix or prompt tuning), which no weights can take in."""
    if not (adapter / "adapter_config.json").is_file():
        return False
    return str(read_config(adapter, "adapter_config.json").get("peft_type", "")).endswith("_TUNING")


def _require_same(run: Run, base: ModelFiles) -> None:
    if run.base.source not in KEPT_NAMES:
        return
    trained = ", ".join((run.base.revision, *run.base.adapters))
    found = ", ".join((base.revision, *filter(None, (base.adapter_label,))))
    if trained != found:
        raise NotAModel("error.run_base_changed", name=run.name, base=run.base.id, trained=trained, found=found)


def _needed(run: Run) -> tuple[str, ...]:
    if run.draws:
        return (INDEX,) if run.whole else PICTURE_LORA
    return ("config.json",) if run.whole else ADAPTER
