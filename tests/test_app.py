"""The door: what opens, what is refused at the door, and what each mode keeps closed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import httpx
import pytest
from fastapi.routing import iter_route_contexts
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

import app
from core.atelier import open_atelier
from core.settings import Mode, Settings
from core.words import dictionary, say
from tabs._events import COMPUTING, WRITING
from tests.serving import PROJECT, Served, run_to_its_end, serve

WORDS = dictionary("en")
PASSWORD = "correct horse"
PRESET = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"


@pytest.mark.parametrize(
    ("arguments", "host"), [(["--share"], "127.0.0.1"), (["--host", "0.0.0.0"], "0.0.0.0"), (["--host", "::"], "::")]
)
def test_an_open_door_without_a_password_is_refused(tmp_path: Path, arguments: list[str], host: str) -> None:
    """A share link or an open address without a password ends with status 2 and the sentence that says what to do."""
    ended = run_to_its_end(*arguments, home=tmp_path / "home")
    assert ended.returncode == 2
    assert ended.stderr.strip() == str(say("error.exposed_without_password", host=host))
    assert not (tmp_path / "home").exists()


def test_nothing_is_open_that_no_setting_opens() -> None:
    """What `launch` is told leaves errors, monitoring, other folders and remote protocols closed."""
    told = app.serving(Settings())
    closed = (
        "share",
        "auth",
        "inbrowser",
        "show_error",
        "enable_monitoring",
        "mcp_server",
        "allowed_paths",
        "run_history",
    )
    assert [name for name in closed if told[name]] == []
    assert told["server_name"] == "127.0.0.1"
    assert told["app_kwargs"]["openapi_url"] is None


def test_a_password_and_a_share_link_reach_launch() -> None:
    """Mode and password are what `launch` gets."""
    told = app.serving(Settings(mode=Mode.SHARE, tunnel=True, password=PASSWORD))
    assert told["share"] is True
    assert told["auth"] == (app.USER, PASSWORD)


def test_what_is_written_waits_for_no_answer_that_comes_whole(tmp_path: Path) -> None:
    """Events that compute are in one of two lanes; those that write for minutes are together in theirs."""
    page = app.build_app(open_atelier(Settings(home=tmp_path)))
    lanes: dict[str, set[str]] = {lane.name: set() for lane in (COMPUTING, WRITING)}
    for event in page.fns.values():
        if event.concurrency_id in lanes:
            lanes[event.concurrency_id].add(str(event.api_name))
    chat = {"chat", "chat_send", "chat_example", "chat_retry", "chat_edit"}
    assert lanes[WRITING.name] == {"text_generation", "translation", "summarization", "side_by_side", *chat}
    assert {"text_classification", "fill_mask", "model_plan"} <= lanes[COMPUTING.name]
    assert COMPUTING.at_once + WRITING.at_once < app.serving(Settings())["max_threads"]


# On a Space


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give the app as it runs on a Space."""
    with serve(tmp_path_factory.mktemp("space") / "home", environment={"SPACE_ID": "somebody/atelier"}) as served:
        yield served


def visitor(served: Served, folder: Path, secret: str) -> Client:
    """Return the client of one browser, known by its cookie."""
    cookie = {"Cookie": f"atelier_visitor={secret}"}
    return Client(served.address, ssl_verify=False, verbose=False, headers=cookie, download_files=folder)


@pytest.fixture(scope="module")
def guest(space: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Give a visitor of the Space."""
    client = visitor(space, tmp_path_factory.mktemp("guest"), "a" * 32)
    yield client
    client.close()


def refused(client: Client, /, *arguments: str, api_name: str, **values: str) -> str:
    """Return the sentence with which the app refuses."""
    with pytest.raises(AppError) as caught:
        client.predict(*arguments, api_name=api_name, **values)
    return str(caught.value)


def test_a_guest_unloads_nothing(guest: Client) -> None:
    """Unloading is refused by the handler, however it is called."""
    sentence = str(say("error.not_in_this_mode", capability=say("say.capability_unload"), mode="space"))
    assert refused(guest, "anything", api_name="/models_unload") == sentence
    assert refused(guest, api_name="/models_unload_all") == sentence


def test_a_guest_loads_listed_models_only(guest: Client) -> None:
    """Any other Hub id is refused; a listed one gets as far as the network."""
    for api_name in ("/text_classification", "/model_plan"):
        sentence = refused(
            guest,
            "somebody/model" if api_name == "/model_plan" else "fine",
            api_name=api_name,
            **({} if api_name == "/model_plan" else {"model": "somebody/model"}),
        )
        assert sentence == str(say("error.model_not_listed", name="somebody/model", mode="space"))
    sentence = refused(guest, "fine", model=PRESET, api_name="/text_classification")
    assert sentence == str(say("error.hub_offline", repo_id=PRESET, revision="main"))


@pytest.mark.parametrize("folder", [str(PROJECT), "/etc", "../..", "~"])
def test_a_guest_names_no_folder(guest: Client, folder: str) -> None:
    """A path on the server is refused alike, whether it exists or not."""
    sentence = refused(guest, "fine", model=folder, api_name="/text_classification")
    assert sentence == str(say("error.not_in_this_mode", capability=say("say.capability_local_folders"), mode="space"))


def test_guests_do_not_see_each_others_jobs(space: Served, guest: Client, tmp_path: Path) -> None:
    """A job is found by the browser that started it, and for every other it does not exist, even by its id."""
    table = tmp_path / "mine.csv"
    table.write_text("text\nMy secret diary.\n", encoding="utf-8")
    _, job, _, files, _ = guest.predict(handle_file(table), api_name="/text_batch")
    assert files
    other = visitor(space, tmp_path, "b" * 32)
    try:
        for api_name in ("/text_batch_job", "/text_batch_stop"):
            assert refused(other, job, api_name=api_name) == WORDS["error.job_unknown"]
        assert other.predict(api_name="/text_batch_job")[1] == ""
    finally:
        other.close()
    assert guest.predict(api_name="/text_batch_job")[1] == job


def test_every_new_browser_gets_a_secret_of_its_own(space: Served) -> None:
    """The page gives each browser a cookie that scripts cannot read, and gives it once."""
    first, second = (httpx.get(space.address) for _ in range(2))
    assert first.cookies["atelier_visitor"] != second.cookies["atelier_visitor"]
    assert "httponly" in first.headers["set-cookie"].lower()
    again = httpx.get(space.address, cookies={"atelier_visitor": first.cookies["atelier_visitor"]})
    assert "atelier_visitor" not in again.cookies


# Behind a password


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Give the app behind a password, which it reads from the environment."""
    environment = {"ATELIER_PASSWORD": PASSWORD}
    with serve(tmp_path_factory.mktemp("locked") / "home", environment=environment) as served:
        yield served


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/config"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("POST", "/gradio_api/upload"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/gradio_api/call/text_classification"),
        ("POST", "/gradio_api/run/models_ledger"),
        ("GET", "/gradio_api/call/text_classification/0"),
        ("POST", "/gradio_api/reset"),
        ("POST", "/gradio_api/cancel"),
        ("GET", "/gradio_api/heartbeat/x"),
        ("GET", "/gradio_api/app_id"),
        ("GET", "/gradio_api/startup-events"),
        ("GET", "/nothing-here"),
        ("GET", "/loginx"),
        ("GET", "//gradio_api/app_id"),
    ],
)
def test_the_password_covers_every_door(locked: Served, method: str, path: str) -> None:
    """Without the login nothing is given out, stopped or watched."""
    ids = {"session_hash": "x", "event_id": "x", "fn_index": 0}
    body = {"json": {"data": ["hi"], **ids}} if method == "POST" else {}
    answer = httpx.request(method, locked.address + path, **body)
    assert answer.status_code == httpx.codes.UNAUTHORIZED, answer.text[:200]


LOGIN_PAGE = {
    *(("GET", path) for path in ("/", "/assets/{path:path}", "/static/{path:path}", "/svelte/{path:path}")),
    *(("GET", path) for path in ("/favicon.ico", "/manifest.json", "/theme.css", "/gradio_api/theme.css")),
    *(("POST", path) for path in ("/login", "/login/")),
    ("HEAD", "/"),
}
"""What a browser needs before it has logged in."""


@pytest.fixture(scope="module")
def locked_doors() -> Iterator[tuple[str, set[tuple[str, str]]]]:
    """Give the address of a page that is served as the app is behind a password, and method and path of all routes."""
    with gr.Blocks(delete_cache=(600, 86_400)) as page:
        gr.Markdown("secret")
    told = {**app.serving(Settings(password=PASSWORD)), "server_port": None, "prevent_thread_lock": True, "quiet": True}
    served, address, _ = page.launch(**told)
    routes = iter_route_contexts(served.routes)
    yield address.rstrip("/"), {(method, str(route.path)) for route in routes for method in route.methods or {"GET"}}
    page.close(verbose=False)


def test_no_route_slips_by_the_password(locked_doors: tuple[str, set[tuple[str, str]]]) -> None:
    """Of all routes that this Gradio has, each but those of the login page is refused in words without a login."""
    address, doors = locked_doors
    assert doors >= {*LOGIN_PAGE, ("POST", "/gradio_api/reset"), ("GET", "/gradio_api/heartbeat/{session_hash}")}
    with httpx.Client(base_url=address) as stranger:
        answers = {(method, path): stranger.request(method, re.sub(r"{.*?}", "1", path)) for method, path in doors}
    opened = {door for door, answer in answers.items() if answer.status_code != httpx.codes.UNAUTHORIZED}
    assert opened == LOGIN_PAGE
    refusal = answers["GET", "/gradio_api/app_id"].json()["detail"]
    assert refusal == {"error": WORDS["error.not_logged_in"], "auth_message": None}


def test_a_login_is_no_word_of_the_visitors(locked_doors: tuple[str, set[tuple[str, str]]]) -> None:
    """A cookie whose token no login has been given opens nothing; the right password opens what was closed."""
    address, closed = locked_doors[0], "/gradio_api/app_id"
    with httpx.Client(base_url=address) as visitor:
        assert visitor.post("/login", data={"username": app.USER, "password": PASSWORD}).is_success
        names = list(visitor.cookies)
        assert visitor.get(closed).is_success
    for token in ("", "None", "invented"):
        with httpx.Client(base_url=address, cookies=dict.fromkeys(names, token)) as stranger:
            assert stranger.get(closed).status_code == httpx.codes.UNAUTHORIZED


def test_without_a_password_there_is_no_wall(space: Served) -> None:
    """Where no password is set, nobody is asked for a login."""
    assert httpx.get(f"{space.address}/gradio_api/app_id").is_success


def test_the_login_page_tells_nothing(locked: Served) -> None:
    """Who has not logged in sees a form, and no component."""
    page = httpx.get(locked.address).text
    assert "text_classification-run" not in page
    assert '"auth_required":true' in page.replace(" ", "")


def test_the_password_opens(locked: Served, tmp_path: Path) -> None:
    """The right password opens the API; a wrong one does not."""
    wrong = httpx.post(f"{locked.address}/login", data={"username": app.USER, "password": "wrong"})
    assert wrong.status_code == httpx.codes.BAD_REQUEST
    login = (app.USER, PASSWORD)
    client = Client(locked.address, ssl_verify=False, verbose=False, auth=login, download_files=tmp_path)
    try:
        assert "local" in client.predict(api_name="/overview")
    finally:
        client.close()


def test_the_log_does_not_tell_the_password(locked: Served) -> None:
    """What the server writes to its terminal does not hold the password."""
    assert PASSWORD not in locked.logged()
