"""How a browser is known again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from tabs._visitor import COOKIE, VisitorCookie, visitor_of


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


@pytest.mark.parametrize(
    ("headers", "flags"),
    [
        ({"x-forwarded-proto": "https"}, {"SameSite=None", "Secure", "Partitioned"}),
        ({"x-forwarded-proto": "https,http"}, {"SameSite=None", "Secure", "Partitioned"}),
        ({"x-forwarded-proto": "http"}, {"SameSite=Lax"}),
        ({}, {"SameSite=Lax"}),
    ],
)
def test_the_secret_reaches_a_frame_over_https(headers: dict[str, str], flags: set[str]) -> None:
    """A Space shows the page in another site's frame: over https the cookie is sent there, else it stays at home."""
    given = TestClient(VisitorCookie(PlainTextResponse("page"))).get("/", headers=headers).headers["set-cookie"]
    rest = {part.strip() for part in given.split(";")[1:]}
    assert rest - {"Path=/", "Max-Age=31536000", "HttpOnly"} == flags
    assert "HttpOnly" in rest
