"""Memory beside the weights: what a text task asks for before it computes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.catalogue import Catalogue
from core.errors import NotEnoughMemory
from core.hub.client import Hub
from core.jobs.folder import JobFolder
from core.jobs.work import JobHandle, StopToken
from core.machine.devices import Device, Hardware
from core.models.loading import Loader
from core.models.registry import Registry
from core.placement.model_facts import ModelFacts, text_working
from core.redaction import Redactor
from core.settings import Settings
from core.tasks.text.attention import AttentionSettings, map_attention
from core.tasks.text.batch import TextBatchSettings, run_batch
from core.tasks.text.encoder import TOKENS_AT_ONCE, needs
from core.tasks.text.feature_extraction import FeatureExtractionSettings, extract_features
from core.tasks.text.fill_mask import FillMaskSettings, fill_masks
from core.tasks.text.question_answering import QuestionAnsweringSettings, answer_question
from core.tasks.text.summarization import SummarizationSettings, summarize
from core.tasks.text.text_classification import TextClassificationSettings, classify_text
from core.tasks.text.token_classification import TokenClassificationSettings, classify_tokens
from core.tasks.text.translation import TranslationSettings, translate
from core.tasks.text.zero_shot_classification import ZeroShotClassificationSettings, classify_zero_shot
from tests.core.tasks.text.conftest import MakeModel
from tests.fakes.translators import tiny_marian

BERT = ModelFacts(hidden_size=8, layers=2, heads=2, positions=128)
LONG = "a good film " * 4_000
SHORT = "a good film"


@pytest.mark.parametrize(
    ("texts", "batch", "length"),
    [
        (["abc"], 1, 1),
        (["a" * 400], 1, 101),
        (["a" * 100_000], TOKENS_AT_ONCE // 128, 128),
        (["a" * 4] * 10_000, TOKENS_AT_ONCE // 2, 2),
        (["\u8a9e" * 4] * 3, 3, 4),
        ([], 0, 0),
    ],
)
def test_needs_are_those_of_the_largest_pass(texts: list[str], batch: int, length: int) -> None:
    """Four bytes are about a token; long texts come in pieces of what the model reads, many go in several passes."""
    assert needs(texts)(BERT) == text_working(BERT, batch, length)


def test_beams_are_for_models_that_write() -> None:
    """Each beam needs a pass of its own where a model writes; an encoder has none."""
    writer = replace(BERT, kind="encoder-decoder")
    assert needs(["a"], beams=4)(writer) == text_working(writer, 4, 1)
    assert needs(["a"], beams=4)(BERT) == text_working(BERT, 1, 1)


def job(folder: Path) -> JobHandle:
    """Make the handle that a job's work gets."""
    (folder / "result").mkdir(parents=True)
    made = JobFolder(folder)
    return JobHandle(made, StopToken(made.stop_file), Redactor())


def over_a_file(text: str, model: str, registry: Registry, folder: Path) -> Any:
    """Label a file of one row, as the batch does."""
    table = folder / "table.csv"
    table.write_text(f"text\n{text}\n")
    with closing(job(folder / "job")) as handle:
        return run_batch(handle, TextBatchSettings(file=str(table), column="text", model=model), registry)


HEAD, WRITER = "sequence-classification", "writer"
TASKS: dict[str, tuple[str, Callable[[str, str, Registry, Path], Any]]] = {
    "text-classification": (HEAD, lambda t, m, r, _: classify_text(TextClassificationSettings(text=t, model=m), r)),
    "zero-shot-classification": (
        "nli",
        lambda t, m, r, _: classify_zero_shot(ZeroShotClassificationSettings(text=t, labels="good", model=m), r),
    ),
    "token-classification": (
        "token-classification",
        lambda t, m, r, _: classify_tokens(TokenClassificationSettings(text=t, model=m), r),
    ),
    "question-answering": (
        "question-answering",
        lambda t, m, r, _: answer_question(QuestionAnsweringSettings(question="who?", context=t, model=m), r),
    ),
    "summarization": (HEAD, lambda t, m, r, _: summarize(SummarizationSettings(text=t, model=m), r)),
    "written-summarization": (WRITER, lambda t, m, r, _: summarize(SummarizationSettings(text=t, model=m), r)),
    "translation": (WRITER, lambda t, m, r, _: translate(TranslationSettings(text=t, model=m), r)),
    "feature-extraction": (HEAD, lambda t, m, r, _: extract_features(FeatureExtractionSettings(text=t, model=m), r)),
    "attention": (HEAD, lambda t, m, r, _: map_attention(AttentionSettings(text=t, model=m), r)),
    "fill-mask": ("masked-lm", lambda t, m, r, _: fill_masks(FillMaskSettings(text=f"[MASK] {t}", model=m), r)),
    "text-batch": (HEAD, over_a_file),
}


@pytest.mark.parametrize("task", TASKS)
def test_a_long_text_is_refused_before_it_fills_memory(task: str, make_model: MakeModel, tmp_path: Path) -> None:
    """On a machine with hardly any memory left, each text task takes a short text and refuses a long one in numbers."""
    head, ask = TASKS[task]
    free = [10**9]
    catalogue = Catalogue(Settings())
    loader = Loader(catalogue, Hub(offline=True))
    registry = Registry(catalogue, loader, probe=lambda: Hardware((Device("cpu", 0, "test", 10**9, free[0]),), cores=2))
    model = str(tiny_marian(tmp_path / "writer")) if head == WRITER else make_model(head)
    (tmp_path / "short").mkdir()
    ask(SHORT, model, registry, tmp_path / "short")
    free[0] = 100_000
    (tmp_path / "again").mkdir()
    ask(SHORT, model, registry, tmp_path / "again")
    (tmp_path / "long").mkdir()
    with pytest.raises(NotEnoughMemory, match=r"needs .*B on cpu beside the model, and 100\.0 KB are free"):
        ask(LONG, model, registry, tmp_path / "long")
    assert [row.borrowed for row in registry.ledger()] == [0]
