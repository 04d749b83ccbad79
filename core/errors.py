"""Everything Atelier refuses or fails at, in words.

AtelierError                 a person can act on it; its text says what happened and what to do
├── InvalidInput             a value breaks a limit or makes no sense
│   ├── BadFile              a file cannot be used: names the file, and row or column where it can
│   └── RemoteTooLong        a conversation has more tokens than a model on another machine reads
├── NotAllowed               this mode (local, space, share) does not offer it
├── Busy                     the same thing is already running
├── Cancelled                somebody asked to stop
├── UnknownName              no such task, job, starter or resident model
├── ModelError               a model cannot be used
│   ├── NotAModel            the folder or repository holds no model we can load
│   ├── UnsafeWeights        only pickled weights, or code of its own
│   ├── WrongTask            the model was made for something else
│   └── NotEnoughMemory      it does not fit, and who holds the rest
├── HubError                 the Hub said no, or nothing
│   ├── HubMissing           no such repository or revision
│   ├── HubGated             the licence must be accepted, or the token lacks the right
│   ├── HubUnreachable       offline, or the connection broke
│   ├── DamagedDownload      size or hash differ from what the Hub promised
│   └── DiskFull             not enough room for the download
└── RemoteError              a model on another machine said no, or nothing
    ├── RemoteMissing        nothing there speaks the protocol, or it has no such model
    ├── RemoteDenied         the key is missing or lacks the right, or somebody must pay first
    └── RemoteUnreachable    no connection, too busy, too slow, or it broke
"""

from __future__ import annotations

from typing import Any

from core.words import Sentence


class AtelierError(Exception):
    """Raise with the key of a sentence in assets/i18n and its values: `InvalidInput("error.text_empty", limit=9)`."""

    def __init__(self, key: str, /, **values: Any) -> None:
        """Keep the sentence; the exception's own text is its English form."""
        self.sentence = Sentence(key, values)
        super().__init__(str(self.sentence))


class InvalidInput(AtelierError):
    """A value breaks a limit or makes no sense."""


class BadFile(InvalidInput):
    """A file cannot be used."""


class RemoteTooLong(InvalidInput):
    """A conversation is longer than a model on another machine reads."""

    def __init__(self, key: str, /, *, limit: int | None = None, length: int | None = None, **values: Any) -> None:
        """Keep the server's numbers, in tokens: how much the model reads, how much it was given; None = not told."""
        super().__init__(key, **values)
        self.limit, self.length = limit, length


class NotAllowed(AtelierError):
    """This mode does not offer it."""


class Busy(AtelierError):
    """The same thing is already running."""


class Cancelled(AtelierError):
    """Somebody asked to stop."""


class UnknownName(AtelierError):
    """No such task, job, starter or resident model."""


class ModelError(AtelierError):
    """A model cannot be used."""


class NotAModel(ModelError):
    """The folder or repository holds no model we can load."""


class UnsafeWeights(ModelError):
    """Only pickled weights, or code of its own."""


class WrongTask(ModelError):
    """The model was made for something else."""


class NotEnoughMemory(ModelError):
    """It does not fit."""


class HubError(AtelierError):
    """The Hub said no, or nothing."""


class HubMissing(HubError):
    """No such repository or revision."""


class HubGated(HubError):
    """The licence must be accepted first, or the token lacks the right."""


class HubUnreachable(HubError):
    """Offline, or the connection broke."""


class DamagedDownload(HubError):
    """Size or hash differ from what the Hub promised."""


class DiskFull(HubError):
    """Not enough room for the download."""


class RemoteError(AtelierError):
    """A model on another machine said no, or nothing."""


class RemoteMissing(RemoteError):
    """Nothing there speaks the protocol, or it has no such model."""


class RemoteDenied(RemoteError):
    """The key is missing or lacks the right, or somebody must pay first."""


class RemoteUnreachable(RemoteError):
    """No connection, too busy, too slow, or it broke."""
