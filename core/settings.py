"""How this instance runs: mode, capabilities, limits and folders, from the environment and the command line."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from core.endpoint_keys import endpoint_keys
from core.errors import InvalidInput, NotAllowed
from core.words import say

PROJECT = Path(__file__).resolve().parent.parent
LOOPBACK = ("127.0.0.1", "localhost", "::1")
USER = "atelier"
"""The user name that goes with the password."""
HIGHEST_PORT = 65_535


class Mode(StrEnum):
    """Who can reach this instance, and so what it may do."""

    LOCAL = "local"
    SPACE = "space"
    SHARE = "share"


class Capability(StrEnum):
    """What a mode may offer; the handler asks, the page only hides."""

    ANY_HUB_MODEL = "any_hub_model"
    LOCAL_FOLDERS = "local_folders"
    REMOTE_MODELS = "remote_models"
    UNLOAD = "unload"
    RUNS = "runs"
    """Models that were trained here."""
    TRAIN = "train"
    HUB_DATA = "hub_data"
    """Data sets of the Hub: whoever names one has it downloaded, and read with this machine's token."""


CAPABILITIES: Mapping[Mode, frozenset[Capability]] = {
    Mode.LOCAL: frozenset(Capability),
    Mode.SPACE: frozenset(),
    Mode.SHARE: frozenset(),
}

OWNERS = frozenset({Capability.TRAIN, Capability.RUNS, Capability.HUB_DATA})
"""What a Space with a password offers whoever knows it: its owner."""


@dataclass(frozen=True)
class Limits:
    """The largest inputs accepted; each refusal names its number."""

    text_characters: int = 50_000
    context_characters: int = 200_000
    lines: int = 200
    labels: int = 50
    upload_bytes: int = 25_000_000
    batch_rows: int = 100_000
    batch_text_characters: int = 50_000
    table_preview_rows: int = 50
    picture_upload_bytes: int = 50_000_000
    """A picture of 20 megapixels as PNG takes as much."""
    recipe_bytes: int = 1_000_000
    """Of the texts inside a PNG; more is no recipe."""
    download_bytes: int = 2_000_000_000
    """Of all pictures in one file."""
    prompt_characters: int = 20_000
    upload_pixels: int = 20_000_000
    picture_side: int = 2_048
    picture_pixels: int = 4_194_304
    inference_steps: int = 200
    pictures_at_once: int = 16
    grid_pictures: int = 64


LIMITS = Limits()


@dataclass(frozen=True)
class Settings:
    """One instance's choices; frozen, made once by `from_arguments` or by a test."""

    mode: Mode = Mode.LOCAL
    host: str = "127.0.0.1"
    port: int = 7860
    home: Path = field(default_factory=lambda: PROJECT / ".atelier")
    password: str | None = field(default=None, repr=False)
    public: bool = False
    tunnel: bool = False
    """Ask Gradio for a temporary public link."""
    open_browser: bool = False
    hub_models: tuple[str, ...] = ()
    """What visitors of a Space may use beside the presets, word for word: Hub ids, with or without `@revision`, and
    models elsewhere."""
    memory_bytes: int | None = None
    """Upper bound for all models together; None = what the machine has."""

    def __post_init__(self) -> None:
        """Refuse an instance that would be open to the world by accident."""
        exposed = self.mode is not Mode.SPACE and (self.tunnel or self.host not in LOOPBACK)
        if exposed and not self.password and not self.public:
            raise NotAllowed("error.exposed_without_password", host=self.host)
        if not 0 <= self.port <= HIGHEST_PORT:
            raise InvalidInput("error.port", port=self.port)

    def allows(self, capability: Capability) -> bool:
        """Tell whether this mode offers `capability`."""
        owned = self.mode is Mode.SPACE and bool(self.password)
        return capability in CAPABILITIES[self.mode] or (owned and capability in OWNERS)

    def require(self, capability: Capability) -> None:
        """Raise NotAllowed unless this mode offers `capability`."""
        if not self.allows(capability):
            named = say(f"say.capability_{capability.value}")
            raise NotAllowed("error.not_in_this_mode", capability=named, mode=self.mode.value)

    @property
    def login(self) -> str | None:
        """The name to log in with, where a password is asked for."""
        return USER if self.password else None

    @property
    def alone(self) -> bool:
        """True where every visitor is the one person who started this instance."""
        return self.mode is Mode.LOCAL

    @property
    def jobs_folder(self) -> Path:
        """Where long work keeps its records."""
        return self.home / "jobs"

    @property
    def pictures_folder(self) -> Path:
        """Where pictures are kept, with the work that draws them."""
        return self.home / "pictures"

    @property
    def runs_folder(self) -> Path:
        """Where trainings keep their records, their checkpoints and what they made."""
        return self.home / "runs"

    @property
    def evaluations_folder(self) -> Path:
        """Where evaluations keep their records, and what they found."""
        return self.home / "evaluations"

    @property
    def answers_folder(self) -> Path:
        """Where the answers of evaluated models are kept, so that none is asked for twice."""
        return self.home / "answers"

    @property
    def votes_folder(self) -> Path:
        """Where votes on answers are kept, all visitors' together."""
        return self.home / "votes"

    @property
    def conversations_folder(self) -> Path:
        """Where conversations are kept, a folder for each visitor."""
        return self.home / "conversations"

    @property
    def uploads_folder(self) -> Path:
        """Where Gradio keeps uploads and results."""
        return self.home / "files"


def parser() -> argparse.ArgumentParser:
    """Return the command line: `python app.py --help` prints it."""
    command = argparse.ArgumentParser(
        prog="python app.py",
        description="Atelier: the Hugging Face life cycle in one browser window.",
        epilog="Environment: HOST, PORT, ATELIER_HOME, ATELIER_PASSWORD, ATELIER_MEMORY_GB, ATELIER_HUB_MODELS, "
        "ATELIER_ENDPOINT_KEYS (host=key pairs for models on other machines); "
        "HF_TOKEN, HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE mean what they mean to huggingface_hub.",
    )
    command.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    command.add_argument("--port", type=int, help="port to listen on (default 7860)")
    command.add_argument("--share", action="store_true", help="open a temporary public link; needs a password")
    command.add_argument("--password", help="ask visitors for this password, user name 'atelier' (or ATELIER_PASSWORD)")
    command.add_argument("--public", action="store_true", help="allow a share link or open address without a password")
    command.add_argument("--home", type=Path, help="folder for jobs, uploads and results (default .atelier)")
    command.add_argument("--memory-gb", help="most memory that all models together may take")
    command.add_argument("--hub-models", help="comma-separated ids, id@revision or addresses that a Space offers")
    command.add_argument("--open-browser", action="store_true", help="open the page in your browser")
    return command


def from_arguments(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Settings:
    """Read the command line first, the environment second, the defaults last."""
    env = os.environ if environment is None else environment
    given = parser().parse_args(arguments)
    on_space = bool(env.get("SPACE_ID"))
    host = given.host or env.get("HOST") or ("0.0.0.0" if on_space else "127.0.0.1")  # noqa: S104 a Space must
    open_to_all = given.share or (given.public and host not in LOOPBACK)
    mode = Mode.SPACE if on_space else Mode.SHARE if open_to_all else Mode.LOCAL
    models = given.hub_models or env.get("ATELIER_HUB_MODELS", "")
    endpoint_keys(env)  # a pair that cannot be read is refused now, not in the middle of a conversation
    return Settings(
        mode=mode,
        host=host,
        port=given.port if given.port is not None else _port(env.get("PORT") or "7860"),
        home=(given.home or Path(env.get("ATELIER_HOME") or PROJECT / ".atelier")).expanduser().resolve(),
        password=given.password or env.get("ATELIER_PASSWORD") or None,
        public=given.public,
        tunnel=given.share,
        open_browser=given.open_browser,
        hub_models=tuple(name.strip() for name in models.split(",") if name.strip()),
        memory_bytes=_memory_bytes(given.memory_gb or env.get("ATELIER_MEMORY_GB")),
    )


def _port(text: str) -> int:
    if not text.strip().isdecimal():
        raise InvalidInput("error.port", port=text)
    return int(text)


def _memory_bytes(gigabytes: str | None) -> int | None:
    """Read a positive number of decimal gigabytes; nothing at all means no bound of our own."""
    if not gigabytes:
        return None
    try:
        count = float(gigabytes) * 1e9
    except ValueError:
        count = 0.0
    if not math.isfinite(count) or count < 1:
        raise InvalidInput("error.memory_gb", value=gigabytes)
    return int(count)
