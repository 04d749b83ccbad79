"""Which language a visitor gets."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from core.words import LANGUAGES, dictionary
from tabs._language import COOKIE, OWN_NAMES, EarlyScript, accepted_language, header, language_of, page_words, word
from tests.asynchronous import run

NODE = shutil.which("node")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-TW,zh;q=0.9", "zh-TW"),
        ("zh-HK", "zh-TW"),
        ("zh-MO;q=0.8", "zh-TW"),
        ("zh-Hant-US", "zh-TW"),
        ("zh-CN", "zh-CN"),
        ("zh", "zh-CN"),
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("fr-FR, ko;q=0.5", "ko"),
        ("fr", "en"),
        ("", "en"),
        (";;,,", "en"),
    ],
)
def test_the_first_language_we_speak_is_taken(header: str, language: str) -> None:
    """Accept-Language is read in its order; Hong Kong and Macau read Traditional Chinese; else English."""
    assert accepted_language(header) == language


def test_the_cookie_of_the_page_comes_first() -> None:
    """What the page has settled beats the header, unless it is no language of ours."""
    headers = {"accept-language": "ko"}
    assert language_of(SimpleNamespace(cookies={COOKIE: "zh-TW"}, headers=headers)) == "zh-TW"
    assert language_of(SimpleNamespace(cookies={COOKIE: "tlh"}, headers=headers)) == "ko"
    assert language_of(None) == "en"


def test_every_language_has_its_own_name() -> None:
    """The links name each language in itself."""
    assert tuple(OWN_NAMES) == LANGUAGES


def test_the_links_are_named_in_the_visitors_language() -> None:
    """A screen reader hears what the links are for: no translation breaks out of the attribute that holds it."""
    assert f"<nav aria-label='{word('language')}'>" in header()
    assert "'" not in str(word("language"))
    assert not [language for language in LANGUAGES if set("'\"<>&") & set(dictionary(language)["page.language"])]


def test_the_browser_gets_the_pages_words_only() -> None:
    """Sentences of the server do not travel with each page."""
    words = page_words().translations_dict
    assert set(words) == set(LANGUAGES)
    assert set(words["en"]) == {key for key in dictionary("en") if key.startswith("page.")}
    assert word("run").key == "page.run"


def answered(
    path: str, content_type: str, chunks: list[bytes], accepted: bytes = b"br"
) -> tuple[dict[bytes, bytes], bytes]:
    """Send an answer in pieces through EarlyScript and return what arrives: headers and body."""
    sent: list[Any] = []

    async def app(_: Any, __: Any, send: Any) -> None:
        headers = [(b"content-type", content_type.encode()), (b"content-length", b"%d" % sum(map(len, chunks)))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"accept-encoding", accepted)]}
    run(EarlyScript(app)(scope, None, send))  # type: ignore[arg-type]
    return dict(sent[0]["headers"]), b"".join(message.get("body", b"") for message in sent[1:])


def test_the_script_comes_first_in_the_head() -> None:
    """A page gets the script once, right after <head>, and a length that fits."""
    headers, body = answered("/", "text/html; charset=utf-8", [b"<html><he", b"ad><title>x</title></head>", b"<head>"])
    assert body.startswith(b"<html><head><script>")
    assert body.count(b"<script>") == 1
    assert int(headers[b"content-length"]) == len(body)


def test_a_page_travels_zipped_where_that_is_understood() -> None:
    """A browser that takes gzip gets the same page in it; anything else passes as it is."""
    chunks = [b"<head></head>", b"x" * 100_000]
    plain = answered("/", "text/html", chunks)[1]
    headers, body = answered("/", "text/html", chunks, b"gzip, br")
    assert (headers[b"content-encoding"], headers[b"vary"]) == (b"gzip", b"accept-encoding")
    assert gzip.decompress(body) == plain
    assert int(headers[b"content-length"]) == len(body) < len(plain) / 10
    assert b"content-encoding" not in answered("/x", "text/css", chunks, b"gzip")[0]


@pytest.mark.skipif(NODE is None, reason="Node is not installed")
@pytest.mark.parametrize(
    ("protocol", "flags"), [("https:", "samesite=none; secure; partitioned"), ("http:", "samesite=lax")]
)
def test_the_language_reaches_a_frame_over_https(protocol: str, flags: str) -> None:
    """The script's cookie is sent in another site's frame over https, and stays at home else."""
    page = answered("/", "text/html", [b"<head></head>"])[1].decode()
    script = page.partition("<script>")[2].partition("</script>")[0]
    world = (
        f"const location = {{protocol: '{protocol}', search: '?lang=ko'}}, localStorage = {{setItem() {{}}}};"
        "const document = {documentElement: {}};"
        "Object.defineProperty(globalThis, 'navigator', {value: {languages: []}});"
    )
    command = [str(NODE), "-e", f"{world}{script};console.log(document.cookie)"]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert written == f"{COOKIE}=ko; path=/; max-age=31536000; {flags}"


def test_other_answers_pass_unchanged() -> None:
    """What is no page goes through byte by byte."""
    assert answered("/x.js", "text/javascript", [b"<head>", b"1"])[1] == b"<head>1"
