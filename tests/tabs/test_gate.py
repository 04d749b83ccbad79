"""The gate: foreign pages and guessed passwords."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tabs import _gate


def _client(door: _gate.Door = _gate.Door(), base_url: str = "http://atelier.example") -> TestClient:  # noqa: B008 frozen
    async def answer(_: object) -> PlainTextResponse:
        return PlainTextResponse("in")

    routes = [
        Route("/login", answer, methods=["POST"]),
        Route("/gradio_api/queue/join", answer, methods=["GET", "POST", "OPTIONS"]),
    ]
    gates = [Middleware(_gate.SameOrigin, door=door), Middleware(_gate.LoginLimit)]
    return TestClient(Starlette(routes=routes, middleware=gates), base_url=base_url)


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


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://atelier.example:81", "http://[", "\t"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_a_foreign_page_may_not_even_ask(method: str, origin: str) -> None:
    """Whatever is no reading is refused to a foreign page: its preflight, too."""
    assert _client().request(method, "/gradio_api/queue/join", headers={"origin": origin}).status_code == 403


def test_no_header_of_the_page_makes_it_ours() -> None:
    """What a page can send itself is not believed."""
    headers = {"origin": "https://evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}
    assert _client().post("/gradio_api/queue/join", headers=headers).status_code == 403


def test_a_proxys_name_is_set_by_its_owner() -> None:
    """Behind a proxy that asks another Host, the page of the configured name is ours, and no other."""
    client = _client(_gate.Door(public_host="somebody-atelier.hf.space"), base_url="http://10.0.0.7:7860")
    answers = [
        client.post("/gradio_api/queue/join", headers={"origin": f"https://{name}.hf.space"}).status_code
        for name in ("somebody-atelier", "evil")
    ]
    assert answers == [200, 403]


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:7860", "https://ours.gradio.live", 200),
        ("ours.gradio.live", "https://ours.gradio.live", 200),
        ("ours.gradio.live", "https://evil.gradio.live", 403),
        ("127.0.0.1:7860", "https://evil.example", 403),
    ],
)
def test_a_share_link_is_ours(host: str, origin: str, status: int) -> None:
    """Through a tunnel our link's page passes; another link's does not where the tunnel tells the Host."""
    client = _client(_gate.Door(tunnel=True), base_url=f"http://{host}")
    assert client.post("/gradio_api/queue/join", headers={"origin": origin}).status_code == status
    if origin.endswith("live"):
        closed = _client(base_url="http://127.0.0.1:7860").post("/gradio_api/queue/join", headers={"origin": origin})
        assert closed.status_code == 403


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    ("host", "known"),
    [
        *((host, True) for host in ("localhost", "127.0.0.1:7860", "[::1]:7861", "LocalHost:1")),
        *((host, False) for host in ("evil.example", "127.0.0.1.evil.example:7860", "10.0.0.7", "[", "")),
    ],
)
def test_one_machine_is_asked_by_its_own_names(method: str, host: str, known: bool) -> None:
    """On one's own machine a name that was made to point here is refused, whatever is asked, origin or not."""
    client = _client(_gate.Door(loopback=True))
    answer = client.request(method, "/gradio_api/queue/join", headers={"host": host})
    assert answer.status_code == (200 if known else 403)


def test_logins_are_limited() -> None:
    """After LOGINS_A_MINUTE tries the next one is told to wait, and other requests still pass."""
    client = _client()
    answers = [client.post("/login").status_code for _ in range(_gate.LOGINS_A_MINUTE + 5)]
    assert answers[: _gate.LOGINS_A_MINUTE] == [200] * _gate.LOGINS_A_MINUTE
    assert 429 in answers[_gate.LOGINS_A_MINUTE :]
    assert client.post("/gradio_api/queue/join").text == "in"
