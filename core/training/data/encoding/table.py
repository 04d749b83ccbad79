"""Which encoder belongs to which shape of rows."""

from __future__ import annotations

from collections.abc import Mapping

from core.training.data.encoding.answered import encode_answered
from core.training.data.encoding.labelled import encode_labelled
from core.training.data.encoding.pairs import encode_pair
from core.training.data.encoding.plain import encode_masked, encode_plain
from core.training.data.encoding.preferred import encode_preferred
from core.training.data.encoding.rules import Encoder
from core.training.data.encoding.spoken import encode_chat, encode_completion
from core.training.data.encoding.tagged import encode_tagged
from core.training.data.prepared import (
    ANSWERS,
    CHAT,
    COMPLETION,
    LABELS,
    MASKED,
    PAIRS,
    PLAIN,
    PREFERENCE,
    WORDS,
)

ENCODERS: Mapping[str, Encoder] = {
    LABELS: encode_labelled,
    WORDS: encode_tagged,
    ANSWERS: encode_answered,
    PAIRS: encode_pair,
    PLAIN: encode_plain,
    COMPLETION: encode_completion,
    CHAT: encode_chat,
    MASKED: encode_masked,
    PREFERENCE: encode_preferred,
}
"""Pictures are not here: their trainer reads the files themselves."""
