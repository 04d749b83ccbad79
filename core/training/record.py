"""What a finished run leaves: the adapter or the model, its tokenizer, and run.json, which says how it came about.

result/adapter_model.safetensors  adapter_config.json     or  model.safetensors
result/config.json  tokenizer…                             so that plain transformers and peft load it
result/run.json                                            written last: where it is, the result is whole
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.errors import BadFile
from core.jobs.files import written_whole
from core.jobs.views import installed_versions
from core.runs import RUN_FILE
from core.training.methods import Parameters

_EMPTY_MATRICES = r"Adapter .* have invalid shape"
FORMAT = 1
"""Of run.json; a reader of a later one may find more in it, and finds everything that is here."""


@dataclass(frozen=True)
class BaseRecord:
    """What the run stands on."""

    id: str
    """Hub id, starter, folder or run/<name>."""
    revision: str
    source: str
    """hub, starter, folder or run."""
    adapters: tuple[str, ...] = ()
    """Adapters that were merged into it before the training began."""
    lineage: tuple[str, ...] = ()
    """Labels (name@revision) from the first weights to this base."""


@dataclass(frozen=True)
class RunRecord:
    """run.json: everything that a model card, a comparison or another training must know."""

    name: str
    job: str
    """The id of the run's job, and the name of its folder."""
    task: str
    method: str
    base: BaseRecord
    labels: tuple[str, ...]
    columns: Mapping[str, str]
    data_hash: str
    settings: Mapping[str, Any]
    """Every choice, as it was made in the end."""
    metrics: Mapping[str, float]
    """Of the model that is saved, on the held-out rows; empty where none were held out."""
    parameters: Parameters
    steps: int
    best_step: int | None
    """Step whose weights these are; None = the last."""
    epochs: float
    seconds: float
    """In training steps and evaluations, all attempts together."""
    peak_bytes: int
    rows: Mapping[str, int]
    """Rows that trained, rows that were held out."""
    device: str
    created: float
    """Seconds since 1970."""
    continues: str | None = None
    """The run whose result is the base, if it is one."""
    chat_template: bool = False
    """True where a template of ours came with the tokenizer."""
    versions: Mapping[str, str] = field(default_factory=installed_versions)
    format: int = FORMAT


def write_run(record: RunRecord, result: Path) -> None:
    """Write run.json in one step; raises OSError."""
    with written_whole(result / RUN_FILE) as draft:
        draft.write_text(json.dumps(asdict(record), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_run(result: Path) -> RunRecord:
    """Read run.json; raises BadFile where it is missing or makes no sense."""
    try:
        held = json.loads((result / RUN_FILE).read_text(encoding="utf-8"))
        known = {name: held[name] for name in RunRecord.__dataclass_fields__ if name in held}
        told = held["base"]
        labels = {"adapters": tuple(told["adapters"]), "lineage": tuple(told.get("lineage", ()))}
        base = BaseRecord(**{**told, **labels})
        parts = {"base": base, "parameters": Parameters(**held["parameters"]), "labels": tuple(held["labels"])}
        return RunRecord(**{**known, **parts})
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise BadFile("error.run_unreadable", file=RUN_FILE) from problem


def is_whole(result: Path) -> bool:
    """Tell whether a run's result was written to its end."""
    return (result / RUN_FILE).is_file()


@dataclass(frozen=True)
class Made:
    """What is to be saved."""

    model: Any
    """A peft model, or the model itself after full training."""
    tokenizer: Any
    base_name: str
    """As others find it, for the adapter's configuration."""
    base_revision: str | None


def save_result(made: Made, result: Path) -> None:
    """Write weights (safetensors), configuration and tokenizer; raises OSError.

    What was trained is stored in float32, as it was learnt; configuration and head let a plain loader find the rest.
    """
    import torch

    result.mkdir(parents=True, exist_ok=True)
    model = made.model
    if hasattr(model, "peft_config"):
        _save_adapter(made, result)
        model = model.get_base_model()
    else:
        model.save_pretrained(result)
    config = model.config
    config.dtype = torch.float32
    config.architectures = [type(model).__name__]
    config.save_pretrained(result)
    if getattr(model, "generation_config", None) is not None and model.can_generate():
        model.generation_config.save_pretrained(result)
    made.tokenizer.save_pretrained(result)


def _save_adapter(made: Made, result: Path) -> None:
    config = made.model.peft_config["default"]
    config.base_model_name_or_path, config.revision = made.base_name, made.base_revision
    # The vocabulary is the base's own; asked to find that out, peft would ask the Hub.
    with warnings.catch_warnings():
        # AdaLoRA may leave a layer without any rank; peft takes its empty matrices for pieces that were not gathered.
        warnings.filterwarnings("ignore" if config.peft_type == "ADALORA" else "default", _EMPTY_MATRICES)
        made.model.save_pretrained(result, selected_adapters=["default"], save_embedding_layers=False)
    (result / "README.md").unlink(missing_ok=True)  # peft's empty card; the run's own is written when it is shared
