"""What a repository on the Hub holds, and which of its files loading needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.errors import ModelError, NotAModel, UnsafeWeights

COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")

_WEIGHTS = re.compile(
    r"(?P<stem>model|adapter_model|diffusion_pytorch_model|pytorch_lora_weights)"
    r"(?P<shard>-\d{5}-of-(?P<shards>\d{5}))?\.safetensors"
)
"""The names under which transformers, peft and diffusers look for safetensors; other files are duplicates to them."""
_COMPANION_SUFFIXES = frozenset({".json", ".txt", ".model", ".spm", ".jinja"})
_NOT_FOR_LOADING = re.compile(r".*\.(bin|h5|msgpack)\.index\.json|trainer_state\.json|.*_results\.json|README.*")
_PICKLE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl"})
_TRAINING_PICKLES = re.compile(r"(training_args|optimizer|scheduler|scaler|rng_state.*)\.(bin|pt|pth)")


def valid_sha256(value: str | None) -> str | None:
    """Return `value` if it is a sha256 in hexadecimal, None otherwise: it becomes a file name."""
    return value if value and SHA256.fullmatch(value) else None


@dataclass(frozen=True)
class RepoFile:
    """One file: name inside the repository, size in bytes, and the sha256 the Hub promises (large files only)."""

    name: str
    size_bytes: int
    sha256: str | None = None


@dataclass(frozen=True)
class Repository:
    """One commit of a model repository, as the Hub (or, if `cached`, only the local cache) describes it."""

    repo_id: str
    revision: str
    """What was asked for: a branch, a tag or a commit."""
    commit: str
    """What that is: 40 hexadecimal digits. Everything else here belongs to this commit."""
    files: tuple[RepoFile, ...]
    weights: tuple[RepoFile, ...]
    """The safetensors files that loading reads."""
    download_bytes: int
    """What was still missing from the cache when this was looked up; 0 = all is here."""
    pipeline_tag: str | None = None
    library: str | None = None
    gated: bool | str = False
    """False, or how the Hub grants access: "auto" or "manual"."""
    licence: str | None = None
    has_remote_code: bool = False
    cached: bool = False
    """True if the Hub was not reached and this is what the cache knows: no tag, no licence."""
    converted: bool = False
    """True if main has only pickles and this is the Hub's own conversion of them, a pull request."""
    companions: tuple[RepoFile, ...] | None = None
    """The small files beside the weights that loading reads; None = whatever `choose_companions` finds."""

    @property
    def needed(self) -> tuple[RepoFile, ...]:
        """Every file that loading reads: configuration, tokenizer and vocabulary first, weights last."""
        companions = choose_companions(self.files) if self.companions is None else self.companions
        return (*companions, *self.weights)

    @property
    def size_bytes(self) -> int:
        """Size of all needed files together, in bytes."""
        return sum(file.size_bytes for file in self.needed)


def choose_weights(files: Sequence[RepoFile]) -> tuple[RepoFile, ...]:
    """Return the safetensors files that loading reads: the whole file where there is one, its shards otherwise."""
    found = [
        (file, match) for file in _within_reach(files) if (match := _WEIGHTS.fullmatch(PurePosixPath(file.name).name))
    ]
    whole = {(_folder(file), match["stem"]) for file, match in found if not match["shard"]}
    return tuple(file for file, match in found if not match["shard"] or (_folder(file), match["stem"]) not in whole)


def choose_companions(files: Sequence[RepoFile]) -> tuple[RepoFile, ...]:
    """Return the small text files that loading may read; never code."""
    return tuple(
        file
        for file in _within_reach(files)
        if PurePosixPath(file.name).suffix in _COMPANION_SUFFIXES
        and not _NOT_FOR_LOADING.fullmatch(PurePosixPath(file.name).name)
    )


def is_complete(weights: Sequence[RepoFile]) -> bool:
    """Tell whether no shard is missing; False for no weights at all."""
    shards: dict[tuple[str, str], list[int]] = {}
    for file in weights:
        match = _WEIGHTS.fullmatch(PurePosixPath(file.name).name)
        if match and match["shard"]:
            shards.setdefault((_folder(file), match["stem"]), []).append(int(match["shards"]))
    return bool(weights) and all(len(counts) == counts[0] for counts in shards.values())


def require_weights(files: Sequence[RepoFile], repo_id: str | None = None) -> tuple[RepoFile, ...]:
    """Return `choose_weights(files)`: safetensors, all of them, or nothing; `repo_id` is None for a local folder.

    Raises UnsafeWeights if there are only pickles, NotAModel if there are no weights or some shards are missing.
    """
    weights = choose_weights(files)
    if is_complete(weights):
        return weights
    pickles = _first(sorted(file.name for file in files if is_pickled_model(file.name)))
    parts = _first([file.name for file in weights])
    if repo_id is None:
        raise _refusal_of_folder(parts, pickles)
    raise _refusal_of_repository(repo_id, parts, pickles, _first([file.name for file in files]))


def _refusal_of_folder(parts: str, pickles: str) -> ModelError:
    if parts:
        return NotAModel("error.shards_missing", files=parts)
    return UnsafeWeights("error.only_pickles", files=pickles) if pickles else NotAModel("error.no_weights")


def _refusal_of_repository(repo_id: str, parts: str, pickles: str, names: str) -> ModelError:
    if parts:
        return NotAModel("error.hub_shards_missing", repo_id=repo_id, files=parts)
    if pickles:
        return UnsafeWeights("error.hub_only_pickles", repo_id=repo_id, files=pickles)
    return NotAModel("error.hub_no_weights", repo_id=repo_id, files=names or "–")


def _within_reach(files: Sequence[RepoFile]) -> list[RepoFile]:
    """Keep the root, and for a diffusers pipeline (it has model_index.json) its component folders."""
    pipeline = any(file.name == "model_index.json" for file in files)
    return [file for file in files if _is_plain(file.name) and len(PurePosixPath(file.name).parts) <= 1 + pipeline]


def _is_plain(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _folder(file: RepoFile) -> str:
    return str(PurePosixPath(file.name).parent)


def is_pickled_model(name: str) -> bool:
    """Tell whether a file looks like weights that could run code when they are opened."""
    path = PurePosixPath(name)
    return path.suffix in _PICKLE_SUFFIXES and not _TRAINING_PICKLES.fullmatch(path.name)


def _first(names: Sequence[str], limit: int = 5) -> str:
    more = ", …" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
