"""Modes, limits and folders: who may do what, and what the command line and the environment say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidInput, NotAllowed
from core.settings import PROJECT, Capability, Mode, Settings, from_arguments, parser
from core.words import say


def test_plain_start_is_local_and_closed() -> None:
    """Without arguments the house listens on the loopback, in local mode, without a memory bound of its own."""
    plain = from_arguments([], {})
    assert (plain.mode, plain.host, plain.port) == (Mode.LOCAL, "127.0.0.1", 7860)
    assert (plain.password, plain.memory_bytes, plain.hub_models) == (None, None, ())
    assert plain.home == PROJECT / ".atelier"


def test_the_command_line_wins() -> None:
    """What is said on the command line is stronger than the environment."""
    environment = {"HOST": "localhost", "PORT": "1", "ATELIER_MEMORY_GB": "1", "ATELIER_HOME": "/a"}
    said = from_arguments(
        ["--host", "::1", "--port", "0", "--memory-gb", "2.5", "--home", "/b"],
        environment,
    )
    assert (said.host, said.port, said.memory_bytes, said.home) == ("::1", 0, 2_500_000_000, Path("/b"))


def test_the_environment_is_read() -> None:
    """Every variable that --help names is read."""
    environment = {
        "HOST": "localhost",
        "PORT": "8000",
        "ATELIER_HOME": "~/house",
        "ATELIER_PASSWORD": "open sesame",
        "ATELIER_MEMORY_GB": "4",
        "ATELIER_HUB_MODELS": "a/b, c/d,,",
    }
    read = from_arguments([], environment)
    assert (read.host, read.port, read.password) == ("localhost", 8000, "open sesame")
    assert (read.home, read.memory_bytes) == (Path.home() / "house", 4_000_000_000)
    assert read.hub_models == ("a/b", "c/d")
    assert all(name in parser().format_help() for name in environment)


def test_a_space_is_recognised() -> None:
    """On a Space the mode is space, and the address is the one that a Space forwards to."""
    space = from_arguments([], {"SPACE_ID": "somebody/atelier"})
    assert (space.mode, space.host) == (Mode.SPACE, "0.0.0.0")


def test_a_share_link_on_a_space_stays_a_space() -> None:
    """--share changes nothing on a Space: its rules hold."""
    assert from_arguments(["--share"], {"SPACE_ID": "somebody/atelier"}).mode is Mode.SPACE


@pytest.mark.parametrize("arguments", [["--share"], ["--host", "0.0.0.0"], ["--host", "192.168.0.7"]])
def test_open_doors_want_a_password(arguments: list[str]) -> None:
    """A share link or an address that others can reach is refused without a password, unless --public is said."""
    with pytest.raises(NotAllowed, match="password"):
        from_arguments(arguments, {})
    assert from_arguments([*arguments, "--public"], {}).public
    assert from_arguments([*arguments, "--password", "x"], {}).password == "x"


def test_an_empty_password_is_none() -> None:
    """An empty password does not count as one."""
    with pytest.raises(NotAllowed):
        from_arguments(["--share", "--password", ""], {})


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "::1"])
def test_the_loopback_needs_no_password(name: str) -> None:
    """Nobody else reaches the loopback."""
    assert from_arguments(["--host", name], {}).password is None


@pytest.mark.parametrize("port", ["-1", "65536", "http", "80.5"])
def test_impossible_ports(port: str) -> None:
    """A port that does not exist is refused with a sentence, also from the environment."""
    with pytest.raises(InvalidInput, match=port):
        from_arguments([], {"PORT": port})


@pytest.mark.parametrize("gigabytes", ["0", "-1", "four", "nan", "inf"])
def test_impossible_memory_limits(gigabytes: str) -> None:
    """A memory limit that is no positive number is refused with a sentence, wherever it was said."""
    with pytest.raises(InvalidInput, match=gigabytes):
        from_arguments([], {"ATELIER_MEMORY_GB": gigabytes})
    with pytest.raises(InvalidInput, match=gigabytes):
        from_arguments([f"--memory-gb={gigabytes}"], {})


def test_the_password_is_never_printed() -> None:
    """A settings object shown in a log hides its password."""
    assert "sesame" not in repr(Settings(password="open sesame"))


OPENLY: dict[str, Any] = {"public": True}


@pytest.mark.parametrize("capability", list(Capability))
@pytest.mark.parametrize("mode", list(Mode))
def test_capabilities(mode: Mode, capability: Capability) -> None:
    """A local instance may do everything; a visitor of a Space or a share link may do none of it."""
    settings = Settings(mode=mode, **OPENLY)
    assert settings.allows(capability) is (mode is Mode.LOCAL)
    if mode is Mode.LOCAL:
        settings.require(capability)
        return
    with pytest.raises(NotAllowed) as refusal:
        settings.require(capability)
    named = say(f"say.capability_{capability.value}")
    assert refusal.value.sentence.values == {"capability": named, "mode": mode.value}
    assert str(named) in str(refusal.value)


def test_folders_lie_at_home(tmp_path: Path) -> None:
    """Jobs and uploads lie in the home that the settings name, and nothing is created by naming it."""
    settings = Settings(home=tmp_path / "house")
    assert {settings.jobs_folder.parent, settings.uploads_folder.parent} == {tmp_path / "house"}
    assert not (tmp_path / "house").exists()


def test_an_open_address_has_the_rights_of_a_share_link() -> None:
    """Whoever opens the machine to everybody with --public gives strangers a share link's rights, not their own."""
    settings = from_arguments(["--host", "0.0.0.0", "--public"], {})
    assert (settings.mode, settings.tunnel, settings.alone) == (Mode.SHARE, False, False)
    assert not settings.allows(Capability.LOCAL_FOLDERS)
    with_password = from_arguments(["--host", "0.0.0.0", "--password", "long and random"], {})
    assert with_password.mode is Mode.LOCAL
