"""The benches can be run and read; nothing here is timed."""

from __future__ import annotations

import importlib
import json
from dataclasses import is_dataclass
from pathlib import Path
from types import ModuleType

import pytest

from bench._agreement import Tolerance, agreement
from bench._measure import Measure, Outcome, report, table
from bench._readme import printed_lines, refusal
from bench._texts import LONGEST, SHORTEST, mixed_texts

PROJECT = Path(__file__).resolve().parent.parent
NAMES = sorted(path.stem for path in (PROJECT / "bench").glob("[a-z]*.py"))
LINE_KEYS = {"name", "unit", "ours", "plain", "target", "compare", "at_least", "value", "met"}


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest) -> ModuleType:
    """Import one bench after the other."""
    return importlib.import_module(f"bench.{request.param}")


def test_every_claim_has_its_runnable() -> None:
    """There is one module a claim."""
    assert NAMES == ["cycles", "first_answer", "generation", "request", "rows", "start", "translation", "users"]


def test_a_bench_says_how_to_run_it(bench: ModuleType) -> None:
    """Its docstring names the command, for a quiet machine and for a quick look."""
    assert f"`python -m {bench.__name__}`" in (bench.__doc__ or "")
    assert f"`python -m {bench.__name__} --" in (bench.__doc__ or "")


def test_a_bench_explains_itself_without_measuring(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` prints the claim and the options, `--json` among them."""
    with pytest.raises(SystemExit) as ending:
        bench.main(["--help"])
    assert ending.value.code == 0
    assert "--json FILE" in capsys.readouterr().out


def test_a_bench_refuses_an_empty_size(capsys: pytest.CaptureFixture[str]) -> None:
    """A size below one is refused before anything is measured."""
    rows = importlib.import_module("bench.rows")
    with pytest.raises(SystemExit):
        rows.main(["--rows", "0"])
    assert "0 is not 1 or more" in capsys.readouterr().err


def outcome(measure: Measure, *, equal: bool = True) -> Outcome:
    """Make an outcome of one line."""
    return Outcome("made_up", "a claim", (measure,), equal, "what was compared", {"runs": 1})


@pytest.mark.parametrize(
    ("measure", "verdict"),
    [
        (Measure("time", "s", 9, 10, target=0.9), "PASS"),
        (Measure("time", "s", 9.1, 10, target=0.9), "MISS"),
        (Measure("rows", "1/s", 30, 10, target=3, at_least=True), "PASS"),
        (Measure("rows", "1/s", 29, 10, target=3, at_least=True), "MISS"),
        (Measure("time", "ms", 20, 10, target=10, compare="difference"), "PASS"),
        (Measure("time", "ms", 21, 10, target=10, compare="difference"), "MISS"),
        (Measure("growth", "x", 1.05, 9, target=1.05, compare="ours"), "PASS"),
        (Measure("growth", "x", 1.06, 9, target=1.05, compare="ours"), "MISS"),
    ],
)
def test_a_line_is_held_against_its_target(measure: Measure, verdict: str) -> None:
    """The target itself still passes, for ratios, differences and plain numbers."""
    assert table(outcome(measure)).splitlines()[2].endswith(verdict)


def test_a_missed_target_is_no_failure_but_different_outputs_are(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status is 1 only where the outputs differ."""
    missed = Measure("time", "s", 2, 1, target=1)
    assert report(outcome(missed), None) == 0
    assert report(outcome(missed, equal=False), None) == 1
    assert "OUTPUTS DIFFER" in capsys.readouterr().out


def test_the_json_holds_lines_and_machine(tmp_path: Path) -> None:
    """A file of figures names the claim, each line with its outcome, and the machine."""
    assert is_dataclass(Outcome)
    report(outcome(Measure("time", "s", 1, 2, target=1)), tmp_path / "figures.json")
    found = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert set(found) == {"name", "claim", "measures", "equal", "equality", "sizes", "machine"}
    assert set(found["measures"][0]) == LINE_KEYS
    assert (found["measures"][0]["value"], found["measures"][0]["met"]) == (0.5, True)
    assert {"processor", "cores", "load_1_minute", "torch"} <= set(found["machine"])


def test_the_texts_are_the_same_for_everybody() -> None:
    """One seed, one list, its lengths within the stated words."""
    texts = mixed_texts(200)
    assert texts == mixed_texts(200)
    assert texts != mixed_texts(200, seed=1)
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= SHORTEST
    assert max(lengths) <= LONGEST
    assert max(lengths) > 20 * min(lengths)


def test_answers_agree_within_the_tolerance() -> None:
    """Both a label that differs and a score too far away are seen."""
    plain = [{"label": "A", "score": 0.9}, {"label": "B", "score": 0.8}]
    close = [{"label": "A", "score": 0.9004}, {"label": "B", "score": 0.8}]
    far = [{"label": "A", "score": 0.91}, {"label": "B", "score": 0.8}]
    other = [{"label": "B", "score": 0.9}, {"label": "B", "score": 0.8}]
    assert agreement(close, plain, Tolerance()).equal
    assert not agreement(far, plain, Tolerance()).equal
    assert not agreement(other, plain, Tolerance()).equal
    assert agreement(other, plain, Tolerance(labels=0.5)).equal


def test_readme_takes_no_line_that_its_bench_does_not_print() -> None:
    """Results of another version are refused, with the command that measures them again."""
    known = [{"name": "rows a second"}, {"name": "beside batch_size=16: rows a second"}]
    assert refusal({"name": "rows", "measures": known}) is None
    words = refusal({"name": "rows", "measures": [*known, {"name": "dtype=int4: rows a second"}]})
    assert words is not None
    assert "does not print dtype=int4: rows a second." in words
    assert "python -m bench.rows --json" in words


def test_every_line_of_a_bench_is_known(bench: ModuleType) -> None:
    """The names of a bench's lines are read from its source, each with words of its own."""
    lines = printed_lines(Path(str(bench.__file__)).read_text(encoding="utf-8"))
    assert lines
    assert not any(line.fullmatch("another name") for line in lines)
