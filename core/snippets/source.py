"""Pieces of Python source: imports, lines, and values written so that no text can break out of its quotes."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

WIDTH = 100
"""Characters in a line before a call is broken up, one argument a line."""


@dataclass(frozen=True)
class Code:
    """Lines of source and their imports: "json" is `import json`, "torch:nn" is `from torch import nn`."""

    imports: frozenset[str]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class RowCode:
    """The code for one text of many: `inside` ends with a variable `result`, the helpers stand beside the function."""

    loading: Code
    inside: tuple[Code, ...]
    helpers: tuple[Code, ...] = ()


def code(imports: str, *lines: str) -> Code:
    """Write `code("json torch peft:PeftModel", line, line)`; a piece may hold several lines."""
    return Code(frozenset(imports.split()), tuple(part for line in lines for part in line.split("\n")))


def source(*pieces: Code) -> str:
    """Join the pieces into a program: imports once, on top and sorted, then the pieces with a blank line between."""
    names = sorted(frozenset[str]().union(*(piece.imports for piece in pieces)))
    standard = _import_lines(name for name in names if _top(name) in sys.stdlib_module_names)
    others = _import_lines(name for name in names if _top(name) not in sys.stdlib_module_names)
    blocks = [standard, others, *(piece.lines for piece in pieces)]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def source_of(module: ModuleType) -> Code:
    """Copy a module that needs the standard library alone, or others that are copied, too.

    Its docstring's first line becomes a comment.
    """
    text = inspect.getsource(module)
    body = ast.parse(text).body[1:]
    first = next(node for node in body if not isinstance(node, ast.Import | ast.ImportFrom))
    imports = frozenset(
        name for node in body for name in _imports(node) if not name.startswith(("__future__", "core."))
    )
    title = (inspect.getdoc(module) or "").partition("\n")[0]
    return Code(imports, (f"# {title}", *text.rstrip().split("\n")[first.lineno - 1 :]))


def _imports(node: ast.stmt) -> list[str]:
    """Return what an import statement brings, in the words of Code."""
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}:{name.name}" for name in node.names]
    return [name.name for name in node.names] if isinstance(node, ast.Import) else []


def literal(value: Any) -> str:
    """Write a value as Python source: one line, with every character that does not print escaped."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(one) for one in value)}]"
    written = repr(value)
    if isinstance(value, str) and written.startswith("'") and '"' not in value:
        return f'"{written[1:-1]}"'
    return written


def call(function: str, *values: str, **keywords: str) -> str:
    """Write a call from source text: on one line if it is short, else one argument a line."""
    arguments = [*values, *(f"{name}={value}" for name, value in keywords.items())]
    short = f"{function}({', '.join(arguments)})"
    if len(short) <= WIDTH:
        return short
    return "\n".join([f"{function}(", *(f"    {argument}," for argument in arguments), ")"])


def changed(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, str]:
    """Return, as source, the values that differ from what a library takes by itself."""
    return {name: literal(value) for name, value in values.items() if value != usual.get(name)}


def _top(name: str) -> str:
    return name.partition(":")[0].partition(".")[0]


def _import_lines(names: Iterable[str]) -> list[str]:
    plain: list[str] = []
    parts: dict[str, list[str]] = {}
    for name in names:
        module, _, member = name.partition(":")
        if member:
            parts.setdefault(module, []).append(member)
        else:
            plain.append(f"import {module}")
    return [*plain, *(f"from {module} import {', '.join(sorted(members))}" for module, members in parts.items())]
