"""Which file of a folder or repository is the adapter: a LoRA or a textual inversion is one safetensors file."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import NotAModel, UnsafeWeights
from core.hub.repository import RepoFile, is_pickled_model

SUFFIX = ".safetensors"
USUAL = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors", "learned_embeds.safetensors")
"""The names that diffusers and peft give; other tools name the file after what it was trained on."""


def choose_adapter_file(files: Sequence[RepoFile], name: str) -> RepoFile:
    """Return the file by its usual name, else the only safetensors file in the root; `name` is for the refusal.

    Raises UnsafeWeights for pickles alone, NotAModel where there is no such file, or several that it may be.
    """
    found = [file for file in files if "/" not in file.name and file.name.endswith(SUFFIX)]
    usual = [file for wanted in USUAL for file in found if file.name == wanted]
    chosen = usual[:1] or found
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise NotAModel("error.adapter_many_files", name=name, files=", ".join(file.name for file in chosen[:5]))
    pickles = sorted(file.name for file in files if "/" not in file.name and is_pickled_model(file.name))
    if pickles:
        raise UnsafeWeights("error.hub_only_pickles", repo_id=name, files=", ".join(pickles[:5]))
    raise NotAModel("error.adapter_without_file", name=name)
