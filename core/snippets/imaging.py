"""What a tab shows under its pictures: plain diffusers, the Python client of this instance, and curl."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from core.pictures.recipe import FILE_FIELDS
from core.snippets.curl import curl_snippet
from core.snippets.diffusion import picture_python
from core.snippets.panel import fenced, given
from core.snippets.picture_calls import PictureCode
from core.snippets.source import call, code, literal, source


def pictures_markdown(code_of: PictureCode, base_url: str, *, user: str | None = None) -> str:
    """Return fenced blocks: the Python that draws this picture again, then client and curl for the whole request.

    `user` is the name to log in with, where this instance asks for a password.
    """
    blocks = [
        fenced(picture_python(code_of), "python"),
        fenced(client_python(code_of, base_url, user=user), "python"),
        fenced(pictures_curl(code_of, base_url, user=user), "bash"),
    ]
    return "\n\n".join(blocks)


def client_python(code_of: PictureCode, base_url: str, *, user: str | None = None) -> str:
    """Return a program that asks this very instance, by gradio_client, and prints files, seeds and sizes."""
    values, files = _asked(code_of)
    variable = 'os.environ["ATELIER_PASSWORD"]'
    login = {"auth": f"({literal(user)}, {variable})"} if user else {}
    arguments = {
        **{name: f"handle_file({literal(file)})" for name, file in files.items()},
        **{name: literal(value) for name, value in values.items()},
        "api_name": literal(f"/{_endpoint(code_of)}"),
    }
    imports = "gradio_client:Client" + (" gradio_client:handle_file" if files else "") + (" os" if user else "")
    return source(
        code(imports, call("client = Client", literal(base_url), **login)),
        code(
            "",
            call("pictures, *_, result, provenance = client.predict", **arguments),
            "print(result)",
        ),
    )


def pictures_curl(code_of: PictureCode, base_url: str, *, user: str | None = None) -> str:
    """Return the bash that asks this very instance for the same pictures."""
    values, files = _asked(code_of)
    return curl_snippet(_endpoint(code_of), values, base_url, user=user, uploads=files)


def _endpoint(code_of: PictureCode) -> str:
    return code_of.kind.replace("-", "_")


def _asked(code_of: PictureCode) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return what differs from the endpoint's defaults, and the uploads by their own names."""
    values = given(code_of.kind, code_of.request, code_of.request.seed)
    files = {name: PurePath(str(values.pop(name))).name for name in FILE_FIELDS if values.get(name)}
    return values, files
