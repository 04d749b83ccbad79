"""How a training goes, and how it is watched: the other groups of its settings, in the libraries' own names."""

from __future__ import annotations

from dataclasses import dataclass

from core.fields import choice, number, text
from core.seeds import LARGEST_SEED
from core.training.choices import AUTO, THREE_STATES, DataChoice, MethodChoice, ModelChoice

CHOOSE = -1
"""Where 0 is a wish of its own, -1 leaves the choice to us, as TrainingArguments' max_steps does."""
MOST_STEPS = 100_000_000
SCHEDULERS = (
    "linear cosine cosine_with_restarts polynomial constant constant_with_warmup inverse_sqrt reduce_lr_on_plateau"
).split()
OPTIMISERS = ("adamw_torch_fused", "adamw_torch", "adafactor", "sgd", "rmsprop", "adamw_bnb_8bit", "paged_adamw_8bit")
TRACKERS = ("none", "trackio", "wandb", "tensorboard")
DPO_LOSSES = ("sigmoid", "hinge", "ipo", "robust", "apo_zero", "apo_down", "sigmoid_norm")


@dataclass(frozen=True)
class Optimisation:
    """Steps, rates and numbers."""

    num_train_epochs: float = number(CHOOSE, low=CHOOSE, high=10_000, step=0.5)
    """Passes over the data; -1 = chosen from the number of rows."""
    max_steps: int = number(CHOOSE, low=CHOOSE, high=MOST_STEPS)
    """Optimiser steps; more than 0 overrides the epochs."""
    per_device_train_batch_size: int = number(0, low=0, high=4_096)
    per_device_eval_batch_size: int = number(0, low=0, high=4_096)
    gradient_accumulation_steps: int = number(0, low=0, high=4_096)
    learning_rate: float = number(0, low=0, high=10, step=1e-6)
    lr_scheduler_type: str = choice("linear", tuple(SCHEDULERS))
    warmup_steps: float = number(CHOOSE, low=CHOOSE, high=MOST_STEPS, step=0.01)
    """Steps, or below 1 a part of all steps; -1 = chosen."""
    optim: str = choice("adamw_torch_fused", OPTIMISERS)
    weight_decay: float = number(0.01, low=0, high=10, step=0.001)
    adam_beta1: float = number(0.9, low=0, high=0.9999, step=0.01)
    adam_beta2: float = number(0.999, low=0, high=0.99999, step=0.001)
    adam_epsilon: float = number(1e-8, low=1e-12, high=1e-2, step=1e-9)
    max_grad_norm: float = number(1.0, low=0, high=1_000, step=0.1)
    """Longest gradient; 0 = never cut."""
    precision: str = choice(AUTO, (AUTO, "fp32", "bf16", "fp16"))
    """What is computed in; weights that learn stay in float32."""
    gradient_checkpointing: str = choice(AUTO, THREE_STATES)
    """Forget activations and compute them again: less memory, about a third more time."""
    label_smoothing_factor: float = number(0.0, low=0, high=0.9, step=0.01)
    neftune_noise_alpha: float = number(0.0, low=0, high=100, step=0.5)
    """Noise on the embeddings while instructions are learnt; 0 = none."""
    packing: str = choice(AUTO, THREE_STATES)
    """text-generation: several short texts in one row."""
    train_sampling_strategy: str = choice(AUTO, (AUTO, "random", "group_by_length"))
    dataloader_num_workers: int = number(0, low=0, high=64)
    seed: int = number(42, low=0, high=LARGEST_SEED)
    beta: float = number(0.1, low=0.001, high=10, step=0.01)
    """DPO: how closely it stays with the model it began as."""
    loss_type: str = choice("sigmoid", DPO_LOSSES)
    snr_gamma: float = number(5.0, low=0, high=100, step=0.5)
    """Pictures: Min-SNR weighting of noise levels (arXiv 2303.09556); 0 = none."""
    noise_offset: float = number(0.0, low=0, high=1, step=0.01)
    use_ema: bool = False


@dataclass(frozen=True)
class Watching:
    """When it is measured, saved and ended."""

    eval_strategy: str = choice(AUTO, (AUTO, "no", "steps", "epoch"))
    eval_steps: int = number(0, low=0, high=MOST_STEPS)
    save_strategy: str = choice(AUTO, (AUTO, "no", "steps", "epoch"))
    save_steps: int = number(0, low=0, high=MOST_STEPS)
    save_total_limit: int = number(2, low=1, high=100)
    """Checkpoints that are kept; the best one stays beside them."""
    early_stopping_patience: int = number(0, low=0, high=1_000)
    """Evaluations without a better one before it ends; 0 = never."""
    load_best_model_at_end: bool = True
    metric_for_best_model: str = text(limit=80, optional=True)
    """A key of the evaluations, with or without eval_; "" = the task's own."""
    logging_steps: int = number(0, low=0, high=MOST_STEPS)
    report_to: str = choice("none", TRACKERS)
    sample_count: int = number(3, low=0, high=16)
    """Texts or pictures that are shown at each evaluation."""
    validation_prompt: str = text(limit=2_000, optional=True)
    """What samples begin with; "" = inputs of the validation rows."""
    max_new_tokens: int = number(0, low=0, high=4_096)
    """Length of a sample text; 0 = chosen."""


@dataclass(frozen=True)
class Choices(Watching, Optimisation, MethodChoice, DataChoice, ModelChoice):
    """All groups together, in the order in which they are read; `TrainSettings` adds the law."""
