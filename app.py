"""The door: assemble the tabs, read the settings, open the house."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.atelier import Atelier, open_atelier
from core.collector import paused_collector
from core.errors import AtelierError
from core.settings import LIMITS, LOOPBACK, PROJECT, USER, Mode, Settings, from_arguments

if TYPE_CHECKING:
    import gradio as gr

    from tabs._gate import Door


def build_app(atelier: Atelier) -> gr.Blocks:
    """Return the page with one tab a module."""
    from tabs import (  # before Gradio: the package imports it without its stub writer
        _footer,
        _jobs,
        _offers,
        chat,
        evaluation,
        images,
        models,
        side_by_side,
        text,
        train,
    )
    from tabs._language import header, word

    import gradio as gr  # isort: skip

    page: gr.Blocks
    with gr.Blocks(title="Atelier", delete_cache=(600, 86_400)) as page:
        gr.HTML(header(), elem_id="head")
        _jobs.build(atelier, page)
        with gr.Tabs():
            for tab in (text, chat, images, train, evaluation, side_by_side, models):
                with gr.Tab(word(tab.TITLE), id=tab.TITLE) as opened:
                    tab.build(atelier, page, opened)
        _footer.build(atelier, page)
        _offers.build(atelier, page)
    return page


def serving(settings: Settings) -> dict[str, Any]:
    """Return what `Blocks.launch` is told for these settings; closed unless a setting opens it."""
    from starlette.middleware import Middleware

    from tabs._gate import LoginLimit, LoginWall, outermost
    from tabs._language import EarlyScript, page_words
    from tabs._theme import theme
    from tabs._visitor import VisitorCookie

    wall = [Middleware(LoginWall)] if settings.password else []
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "share": settings.tunnel,
        "auth": (USER, settings.password) if settings.password else None,
        "inbrowser": settings.open_browser,
        "ssr_mode": False,
        "_frontend": False,  # else Gradio asks itself for a page, and ends where a busy machine takes over 3 seconds
        "show_error": False,
        "max_file_size": 4 * LIMITS.upload_bytes,  # ours answers first, with a sentence
        "state_session_capacity": 128,
        "max_threads": 256,  # also the most events at once: who watches a job takes a place, though no thread
        "run_history": False,
        "footer_links": ["api"],
        "enable_monitoring": False,
        "mcp_server": False,
        "allowed_paths": [],
        "i18n": page_words(),
        "theme": theme(),
        "css_paths": PROJECT / "assets" / "style.css",
        "favicon_path": PROJECT / "assets" / "icon.png",
        "app_kwargs": {
            "openapi_url": None,
            "lifespan": outermost(_door(settings)),
            "middleware": [Middleware(LoginLimit), *wall, Middleware(EarlyScript), Middleware(VisitorCookie)],
        },
    }


def _door(settings: Settings) -> Door:
    """Return under which names this instance is asked for; a Space is told its own."""
    from tabs._gate import Door

    return Door(
        public_host=os.environ.get("SPACE_HOST", "") if settings.mode is Mode.SPACE else "",
        tunnel=settings.tunnel,
        loopback=settings.mode is Mode.LOCAL and not settings.tunnel and settings.host in LOOPBACK,
    )


def open_queue(page: gr.Blocks) -> None:
    """Bound the queue, keep `/run` from going round it, and let an idle server sleep longer than Gradio does."""
    page.queue(max_size=64, default_concurrency_limit=4, api_open=False)
    for name, seconds in (("sleep_when_free", 0.01), ("progress_update_sleep_when_free", 0.1)):
        if hasattr(page._queue, name):  # noqa: SLF001 no public setting; 8 % of a core becomes 2 %
            setattr(page._queue, name, seconds)  # noqa: SLF001


def _stop_like_ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the app until it is stopped; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = from_arguments(sys.argv[1:] if arguments is None else arguments)
    except AtelierError as refusal:
        print(refusal, file=sys.stderr)
        return 2
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = str(settings.uploads_folder)  # results are handed out from there
    atelier = open_atelier(settings)
    atelier.adopt()
    with paused_collector():
        page = build_app(atelier)
        open_queue(page)
    signal.signal(signal.SIGTERM, _stop_like_ctrl_c)  # so that jobs end in order, whoever stops the server
    try:
        page.launch(**serving(settings))
    finally:
        atelier.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
