"""Redaction: secrets go, everything else stays as it is."""

from __future__ import annotations

from typing import Any

import pytest

from core.redaction import REMOVED, Redactor


@pytest.mark.parametrize(
    "text",
    [
        "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567",
        "hf_oauth_eyJhbGciOi.J9-x_y",
        "api_org_abcdefABCDEF",
        "sk-proj-abcdefgh12345678",
        "ghp_abcdefghijklmnop1234",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    ],
)
def test_tokens_are_known_by_their_shape(text: str) -> None:
    """What looks like a credential is removed from running text, with its neighbours untouched."""
    assert Redactor().text(f"before {text}, after") == f"before {REMOVED}, after"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("https://ann:hunter2@host/x", f"https://{REMOVED}@host/x"),
        ("Authorization: Bearer abcdef123", f"Authorization: Bearer {REMOVED}"),
        ("login(token='abc', model='m')", f"login(token={REMOVED}, model='m')"),
        ("https://host/x?token=abcdef&y=1", f"https://host/x?token={REMOVED}&y=1"),
    ],
)
def test_credentials_are_known_by_their_place(text: str, safe: str) -> None:
    """A password in an address, a bearer and an assignment are removed; the rest of the line can still be read."""
    assert Redactor().text(text) == safe


@pytest.mark.parametrize(
    "text", ["hf_hub_download", "hf_transfer", "HF_HUB_OFFLINE=1", "a risk-free task", "tokenizer=fast", "12:30 a@b"]
)
def test_words_that_only_look_alike_stay(text: str) -> None:
    """Names of functions, settings and ordinary words are left alone."""
    assert Redactor().text(text) == text


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("token", "x1"),
        ("hfToken", "x1"),
        ("HF_TOKEN", "x1"),
        ("api-key", "x1"),
        ("password", 1234),
        ("client_secret", ["x1"]),
        ("access_tokens", ["x1"]),
        ("Authorization", "x1"),
        ("accessKey", "x1"),
    ],
)
def test_secret_names_lose_their_values(name: str, held: Any) -> None:
    """A field with a telling name loses its value at any depth."""
    assert Redactor().value([{"deep": {name: held}}]) == [{"deep": {name: REMOVED}}]


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("max_new_tokens", 50),
        ("pad_token", "<pad>"),
        ("eos_token", "</s>"),
        ("tokens", ["the", "cat"]),
        ("tokenizer", "bert"),
        ("token", None),
        ("token", ""),
        ("use_token", True),
        ("monkey", "x"),
        ("key", "x"),
        ("additional_special_tokens", ["<a>"]),
        ("token_type_ids", [0, 1]),
    ],
)
def test_harmless_names_keep_theirs(name: str, held: Any) -> None:
    """Field terms of the trade that merely contain “token” or “key” keep their values."""
    assert Redactor().value({name: held}) == {name: held}


def test_what_was_a_secret_once_is_a_secret_everywhere() -> None:
    """A value found under a telling name, or in the environment, is removed from any later text."""
    settings = {"login": {"password": "open sesame"}, "model": "m"}
    redactor = Redactor.of(settings, {"HF_TOKEN": "env-secret", "HOME": "h"})
    assert redactor.text("said open sesame with env-secret to m in h") == f"said {REMOVED} with {REMOVED} to m in h"
