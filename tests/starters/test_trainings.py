"""Real trainings on the samples that ship with Atelier: they teach something, and answer by their names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.training_runs import BETTER_ACCURACY, LOWER_LOSS, Ran, tell_praise, tell_stories
from core.atelier import Atelier, open_atelier
from core.settings import Settings
from core.tasks.text.text_classification import TextClassificationSettings, classify_text
from core.tasks.text.text_generation import TextGenerationSettings, generate_text

pytestmark = pytest.mark.starters


@pytest.fixture(scope="module")
def atelier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Atelier]:
    """Open an instance of its own, as the app does."""
    made = open_atelier(Settings(home=tmp_path_factory.mktemp("home")))
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def reviews(atelier: Atelier) -> Ran:
    """Train a new head and LoRA on the starters' base, started as a visitor starts it."""
    return tell_praise(atelier)


@pytest.fixture(scope="module")
def stories(atelier: Atelier) -> Ran:
    """Train LoRA on the stories starter."""
    return tell_stories(atelier)


def test_a_trained_head_beats_untrained_ones(reviews: Ran) -> None:
    """On 36 reviews that were held out, by the margin that README states."""
    assert len(reviews.held_out) == 36
    assert reviews.after >= reviews.before + BETTER_ACCURACY
    assert reviews.after >= 0.75
    assert reviews.record.metrics["eval_accuracy"] == pytest.approx(reviews.after, abs=0.03)


@pytest.mark.parametrize(
    ("text", "label"),
    [("The food was wonderful and the staff were kind.", "positive"), ("A dull book, badly written.", "negative")],
)
def test_the_run_tells_praise_from_blame(atelier: Atelier, reviews: Ran, text: str, label: str) -> None:
    """Sentences of other people get the right label from run/reviews, with the base in its lineage."""
    found = classify_text(TextClassificationSettings(text=text, model="run/reviews", top_k=1), atelier.registry)
    assert found.result[0]["label"] == label
    assert found.provenance.lineage[0].startswith(reviews.record.base.id)


def test_a_starter_that_goes_on_learning_knows_the_stories_better(stories: Ran) -> None:
    """The loss on stories that were held out falls by the margin that README states."""
    assert len(stories.held_out) == 4
    assert stories.after <= stories.before - LOWER_LOSS


def test_the_run_tells_on(atelier: Atelier, stories: Ran) -> None:
    """run/stories writes, and its answer names the run and the starter it stands on."""
    settings = TextGenerationSettings(prompt="Mia had a red kite.", model="run/stories", max_new_tokens=20, seed=1)
    found = generate_text(settings, atelier.registry)
    assert len(found.result[0]["generated_text"]) > len("Mia had a red kite.")
    assert found.provenance.model == "run/stories"
    assert found.provenance.lineage[0].startswith(stories.record.base.id)
