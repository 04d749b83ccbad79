"""Events as Gradio serves them: stopped, left alone, watched by many, and answered to programs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

import app
from core.errors import InvalidInput
from core.events import Progress
from core.settings import Settings
from core.words import say
from tabs._events import COMPUTING, WRITING, Endpoint, Lane, Visit, compute, follow, look_up, write
from tabs._visitor import COOKIE

pytestmark = pytest.mark.filterwarnings("ignore:.*no_silent_downcasting")  # Gradio's own, of its own pandas calls

PATIENCE = 60
WATCHERS = 60


@dataclass
class Work:
    """Handlers that tell the test what happens to them."""

    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    stopped: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    over: threading.Event = field(default_factory=threading.Event)

    def block(self, visit: Visit) -> str:
        """Work until somebody asks to stop; shows nothing before."""
        visit.report(Progress("load", 1, 4))
        self.begun.release()
        while not visit.cancel.cancelled and not self.over.wait(0.02):
            pass
        if visit.cancel.cancelled:
            self.stopped.release()
        return "stopped"

    def watch(self, _: Visit) -> Iterator[str | None]:
        """Watch something that does not change until the test is over."""
        self.begun.release()
        while not self.over.is_set():
            yield None
        yield "over"

    def greet(self, visit: Visit, name: str) -> str:
        """Greet, or refuse."""
        if not name:
            raise InvalidInput("error.no_job")
        return f"hello {name} ({visit.language})"


@dataclass(frozen=True)
class House:
    """A small page that is served as the app is."""

    address: str
    work: Work
    browser: httpx.Client

    def join(self, name: str, visitor: str = "") -> str:
        """Queue an event as a browser does, with its cookie where it has one; returns the session."""
        session = uuid4().hex
        config = self.browser.get("/config").json()
        index = next(entry["id"] for entry in config["dependencies"] if entry["api_name"] == name)
        body = {"data": [], "fn_index": index, "session_hash": session}
        cookie = {"cookie": f"{COOKIE}={visitor}"} if visitor else {}
        self.browser.post("/gradio_api/queue/join", json=body, headers=cookie).raise_for_status()
        return session

    def ending(self, session: str) -> dict[str, Any]:
        """Return what the page hears last of an event."""
        with self.browser.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as news:
            line = next(line for line in news.iter_lines() if '"process_completed"' in line)
        told: dict[str, Any] = json.loads(line.removeprefix("data: "))
        return told


@pytest.fixture
def house() -> Iterator[House]:
    """Serve one page with a blocked, a watching and a quick handler."""
    work = Work()
    with gr.Blocks(delete_cache=(600, 86_400)) as page:
        name, shown = gr.Textbox("you", label="name"), gr.Textbox(label="view")
        compute(gr.Button().click, work.block, Endpoint("block", {}, [shown]))
        compute(gr.Button().click, work.greet, Endpoint("greet", {"name": name}, [shown]))
        write(gr.Button().click, work.block, Endpoint("write", {}, [shown]))
        follow(gr.Button().click, work.watch, Endpoint("watch", {}, [shown]))
        look_up(gr.Button().click, work.greet, Endpoint("look_up", {"name": name}, [shown]))
    told = {**app.serving(Settings()), "server_port": None, "prevent_thread_lock": True, "quiet": True}
    _, address, _ = page.launch(**told)
    with httpx.Client(base_url=address, timeout=PATIENCE) as browser:
        yield House(address.rstrip("/"), work, browser)
    work.over.set()
    page.close(verbose=False)


@pytest.fixture
def client(house: House) -> Iterator[Client]:
    """Give a program that asks the page."""
    client = Client(house.address, ssl_verify=False, verbose=False)
    yield client
    client.close()


def test_a_stop_reaches_the_work(house: House, client: Client) -> None:
    """A cancelled event cancels the handler's token, though the handler has shown nothing."""
    job = client.submit(api_name="/block")
    assert house.work.begun.acquire(timeout=PATIENCE)
    job.cancel()
    assert house.work.stopped.acquire(timeout=PATIENCE)


def test_leaving_reaches_the_work(house: House) -> None:
    """A page that goes away while its event runs cancels the handler's token."""
    session = house.join("block")
    assert house.work.begun.acquire(timeout=PATIENCE)
    with house.browser.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as news:
        assert next(news.iter_lines())
    assert house.work.stopped.acquire(timeout=PATIENCE)


def test_progress_reaches_the_page(house: House) -> None:
    """What the work reports is sent while it runs."""
    session = house.join("block")
    with house.browser.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as news:
        told = next(line for line in news.iter_lines() if "progress_data" in line)
    assert json.loads(told.removeprefix("data: "))["progress_data"][0]["length"] == 4


def test_many_watchers_hold_nobody_up(house: House, client: Client) -> None:
    """While more watch than Gradio has threads, questions are answered and work is done."""
    for _ in range(WATCHERS):
        house.join("watch")
    assert all(house.work.begun.acquire(timeout=PATIENCE) for _ in range(WATCHERS))
    for api_name in ("/look_up", "/greet"):
        assert client.submit("Ada", api_name=api_name).result(PATIENCE) == "hello Ada (en)"


def test_long_writings_hold_nobody_up(house: House, client: Client) -> None:
    """While more texts are written than answers may be computed at once, an answer is computed."""
    writers = COMPUTING.at_once + 2
    for _ in range(writers):
        house.join("write")
    assert all(house.work.begun.acquire(timeout=PATIENCE) for _ in range(writers))
    assert client.submit("Ada", api_name="/greet").result(PATIENCE) == "hello Ada (en)"


@pytest.mark.parametrize(("name", "lane"), [("block", COMPUTING), ("write", WRITING)])
def test_no_visitor_takes_all_places(house: House, name: str, lane: Lane) -> None:
    """Whoever holds a visitor's share from however many pages is refused more, in words; others are served."""
    for _ in range(lane.each):
        house.join(name, "a" * 32)
    assert all(house.work.begun.acquire(timeout=PATIENCE) for _ in range(lane.each))
    refused = house.ending(house.join(name, "a" * 32))
    assert refused["output"]["error"] == str(say("error.too_many_at_once", limit=lane.each))
    house.join(name, "b" * 32)
    assert house.work.begun.acquire(timeout=PATIENCE)
    assert lane.each < lane.at_once


def test_a_share_is_free_again(client: Client) -> None:
    """What has ended counts no more: one visitor asks again and again."""
    for _ in range(COMPUTING.each + 1):
        assert client.predict("Ada", api_name="/greet") == "hello Ada (en)"


def test_programs_get_the_value(house: House, client: Client) -> None:
    """The client gets the handler's value, and so does curl."""
    assert client.predict("Ada", api_name="/greet") == "hello Ada (en)"
    event = house.browser.post("/gradio_api/call/greet", json={"data": ["Ada"]}).json()["event_id"]
    lines = house.browser.get(f"/gradio_api/call/greet/{event}").text.splitlines()
    place = lines.index("event: complete")
    assert json.loads(lines[place + 1].removeprefix("data: ")) == ["hello Ada (en)"]


@pytest.mark.parametrize("api_name", ["/greet", "/look_up"])
def test_programs_get_the_refusal(client: Client, api_name: str) -> None:
    """A refusal reaches the client in words."""
    with pytest.raises(AppError, match=str(say("error.no_job"))[:20]):
        client.predict("", api_name=api_name)


def test_the_gate_stands_before_gradios(house: House) -> None:
    """A foreign page's preflight and a foreign name for this machine are refused, and nothing is reflected."""
    foreign = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answer = house.browser.options("/gradio_api/queue/join", headers=foreign)
    assert answer.status_code == httpx.codes.FORBIDDEN
    assert "access-control-allow-origin" not in answer.headers
    assert house.browser.get("/config", headers={"host": "evil.example:7860"}).status_code == httpx.codes.FORBIDDEN
    assert house.browser.get("/config", headers={"origin": house.address}).status_code == httpx.codes.OK
