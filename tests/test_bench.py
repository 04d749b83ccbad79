"""The benches can be run and read; nothing here is timed."""

from __future__ import annotations

import importlib
import json
import time
from dataclasses import is_dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from bench._agreement import Tolerance, agreement
from bench._measure import Measure, Outcome, report, table
from bench._readme import printed_lines, refusal
from bench._texts import BLAME, LONGEST, PRAISE, SHORTEST, judged_texts, mixed_texts
from bench.generation import _Unending
from core.training.record import read_run
from core.training.settings import TrainSettings
from tests.core.training.finished import train
from tests.core.training.tiny import feelings
from tests.fakes.models import tiny_bert

PROJECT = Path(__file__).resolve().parent.parent
NAMES = sorted(path.stem for path in (PROJECT / "bench").glob("[a-z]*.py"))
LINE_KEYS = {"name", "unit", "ours", "plain", "target", "compare", "at_least", "value", "met"}


@pytest.fixture(params=NAMES)
def bench(request: pytest.FixtureRequest) -> ModuleType:
    """Import one bench after the other."""
    return importlib.import_module(f"bench.{request.param}")


def test_every_claim_has_its_runnable() -> None:
    """There is one module a claim."""
    assert NAMES == [
        "cycles",
        "dashboard",
        "evaluation",
        "first_answer",
        "generation",
        "image_memory",
        "images",
        "metrics",
        "request",
        "rows",
        "start",
        "training",
        "training_runs",
        "translation",
        "users",
    ]


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


def test_a_text_that_fails_at_once_ends_the_measurement() -> None:
    """Where what runs beside cannot even begin, its problem is raised, rather than waited for."""

    def failing(*_: object) -> None:
        raise ValueError("cannot begin")

    with pytest.raises(ValueError, match="cannot begin"), _Unending(failing):
        pytest.fail("nothing runs beside this")


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
        (Measure("seconds", "s", 180, target=180, compare="ours"), "PASS"),
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


def test_judged_texts_speak_for_their_verdict() -> None:
    """Half of them praise; a long text says more for its verdict than against it."""
    texts = judged_texts(200)
    assert texts == judged_texts(200)
    assert sum(verdict == "positive" for _, verdict in texts) == 100
    for text, verdict in texts:
        if len(text.split()) > 100:
            praised, blamed = (sum(text.count(part) for part in parts) for parts in (PRAISE, BLAME))
            assert (praised > blamed) is (verdict == "positive")


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


def test_ways_of_attention_are_compared_with_full_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way gives the same output on a small UNet, and the lines compare peaks and seconds with full attention's."""
    from diffusers import UNet2DConditionModel

    memory = importlib.import_module("bench.image_memory")

    def small_unet() -> UNet2DConditionModel:
        torch.manual_seed(1)
        return UNet2DConditionModel(
            block_out_channels=(32, 32),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=768,
            attention_head_dim=4,
            norm_num_groups=8,
        ).eval()

    monkeypatch.setattr(memory, "shaped_unet", small_unet)
    found = {way: memory.run(way, 8, 1) for way in memory.WAYS}
    assert memory.outcome(found, {}).equal
    full = replace(found["eager"], peak=100_000_000, seconds=(2.0, 4.0))
    sliced = replace(found["sliced"], peak=50_000_000, seconds=(6.0,))
    peak, step, *_ = memory.outcome({**found, "eager": full, "sliced": sliced}, {}).measures
    assert (peak.value, peak.met, step.value) == (0.5, True, 2.0)
    other = replace(sliced, output=tuple(value + 1 for value in sliced.output))
    assert not memory.outcome({**found, "sliced": other}, {}).equal


def test_pictures_of_both_sides_are_compared_place_by_place() -> None:
    """Rates are pictures per second of the median round, and one picture that differs is enough to tell."""
    images = importlib.import_module("bench.images")
    white, grey = np.full((2, 2, 3), 255, np.uint8), np.full((2, 2, 3), 245, np.uint8)
    fast, slow = (images.Round(seconds, 1.0, [white, white]) for seconds in (1.0, 2.0))
    same = images.outcome(([fast], [slow]), ([fast], [slow]), ([1.0], [2.0]), {})
    assert same.equal
    assert (same.measures[0].ours, same.measures[0].plain, same.measures[0].met) == (2.0, 1.0, True)
    assert images.difference(fast, replace(slow, pictures=[white, grey])) == 10
    other = replace(slow, pictures=[white, grey])
    assert not images.outcome(([fast], [other]), ([fast], [slow]), ([1.0], [2.0]), {}).equal


def test_two_trainings_are_compared_by_their_means() -> None:
    """Speed is of all samples, the peak the largest; losses too far apart, and other amounts of work, are seen."""
    training = importlib.import_module("bench.training")
    quick = training.Training(5.0, 10.0, 400, 0.30, 0.90, 800_000_000)
    slow = training.Training(8.0, 30.0, 400, 0.32, 0.88, 900_000_000)
    found = training.outcome([quick, replace(quick, peak_bytes=1_000_000_000)], [slow, slow], {})
    speed, peak, start, *_ = found.measures
    assert found.equal
    assert (speed.ours, speed.met, peak.ours, peak.met) == (40.0, True, 1000.0, False)
    assert (start.value, start.met) == (-3.0, True)
    assert not training.outcome([quick], [replace(slow, loss=0.36)], {}).equal
    assert not training.outcome([quick], [replace(slow, accuracy=0.84)], {}).equal
    assert not training.outcome([quick], [replace(slow, samples=399)], {}).equal


def test_the_plain_script_is_told_what_the_libraries_take(tmp_path: Path) -> None:
    """Each choice that it is told is an argument of TrainingArguments or LoraConfig, and has our plan's value."""
    from peft import LoraConfig
    from transformers import TrainingArguments

    training = importlib.import_module("bench.training")
    made = TrainSettings(num_train_epochs=2.0, per_device_train_batch_size=4, eval_strategy="epoch", logging_steps=1,
                         save_strategy="epoch", metric_for_best_model="eval_f1", max_length=48)  # fmt: skip
    told = training.plain_options(made, {}, dict.fromkeys(training.LORA), tmp_path)
    arguments = TrainingArguments(**{**told["arguments"], "warmup_steps": 0.06})
    assert (arguments.num_train_epochs, arguments.per_device_train_batch_size, arguments.bf16) == (2.0, 4, False)
    assert set(told["lora"]) <= set(LoraConfig.__dataclass_fields__)
    assert told["max_length"] == 48


def test_a_run_is_read_from_what_it_left(tmp_path: Path) -> None:
    """Events tell when the first step began and the last evaluation ended; every row that went through is counted."""
    training = importlib.import_module("bench.training")
    started = time.time()
    model = tiny_bert(tmp_path / "model")
    often = {"max_steps": 4, "eval_strategy": "steps", "eval_steps": 2, "load_best_model_at_end": False}
    run = train(tmp_path, model, feelings(), validation_fraction=0.25, **often)
    found, record = training.read_ours(run, started), read_run(run / "result")
    assert found.loss == pytest.approx(record.metrics["eval_loss"])
    assert found.samples == round(record.rows["train"] * record.epochs) + 2 * record.rows["validation"]
    assert found.start_seconds > 0
    assert 0 < found.seconds <= time.time() - started - found.start_seconds
    assert found.peak_bytes == record.peak_bytes
