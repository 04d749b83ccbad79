"""The network that learns, in memory: the base's weights under the head that the task needs, in the right precision."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from core.catalogue import ModelSpec
from core.errors import NotAModel
from core.models.files import ModelFiles
from core.models.weights import first_line, head_of_adapters, in_words, lay_over
from core.quiet import quieten
from core.training.settings import TrainSettings
from core.training.tasks import FULL, QLORA, TrainTask


@dataclass(frozen=True)
class Network:
    """A model before any method is laid over it."""

    model: Any
    fresh: tuple[str, ...]
    """Modules whose weights the checkpoint lacks: they begin at random, so they are learnt and saved whole."""


def read_tokenizer(files: ModelFiles, name: str) -> Any:
    """Return the base's tokenizer, with a token to pad with; raises NotAModel."""
    import transformers

    quieten("transformers")
    try:
        folder = files.tokenizer_folder or files.folder
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as problem:  # whatever foreign tokenizer files provoke
        raise NotAModel("error.tokenizer_unusable", name=name, reason=first_line(problem)) from problem
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def read_config(files: ModelFiles) -> Any:
    """Return the base's configuration; raises NotAModel."""
    import transformers

    try:
        return transformers.AutoConfig.from_pretrained(files.config_folder, local_files_only=True)
    except Exception as problem:  # whatever a foreign config.json provokes
        raise NotAModel("error.config_unusable", reason=first_line(problem)) from problem


def load_network(
    settings: TrainSettings, spec: ModelSpec, files: ModelFiles, labels: tuple[str, ...], tokenizer: Any
) -> Network:
    """Load the base for the task, adapters below it merged; raises ModelError.

    What a method leaves frozen lies in bfloat16 where that is computed in, everything else in float32.
    """
    import transformers

    transformers.set_seed(settings.seed)  # a new head begins the same way each time
    task = settings.known_task
    config = _config(files, task, labels, tokenizer)
    with in_words(spec):
        if files.adapters:
            return _from_adapted(files, task, config)
        return _from_files(files, settings, config)


def to_precision(model: Any, settings: TrainSettings) -> Any:
    """Hold what is frozen in the precision that is computed in, and what learns in float32."""
    import torch

    if settings.method not in (FULL, QLORA) and settings.precision == "bf16":
        for parameter in model.parameters():
            if not parameter.requires_grad and parameter.dtype == torch.float32:
                parameter.data = parameter.data.to(torch.bfloat16)
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype in (torch.bfloat16, torch.float16):
            parameter.data = parameter.data.float()
    return model


def _config(files: ModelFiles, task: TrainTask, labels: tuple[str, ...], tokenizer: Any) -> Any:
    config = read_config(files)
    if task.name == "reward":
        config.num_labels = 1
    elif labels and task.predicts_labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {name: number for number, name in enumerate(labels)}
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = tokenizer.pad_token_id
    return config


def _from_files(files: ModelFiles, settings: TrainSettings, config: Any) -> Network:
    import torch
    import transformers

    options: dict[str, Any] = {"dtype": torch.float32}
    if settings.method == QLORA:
        options = {
            "quantization_config": _four_bits(settings),
            "device_map": {"": int(os.environ.get("LOCAL_RANK", "0"))},
        }
    model, report = getattr(transformers, settings.known_task.auto_class).from_pretrained(
        files.folder,
        config=config,
        ignore_mismatched_sizes=True,
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
        **options,
    )
    missing = {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}
    return Network(model, _modules_of(missing))


def _from_adapted(files: ModelFiles, task: TrainTask, config: Any) -> Network:
    """Merge the adapters into their base as they were made for it, then move what fits under the task's own class."""
    import torch
    import transformers

    head = head_of_adapters(files.adapters)
    source = getattr(transformers, f"AutoModel{head}" if head else task.auto_class).from_pretrained(
        files.folder,
        config=read_config(files),
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        use_safetensors=True,
        local_files_only=True,
    )
    for adapter in files.adapters:
        last = adapter is files.adapters[-1]
        source = lay_over(source, adapter, merge=True, head_may_differ=not last)
    made = getattr(transformers, task.auto_class).from_config(config)
    wanted = made.state_dict()
    inner = f"{made.base_model_prefix}."
    same = type(made) is type(source)
    fitting = {
        name: tensor
        for name, tensor in source.state_dict().items()
        if name in wanted and wanted[name].shape == tensor.shape and (same or name.startswith(inner))
    }
    made.load_state_dict(fitting, strict=False)
    made.name_or_path = str(files.folder)  # peft looks there for the vocabulary; by a name of ours it would ask a Hub
    made.tie_weights()
    return Network(made, _modules_of(set(wanted) - set(fitting) - _tied(made)))


def _tied(model: Any) -> set[str]:
    """Return the names of parameters that are another one's: no checkpoint holds them twice."""
    first = {id(one): name for name, one in model.named_parameters()}
    return {name for name, one in model.named_parameters(remove_duplicate=False) if first[id(one)] != name}


def _modules_of(parameters: set[str]) -> tuple[str, ...]:
    """Return the modules that own these parameters; of one within another, the outer."""
    owners = sorted({name.rpartition(".")[0] for name in parameters if "." in name})
    return tuple(one for one in owners if not any(one.startswith(f"{other}.") for other in owners))


def _four_bits(settings: TrainSettings) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=settings.bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=settings.bnb_4bit_use_double_quant,
        bnb_4bit_compute_dtype=torch.bfloat16 if settings.precision == "bf16" else torch.float16,
    )
