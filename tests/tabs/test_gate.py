"""The gate: foreign pages and guessed passwords."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tabs import _gate


def _client() -> TestClient:
    async def answer(_: object) -> PlainTextResponse:
        return PlainTextResponse("in")

    routes = [Route("/login", answer, methods=["POST"]), Route("/gradio_api/queue/join", answer, methods=["GET", "POST"])]
    gates = [Middleware(_gate.SameOrigin), Middleware(_gate.LoginLimit)]
    return TestClient(Starlette(routes=routes, middleware=gates), base_url="http://atelier.example")


def test_foreign_page_is_refused() -> None:
    """A post that a browser sends for another host's page is refused in words; its own page's passes."""
    client = _client()
    foreign = client.post("/gradio_api/queue/join", headers={"origin": "https://evil.example"})
    assert (foreign.status_code, "another page" in foreign.text) == (403, True)
    assert client.post("/gradio_api/queue/join", headers={"origin": "http://atelier.example"}).text == "in"


def test_client_without_origin_passes() -> None:
    """Scripts send no Origin and are not browsers: they pass, and so does reading."""
    client = _client()
    assert client.post("/gradio_api/queue/join").text == "in"
    assert client.get("/gradio_api/queue/join", headers={"origin": "https://evil.example"}).text == "in"


def test_proxy_may_name_the_host() -> None:
    """Behind a proxy the page's host is the forwarded one."""
    headers = {"origin": "https://atelier.gradio.live", "x-forwarded-host": "atelier.gradio.live"}
    assert _client().post("/gradio_api/queue/join", headers=headers).text == "in"


def test_logins_are_limited() -> None:
    """After LOGINS_A_MINUTE tries the next one is told to wait, and other requests still pass."""
    client = _client()
    answers = [client.post("/login").status_code for _ in range(_gate.LOGINS_A_MINUTE + 5)]
    assert answers[: _gate.LOGINS_A_MINUTE] == [200] * _gate.LOGINS_A_MINUTE
    assert 429 in answers[_gate.LOGINS_A_MINUTE :]
    assert client.post("/gradio_api/queue/join").text == "in"
