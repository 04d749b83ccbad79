"""The Hub's refusals and silences, in our words."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from core.errors import (
    AtelierError,
    DiskFull,
    HubError,
    HubGated,
    HubMissing,
    HubUnreachable,
    InvalidInput,
    NotAModel,
)

TOO_MANY_REQUESTS, SERVER_ERROR = 429, 500


@dataclass(frozen=True)
class Place:
    """Whom was asked about what; the values of every sentence here. A token is never among them."""

    repo_id: str
    revision: str
    endpoint: str
    adapter: bool = False
    """What is wanted is one file to lay over a model."""

    @property
    def values(self) -> dict[str, str]:
        """The sentence's values."""
        return {"repo_id": self.repo_id[:100], "revision": self.revision[:100], "endpoint": self.endpoint}


@contextmanager
def in_our_words(place: Place) -> Iterator[None]:
    """Turn whatever huggingface_hub, its HTTP client or the disk raise inside into an AtelierError."""
    import httpx2
    from huggingface_hub.errors import HFValidationError, SafetensorsParsingError

    theirs = (httpx2.HTTPError, httpx2.InvalidURL, SafetensorsParsingError, HFValidationError, json.JSONDecodeError)
    try:
        yield
    except AtelierError:
        raise
    except (*theirs, OSError) as error:
        raise translate(error, place) from error


def translate(error: Exception, place: Place) -> AtelierError:
    """Return our error for theirs; the text of theirs is left behind (it may hold signed addresses)."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return translate(error.__cause__, place)
    if isinstance(error, HFValidationError):
        return InvalidInput("error.hub_invalid_id", **place.values)
    if isinstance(error, HfHubHTTPError):
        return _refusal(error, place)
    return _silence(error, place) or _trouble_here(error, place)


def _refusal(error: Any, place: Place) -> AtelierError:
    """Say what an answer of 400 and above means; the order matters (gated is a kind of missing)."""
    from huggingface_hub import errors

    status = error.response.status_code
    if isinstance(error, errors.GatedRepoError):
        return HubGated("error.hub_gated_no_token" if status == 401 else "error.hub_gated_no_right", **place.values)  # noqa: PLR2004 the field's numbers
    missing = {
        errors.RepositoryNotFoundError: "error.hub_missing_repository",
        errors.RevisionNotFoundError: "error.hub_missing_revision",
        errors.RemoteEntryNotFoundError: "error.hub_missing_file",
        errors.DisabledRepoError: "error.hub_disabled",
    }
    for kind, key in missing.items():
        if isinstance(error, kind):
            return HubMissing(key, **place.values)
    return _of_status(error.response, place)


def _of_status(response: Any, place: Place) -> AtelierError:
    status = response.status_code
    if status == 401:  # noqa: PLR2004
        return HubGated("error.hub_token_refused", **place.values)
    if status == 403:  # noqa: PLR2004
        return HubGated("error.hub_forbidden", **place.values)
    if status == TOO_MANY_REQUESTS:
        return HubUnreachable("error.hub_busy", seconds=_seconds_to_wait(response), **place.values)
    if status >= SERVER_ERROR:
        return HubUnreachable("error.hub_down", status=status, **place.values)
    return HubError("error.hub_refused", status=status, **place.values)


def _seconds_to_wait(response: Any) -> int:
    """Return what the Hub asks for (Retry-After, in seconds), or a minute."""
    asked = str(response.headers.get("Retry-After", ""))
    return int(asked) if asked.isdigit() else 60


def _silence(error: Exception, place: Place) -> AtelierError | None:
    """Say why no answer came; None if one came."""
    import httpx2
    from huggingface_hub.errors import FileMetadataError, LocalEntryNotFoundError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError):
        return HubUnreachable("error.hub_offline", **place.values)
    if isinstance(error, httpx2.TimeoutException):
        return HubUnreachable("error.hub_timeout", **place.values)
    if isinstance(error, httpx2.ConnectError | httpx2.UnsupportedProtocol | httpx2.InvalidURL | httpx2.ProxyError):
        return HubUnreachable("error.hub_no_connection", **place.values)
    if isinstance(error, httpx2.HTTPError):
        return HubUnreachable("error.hub_broken_connection", **place.values)
    if isinstance(error, FileMetadataError):
        return HubUnreachable("error.hub_not_a_hub", **place.values)
    return None


def _trouble_here(error: Exception, place: Place) -> AtelierError:
    """Say what this machine, or the content of a file, got in the way with."""
    from huggingface_hub.errors import SafetensorsParsingError

    if isinstance(error, SafetensorsParsingError):
        return NotAModel("error.hub_bad_safetensors", **place.values)
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull("error.disk_filled_up", **place.values)
    if isinstance(error, OSError) and error.errno is not None:
        return HubError("error.cache_unusable", reason=error.strerror or type(error).__name__, **place.values)
    if isinstance(error, OSError):  # huggingface_hub's own: fewer bytes came than were promised
        return HubUnreachable("error.hub_broken_connection", **place.values)
    return HubUnreachable("error.hub_not_a_hub", **place.values)
