"""How a browser is known again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tabs._visitor import COOKIE, visitor_of


def test_a_secret_is_the_visitor() -> None:
    """A browser with our secret is known by it, whatever its session."""
    request = SimpleNamespace(cookies={COOKIE: "0f" * 16}, session_hash="abc")
    assert visitor_of(request) == "0f" * 16


@pytest.mark.parametrize("secret", ["", "short", "../../etc", "G" * 32, "0f" * 16 + "x", "0F" * 16])
def test_a_made_up_secret_is_none(secret: str) -> None:
    """A cookie that we never gave is not believed; the session is the visitor then."""
    assert visitor_of(SimpleNamespace(cookies={COOKIE: secret}, session_hash="abc")) == "session-abc"


def test_no_cookie_can_claim_a_session() -> None:
    """A visitor cannot name another's session in the cookie."""
    request = SimpleNamespace(cookies={COOKIE: "session-other"}, session_hash="mine")
    assert visitor_of(request) == "session-mine"
