"""The `curl` that asks this very instance for the same result, as one piece of bash to paste."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST_ARGUMENT = 100_000
"""Bytes of one command-line argument; Linux refuses 131 072, a builtin such as printf takes any."""

PRINT_RESULT = """python3 -c '
import json, sys
outputs = json.loads(sys.stdin.read() or "null")
if not isinstance(outputs, list):
    sys.exit(f"No result: {outputs}")
places = (place for place, one in enumerate(outputs) if isinstance(one, dict) and "fallbacks" in one)
provenance = next(places, len(outputs) - 1)
print(json.dumps(outputs[provenance - 1], ensure_ascii=False, indent=2))'"""
"""Of an endpoint's outputs, result is the one before provenance, else the last but one; no list is what went wrong."""

PRINT_ONE = """python3 -c '
import json, sys
outputs = json.loads(sys.stdin.read() or "null")
if not isinstance(outputs, list):
    sys.exit(f"No result: {outputs}")
print(json.dumps(outputs[PLACE], ensure_ascii=False, indent=2))'"""
"""The same where it is known in which PLACE the result is."""


def curl_snippet(
    api_name: str,
    values: Mapping[str, Any],
    base_url: str,
    *,
    user: str | None = None,
    uploads: Mapping[str, str] | None = None,
    output: int | None = None,
) -> str:
    """Write the two requests of Gradio's queue: one asks with named parameters, one waits for the answer.

    The last data of the answer's stream are the endpoint's outputs; of these, the result is printed. With `user`, the
    instance asks for a password: a third request logs in first, with the password from the environment. `uploads` are
    parameters that are files, with their paths: they go first, too. `output` is the place of the output that is
    printed, where that is no task's result.
    """
    name, files = api_name.strip("/"), uploads or {}
    body = _with_files(values, files) if files else shlex.quote(json_line(values))
    cookies = ' -b "$COOKIES"' if user else ""
    header = "-H 'Content-Type: application/json'"
    ask = f'curl -sSf{cookies} -X POST "$BASE/gradio_api/call/v2/{name}" {header}'
    long = len(body.encode()) > LONGEST_ARGUMENT
    ask = f"printf '%s' {body} | {ask} -d @-" if long else f"{ask} -d {body}"
    return (
        f"BASE={shlex.quote(base_url.rstrip('/'))}\n"
        f"{_login(user) if user else ''}"
        f"{''.join(_upload(parameter, path, cookies) for parameter, path in files.items())}"
        f'EVENT=$({ask} | sed \'s/.*"event_id": *"\\([^"]*\\)".*/\\1/\')\n'
        f"""curl -sSfN{cookies} "$BASE/gradio_api/call/{name}/$EVENT" | sed -n 's/^data: //p' | tail -n 1 | """
        f"{PRINT_RESULT if output is None else PRINT_ONE.replace('PLACE', str(output))}\n"
    )


def _login(user: str) -> str:
    form = f'-d username={shlex.quote(user)} --data-urlencode "password=${{ATELIER_PASSWORD:?}}"'
    return f'COOKIES=$(mktemp)\ncurl -sSf -o /dev/null -c "$COOKIES" {form} "$BASE/login"\n'


def _upload(parameter: str, path: str, cookies: str) -> str:
    """Write the upload; its answer is a list with one path, which stays as it is escaped in JSON."""
    quoted = path.replace("\\", "\\\\").replace('"', '\\"')  # in quotes, for a bare ; or , has a meaning to curl
    form = shlex.quote(f'files=@"{quoted}"')
    ask = f'curl -sSf{cookies} -F {form} "$BASE/gradio_api/upload"'
    return f"{parameter.upper()}=$({ask} | sed 's/^\\[\"//; s/\"\\]$//')\n"


def _with_files(values: Mapping[str, Any], files: Iterable[str]) -> str:
    """Quote the JSON of `values` and, before them, of the uploaded files; the shell puts their paths in."""
    after = '", "meta": {"_type": "gradio.FileData"}}'
    body, begin = "", "{"
    for parameter in files:
        body += shlex.quote(f'{begin}"{parameter}": {{"path": "') + f'"${parameter.upper()}"'
        begin = f"{after}, "
    rest = json_line(values).removeprefix("{")
    return body + shlex.quote(f"{begin}{rest}" if values else f"{after}}}")


def json_line(values: Mapping[str, Any]) -> str:
    """Write readable JSON in one line; what does not print is escaped, marks that turn the direction of a text, too."""
    written = json.dumps(dict(values), ensure_ascii=False)
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in written)
