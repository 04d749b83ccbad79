"""The Hub's own conversion to safetensors: a pull request by its bot, where a repository's main has only pickles.

transformers goes the same way (safetensors_conversion.py, `auto_conversion`); unlike there nothing is converted anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from core.hub.repository import is_pickled_model

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

BOT = "SFconvertbot"
TITLE = "Adding `safetensors` variant of this model"
MOST_LOOKED_AT = 5
"""Pull requests of the bot that are looked at; a repository has one, or a few after its weights have changed."""


@dataclass(frozen=True)
class Conversion:
    """The pull request, as a revision to download, and what it holds."""

    revision: str
    info: ModelInfo


def find_conversion(api: HfApi, original: ModelInfo, timeout: float) -> Conversion | None:
    """Return the bot's pull request that converts the very weights of `original` (asked with files_metadata), if any.

    The Hub names the author, whom nobody else can be; and the pickles beside the safetensors must still be those of
    `original`, else its weights have changed since.
    """
    pickles = _pickles(original)
    if not all(pickles.values()):
        return None
    for revision in _pull_requests(api, original.id):
        info = api.model_info(original.id, revision=revision, files_metadata=True, timeout=timeout)
        if _pickles(info) == pickles:
            return Conversion(revision, info)
    return None


def _pull_requests(api: HfApi, repo_id: str) -> Sequence[str]:
    """Return the revisions of the bot's open pull requests, newest first."""
    found = api.get_repo_discussions(repo_id, author=BOT, discussion_type="pull_request", discussion_status="open")
    ours = (one for one in found if one.author == BOT and one.is_pull_request and one.title == TITLE)
    return [f"refs/pr/{one.num}" for one in islice(ours, MOST_LOOKED_AT)]


def _pickles(info: ModelInfo) -> dict[str, str | None]:
    """Return the sha256 of each pickled weight file."""
    return {
        file.rfilename: file.lfs.sha256 if file.lfs else None
        for file in info.siblings or ()
        if is_pickled_model(file.rfilename)
    }
