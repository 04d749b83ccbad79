"""What is trained, on which data, by which method: the first groups of a training's settings.

A field has the name it has in transformers (TrainingArguments), peft (LoraConfig, …) or TRL. "" and "auto", and 0 where
its sentence says so, mean: choose well for this model and these data; `with_defaults` writes what was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.fields import choice, number, text
from core.training.tasks import LORA, METHODS, TRAIN_TASKS

AUTO = "auto"
THREE_STATES = (AUTO, "on", "off")
MOST_TOKENS = 131_072
MOST_ROWS = 100_000_000


@dataclass(frozen=True)
class ModelChoice:
    """Who learns what."""

    task: str = choice("text-classification", tuple(TRAIN_TASKS))
    kind: str = choice(AUTO, (AUTO, "plain", "instructions"))
    """text-generation: running text, or conversations whose answers are learnt; auto looks at the columns."""
    model: str = text(limit=300, optional=True)
    """A starter, a Hub id with or without @revision, a folder, or run/<name>; "" = the task's proposal."""
    method: str = choice(LORA, METHODS)
    name: str = text(limit=64, optional=True)
    """The run will be called run/<name>; "" = made from task and model."""
    device: str = text(limit=20, default=AUTO)
    """"auto", "cpu", "cuda", "cuda:1", "mps"."""
    num_processes: int = number(1, low=1, high=64)
    """Processes on this machine, as `accelerate launch --num_processes` counts them."""


@dataclass(frozen=True)
class DataChoice:
    """What it learns from."""

    file: str = text(limit=4_000, optional=True)
    """CSV, JSONL, Parquet, XLSX, or a zip of pictures with captions."""
    dataset: str = text(limit=300, optional=True)
    """A sample of ours ("samples/reviews") or a data set's id on the Hub, with or without @revision."""
    dataset_config: str = text(limit=200, optional=True)
    dataset_split: str = text(limit=200, default="train")
    columns: str = text(limit=1_000, optional=True)
    """Where the guess is wrong: "text=review, label=stars"."""
    validation_file: str = text(limit=4_000, optional=True)
    validation_split: str = text(limit=200, optional=True)
    """A split of the data set that is for evaluation."""
    validation_fraction: float = number(0.1, low=0, high=0.5, step=0.01)
    """Part of the rows that is held out where neither file nor split is named."""
    max_samples: int = number(0, low=0, high=MOST_ROWS)
    """Use as many rows at most, drawn by the seed; 0 = all."""
    max_length: int = number(0, low=0, high=MOST_TOKENS)
    """Longest input in tokens; 0 = as long as nearly all rows are, and the model reads."""
    max_target_length: int = number(0, low=0, high=MOST_TOKENS)
    """Longest output in tokens, of encoder-decoders; 0 = as long as nearly all targets are."""
    source_prefix: str = text(limit=200, optional=True)
    """Put before each source, as T5 wants it ("summarize: ")."""
    source_language: str = text(limit=20, optional=True)
    target_language: str = text(limit=20, optional=True)
    doc_stride: int = number(0, low=0, high=MOST_TOKENS)
    """Question answering: tokens that two windows of a long context share; 0 = a quarter of max_length."""
    assistant_only_loss: bool = True
    """Conversations: only what the assistant says is learnt."""
    mlm_probability: float = number(0.15, low=0.01, high=0.9, step=0.01)
    """fill-mask: part of the tokens that is hidden."""
    resolution: int = number(0, low=0, high=2_048, step=8)
    """Pictures: pixels a side; 0 = what the model was made for."""
    center_crop: bool = True
    random_flip: bool = False


@dataclass(frozen=True)
class MethodChoice:
    """How much of the model moves."""

    r: int = number(0, low=0, high=1_024)
    """Rank of LoRA; 0 = chosen."""
    lora_alpha: int = number(0, low=0, high=4_096)
    """0 = twice the rank."""
    lora_dropout: float = number(0.0, low=0, high=0.9, step=0.01)
    target_modules: str = text(limit=4_000, default=AUTO)
    """"auto", "all-linear", or names separated by commas; one with * or [ ] is a pattern for whole names."""
    use_rslora: bool = False
    use_dora: bool = False
    init_r: int = number(0, low=0, high=1_024)
    """AdaLoRA begins with this rank; 0 = half as much again as target_r."""
    target_r: int = number(0, low=0, high=1_024)
    """AdaLoRA's mean rank at the end; 0 = chosen."""
    num_virtual_tokens: int = number(0, low=0, high=1_000)
    """Prefix and prompt tuning: learnt positions before the input; 0 = chosen."""
    prefix_projection: bool = False
    prompt_tuning_init_text: str = text(limit=2_000, optional=True)
    """Begin with the embeddings of these words; "" = with random vectors."""
    bnb_4bit_quant_type: str = choice("nf4", ("nf4", "fp4"))
    bnb_4bit_use_double_quant: bool = True
    train_text_encoder: bool = False
    """Pictures: adapt the text encoder, too."""
