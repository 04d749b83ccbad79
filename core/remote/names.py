"""What the name of a model on another machine says: the address of a chat server, or a model of Inference Providers."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from core.errors import InvalidInput

SCHEMES = ("https://", "http://")
PROVIDERS = "hf-inference:"
"""How the name of a model begins that Hugging Face's Inference Providers serve."""
ROUTER = "router.huggingface.co"
"""The one host here that a Hugging Face token is for; Inference Endpoints run anybody's code."""
COMPLETIONS = "/chat/completions"
ROUTES = ("fastest", "cheapest", "preferred")
"""How the router may choose a provider by itself, in the place of one's name."""
LONGEST_MODEL_NAME = 200

_USUAL_PORTS = {"https": 443, "http": 80}
_HOST = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?", re.ASCII)
_VERSION = re.compile(r"/v\d+\w*(/|$)")
_PROVIDED = re.compile(r"([\w.-]+/[\w.-]+)(?::([a-z0-9-]+))?", re.ASCII)


@dataclass(frozen=True)
class Endpoint:
    """A server that speaks OpenAI's chat protocol; `base` is what stands before /chat/completions and /models."""

    base: str
    host: str
    """Host and port as keys are given for it: the port is left out where it is that of https."""
    model: str | None = None
    """None = whatever the server has, if it has one model only."""

    @property
    def name(self) -> str:
        """The name in full, as Atelier writes it; reading it again gives the same place."""
        address = self.base if _VERSION.search(self.base) else self.completions
        return f"{address}#{self.model}" if self.model else address

    @property
    def at_hugging_face(self) -> bool:
        """True where Hugging Face runs the machine, whosever code it is that runs there."""
        host = self.host.partition(":")[0]
        return f".{host}".endswith((".huggingface.co", ".huggingface.cloud"))

    @property
    def for_hugging_face(self) -> bool:
        """True where a Hugging Face token belongs: its router, over https."""
        return self.base.startswith(f"https://{ROUTER}/")

    @property
    def completions(self) -> str:
        """Where a conversation is sent to."""
        return f"{self.base}{COMPLETIONS}"

    @property
    def device(self) -> str:
        """Where it ran, in the words of a provenance."""
        return f"remote: {self.host}"


@dataclass(frozen=True)
class Provided:
    """A model of the Hub that some company runs behind Hugging Face's router; provider None = the router chooses."""

    model: str
    provider: str | None = None

    @property
    def name(self) -> str:
        """The name in full, as Atelier writes it; reading it again gives the same place."""
        return f"{PROVIDERS}{self.model}:{self.provider}" if self.provider else f"{PROVIDERS}{self.model}"

    @property
    def served_by(self) -> str:
        """The provider as InferenceClient takes it: "auto" where the router chooses."""
        return "auto" if self.provider is None or self.provider in ROUTES else self.provider

    @property
    def asked_as(self) -> str:
        """The model's name as InferenceClient takes it: how the router shall choose stands behind it."""
        return f"{self.model}:{self.provider}" if self.provider in ROUTES else self.model

    @property
    def completions(self) -> str:
        """Where the router takes conversations; it finds the provider behind the model's name, too."""
        return f"https://{ROUTER}/v1{COMPLETIONS}"

    @property
    def at_hugging_face(self) -> bool:
        """Always: the router is asked first."""
        return True

    @property
    def host(self) -> str:
        """Who is asked, whichever company answers."""
        return ROUTER

    @property
    def device(self) -> str:
        """Where it ran, in the words of a provenance."""
        return f"remote: Inference Providers ({self.provider or 'auto'})"


Place = Endpoint | Provided


def is_remote(name: str) -> bool:
    """Tell whether this is meant as a model on another machine."""
    return name.strip().lower().startswith((*SCHEMES, PROVIDERS))


def remote_place(name: str) -> Place:
    """Read https://host:port/v1#model or hf-inference:org/model[:provider]; InvalidInput never shows what was typed.

    An address may come from anywhere in a server's manual: alone, with /v1, or with /chat/completions behind it.
    """
    typed = name.strip()
    if typed.lower().startswith(PROVIDERS):
        return _provided(typed[len(PROVIDERS) :].strip())
    address, _, model = typed.partition("#")
    parts = _split(address.strip())
    base = f"{parts.scheme}://{_authority(parts)}{_path(parts.path)}"
    return Endpoint(base, _keyed(parts), _model(model.strip()))


def _provided(rest: str) -> Provided:
    found = _PROVIDED.fullmatch(rest)
    if not found:
        raise InvalidInput("error.bad_provider_name")
    return Provided(found[1], found[2])


def _split(address: str) -> SplitResult:
    """Take the address apart; what could be read in two ways, or holds a secret, is refused."""
    if not address.isascii() or not address.isprintable() or re.search(r"[\s\\]", address):
        raise InvalidInput("error.bad_endpoint")
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname or ""
    except ValueError as problem:
        raise InvalidInput("error.bad_endpoint") from problem
    if "@" in parts.netloc or "?" in address:
        raise InvalidInput("error.endpoint_with_secret")
    if port == 0 or not (_HOST.fullmatch(host) or _is_address(host)):
        raise InvalidInput("error.bad_endpoint")
    return parts


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.IPv6Address(host))
    except ValueError:
        return False


def _authority(parts: SplitResult) -> str:
    """Return host and port, without the port that the scheme has by itself."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return host if parts.port in (None, _USUAL_PORTS[parts.scheme]) else f"{host}:{parts.port}"


def _keyed(parts: SplitResult) -> str:
    """Return host and port as a key is given for them: plain http always shows its port."""
    authority = _authority(parts)
    return f"{authority}:80" if parts.scheme == "http" and parts.port in (None, 80) else authority


def _path(path: str) -> str:
    """Return the path before /chat/completions; one that names no version of the protocol gets /v1."""
    whole = path.rstrip("/")
    if whole.endswith(COMPLETIONS):
        return whole.removesuffix(COMPLETIONS)
    return whole if _VERSION.search(whole) else f"{whole}/v1"


def _model(typed: str) -> str | None:
    if not typed.isprintable() or len(typed) > LONGEST_MODEL_NAME:
        raise InvalidInput("error.bad_endpoint")
    return typed or None
