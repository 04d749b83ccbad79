"""The papers say what the house does: README, CHANGELOG, CONTRIBUTING, requirements, licence."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from typing import Any

import pytest
import yaml

from bench._readme import with_benches
from core.settings import parser
from recipes._readme import scores, with_starters
from tests.source import PROJECT
from tests.test_architecture import FLOORS

VARIABLE = re.compile(r"\b[A-Z]{2,}(?:_[A-Z]+)+\b|\b(?:HOST|PORT)\b")
EMOJI_LENGTH = 2
"""Letters of an emoji at most: many need a variation selector."""

NUMERALS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")

SPACE_COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
"""What the Hub's Space configuration reference allows for colorFrom and colorTo."""


@cache
def text(name: str) -> str:
    """Return a paper's text; a missing one fails in words."""
    path = PROJECT / name
    if not path.is_file():
        pytest.fail(f"{name} is not written yet", pytrace=False)
    return path.read_text(encoding="utf-8")


def pins(name: str) -> dict[str, str]:
    """Return package → what stands behind its name."""
    lines = (line.split("#")[0].strip() for line in text(name).splitlines())
    found = (re.match(r"([\w.-]+)(.*)", line) for line in lines if line and not line.startswith("-"))
    return {match[1].lower().replace("_", "-"): match[2].strip() for match in found if match}


def make_targets() -> list[str]:
    """Return the targets that the Makefile offers."""
    phony = re.search(r"^\.PHONY:(.*)$", text("Makefile"), re.MULTILINE)
    assert phony, "the Makefile names no .PHONY targets"
    return [name for name in phony[1].split() if name != "help"]


def options() -> list[str]:
    """Return the long options of the command line."""
    return sorted(set(re.findall(r"--[a-z-]+", parser().format_usage())))


def variables() -> list[str]:
    """Return the environment variables that --help names."""
    return sorted(set(VARIABLE.findall(parser().epilog or "")))


def version() -> str:
    """Return the project's version."""
    found: str = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    return found


def front_matter() -> dict[str, Any]:
    """Return the block at the top of the README that a Space reads."""
    match = re.match(r"---\n(.*?)\n---\n", text("README.md"), re.DOTALL)
    if not match:
        pytest.fail("README.md has no front matter (--- … ---) for a Space", pytrace=False)
    return dict(yaml.safe_load(match[1]))


@pytest.mark.parametrize("target", make_targets())
def test_readme_names_every_make_target(target: str) -> None:
    """Who reads the README knows every target."""
    assert f"make {target}" in text("README.md"), f"README.md does not say what `make {target}` does"


@pytest.mark.parametrize("option", options())
def test_readme_names_every_option(option: str) -> None:
    """Who reads the README knows every option of the command line."""
    assert re.search(rf"{option}\b", text("README.md")), f"README.md does not say what {option} does"


@pytest.mark.parametrize("variable", variables())
def test_readme_names_every_variable(variable: str) -> None:
    """Who reads the README knows every environment variable."""
    assert re.search(rf"\b{variable}\b", text("README.md")), f"README.md does not say what {variable} does"


def test_help_names_every_variable_of_ours() -> None:
    """--help names each variable that the settings read."""
    read = set(re.findall(r'env\.get\("(\w+)"', text("core/settings.py"))) - {
        "SPACE_ID"
    }  # set by a Space, not by people
    assert read <= set(variables())


def test_readme_names_every_endpoint(built_page: Any) -> None:
    """Who reads the README knows every endpoint of the API."""
    endpoints = sorted(built_page.get_api_info()["named_endpoints"])
    assert endpoints, "the page offers no endpoint"
    missing = [name for name in endpoints if not re.search(rf"{name}\b", text("README.md"))]
    assert missing == [], f"README.md does not name these endpoints: {missing}"


def test_readme_links_lead_somewhere() -> None:
    """A link to a file of this project leads to one."""
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text("README.md")) + re.findall(
        r'src="(?!https?:)([^"]+)"', text("README.md")
    )
    assert [link for link in links if not (PROJECT / link).exists()] == []


def test_a_newcomer_needs_two_commands() -> None:
    """The first commands that the README shows are getting the house, where it shows that, and `make run`."""
    body = re.sub(r"\A---\n.*?\n---\n", "", text("README.md"), flags=re.DOTALL)
    commands = [line.strip() for line in body.splitlines() if re.match(r"\s*(git|cd|make|pip|python\S*) ", line)]
    needed = [line for line in commands if not line.startswith("cd ")][:2]
    first = next((number for number, line in enumerate(needed) if line.startswith("make run")), None)
    assert first is not None, f"the README begins with {needed}"
    assert all(line.startswith("git clone") for line in needed[:first])


def test_front_matter_is_what_a_space_reads() -> None:
    """The front matter is valid, and names what a Space must know."""
    found = front_matter()
    assert {"title", "emoji", "colorFrom", "colorTo", "sdk", "app_file", "license", "short_description"} <= set(found)
    assert (found["sdk"], found["app_file"], found["license"]) == ("gradio", "app.py", "apache-2.0")
    assert {found["colorFrom"], found["colorTo"]} <= SPACE_COLOURS
    assert 1 <= len(found["emoji"]) <= EMOJI_LENGTH
    assert len(found["short_description"]) <= 60


def test_a_space_gets_the_pinned_gradio_and_our_python() -> None:
    """The Space runs the Gradio that the tests ran, on a Python that we support; both are texts, not numbers."""
    found = front_matter()
    assert found["sdk_version"] == pins("requirements.txt")["gradio"].removeprefix("==")
    assert isinstance(found["python_version"], str), "quote python_version: 3.10 is not 3.1"
    least = tuple(map(int, re.findall(r"\d+", tomllib.loads(text("pyproject.toml"))["project"]["requires-python"])))
    assert tuple(map(int, found["python_version"].split("."))) >= least


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_exact(name: str) -> None:
    """Each package is pinned to one version."""
    loose = [f"{package}{pin}" for package, pin in pins(name).items() if not re.fullmatch(r"==\d[\w.]*", pin)]
    assert loose == []


def test_torch_is_the_one_we_measured() -> None:
    """Torch is pinned exactly: what is said of attention and memory was measured with it."""
    assert pins("requirements.txt")["torch"] == "==2.13.0"


def test_what_the_contract_names_stays() -> None:
    """Packages that the project's contract names are installed, used already or not."""
    assert {"diffusers", "datasets", "evaluate", "matplotlib"} <= set(pins("requirements.txt"))


@pytest.mark.parametrize(("number", "floor"), list(enumerate(FLOORS)), ids=lambda value: str(value)[:2].strip("('"))
def test_contributing_draws_every_floor(number: int, floor: tuple[str, tuple[str, ...]]) -> None:
    """CONTRIBUTING shows each floor with its modules, as the architecture test holds them."""
    _, patterns = floor
    rows = [line for line in text("CONTRIBUTING.md").splitlines() if line.startswith(f"| {number} ")]
    assert len(rows) == 1, f"CONTRIBUTING.md has no row for floor {number}"
    shown = [name.removeprefix("core.").removesuffix("*") for name in patterns if name not in {"core", "core.tasks*"}]
    assert [name for name in shown if name not in rows[0]] == [], f"floor {number} in CONTRIBUTING.md is not complete"


def test_contributing_counts_its_floors() -> None:
    """The words say as many floors as the table has rows."""
    assert len(FLOORS) == len(re.findall(r"^\| \d \|", text("CONTRIBUTING.md"), re.MULTILINE))
    assert f"**{NUMERALS[len(FLOORS)]} floors, not four.**" in text("CONTRIBUTING.md")


def test_changelog_begins_with_this_version() -> None:
    """The newest entry of the CHANGELOG is the version that pyproject names."""
    newest = re.search(r"^## \[?(\d+\.\d+\.\d+)", text("CHANGELOG.md"), re.MULTILINE)
    assert newest, "CHANGELOG.md has no entry like `## 1.2.3`"
    assert newest[1] == version()


def test_the_licence_is_apache() -> None:
    """The whole licence lies here, under the name that pyproject gives."""
    assert "Apache License" in text("LICENSE")
    assert "APPENDIX: How to apply the Apache License to your work." in text("LICENSE")
    assert tomllib.loads(text("pyproject.toml"))["project"]["license"] == "Apache-2.0"


def test_make_tells_its_targets() -> None:
    """`make` alone lists every target."""
    assert [name for name in make_targets() if f'@echo "make {name} ' not in text("Makefile")] == []


def test_every_exception_has_its_reason() -> None:
    """In pyproject, each switched-off rule says beside it why, and each ignored warning says so above it."""
    lines = text("pyproject.toml").splitlines()
    assert [line for line in lines if re.fullmatch(r'\s+"[A-Z]+\d+",\s*', line)] == []
    ignored = [number for number, line in enumerate(lines) if line.strip().startswith('"ignore:')]
    assert ignored
    assert [lines[one] for one in ignored if not lines[one - 1].strip().startswith(("#", '"ignore:'))] == []


def test_readme_tables_are_what_was_measured() -> None:
    """The tables of starters and benches are those that the measured files give; `make readme` writes them."""
    assert with_benches(text("README.md")) == text("README.md")
    assert with_starters(text("README.md")) == text("README.md")
    assert "starter/sentiment" in text("README.md")


def test_no_two_scores_of_a_starter_look_alike() -> None:
    """Each score in README says what it is of: the beginning of its note stands beside it."""
    rows = [line for line in text("README.md").splitlines() if line.startswith("| [`starter/")]
    shown = [re.sub(r"\*\*.*?\)", "", one).strip() for row in rows for one in row.split("|")[2].split(";")]
    names = [row.split("`")[1] for row in rows for _ in row.split("|")[2].split(";")]
    assert rows
    assert len(set(zip(names, shown, strict=True))) == len(shown)


def measurement(value: float, note: str) -> dict[str, Any]:
    """Make a score as metrics.json has it."""
    return {"name": "f1", "dataset": "d", "split": "test", "value": value, "ci95": [0.1, 0.2], "note": note}


def test_readme_shows_the_headlines_of_a_starter() -> None:
    """Headlines are found by their note; a starter without any shows its first scores, and long notes are cut."""
    entities = [measurement(0.1, "btc only"), measurement(0.2, "strict spans: of all")]
    assert scores({"starter": "entities", "measurements": entities}) == (
        "f1 **0.200** (0.100–0.200) on d test (strict spans)"
    )
    assert scores({"starter": "new", "measurements": entities * 3}).count("f1") == 3
    assert scores({"starter": "new", "measurements": [measurement(0.1, "word " * 30)]}).endswith("word word …)")
    with pytest.raises(SystemExit, match="strict spans"):
        scores({"starter": "entities", "measurements": entities[:1]})
