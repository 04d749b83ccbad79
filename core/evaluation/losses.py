"""What a language model's loss means: perplexity, and bits per byte, which compares across tokenizers."""

from __future__ import annotations

import math

from core.errors import InvalidInput
from core.evaluation.metric import Implementation, Scores
from core.words import Sentence, say

_LARGEST_EXPONENT = 709.0
"""exp of more is no float."""


def perplexity(loss: float) -> float:
    """Return exp(loss) of a mean loss in nats a token; infinity where that is no float, NaN of NaN."""
    return math.exp(loss) if loss < _LARGEST_EXPONENT or math.isnan(loss) else math.inf


def bits_per_byte(loss: float, tokens: int, text_bytes: int) -> float:
    """Return bits a byte of UTF-8 from a mean loss in nats over `tokens` tokens that stand for `text_bytes` bytes."""
    if tokens < 1 or text_bytes < 1:
        raise InvalidInput("error.metric_no_bytes", tokens=tokens, bytes=text_bytes)
    return loss * tokens / text_bytes / math.log(2)


def scores_of_loss(loss: float, tokens: int | None = None, text_bytes: int | None = None) -> Scores:
    """Return perplexity of a mean loss in nats a token and, where tokens and bytes were counted, bits_per_byte.

    `tokens` are those that carried loss. A value that is no number has a note that says why.
    """
    values = {"perplexity": perplexity(loss)}
    if tokens is not None and text_bytes is not None:
        values["bits_per_byte"] = bits_per_byte(loss, tokens, text_bytes)
    settings = {"loss": loss, "tokens": tokens, "text_bytes": text_bytes}
    return Scores(values, Implementation("atelier", "", "exp(loss)", settings), notes_of_loss(loss))


def notes_of_loss(loss: float) -> list[Sentence]:
    """Say why no perplexity can be told, or why it is the best there is; nothing of a usual loss."""
    if math.isnan(loss):
        return [say("reason.metric_loss_nan")]
    if loss >= _LARGEST_EXPONENT:
        return [say("reason.metric_loss_large", loss=f"{loss:g}")]
    return [] if loss else [say("reason.metric_perfect", name="loss")]
