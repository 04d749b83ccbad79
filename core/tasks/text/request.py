"""What is asked of a model that writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.events import CancelToken
from core.models.loading import Report
from core.tasks.text.sampling import GenerationOptions

STOPPED = "stopped"
"""Why a text ended that somebody stopped."""


@dataclass(frozen=True)
class Request:
    """A tokenized prompt, and what is asked of it."""

    ids: Sequence[int]
    settings: GenerationOptions
    seed: int
    cancel: CancelToken
    ends: Sequence[int] = ()
    """The tokens that end the text; none = those of the model's own file."""
    stops: Sequence[str] = ()
    """Strings that end the text beside those of the settings; they count against nobody's limit."""
    candidates: int = 0
    """Most probable tokens that are told at each place."""
    report: Report | None = None
    """Told the progress of a search with beams, which has no text before its end."""
    probabilities: bool = True
    """Somebody sees how probable each token was; beams must look that up in a pass of its own."""
    background: bool = False
    """Of a table: others go first."""
    behind: Sequence[int] = ()
    """The end of the prompt, which the text goes on: some tokenizers write a space only between two tokens."""
