"""The tasks: what each is called, which class does it, the starter and well-known Hub models for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from core.errors import UnknownName

PIPELINE = "DiffusionPipeline"
"""The class of diffusers that loads whatever pipeline a model_index.json names."""

Form = Literal["text-model", "vision-model", "pipeline", "controlnet", "adapter"]
"""How a task's models are loaded: by transformers with a tokenizer or with an image processor, by diffusers as a whole
pipeline or as one network beside it; an adapter is only fetched, for others to lay over their model.
"""


@dataclass(frozen=True)
class Task:
    """One thing to do: the field's name, the class of transformers or diffusers, and the models we suggest."""

    name: str
    auto_class: str
    starter: str
    """The shipped model; "" where there is none, so that the first preset stands for it."""
    presets: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    """Endings of config.architectures that can do it; empty = any encoder."""
    form: Form = "text-model"

    @property
    def default(self) -> str:
        """What is meant where nobody names a model."""
        return self.starter or self.presets[0]


_TASKS = (
    Task(
        "text-classification",
        "AutoModelForSequenceClassification",
        "starter/sentiment",
        presets=(
            "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
            "cardiffnlp/twitter-roberta-base-sentiment-latest",
            "nlptown/bert-base-multilingual-uncased-sentiment",
            "j-hartmann/emotion-english-distilroberta-base",
        ),
        aliases=("sentiment-analysis",),
        heads=("ForSequenceClassification",),
    ),
    Task(
        "zero-shot-classification",
        "AutoModelForSequenceClassification",
        "starter/nli",
        presets=("facebook/bart-large-mnli", "MoritzLaurer/mDeBERTa-v3-base-mnli-xnli"),
        heads=("ForSequenceClassification",),
    ),
    Task(
        "token-classification",
        "AutoModelForTokenClassification",
        "starter/entities",
        presets=("dslim/bert-base-NER", "Davlan/bert-base-multilingual-cased-ner-hrl"),
        aliases=("ner",),
        heads=("ForTokenClassification",),
    ),
    Task(
        "question-answering",
        "AutoModelForQuestionAnswering",
        "starter/question-answering",
        presets=("distilbert/distilbert-base-cased-distilled-squad", "deepset/roberta-base-squad2"),
        aliases=("extractive-question-answering",),
        heads=("ForQuestionAnswering",),
    ),
    Task(
        "summarization",
        "AutoModel",
        "starter/embeddings",
        presets=("sshleifer/distilbart-cnn-12-6", "facebook/bart-large-cnn", "google-t5/t5-small"),
    ),
    Task(
        "text-generation",
        "AutoModelForCausalLM",
        "starter/stories",
        presets=(
            "HuggingFaceTB/SmolLM2-135M",
            "HuggingFaceTB/SmolLM2-360M-Instruct",
            "Qwen/Qwen2.5-0.5B-Instruct",
            "openai-community/gpt2",
            "distilbert/distilgpt2",
        ),
        aliases=("causal-lm", "text-completion"),
        heads=("ForCausalLM", "LMHeadModel"),
    ),
    Task(
        "chat",
        "AutoModelForCausalLM",
        "starter/stories",
        presets=(
            "HuggingFaceTB/SmolLM2-135M-Instruct",
            "HuggingFaceTB/SmolLM2-360M-Instruct",
            "Qwen/Qwen2.5-0.5B-Instruct",
            "meta-llama/Llama-3.2-1B-Instruct",
        ),
        aliases=("conversational",),
        heads=("ForCausalLM", "LMHeadModel"),
    ),
    Task(
        "translation",
        "AutoModelForSeq2SeqLM",
        "starter/translate-en-fr",
        presets=(
            "Helsinki-NLP/opus-mt-en-fr",
            "Helsinki-NLP/opus-mt-en-zh",
            "facebook/m2m100_418M",
            "facebook/nllb-200-distilled-600M",
            "google-t5/t5-small",
        ),
        heads=("ForConditionalGeneration", "MarianMTModel"),
    ),
    Task(
        "fill-mask",
        "AutoModelForMaskedLM",
        "starter/fill-mask",
        presets=(
            "google-bert/bert-base-uncased",
            "FacebookAI/roberta-base",
            "google-bert/bert-base-multilingual-cased",
        ),
        aliases=("masked-lm",),
        heads=("ForMaskedLM",),
    ),
    Task(
        "feature-extraction",
        "AutoModel",
        "starter/embeddings",
        presets=(
            "sentence-transformers/all-MiniLM-L6-v2",
            "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
            "BAAI/bge-small-en-v1.5",
        ),
        aliases=("sentence-similarity", "sentence-embeddings"),
    ),
    Task(
        "attention",
        "AutoModel",
        "starter/embeddings",
        presets=("google-bert/bert-base-multilingual-cased", "distilbert/distilbert-base-uncased"),
    ),
    Task(
        "text-to-image",
        PIPELINE,
        "starter/emoji",
        presets=(
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "Lykon/dreamshaper-8",
            "stabilityai/sd-turbo",
            "stabilityai/sdxl-turbo",
            "stabilityai/stable-diffusion-xl-base-1.0",
            "stabilityai/stable-diffusion-3.5-medium",
            "black-forest-labs/FLUX.1-schnell",
        ),
        aliases=("txt2img",),
        form="pipeline",
    ),
    Task(
        "image-to-image",
        PIPELINE,
        "starter/emoji",
        presets=(
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "stabilityai/sd-turbo",
            "stabilityai/stable-diffusion-xl-base-1.0",
            "stabilityai/stable-diffusion-xl-refiner-1.0",
            "stabilityai/stable-diffusion-3.5-medium",
        ),
        aliases=("img2img",),
        form="pipeline",
    ),
    Task(
        "inpainting",
        PIPELINE,
        "starter/emoji",
        presets=(
            "stable-diffusion-v1-5/stable-diffusion-inpainting",
            "diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
        ),
        aliases=("inpaint",),
        form="pipeline",
    ),
    Task(
        "controlnet",
        "ControlNetModel",
        "starter/emoji-edges",
        presets=(
            "lllyasviel/sd-controlnet-canny",
            "lllyasviel/sd-controlnet-depth",
            "lllyasviel/sd-controlnet-openpose",
            "lllyasviel/sd-controlnet-scribble",
            "diffusers/controlnet-canny-sdxl-1.0",
            "diffusers/controlnet-depth-sdxl-1.0",
        ),
        form="controlnet",
    ),
    Task(
        "lora",
        "",
        "starter/emoji-lora",
        presets=("latent-consistency/lcm-lora-sdv1-5", "latent-consistency/lcm-lora-sdxl"),
        form="adapter",
    ),
    Task(
        "textual-inversion",
        "",
        "",
        presets=("embed/EasyNegative",),
        aliases=("embedding",),
        form="adapter",
    ),
    Task(
        "depth-estimation",
        "AutoModelForDepthEstimation",
        "",
        presets=(
            "depth-anything/Depth-Anything-V2-Small-hf",
            "depth-anything/Depth-Anything-V2-Base-hf",
            "Intel/dpt-hybrid-midas",
        ),
        heads=("ForDepthEstimation",),
        form="vision-model",
    ),
    Task(
        "keypoint-detection",
        "AutoModelForPoseEstimation",
        "",
        presets=("usyd-community/vitpose-base-simple", "usyd-community/vitpose-plus-small"),
        aliases=("pose-estimation",),
        heads=("ForPoseEstimation",),
        form="vision-model",
    ),
)
TASKS: Mapping[str, Task] = {task.name: task for task in _TASKS}


def find_task(name: str) -> Task:
    """Return the task called `name`, in today's or in the cheat sheets' words; UnknownName lists the names.

    A name such as translation_en_to_fr is the task of translating; `languages_in` tells which languages.
    """
    wanted = name.strip().lower().replace("_", "-")
    for task in _TASKS:
        if wanted == task.name or wanted in task.aliases:
            return task
    if languages_in(name):
        return TASKS["translation"]
    raise UnknownName("error.unknown_task", name=name, names=", ".join(TASKS))


def languages_in(task: str) -> tuple[str, str] | None:
    """Return the source and the target that an old task name such as translation_en_to_fr tells, or None."""
    found = re.fullmatch(r"translation[-_](.+?)[-_]to[-_](.+)", task.strip(), re.IGNORECASE)
    return (found[1], found[2]) if found else None


def model_choices(task: str) -> list[str]:
    """Return the suggested models of a task, the starter first where there is one."""
    found = find_task(task)
    return [*filter(None, (found.starter,)), *found.presets]


def preset_ids() -> Iterable[str]:
    """Yield every Hub model that is suggested for some task."""
    for task in _TASKS:
        yield from task.presets
