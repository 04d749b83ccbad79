"""One conversation with a model elsewhere, in a thread of its own: what is asked, and what comes, piece by piece."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from core.endpoint_keys import endpoint_keys, key_values
from core.errors import AtelierError, InvalidInput, RemoteDenied, RemoteError, RemoteMissing, RemoteUnreachable
from core.redaction import SHORTEST_SECRET, Redactor
from core.remote.errors import (
    Where,
    failure,
    harmless,
    listed,
    names_no_model,
    refusal,
    silence,
    unknown_model,
    words_of,
)
from core.remote.names import ROUTES, Endpoint, Place, Provided
from core.remote.options import RemoteOptions
from core.remote.pieces import Piece, pieces_of

if TYPE_CHECKING:
    import httpx2

    from core.remote.client import Client, Cord, Key, RefusedError

COUNT = {"stream_options": {"include_usage": True}}
"""Asks for the number of tokens at the end of a stream."""
_NO_KEY = "-"
"""For InferenceClient, which would look for a Hugging Face token where it is given none."""


@dataclass(frozen=True)
class Call:
    """What is said to whom."""

    place: Place
    messages: tuple[dict[str, str], ...]
    options: RemoteOptions
    cord: Cord


@dataclass(frozen=True)
class End:
    """Nothing more comes, and every connection is closed; `whole` = the server has said that this was all."""

    whole: bool


Told = Piece | End | BaseException


def converse(call: Call, tell: Callable[[Told], None]) -> None:
    """Tell each piece as it comes, then the End, or in its place what went wrong."""
    try:
        end = End(_talk(call, tell))
    except BaseException as problem:  # noqa: BLE001 it belongs to whoever waits
        tell(problem)
    else:
        tell(end)


def _talk(call: Call, tell: Callable[[Told], None]) -> bool:
    """Return whether the server has said that its answer is whole."""
    from core.remote.client import open_session

    _require_network(call.place)
    key = _key_for(call.place)
    where = Where(call.place, call.place.model or "", keyed=bool(key.value), redactor=_redactor(key))
    with _in_words(where), open_session(call.cord, key) as session:
        model = call.place.model or _only_model(session, where)
        where = Where(call.place, model, where.keyed, where.redactor)
        with _in_words(where), _client(session, call.place, key) as client:
            spoken = False
            for piece in pieces_of(_ask(client, session, call, where), where):
                spoken = spoken or piece.spoken
                tell(replace(piece, provider=client.answered_by and harmless(client.answered_by)))
            if client.ended and not spoken:
                raise RemoteError("error.remote_garbage", **where.values)
            return client.ended


def _require_network(place: Place) -> None:
    """HF_HUB_OFFLINE closes the way to Hugging Face; a server that somebody names is another matter."""
    from huggingface_hub import constants

    if place.at_hugging_face and constants.is_offline_mode():
        raise RemoteUnreachable("error.remote_offline", host=place.host)


def _key_for(place: Place) -> Key:
    """Return what opens the place: the key that was given for this very host, or Hugging Face's token for its own."""
    from huggingface_hub import constants, get_token

    from core.remote.client import Key

    if isinstance(place, Endpoint):
        given = endpoint_keys(os.environ).get(place.host)
        return Key(_address(place.base), given or (get_token() if place.for_hugging_face else None))
    token = get_token()
    if not token or not token.startswith("hf_"):  # any other would be sent to the provider itself
        raise RemoteDenied("error.remote_no_token")
    return Key(_address(constants.INFERENCE_PROXY_TEMPLATE), token)


def _address(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _redactor(key: Key) -> Redactor:
    known = {key.value or "", *key_values(os.environ)}
    return Redactor(tuple(sorted((one for one in known if len(one) >= SHORTEST_SECRET), key=len, reverse=True)))


@contextmanager
def _in_words(where: Where) -> Iterator[None]:
    """Turn what the HTTP library, huggingface_hub or the server's refusal raise inside into an AtelierError.

    Theirs are not kept as the cause: they may quote what must not be written down.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, TextGenerationError

    from core.remote.client import RefusedError

    try:
        yield
    except RefusedError as problem:
        raise refusal(problem, where) from None
    except TextGenerationError as problem:
        raise _failed(str(problem), where) from None
    except (httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, HfHubHTTPError, OfflineModeIsEnabled) as problem:
        raise silence(problem, where) from None


def _failed(told: str, where: Where) -> AtelierError:
    return failure(told, where) or RemoteError("error.remote_failed", said=words_of(told, where), **where.values)


def _only_model(session: httpx2.Client, where: Where) -> str:
    """Ask the server what it has; raises InvalidInput with the list unless that is one model."""
    names = _models(session, where)
    if names is None:
        raise RemoteMissing("error.remote_not_an_api", **where.values)
    if len(names) != 1:
        raise InvalidInput("error.remote_which_model", names=listed(names), **where.values)
    return names[0]


def _models(session: httpx2.Client, where: Where) -> list[str] | None:
    """Return the names of the server's models, or None if it does not list any; a closed door is told as such."""
    from core.remote.client import RefusedError, list_models

    if not isinstance(where.place, Endpoint):
        return None
    try:
        return list_models(session, where.place.base)
    except RefusedError as problem:
        if problem.status in {404, 405, 501} or problem.is_page:
            return None
        raise
    except (ValueError, KeyError, TypeError):
        return None


@contextmanager
def _client(session: httpx2.Client, place: Place, key: Key) -> Iterator[Client]:
    from core.remote.client import Client

    if isinstance(place, Endpoint):
        with Client(session, base_url=place.completions, api_key=key.value or _NO_KEY) as client:
            yield client
    else:
        with Client(session, provider=_provider(place), api_key=key.value) as client:
            yield client


def _provider(place: Provided) -> str:
    """Return the provider as InferenceClient knows it; raises InvalidInput with the list of those for chat."""
    from huggingface_hub.inference._providers import PROVIDERS

    names = sorted(name for name, tasks in PROVIDERS.items() if "conversational" in tasks and name != "openai")
    if place.provider not in (None, *ROUTES, *names):
        raise InvalidInput("error.remote_unknown_provider", provider=place.provider, names=", ".join((*names, *ROUTES)))
    return place.served_by


def _ask(client: Client, session: httpx2.Client, call: Call, where: Where) -> Iterator[Any]:
    """Send the conversation; what a server turns out not to know is said in other words, or left out."""
    from core.remote.client import RefusedError

    parameters = call.options.parameters() | COUNT
    asked = call.place.asked_as if isinstance(call.place, Provided) else where.model
    while True:
        try:
            return iter(client.chat_completion(list(call.messages), model=asked, stream=True, **parameters))
        except RefusedError as problem:
            simpler = _simpler(parameters, problem)
            if simpler is None:
                raise _explained(problem, session, where) from None
            parameters = simpler
        except ValueError as problem:
            raise _unserved(problem, where) from None


def _simpler(parameters: dict[str, Any], problem: RefusedError) -> dict[str, Any] | None:
    """Return what else might be taken: not every server counts, and some call max_tokens by its newer name."""
    if problem.status not in {400, 422} or "context" in problem.body:
        return None
    if "stream_options" in problem.body and "stream_options" in parameters:
        return {name: value for name, value in parameters.items() if name != "stream_options"}
    if "max_completion_tokens" in problem.body and "max_tokens" in parameters:
        other = {"max_completion_tokens": parameters["max_tokens"]}
        return {name: value for name, value in parameters.items() if name != "max_tokens"} | {"extra_body": other}
    return None


def _explained(problem: RefusedError, session: httpx2.Client, where: Where) -> AtelierError:
    """Say what the refusal means; where the model may be unknown, after a look at those that are not."""
    if names_no_model(problem):
        names = _models(session, where)
        if names is not None and where.model not in names:
            return unknown_model(names, where)
    return refusal(problem, where)


def _unserved(problem: ValueError, where: Where) -> AtelierError:
    """Say why a conversation was not even sent, or that the answer was no JSON."""
    import json

    if isinstance(problem, json.JSONDecodeError) or isinstance(where.place, Endpoint):
        return RemoteError("error.remote_garbage", **where.values)
    return RemoteMissing("error.remote_provider_model", said=words_of(str(problem), where), **where.values)
