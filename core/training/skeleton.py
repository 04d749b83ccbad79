"""The very model that will learn, without its weights: its layers and how many parameters they hold.

It stands on PyTorch's meta device, so that seven billion parameters take no memory and no time.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from core.errors import NotAModel, UnsafeWeights, WrongTask
from core.models.weights import first_line
from core.training.base import Base
from core.training.tasks import TrainTask

TWO_LABELS = 2
TEXT_ENCODERS = ("text_encoder", "text_encoder_2")


def model_config(base: Base, task: TrainTask, labels: int = TWO_LABELS) -> Any:
    """Return the configuration with as many labels as the data have; raises NotAModel or UnsafeWeights.

    `labels` matters to classifiers only; a reward has one number.
    """
    import transformers

    described = dict(base.config)
    if described.get("auto_map"):
        raise UnsafeWeights("error.remote_code", name=base.spec.name)
    kind = described.pop("model_type", "")
    try:
        config = transformers.AutoConfig.for_model(kind, **described)
    except Exception as problem:  # whatever a foreign config.json provokes
        raise NotAModel("error.config_unusable", reason=first_line(problem)) from problem
    if task.predicts_labels or task.name == "reward":
        config.num_labels = 1 if task.name == "reward" else labels
    return config


def skeleton(base: Base, task: TrainTask, labels: int = TWO_LABELS, device: str = "meta") -> Any:
    """Return the model of `task` on the meta device, of a pipeline its UNet; raises ModelError if there is none.

    On a real device it has weights, but nobody has chosen them: good for measuring how long a step takes.
    """
    import torch
    import transformers

    with torch.device(device), _not_initialised(device):
        if task.kind == "diffusion":
            return _unet(base)
        config = model_config(base, task, labels)
        try:
            made = getattr(transformers, task.auto_class).from_config(config)
        except (ValueError, KeyError, TypeError, AttributeError, ImportError) as problem:
            made_for = ", ".join(base.config.get("architectures") or [str(base.config.get("model_type"))])
            raise WrongTask("error.train_wrong_base", name=base.name, task=task.name, made_for=made_for) from problem
    made.tie_weights()  # which is skipped with the rest of the initialisation
    return made


def _not_initialised(device: str) -> AbstractContextManager[None]:
    """Return what keeps weights as memory had them; on the meta device there is nothing to initialise anyway."""
    from transformers.initialization import no_init_weights

    return nullcontext() if device == "meta" else no_init_weights()


def text_encoders(base: Base) -> dict[str, Any]:
    """Return a pipeline's text encoders on the meta device, by component; raises NotAModel for unknown ones."""
    import torch
    import transformers

    found: dict[str, Any] = {}
    with torch.device("meta"):
        for name in TEXT_ENCODERS:
            described = base.configurations.get(name)
            if described:
                made = getattr(transformers, _class_of(base.config, name))
                found[name] = made(made.config_class.from_dict(dict(described)))
    return found


def _class_of(index: Mapping[str, Any], component: str) -> str:
    """Return the class that model_index.json gives a component; only transformers' own are taken."""
    library, name = (index.get(component) or ("", ""))[:2]
    if library != "transformers" or not str(name).startswith("CLIPText"):
        raise NotAModel("error.train_text_encoder_unknown", component=component, name=str(name))
    return str(name)


def _unet(base: Base) -> Any:
    """Return a pipeline's UNet; models that draw with a transformer are refused, for their training is another one."""
    import diffusers

    described = base.configurations.get("unet")
    if not described:
        made_for = str(base.config.get("_class_name") or base.config.get("model_type"))
        raise WrongTask("error.train_no_unet", name=base.name, made_for=made_for)
    return diffusers.UNet2DConditionModel.from_config(dict(described))
