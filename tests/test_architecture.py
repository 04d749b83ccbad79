"""The house stands as drawn: floors, what each may import, and what no file may do."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

from tests.source import PROJECT, Module, imports, modules, own_imports, public_definitions

FLOORS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "0 words and laws: nothing about models",
        (
            *("core", "core.words", "core.errors", "core.events", "core.fields", "core.settings"),
            *(
                "core.collector",
                "core.curve",
                "core.endpoint_keys",
                "core.provenance",
                "core.quiet",
                "core.redaction",
                "core.unload",
            ),
            *("core.messages", "core.seeds", "core.unload"),
        ),
    ),
    (
        "1 what exists, what this machine has, where a model would run, what the Hub and a table hold",
        (
            *("core.known_tasks", "core.runs", "core.catalogue", "core.tables"),
            *("core.machine*", "core.placement*", "core.hub*", "core.remote*"),
        ),
    ),
    (
        "2 what is in memory, and long work on disk",
        ("core.models*", "core.compute*", "core.jobs*", "core.conversations*", "core.pictures*"),
    ),
    (
        "3 skills: settings in, result out",
        ("core.tasks*", "core.snippets*", "core.imaging*", "core.evaluation*", "core.training*"),
    ),
    (
        "4 one running instance",
        ("core.atelier", "core.overview"),
    ),
    (
        "5 the page",
        ("tabs*",),
    ),
    (
        "6 the door",
        ("app",),
    ),
)
"""Each floor: its name and its modules (`*` also stands for dots). A module imports from its own floor or below."""

SKILLS = ("core.tasks", "core.snippets", "core.imaging", "core.training", "core.evaluation")
"""Packages of floor 3; they do not import each other."""

SKILLS_MAY_IMPORT = {
    ("core.snippets", "core.tasks"): "the code of a result is written from the task's own settings and defaults",
    ("core.snippets", "core.imaging"): "the code of a picture, too, and from the numbers of its conditions",
    ("core.evaluation", "core.tasks"): "what is evaluated is what the page runs",
    ("core.evaluation", "core.training"): "rows to evaluate on are read as rows to learn from, and a run keeps its own",
    ("core.training", "core.evaluation"): "a run's metrics are those of every evaluation",
    ("core.training", "core.tasks"): "a run and its base are asked as the page asks them",
}

HEAVY = {"torch", "transformers", "diffusers", "peft", "datasets"}
NOT_IN_TABS = HEAVY | {"accelerate", "evaluate", "safetensors", "tokenizers"}
LIBRARIES = HEAVY | {
    "accelerate",
    "evaluate",
    "gradio",
    "huggingface_hub",
    "numpy",
    "pandas",
    "safetensors",
    "tokenizers",
}
MOST_LINES = 400

ALL = sorted(modules().values(), key=lambda module: module.name)
each_module = pytest.mark.parametrize("module", ALL, ids=lambda module: module.name)


def floors_of(name: str) -> list[int]:
    """Return the numbers of the floors whose patterns match a module's name."""
    return [number for number, (_, patterns) in enumerate(FLOORS) if any(fnmatchcase(name, one) for one in patterns)]


def skill_of(name: str) -> str | None:
    """Return the skill that a module belongs to."""
    return next((skill for skill in SKILLS if name == skill or name.startswith(f"{skill}.")), None)


@each_module
def test_every_file_has_its_floor(module: Module) -> None:
    """A new file is written into the table of floors, once."""
    found = floors_of(module.name)
    assert len(found) == 1, f"unlisted file: write {module.name} into FLOORS" if not found else f"listed twice: {found}"


def test_the_table_of_floors_is_current() -> None:
    """No line of the table stands for files that are gone."""
    patterns = [one for _, several in FLOORS for one in several]
    assert [one for one in patterns if not any(fnmatchcase(name, one) for name in modules())] == []


@each_module
def test_imports_point_down(module: Module) -> None:
    """A module imports from its own floor or one below, never from above."""
    here = floors_of(module.name)
    above = [
        f"{module.at(node)} imports {name}"
        for name, node in imports(module)
        if name in modules() and here and floors_of(name) > here
    ]
    assert above == []


def test_there_are_no_cycles() -> None:
    """The modules can be read in an order in which nothing is needed before it was read."""
    try:
        order = list(TopologicalSorter({one.name: own_imports(one) for one in ALL}).static_order())
    except CycleError as cycle:
        pytest.fail(f"a cycle: {' → '.join(cycle.args[1])}")
    assert set(order) == set(modules())


@each_module
def test_skills_do_not_import_each_other(module: Module) -> None:
    """A skill uses the floors below, not its neighbours, unless the table says why."""
    mine = skill_of(module.name)
    neighbours = {skill_of(name) for name in own_imports(module)} - {mine, None}
    assert {one for one in neighbours if mine and (mine, one) not in SKILLS_MAY_IMPORT} == set()


@each_module
def test_core_knows_no_page_and_tabs_know_no_model(module: Module) -> None:
    """core/ never imports Gradio or tabs/; tabs/ and app.py never import the model libraries."""
    forbidden = {"gradio", "gradio_client", "tabs", "app"} if module.name.startswith("core") else NOT_IN_TABS
    found = [f"{module.at(node)} imports {name}" for name, node in imports(module) if name.split(".")[0] in forbidden]
    assert found == []


@each_module
def test_heavy_libraries_are_imported_where_they_are_used(module: Module) -> None:
    """No module imports torch and its kin at its top, where `import app` would pay for it."""
    found = [
        f"{module.at(node)} imports {name}"
        for name, node in imports(Module(module.name, module.path, _at_import(module.tree)))
        if name.split(".")[0] in HEAVY
    ]
    assert found == []


def _at_import(tree: ast.Module) -> ast.Module:
    """Keep what runs when the module is imported: no function bodies, nothing under TYPE_CHECKING."""

    class Kept(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            """Drop it."""

        def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
            """Drop it."""

        def visit_If(self, node: ast.If) -> ast.AST | None:
            """Drop it where it is for the type checker only."""
            return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    return Kept().visit(ast.parse(ast.unparse(tree)))


@each_module
def test_no_global_and_no_swallowed_exception(module: Module) -> None:
    """No function writes a module's variable, and no exception ends in `pass`, in a bare `except`, or unnamed."""
    assert [module.at(node) for node in ast.walk(module.tree) if isinstance(node, ast.Global)] == []
    assert [module.at(node) for node in ast.walk(module.tree) if _swallows(node)] == []


def _swallows(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        return any(ast.unparse(kind) in {"Exception", "BaseException"} for kind in node.args)
    if not isinstance(node, ast.ExceptHandler):
        return False
    anything = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
    silent = ast.Pass | ast.Continue if anything else ast.Pass
    return node.type is None or all(isinstance(line, silent) for line in node.body)


@each_module
def test_names_say_what_a_file_is(module: Module) -> None:
    """There is no drawer for odds and ends, and no module has a library's name."""
    name = module.name.rpartition(".")[2]
    assert name.strip("_") not in {"utils", "util", "helpers", "helper", "common", "misc"}
    assert name not in LIBRARIES


@each_module
def test_files_stay_short(module: Module) -> None:
    """A file can be read in one sitting."""
    assert len(module.path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@each_module
def test_public_names_are_described(module: Module) -> None:
    """Each module, and each public function, class and method, says in a sentence what it is for."""
    assert ast.get_docstring(module.tree), f"{module.path} says nothing"
    bare = [f"{module.at(node)} {node.name}" for node in public_definitions(module.tree) if not ast.get_docstring(node)]
    assert bare == []


WATCH = """
import json, os, sys
seen = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        path, mode, flags = arguments
        writes = any(letter in (mode or "") for letter in "wax+") or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and not path.startswith("/dev/"):
            seen.append(["write", path])
    elif event in ("os.mkdir", "os.rename", "os.remove", "shutil.rmtree"):
        seen.append(["write", str(arguments[0])])
    elif event == "socket.connect" or event == "socket.getaddrinfo":
        seen.append(["network", repr(arguments[1] if event == "socket.connect" else arguments[0])])
sys.addaudithook(watch)
import app
at_import, loaded_at_import = list(seen), sorted(sys.modules)
from core.settings import Settings
from pathlib import Path
app.build_app(app.open_atelier(Settings(home=Path(sys.argv[1]))))
print(json.dumps({"at_import": at_import, "all": seen, "import": loaded_at_import, "build": sorted(sys.modules)}))
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Import the app and build the page in a fresh process, and note what it loads, writes and calls."""
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "HOME": str(home), "GRADIO_TEMP_DIR": str(home / "gradio"), "PYTHONPATH": str(PROJECT)}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", WATCH, str(home / "atelier")]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "home": str(home)}


@pytest.mark.parametrize("moment", ["import", "build"])
def test_the_page_is_there_before_any_model_library(watched: dict[str, Any], moment: str) -> None:
    """Neither `import app` nor building the page loads torch, transformers, diffusers, datasets or peft."""
    assert HEAVY & set(watched[moment]) == set()


def test_importing_does_nothing(watched: dict[str, Any]) -> None:
    """`import app` writes no file and calls nobody."""
    assert watched["at_import"] == []


def test_building_the_page_stays_at_home(watched: dict[str, Any]) -> None:
    """Building the page calls nobody, and writes in Atelier's own folders if anywhere."""
    home = Path(watched["home"])
    assert "gradio.blocks" in watched["build"]
    assert [what for kind, what in watched["all"] if kind == "network"] == []
    assert [what for kind, what in watched["all"] if kind == "write" and home not in Path(what).parents] == []
