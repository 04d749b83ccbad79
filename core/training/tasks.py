"""What can be trained: the class that learns it, its columns, its metrics, and the methods that fit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.errors import UnknownName

LORA, ADALORA, QLORA = "lora", "adalora", "qlora"
PREFIX, PROMPT, IA3, FULL = "prefix-tuning", "prompt-tuning", "ia3", "full"
METHODS = (LORA, ADALORA, PREFIX, PROMPT, IA3, QLORA, FULL)
LOW_RANK = (LORA, ADALORA, QLORA)
"""Methods that add two low matrices beside a layer."""
PROMPTS = (PREFIX, PROMPT)
"""Methods that learn vectors in front of the input, and touch no layer."""
NAMED_LAYERS = (*LOW_RANK, IA3)
"""Methods that need to know which layers (`target_modules`)."""

ModelKind = Literal["encoder", "decoder", "encoder-decoder", "diffusion"]


@dataclass(frozen=True)
class TrainTask:
    """One thing to learn, in the libraries' own terms."""

    name: str
    auto_class: str
    """The class of transformers (of diffusers for pictures) that is trained."""
    columns: tuple[str, ...]
    """Canonical columns that the data must have, in the order in which they are shown."""
    metrics: tuple[str, ...]
    """Names for core.evaluation; the loss is always there beside them."""
    best: str
    """The key of an evaluation that tells the best model: "eval_loss", "eval_f1", …"""
    methods: tuple[str, ...]
    peft_type: str | None
    """Name of peft's TaskType; None where peft has none (masked words, pictures)."""
    catalogue_task: str
    """The task of core.known_tasks under which the finished model answers."""
    model: str
    """The base that is proposed."""
    kind: ModelKind = "encoder"
    optional: tuple[str, ...] = ()
    """Columns that are used where they are there."""
    generates: bool = False
    """It writes or draws, so that samples are shown while it learns."""
    head: tuple[str, ...] = ()
    """Modules that begin with fresh weights for new labels, and so are trained and saved whole beside an adapter."""

    @property
    def greater_is_better(self) -> bool:
        """True unless the best model is the one with the lowest loss."""
        return not self.best.endswith("loss")

    @property
    def predicts_labels(self) -> bool:
        """True where the data names the classes."""
        return self.name in ("text-classification", "token-classification")


_MINI_LM = "sentence-transformers/all-MiniLM-L6-v2"
_HEADS = ("classifier", "score", "pre_classifier", "qa_outputs")
_TASKS = (
    TrainTask(
        "text-classification",
        "AutoModelForSequenceClassification",
        columns=("text", "label"),
        optional=("text_pair",),
        metrics=("accuracy", "f1"),
        best="eval_f1",
        methods=METHODS,
        peft_type="SEQ_CLS",
        catalogue_task="text-classification",
        model=_MINI_LM,
        head=_HEADS,
    ),
    TrainTask(
        "token-classification",
        "AutoModelForTokenClassification",
        columns=("tokens", "tags"),
        metrics=("seqeval",),
        best="eval_f1",
        methods=tuple(method for method in METHODS if method != PROMPT),  # peft gives its positions no label
        peft_type="TOKEN_CLS",
        catalogue_task="token-classification",
        model=_MINI_LM,
        head=_HEADS,
    ),
    TrainTask(
        "question-answering",
        "AutoModelForQuestionAnswering",
        columns=("question", "context", "answers"),
        metrics=("squad",),
        best="eval_f1",
        methods=METHODS,
        peft_type="QUESTION_ANS",
        catalogue_task="question-answering",
        model=_MINI_LM,
        head=_HEADS,
    ),
    TrainTask(
        "translation",
        "AutoModelForSeq2SeqLM",
        columns=("source", "target"),
        metrics=("sacrebleu", "chrf"),
        best="eval_loss",
        methods=METHODS,
        peft_type="SEQ_2_SEQ_LM",
        catalogue_task="translation",
        model="starter/translate-en-fr",
        kind="encoder-decoder",
        generates=True,
    ),
    TrainTask(
        "summarization",
        "AutoModelForSeq2SeqLM",
        columns=("source", "target"),
        metrics=("rouge",),
        best="eval_loss",
        methods=METHODS,
        peft_type="SEQ_2_SEQ_LM",
        catalogue_task="summarization",
        model="starter/title",
        kind="encoder-decoder",
        generates=True,
    ),
    TrainTask(
        "text-generation",
        "AutoModelForCausalLM",
        columns=("text",),
        optional=("messages", "prompt", "completion"),
        metrics=("perplexity",),
        best="eval_loss",
        methods=METHODS,
        peft_type="CAUSAL_LM",
        catalogue_task="text-generation",
        model="starter/stories",
        kind="decoder",
        generates=True,
    ),
    TrainTask(
        "fill-mask",
        "AutoModelForMaskedLM",
        columns=("text",),
        metrics=("perplexity",),
        best="eval_loss",
        methods=(LORA, IA3, QLORA, FULL),
        peft_type=None,
        catalogue_task="fill-mask",
        model="starter/fill-mask",
    ),
    TrainTask(
        "preference",
        "AutoModelForCausalLM",
        columns=("prompt", "chosen", "rejected"),
        metrics=("accuracy",),
        best="eval_loss",
        methods=(LORA, IA3, QLORA, FULL),
        peft_type="CAUSAL_LM",
        catalogue_task="text-generation",
        model="starter/stories",
        kind="decoder",
        generates=True,
    ),
    TrainTask(
        "reward",
        "AutoModelForSequenceClassification",
        columns=("chosen", "rejected"),
        optional=("prompt",),
        metrics=("accuracy",),
        best="eval_accuracy",
        methods=(LORA, IA3, QLORA, FULL),
        peft_type="SEQ_CLS",
        catalogue_task="text-classification",
        model="starter/stories",
        kind="decoder",
        head=_HEADS,
    ),
    TrainTask(
        "text-to-image",
        "DiffusionPipeline",
        columns=("image", "caption"),
        metrics=(),
        best="eval_loss",
        methods=(LORA, FULL),
        peft_type=None,
        catalogue_task="text-to-image",
        model="starter/emoji",
        kind="diffusion",
        generates=True,
    ),
)
TRAIN_TASKS: Mapping[str, TrainTask] = {task.name: task for task in _TASKS}


def find_train_task(name: str) -> TrainTask:
    """Return the task called `name`; UnknownName lists the names."""
    if name not in TRAIN_TASKS:
        raise UnknownName("error.unknown_train_task", name=name, names=", ".join(TRAIN_TASKS))
    return TRAIN_TASKS[name]
