"""One task over a whole file: order, blanks, bad rows, stops, crashes, and what is written."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import BadFile, Cancelled, InvalidInput, WrongTask
from core.events import CancelToken
from core.models.registry import Registry
from core.settings import LIMITS, PROJECT
from core.tables import read_table, write_csv, write_parquet
from core.tasks.text import batch
from core.tasks.text.batch import TextBatchSettings, run_batch
from core.tasks.text.batch_results import (
    PREVIEW_CHARACTERS,
    ROWS_FILE,
    SUMMARY_FILE,
    TABLE_NAMES,
    Row,
    distribution,
    read_rows,
    read_summary,
    result_files,
    status_counts,
)
from core.tasks.text.fill_mask import FillMaskSettings, fill_masks
from core.tasks.text.pooling import SENTENCE_CONFIG
from core.tasks.text.row_tasks import ROW_TASKS
from core.tasks.text.text_classification import TextClassificationSettings, classify_text
from core.tasks.text.text_generation import TextGenerationSettings, generate_text
from core.tasks.text.translation import TranslationSettings, translate
from core.words import say
from tests.fakes.models import tiny_llama
from tests.fakes.translators import tiny_nllb

TEXTS = ("a good film", "", "bad !", "the plot was awful and never great", "   ", "good")


class Job:
    """What run_batch needs of a job."""

    def __init__(self, folder: Path) -> None:
        """Write below `folder`."""
        self.result_folder, self.cancel, self.emitted, self.done = folder, CancelToken(), [], []
        self.logged: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def report(self, progress: Any) -> None:
        """Keep the progress."""
        self.done.append(progress)

    def emit(self, name: str, payload: Any) -> None:
        """Keep the event."""
        self.emitted.append((name, payload))

    def log(self, text: str) -> None:
        """Keep the lines."""
        self.logged.append(text)


def table(folder: Path, texts: Sequence[Any], column: str = "text", **more: Any) -> str:
    """Write an upload of one text column and constant others."""
    path = folder / "upload.csv"
    write_csv(path, [column, *more], [{column: text, **more} for text in texts])
    return str(path)


def done(job: Job) -> list[dict[str, Any]]:
    """Return the rows of the written table."""
    return read_table(job.result_folder / "result.csv").rows


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Give a job with an empty result folder."""
    return Job(tmp_path / "job")


@pytest.fixture
def sentiment(make_model: Any) -> str:
    """Give a tiny classifier."""
    return str(make_model("sequence-classification"))


def test_rows_keep_order_and_equal_the_skill(job: Job, tmp_path: Path, registry: Registry, sentiment: str) -> None:
    """Each row has the result that the skill gives its text alone; blank ones are kept and marked."""
    settings = TextBatchSettings(file=table(tmp_path, TEXTS, id="7"), column="text", model=sentiment)
    run_batch(job, settings, registry)
    rows = done(job)
    assert [row["status"] for row in rows] == ["ok", "blank", "ok", "ok", "blank", "ok"]
    for row, text in zip(rows, TEXTS, strict=True):
        assert (row["text"].strip(), row["id"]) == (text.strip(), "7")
        if text.strip():
            asked = TextClassificationSettings(text=text, model=sentiment, top_k=1)
            (alone,) = classify_text(asked, registry).scores
            assert row["label"] == alone.label
            assert float(row["score"]) == pytest.approx(alone.score, abs=2e-6)
    assert job.done[-1].done == job.done[-1].total == len(TEXTS)
    assert dict(job.emitted[-1][1]) == dict(distribution(read_rows(job.result_folder), "text-classification"))
    provenance = json.loads((job.result_folder / SUMMARY_FILE).read_text())["provenance"]
    assert provenance["model"] == sentiment


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_no_column_is_overwritten(job: Job, tmp_path: Path, registry: Registry, sentiment: str, kind: str) -> None:
    """Where the file has label, score and status, ours get other names, in the header as in every row."""
    rows = [{"text": "good", "label": "mine", "score": "9", "status": "new", "predicted_label": "old"}, {"text": "bad"}]
    path = tmp_path / f"upload.{kind}"
    if kind == "csv":
        path.write_text("text,label,score,status,predicted_label\ngood,mine,9,new,old\nbad\n")
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    run_batch(job, TextBatchSettings(file=str(path), column="text", model=sentiment), registry)
    found = read_table(job.result_folder / "result.csv")
    assert found.columns[:5] == ("text", "label", "score", "status", "predicted_label")
    assert found.columns[5:] == ("predicted_label_2", "predicted_score", "predicted_status")
    first, second = found.rows
    assert [first[name] for name in ("label", "score", "status", "predicted_label")] == ["mine", "9", "new", "old"]
    assert [row["predicted_status"] for row in (first, second)] == ["ok", "ok"]
    assert all(row["predicted_label_2"] in {"NEGATIVE", "POSITIVE"} for row in (first, second))
    assert not second["label"]


def test_a_bad_row_fails_alone(job: Job, tmp_path: Path, registry: Registry, sentiment: str) -> None:
    """A too long text, a row with too many cells, and one the model cannot take are named; the others are answered."""
    long = "a" * (LIMITS.batch_text_characters + 1)
    path = tmp_path / "upload.csv"
    path.write_text(f"text,n\ngood,1\n{long},2\ngood,3,4\n\nbad,5\n")
    run_batch(job, TextBatchSettings(file=str(path), column="text", model=sentiment), registry)
    status = [row["status"] for row in done(job)]
    assert [one in {"ok", "blank"} for one in status] == [True, False, False, True, True]
    assert status[3] == "blank"
    assert f"{LIMITS.batch_text_characters:,}" in status[1]
    assert status_counts(read_rows(job.result_folder)) == {"ok": 2, "blank": 1, "failed": 2}


def test_numbers_and_missing_cells_are_read_as_people_mean_them(
    job: Job, tmp_path: Path, registry: Registry, sentiment: str
) -> None:
    """A number is a text, None and NaN are blank, a nested cell does not stop the file."""
    path = tmp_path / "upload.jsonl"
    path.write_text('{"text": 5}\n{"text": null}\n{"text": NaN}\n{"text": ["a", 1]}\n{"n": 1}\n')
    run_batch(job, TextBatchSettings(file=str(path), column="text", model=sentiment), registry)
    assert [row["status"] for row in done(job)] == ["ok", "blank", "blank", "ok", "blank"]


def scripted(monkeypatch: pytest.MonkeyPatch, run: Any, together: int = 256) -> None:
    """Replace what text classification does with rows, `together` at once."""
    known = ROW_TASKS["text-classification"]
    task = replace(known, answer=run, together=together)
    monkeypatch.setattr(batch, "ROW_TASKS", {**ROW_TASKS, "text-classification": task})


def test_one_text_that_breaks_the_model_does_not_break_its_neighbours(
    job: Job, tmp_path: Path, registry: Registry, sentiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If many texts fail together, each is asked alone, and only the bad one is marked."""

    def run(texts: Sequence[str], *_: Any) -> list[Any]:
        if "bad" in texts:
            raise IndexError("index out of range in self")
        return [[{"label": text, "score": 1.0}] for text in texts]

    scripted(monkeypatch, run)
    run_batch(job, TextBatchSettings(file=table(tmp_path, ["a", "bad", "c"]), column="text", model=sentiment), registry)
    rows = done(job)
    assert [row["label"] for row in rows] == ["a", "", "c"]
    assert "index out of range" in rows[1]["status"]


def test_a_row_without_a_gap_is_refused_alone(job: Job, tmp_path: Path, registry: Registry, make_model: Any) -> None:
    """Gaps are filled row by row: a word and its score, several words and the product; a row without one says so."""
    model = str(make_model("masked-lm"))
    texts = ["the [MASK] was good", "no gap here", "<mask> and [MASK]", ""]
    run_batch(
        job, TextBatchSettings(file=table(tmp_path, texts), column="text", task="fill-mask", model=model), registry
    )
    rows = done(job)
    assert [row["status"] in {"ok", "blank"} for row in rows] == [True, False, True, True]
    assert "[MASK]" in rows[1]["status"]
    (one,) = fill_masks(FillMaskSettings(text=texts[0], model=model, top_k=1), registry).result
    assert (rows[0]["word"], float(rows[0]["score"])) == (one["token_str"], pytest.approx(one["score"], abs=2e-6))
    first, second = (mask[0] for mask in fill_masks(FillMaskSettings(text=texts[2], model=model), registry).result)
    assert rows[2]["word"] == f"{first['token_str']}, {second['token_str']}"
    assert float(rows[2]["score"]) == pytest.approx(first["score"] * second["score"], abs=2e-6)
    assert dict(distribution(read_rows(job.result_folder), "fill-mask")).keys() == {
        found["token_str"] for found in (one, first, second)
    }


def test_a_bug_is_logged_with_its_traceback_once(
    job: Job, tmp_path: Path, registry: Registry, sentiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no refusal of ours leaves its traceback in the job's log, not once a row."""

    def run(texts: Sequence[str], *_: Any) -> list[Any]:
        if any("bad" in text for text in texts):
            raise IndexError(texts[0])
        return [[{"label": text, "score": 1.0}] for text in texts]

    scripted(monkeypatch, run)
    upload = table(tmp_path, ["a", "bad 1", "bad 2"])
    run_batch(job, TextBatchSettings(file=upload, column="text", model=sentiment), registry)
    (logged,) = job.logged
    assert logged.startswith("Traceback")
    assert "IndexError: bad 1" in logged


@pytest.mark.parametrize(
    "problem",
    [
        WrongTask("error.no_entailment", name="m", labels="A, B"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_what_fails_every_row_fails_the_job(
    job: Job,
    tmp_path: Path,
    registry: Registry,
    sentiment: str,
    monkeypatch: pytest.MonkeyPatch,
    problem: Exception,
) -> None:
    """A model made for something else, and memory that is short, are no row's own problem; earlier rows are kept."""

    def run(texts: Sequence[str], *_: Any) -> list[Any]:
        if "t9" in texts:
            raise problem
        return [[{"label": text, "score": 1.0}] for text in texts]

    scripted(monkeypatch, run, together=5)
    settings = TextBatchSettings(file=table(tmp_path, [f"t{n}" for n in range(10)]), column="text", model=sentiment)
    with pytest.raises(type(problem)) as caught:
        run_batch(job, settings, registry)
    assert caught.value is problem
    assert [row["label"] for row in done(job)] == [f"t{n}" for n in range(5)]


def test_zero_shot_with_a_classifier_fails(job: Job, tmp_path: Path, registry: Registry, sentiment: str) -> None:
    """A model that cannot tell what a text entails is refused once, not row by row."""
    settings = TextBatchSettings(
        file=table(tmp_path, TEXTS), task="zero-shot-classification", labels="a, b", model=sentiment
    )
    with pytest.raises(WrongTask):
        run_batch(job, settings, registry)


def test_a_batch_that_answers_nothing_fails(job: Job, tmp_path: Path, registry: Registry, make_model: Any) -> None:
    """If no row with text is answered, the job fails with the first row's problem; the table still names each."""
    settings = TextBatchSettings(
        file=table(tmp_path, ["", "good", "bad"]),
        column="text",
        task="question-answering",
        question="good " * 190,
        model=str(make_model("question-answering")),
    )
    with pytest.raises(InvalidInput, match="None of the 2 rows") as caught:
        run_batch(job, settings, registry)
    assert caught.value.sentence.values["problem"] == done(job)[1]["status"] == done(job)[2]["status"]


def test_blank_rows_alone_are_no_failure(job: Job, tmp_path: Path, registry: Registry, sentiment: str) -> None:
    """A column without any text is answered with a table of blanks."""
    run_batch(job, TextBatchSettings(file=table(tmp_path, ["", " "], n=1), column="text", model=sentiment), registry)
    assert [row["status"] for row in done(job)] == ["blank", "blank"]


def test_a_stop_keeps_what_is_done(
    job: Job, tmp_path: Path, registry: Registry, sentiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped midway, the finished rows are written as both files, beside their own columns."""

    def run(texts: Sequence[str], *_: Any) -> list[Any]:
        if read_rows(job.result_folder):
            job.cancel.cancel()
        return [[{"label": text, "score": 1.0}] for text in texts]

    scripted(monkeypatch, run, together=10)
    settings = TextBatchSettings(
        file=table(tmp_path, [f"t{place}" for place in range(50)]), column="text", model=sentiment
    )
    with pytest.raises(Cancelled):
        run_batch(job, settings, registry)
    assert [row["label"] for row in done(job)] == [f"t{place}" for place in range(20)]
    assert len(read_table(job.result_folder / "result.parquet").rows) == 20


CRASH = """
import dataclasses, sys, time
from pathlib import Path
from types import SimpleNamespace
sys.path.insert(0, sys.argv[1])
from core.tasks.text import batch
from core.events import CancelToken
class Job:
    result_folder, cancel = Path(sys.argv[2]), CancelToken()
    def report(self, progress):
        print(progress.done, flush=True)
        time.sleep(60 if progress.done >= 20 else 0)
    def emit(self, name, payload): ...
    def log(self, text): ...
class Model:
    max_length = 512
    placement = SimpleNamespace(mixed_tables=False)
    def provenance(self, seconds, *, mixed):
        from core.provenance import Provenance
        return Provenance("m", "r", None, "cpu", "float32", "sdpa")
class Registry:
    def resolve(self, *_): ...
    def borrow(self, *_, **__):
        from contextlib import nullcontext
        return nullcontext(Model())
known = batch.ROW_TASKS["text-classification"]
answer = lambda texts, *_: [[{"label": text, "score": 1.0}] for text in texts]
batch.ROW_TASKS = {"text-classification": dataclasses.replace(known, answer=answer, together=10)}
batch.run_batch(Job(), batch.TextBatchSettings(file=sys.argv[3], column="text"), Registry())
"""


def test_a_kill_keeps_what_is_done(tmp_path: Path) -> None:
    """After kill -9 the finished rows are still there, a torn line is left out, and the table can be written."""
    folder = tmp_path / "job"
    folder.mkdir()
    upload = table(tmp_path, [f"t{place}" for place in range(50)])
    command = [sys.executable, "-c", CRASH, str(PROJECT), str(folder), upload]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    with process.stdout:
        for line in process.stdout:
            if int(line) >= 20:
                break
        os.kill(process.pid, signal.SIGKILL)
    process.wait(20)
    with (folder / ROWS_FILE).open("a") as file:
        file.write('{"place": 20, "resu')
    Path(upload).unlink()
    paths = result_files(folder, "text-classification")
    assert [path.name for path in paths] == ["result.csv", "result.parquet"]
    assert [row["label"] for row in read_table(paths[0]).rows] == [f"t{place}" for place in range(20)]


def test_a_line_separator_in_an_answer_tears_nothing(tmp_path: Path) -> None:
    """U+2028 and its kin inside a result do not cut the file of rows."""
    rows = [Row(place, result=[{"label": "a\u2028\x85b", "score": 1.0}]) for place in range(3)]
    lines = [json.dumps(row.__dict__, ensure_ascii=False) for row in rows]
    (tmp_path / ROWS_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert read_rows(tmp_path) == rows


def test_the_summary_shows_the_rows(job: Job, tmp_path: Path, registry: Registry, sentiment: str) -> None:
    """At the end the summary holds counts, distribution and the first rows, so that no page reads the rows again."""
    texts = ["good", "", *(f"bad {place}" for place in range(60))]
    run_batch(job, TextBatchSettings(file=table(tmp_path, texts, n=1), column="text", model=sentiment), registry)
    summary, rows = read_summary(job.result_folder), read_rows(job.result_folder)
    assert summary
    assert summary.outcome
    assert summary.outcome.counts == {"ok": 61, "blank": 1, "failed": 0}
    assert [tuple(one) for one in summary.outcome.categories] == distribution(rows, "text-classification")
    assert len(summary.outcome.preview) == LIMITS.table_preview_rows
    assert summary.outcome.preview[1] == ["2", "", "", "blank"]
    assert summary.outcome.preview[0][1] == done(job)[0]["label"]


def test_the_preview_tells_rows_apart(job: Job, tmp_path: Path, registry: Registry, sentiment: str) -> None:
    """The summary holds the beginning of each shown row's text on one line, and nothing for a blank one."""
    texts = ["good\nfilm", " ", "bad " * 100, *(f"plot {place}" for place in range(60))]
    run_batch(job, TextBatchSettings(file=table(tmp_path, texts, n=1), column="text", model=sentiment), registry)
    summary = read_summary(job.result_folder)
    assert summary
    assert summary.outcome
    assert len(summary.outcome.texts) == len(summary.outcome.preview) == LIMITS.table_preview_rows
    first, blank, long, fourth = summary.outcome.texts[:4]
    assert (first, blank, fourth) == ("good film", "", "plot 0")
    assert (len(long), long[:8], long[-1]) == (PREVIEW_CHARACTERS, "bad bad ", "…")


@pytest.mark.parametrize(
    "written", ["", '{"provenance": {"mo', "[]", "{}", '{"provenance": {}, "column": "a", "max_length": 1}', "null"]
)
def test_a_summary_that_cannot_be_read_is_none(tmp_path: Path, written: str) -> None:
    """A torn summary, or one of another version, counts as not there."""
    (tmp_path / SUMMARY_FILE).write_text(written)
    assert read_summary(tmp_path) is None


def test_an_interrupted_job_is_collected_once(job: Job, tmp_path: Path, registry: Registry, sentiment: str) -> None:
    """Where the server died before the table was written, whoever looks first has it written; the next one reads."""
    settings = TextBatchSettings(file=table(tmp_path, ["good", "bad"]), column="text", model=sentiment)
    run_batch(job, settings, registry)
    whole = {name: (job.result_folder / name).read_bytes() for name in TABLE_NAMES}
    path = job.result_folder / SUMMARY_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "outcome": None}))
    for name in TABLE_NAMES:
        (job.result_folder / name).unlink()
    paths = result_files(job.result_folder, settings.task)
    assert {path.name: path.read_bytes() for path in paths} == whole
    (job.result_folder / ROWS_FILE).unlink()
    assert result_files(job.result_folder, settings.task) == paths
    summary = read_summary(job.result_folder)
    assert summary
    assert summary.outcome
    assert summary.outcome.counts["ok"] == 2
    assert not list(job.result_folder.glob(".*"))


@pytest.mark.parametrize(
    ("task", "head", "more"),
    [
        ("text-classification", "sequence-classification", {}),
        ("zero-shot-classification", "nli", {"labels": "film, plot"}),
        ("summarization", "sequence-classification", {}),
        ("feature-extraction", "sequence-classification", {}),
    ],
)
def test_rows_that_were_cut_are_counted(  # noqa: PLR0913, PLR0917 the table's columns
    job: Job, tmp_path: Path, registry: Registry, make_model: Any, task: str, head: str, more: Any
) -> None:
    """Texts longer than the model reads are marked, and one note says how many there are."""
    long = "a good film and " * 300
    upload = table(tmp_path, ["good", long, "", f"{long} ."])
    settings = TextBatchSettings(file=upload, column="text", task=task, model=str(make_model(head)), **more)
    run_batch(job, settings, registry)
    assert [row.cut for row in read_rows(job.result_folder)] == [False, True, False, True]
    summary = read_summary(job.result_folder)
    assert summary
    (note,) = summary.notes
    assert str(note).startswith("2 texts were longer")


@pytest.mark.parametrize(
    ("task", "read"), [("summarization", 8), ("feature-extraction", 8), ("text-classification", 128)]
)
def test_the_note_names_the_length_that_was_read(
    job: Job, tmp_path: Path, registry: Registry, sentiment: str, task: str, read: int
) -> None:
    """An encoder that was made for short texts cuts them there, and the note says so; its classifier reads on."""
    folder = shutil.copytree(sentiment, tmp_path / "made-for-8")
    (folder / SENTENCE_CONFIG).write_text('{"max_seq_length": 8}')
    upload = table(tmp_path, ["a good film and " * 300])
    run_batch(job, TextBatchSettings(file=upload, column="text", task=task, model=str(folder)), registry)
    summary = read_summary(job.result_folder)
    assert summary
    assert summary.max_length == read
    assert [note.values["read"] for note in summary.notes] == [read]


def test_settings_that_no_row_reads_are_named(job: Job, tmp_path: Path, registry: Registry, sentiment: str) -> None:
    """What this kind of model does not read stands once in a table's notes and provenance, and survives a restart."""
    asked = {"sentences": 1, "min_length": 4, "num_beams": 2}
    upload = table(tmp_path, ["good film .", "bad film . very bad ."])
    run_batch(
        job, TextBatchSettings(file=upload, column="text", task="summarization", model=sentiment, **asked), registry
    )
    summary = read_summary(job.result_folder)
    assert summary
    assert summary.notes == (say("say.unread_by_picker", names="min_length, num_beams"),)
    assert summary.ran.fallbacks[-1] == str(summary.notes[0])


def test_others_get_in_between(
    job: Job, tmp_path: Path, registry: Registry, sentiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interactive request is answered while a batch runs, before the batch is over."""
    answered = threading.Event()
    report = job.report

    def waiting(progress: Any) -> None:
        report(progress)
        if len(job.done) == 2:
            assert answered.wait(60), "the interactive request waited for the whole batch"

    monkeypatch.setattr(job, "report", waiting)

    def ask() -> None:
        while not job.done:
            time.sleep(0.01)
        classify_text(TextClassificationSettings(text="good", model=sentiment), registry)
        answered.set()

    thread = threading.Thread(target=ask)
    thread.start()
    settings = TextBatchSettings(file=table(tmp_path, ["a good film"] * 600), column="text", model=sentiment)
    run_batch(job, settings, registry)
    thread.join(60)
    assert status_counts(read_rows(job.result_folder))["ok"] == 600


@pytest.mark.parametrize(
    ("task", "head", "more", "columns"),
    [
        ("sentiment-analysis", "sequence-classification", {}, {"label", "score"}),
        ("zero-shot-classification", "nli", {"labels": "film, plot"}, {"label", "score"}),
        ("ner", "token-classification", {}, {"entities"}),
        ("question-answering", "question-answering", {"question": "who works ?"}, {"answer", "score"}),
        ("summarization", "sequence-classification", {}, {"summary"}),
        ("sentence-embeddings", "sequence-classification", {}, {"vector"}),
    ],
)
def test_every_task_in_old_words_too(  # noqa: PLR0913, PLR0917 the table's columns
    job: Job, tmp_path: Path, registry: Registry, make_model: Any, task: str, head: str, more: Any, columns: set[str]
) -> None:
    """Each task answers rows, under its own name or the cheat sheets', and adds its columns."""
    path = tmp_path / "upload.parquet"
    write_parquet(path, ["text"], [{"text": text} for text in ("ada works in london .", "paris is great .")])
    settings = TextBatchSettings(file=str(path), task=task, model=str(make_model(head)), **more)
    run_batch(job, settings, registry)
    found = read_table(job.result_folder / "result.parquet")
    assert set(found.columns) == {"text", "status", *columns}
    assert [row["status"] for row in found.rows] == ["ok", "ok"]
    assert distribution(read_rows(job.result_folder), settings.task) is not None
    if "vector" in columns:
        assert len(found.rows[0]["vector"]) == 32


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"task": "zero-shot-classification"}, "needs labels"),
        ({"task": "zero-shot-classification", "labels": " "}, "needs labels"),
        ({"task": "question-answering"}, "needs a question"),
        ({"task": "zero-shot-classification", "labels": ",".join(map(str, range(51)))}, "51"),
        ({"task": "zero-shot-classification", "labels": ",,"}, "label"),
        ({"task": "image-to-text"}, "no task called"),
    ],
)
def test_what_is_missing_is_said_before_the_work(values: dict[str, str], words: str) -> None:
    """Zero-shot without labels, a question not asked, and an unknown task are refused in words."""
    with pytest.raises(Exception, match=words) as caught:
        TextBatchSettings(file="t.csv", **values)
    assert isinstance(caught.value, InvalidInput) or words == "no task called"


def test_a_wrong_column_is_refused_before_the_model_loads(job: Job, tmp_path: Path) -> None:
    """The refusal names the columns there are."""
    never: Any = SimpleNamespace()
    with pytest.raises(BadFile, match="text"):
        run_batch(job, TextBatchSettings(file=table(tmp_path, ["a"]), column="Texte"), never)


def test_a_table_is_translated(job: Job, tmp_path: Path, registry: Registry) -> None:
    """Each row has the translation of its text alone; the old task name tells the languages."""
    model = str(tiny_nllb(tmp_path / "nllb"))
    texts = ("A cat. No!", "", "How are you?\n- Fine.", "12")
    file = table(tmp_path, texts, id="7")
    settings = TextBatchSettings(file=file, column="text", model=model, task="translation_en_to_fr")
    assert (settings.task, settings.source_language, settings.target_language) == ("translation", "en", "fr")
    run_batch(job, settings, registry)
    rows = done(job)
    assert [row["status"] for row in rows] == ["ok", "blank", "ok", "ok"]
    for row in (row for row in rows if row["status"] == "ok"):
        alone = TranslationSettings(text=row["text"], model=model, source_language="en", target_language="fr")
        assert row["translation"] == translate(alone, registry).translation_text


@pytest.mark.parametrize(
    ("task", "asked"),
    [
        ("text-generation", {"max_new_tokens": 5, "num_beams": 3}),
        ("translation", {"max_new_tokens": 5, "num_beams": 3}),
        ("summarization", {"sentences": 2, "min_length": 4, "max_length": 9, "num_beams": 3}),
        ("fill-mask", {"targets": "good, bad"}),
    ],
)
def test_what_a_task_asks_for_reaches_its_rows(tmp_path: Path, task: str, asked: dict[str, Any]) -> None:
    """A row's settings are those of the table; what is left alone is the task's own."""
    file = table(tmp_path, TEXTS)
    row = TextBatchSettings(file=file, task=task, **asked).row_settings()
    assert {name: getattr(row, name) for name in asked} == asked
    plain = TextBatchSettings(file=file, task=task).row_settings()
    usual = {one.name: one.default for one in fields(type(plain))}
    assert {name: getattr(plain, name) for name in asked} == {name: usual[name] for name in asked}


def test_a_table_is_continued_by_beams(job: Job, tmp_path: Path, registry: Registry) -> None:
    """Each row is what beam search writes for its text alone, as long as was asked for."""
    model = str(tiny_llama(tmp_path / "llama"))
    asked = {"model": model, "max_new_tokens": 4, "num_beams": 2}
    file = table(tmp_path, ("Once upon a time", "The dog"))
    run_batch(job, TextBatchSettings(file=file, column="text", task="text-generation", **asked), registry)
    for row in done(job):
        alone = TextGenerationSettings(prompt=row["text"], do_sample=False, **asked)
        assert row["generated_text"] == generate_text(alone, registry).result[0]["generated_text"]


def test_translations_that_may_lack_their_end_are_counted(job: Job, tmp_path: Path, registry: Registry) -> None:
    """Answers with as many tokens as are allowed are marked, and told as for a single text."""
    model = str(tiny_nllb(tmp_path / "nllb"))
    file, languages = table(tmp_path, ("A cat.", "", "No!")), {"source_language": "en", "target_language": "fr"}
    asked = {"model": model, "task": "translation", "max_new_tokens": 1, **languages}
    run_batch(job, TextBatchSettings(file=file, column="text", **asked), registry)
    assert [row.full for row in read_rows(job.result_folder)] == [True, False, True]
    summary = read_summary(job.result_folder)
    assert summary is not None
    assert [(note.key, note.values) for note in summary.notes] == [("say.answers_full", {"count": 2})]


def test_settings_of_another_task_are_told(job: Job, tmp_path: Path, registry: Registry, sentiment: str) -> None:
    """What was chosen and plays no part is named, not swallowed."""
    asked = {"model": sentiment, "num_beams": 4, "targets": "a"}
    run_batch(job, TextBatchSettings(file=table(tmp_path, TEXTS), column="text", **asked), registry)
    summary = read_summary(job.result_folder)
    assert summary is not None
    assert [(note.key, note.values) for note in summary.notes] == [
        ("say.batch_unused", {"names": "targets, num_beams"})
    ]


def test_lengths_that_cross_refuse_the_table(tmp_path: Path) -> None:
    """What no row could be answered with is refused before there is a job."""
    with pytest.raises(InvalidInput, match="30"):
        TextBatchSettings(file=table(tmp_path, TEXTS), task="summarization", min_length=30, max_length=20)


def test_languages_that_are_missing_are_asked_for_once(job: Job, tmp_path: Path, registry: Registry) -> None:
    """A model of several languages refuses the whole table before its first row; languages told twice stay as told."""
    model = str(tiny_nllb(tmp_path / "nllb"))
    settings = TextBatchSettings(file=table(tmp_path, TEXTS), column="text", model=model, task="translation")
    with pytest.raises(InvalidInput, match="source_language"):
        run_batch(job, settings, registry)
    assert not read_rows(job.result_folder)
    told = replace(settings, task="translation_en_to_fr", target_language="de")
    assert (told.source_language, told.target_language) == ("en", "de")
