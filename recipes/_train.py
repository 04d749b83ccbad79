"""Trains one starter: LoRA adapters on every linear layer of the base, saved in half precision."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora.layer import Linear as LoraLinear
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import get_last_checkpoint

from recipes._base import BASE_ID, base_folder

STARTERS = Path("assets/starters")
CHECKPOINTS = Path(".atelier/checkpoints")
MODEL_CLASSES = {
    "text-classification": AutoModelForSequenceClassification,
    "zero-shot-classification": AutoModelForSequenceClassification,
    "token-classification": AutoModelForTokenClassification,
    "question-answering": AutoModelForQuestionAnswering,
    "fill-mask": AutoModelForMaskedLM,
}


@dataclass(frozen=True)
class Places:
    """The folders of a run: the data, the shipped starters, and what an interrupted run goes on from."""

    data: Path
    starters: Path = STARTERS
    checkpoints: Path = CHECKPOINTS


@dataclass(frozen=True)
class Recipe:
    """The settings that, with the data, decide a starter's weights."""

    name: str
    task: str
    head: tuple[str, ...]
    labels: tuple[str, ...] = ()
    epochs: float = 3
    learning_rate: float = 5e-4
    batch_size: int = 32
    max_length: int = 128
    rank: int = 64
    alpha: int = 128
    dropout: float = 0.1
    label_smoothing: float = 0.0
    consistency: float = 0.0
    """Weight of the difference between two passes with other dropout (R-Drop, Liang et al. 2021)."""
    average_decay: float = 0.0
    """Where above 0, what is saved is the running average of the weights (per step), not the last ones."""
    seed: int = 13


@cache
def tokenizer() -> PreTrainedTokenizerBase:
    """Return the base model's tokenizer."""
    return AutoTokenizer.from_pretrained(base_folder())


def train(
    recipe: Recipe,
    rows: Dataset,
    collator: Callable[..., Any],
    folder: Path,
    prepare: Callable[[PeftModel], None] | None = None,
    checkpoints: Path = CHECKPOINTS,
) -> dict:
    """Train a fresh adapter on `rows`, resuming an interrupted run, and save it in `folder`.

    `prepare` may change how the model computes while it is trained; below `checkpoints` each recipe has its folder.
    """
    kept = checkpoints / recipe.name
    set_seed(recipe.seed)
    model = fresh_model(recipe)
    if prepare:
        prepare(model)
    averaging = [WeightAverage(recipe.average_decay)] if recipe.average_decay else []
    make = partial(ConsistencyTrainer, weight=recipe.consistency) if recipe.consistency else Trainer
    trainer = make(
        model=model, args=_arguments(recipe, kept), train_dataset=rows, data_collator=collator, callbacks=averaging
    )
    last = resumable(kept)
    result = trainer.train(resume_from_checkpoint=str(last) if last else None)
    save_adapter(model, folder)
    return {
        "rows": len(rows),
        "steps": result.global_step,
        "seconds_of_last_run": round(result.metrics["train_runtime"]),
        "resumed": last is not None,
    }


def resumable(checkpoints: Path, written_last: str = TRAINER_STATE_NAME) -> Path | None:
    """Return the newest checkpoint that was written to its end, and remove those that were not.

    `written_last`: the file without which a checkpoint is not whole.
    """
    checkpoints.mkdir(parents=True, exist_ok=True)
    while last := get_last_checkpoint(str(checkpoints)):
        if (Path(last) / written_last).exists():
            return Path(last)
        shutil.rmtree(last)
    return None


class ConsistencyTrainer(Trainer):
    """Trains a classifier so that two passes over a text, with other dropout, answer alike (R-Drop)."""

    def __init__(self, *args: Any, weight: float, **options: Any) -> None:
        """Add `weight` times the symmetric Kullback-Leibler divergence of the two answers to the loss."""
        super().__init__(*args, **options)
        self._weight = weight

    def compute_loss(self, model: PeftModel, inputs: dict[str, torch.Tensor], **_: Any) -> torch.Tensor:
        """Send each batch through twice, as one batch of twice the size."""
        labels = inputs.pop("labels").repeat(2)
        twice = {name: tensor.repeat(2, 1) for name, tensor in inputs.items()}
        logits = model(**twice).logits.float()
        wrong = functional.cross_entropy(logits, labels, label_smoothing=self.args.label_smoothing_factor)
        one, other = logits.log_softmax(-1).chunk(2)
        apart = [
            functional.kl_div(a, b, log_target=True, reduction="batchmean") for a, b in ((one, other), (other, one))
        ]
        return wrong + self._weight * sum(apart) / 2


class WeightAverage(TrainerCallback):
    """Keeps an exponential moving average of what is trained, and leaves it in the model at the end.

    The decay grows with the steps as in TensorFlow's ExponentialMovingAverage, so that the start is soon forgotten.
    A resumed run begins its average anew.
    """

    def __init__(self, decay: float) -> None:
        """Begin without an average."""
        self._decay = decay
        self._steps = 0
        self._means: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def on_step_end(self, *_: object, model: PeftModel, **__: object) -> None:
        """Take the step's weights in."""
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        self._steps += 1
        for name, parameter in _trained(model):
            mean = self._means.setdefault(name, parameter.detach().clone())
            mean.lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def on_train_end(self, *_: object, model: PeftModel, **__: object) -> None:
        """Leave the average in the model."""
        for name, parameter in _trained(model):
            parameter.copy_(self._means[name])


def _trained(model: PeftModel) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)


def fresh_model(recipe: Recipe) -> PeftModel:
    """Return the base with a new head and new adapters, set up for speed on a CPU.

    The frozen base is held in bfloat16 and only what is trained in float32, attention is eager, and
    each adapter is folded into its layer's weight before the one matrix product that is left; together
    this trains about twice as fast as the defaults.
    """
    names = dict(enumerate(recipe.labels))
    extra = {"id2label": names, "label2id": {name: i for i, name in names.items()}} if names else {}
    config = AutoConfig.from_pretrained(
        base_folder(), hidden_dropout_prob=recipe.dropout, attention_probs_dropout_prob=0.0, **extra
    )
    base = MODEL_CLASSES[recipe.task].from_pretrained(
        base_folder(), config=config, attn_implementation="eager", dtype=torch.bfloat16
    )
    lora = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        target_modules=r".*encoder.*\.(query|key|value|dense)",
        modules_to_save=list(recipe.head),
    )
    model = get_peft_model(base, lora)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    for module in model.modules():
        if isinstance(module, LoraLinear):
            module.forward = partial(_folded_forward, module)
    return model


def _folded_forward(layer: LoraLinear, inputs: torch.Tensor) -> torch.Tensor:
    """Apply the layer with its adapter added to the weight; without adapter dropout this changes nothing."""
    delta = layer.lora_B["default"].weight @ layer.lora_A["default"].weight * layer.scaling["default"]
    base = layer.base_layer
    return torch.nn.functional.linear(inputs, base.weight + delta.to(base.weight.dtype), base.bias)


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write the adapter in half precision and the configuration that a plain loader needs beside it."""
    model.peft_config["default"].base_model_name_or_path = BASE_ID
    # The vocabulary is the base's own; asked to find that out, peft would ask the Hub.
    model.save_pretrained(folder, save_embedding_layers=False)
    weights = folder / "adapter_model.safetensors"
    halves = {name: tensor.half().contiguous() for name, tensor in load_file(weights).items()}
    save_file(halves, weights, metadata={"format": "pt"})
    weights.chmod(0o644)
    config = model.get_base_model().config
    config.dtype = torch.float32
    config.architectures = [type(model.get_base_model()).__name__]
    config.save_pretrained(folder)


def load_starter(recipe: Recipe, folder: Path) -> PreTrainedModel:
    """Load a saved starter as an application does: configuration, base, adapter; then merge for speed."""
    config = AutoConfig.from_pretrained(folder)
    base = MODEL_CLASSES[recipe.task].from_pretrained(base_folder(), config=config, dtype=torch.float32)
    return PeftModel.from_pretrained(base, folder).merge_and_unload().eval()


def _arguments(recipe: Recipe, kept: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(kept),
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.learning_rate,
        per_device_train_batch_size=recipe.batch_size,
        label_smoothing_factor=recipe.label_smoothing,
        warmup_steps=0.06,
        weight_decay=0.01,
        seed=recipe.seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=True,
        train_sampling_strategy="group_by_length",
        save_steps=100,
        save_total_limit=1,
        logging_steps=50,
        report_to="none",
        disable_tqdm=True,
    )
