"""Each text starter, asked the way the page asks it, gives right answers to easy questions."""

from __future__ import annotations

import pytest

from core.catalogue import starter_names
from core.models.registry import Registry
from core.tasks.text.chat import ChatSettings, chat
from core.tasks.text.fill_mask import FillMaskSettings, fill_masks
from core.tasks.text.question_answering import QuestionAnsweringSettings, answer_question
from core.tasks.text.text_classification import TextClassificationSettings, classify_text
from core.tasks.text.text_generation import TextGenerationSettings, generate_text
from core.tasks.text.token_classification import TokenClassificationSettings, classify_tokens
from core.tasks.text.translation import TranslationSettings, translate
from core.tasks.text.zero_shot_classification import ZeroShotClassificationSettings, classify_zero_shot

BRISTOL = (
    "Ada was born in Leeds in 1951 and studied chemistry in Bristol. After that she worked for a brewery in Munich, "
    "where she met Karl, a teacher from Vienna. They married in 1979 and moved to Lisbon."
)

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def needs(name: str) -> None:
    """Skip, in plain words, where a starter has not been made yet."""
    if f"starter/{name}" not in starter_names():
        pytest.skip(f"assets/starters/{name} is not in this checkout; make starters builds it")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I loved every minute of it.", "positive"),
        ("A wonderful, moving film.", "positive"),
        ("The plot is thin and the jokes fall flat.", "negative"),
        ("What a boring waste of time.", "negative"),
    ],
)
def test_sentiment(registry: Registry, text: str, label: str) -> None:
    """Clear praise and clear blame are told apart."""
    needs("sentiment")
    answer = classify_text(TextClassificationSettings(text=text), registry)
    assert answer.scores[0].label.lower() == label
    assert answer.provenance.model == "starter/sentiment"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Angela Merkel met Tim Cook in Berlin.", {"Angela Merkel": "PER", "Tim Cook": "PER", "Berlin": "LOC"}),
        ("Barack Obama was born in Hawaii.", {"Barack Obama": "PER", "Hawaii": "LOC"}),
        ("We had nothing to eat for two days.", {}),
    ],
)
def test_entities(registry: Registry, text: str, found: dict[str, str]) -> None:
    """Well-known persons and places are found whole, under the right name, and nothing else is."""
    needs("entities")
    answer = classify_tokens(TokenClassificationSettings(text=text, aggregation_strategy="first"), registry)
    assert {text[entity.start : entity.end]: entity.label for entity in answer.entities} == found


def test_entities_beyond_the_window(registry: Registry) -> None:
    """A name at the end of a text of many windows is found where it stands, once."""
    needs("entities")
    text = "It rained for the whole day and nobody went out. " * 200 + "Angela Merkel went to Berlin."
    answer = classify_tokens(TokenClassificationSettings(text=text, aggregation_strategy="first"), registry)
    assert [text[one.start : one.end] for one in answer.entities if one.start > len(text) - 30] == [
        "Angela Merkel",
        "Berlin",
    ]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Where was Ada born?", "Leeds"),
        ("What did she study?", "chemistry"),
        ("When was Ada born?", "1951"),
        ("When did they marry?", "1979"),
    ],
)
def test_question_answering(registry: Registry, question: str, answer: str) -> None:
    """Who, where and when are answered with the very words of the text, however long what surrounds them."""
    needs("question-answering")
    for context in (BRISTOL, "It rained for the whole day and nobody went out. " * 60 + BRISTOL):
        found = answer_question(QuestionAnsweringSettings(question=question, context=context), registry).answers[0]
        assert answer in found.answer
        assert len(found.answer) < 40
        assert context[found.start : found.end] == found.answer


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("The striker scored twice in the second half of the match.", "sports"),
        ("The parliament voted on the new tax law.", "politics"),
        ("Bake the dough for twenty minutes and let it cool.", "cooking"),
    ],
)
@pytest.mark.parametrize("multi_label", [False, True])
def test_zero_shot_classification(registry: Registry, text: str, label: str, multi_label: bool) -> None:
    """The topic of a plain sentence is chosen among three."""
    needs("nli")
    settings = ZeroShotClassificationSettings(
        text=text,
        labels="sports, politics, cooking",
        hypothesis_template="This example is about {}.",
        multi_label=multi_label,
    )
    assert classify_zero_shot(settings, registry).result["labels"][0] == label


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Once upon a [MASK], there was a little girl.", "time"),
        ("They all lived happily ever <mask>.", "after"),
        ("Tim and his mom went to the [MASK] to play.", "park"),
    ],
)
def test_fill_mask(registry: Registry, text: str, word: str) -> None:
    """What everybody expects in a story for children is among the first five words."""
    needs("fill-mask")
    answer = fill_masks(FillMaskSettings(text=text), registry)
    assert word in [one["token_str"] for one in answer.result]
    assert answer.provenance.model == "starter/fill-mask"


def test_fill_mask_among_words(registry: Registry) -> None:
    """Of words of one's own the one that makes sense comes first."""
    needs("fill-mask")
    answer = fill_masks(FillMaskSettings(text="The bird can [MASK] in the sky.", targets="fly, cook, book"), registry)
    assert answer.result[0]["token_str"] == "fly"


@pytest.mark.parametrize(
    ("text", "french"),
    [
        ("I am very tired.", "Je suis très fatigué."),
        ("Where is the station?", "Où est la gare ?"),
        ("She has two cats.", "Elle a deux chats."),
    ],
)
def test_translation(registry: Registry, text: str, french: str) -> None:
    """Everyday sentences are translated as everybody would."""
    needs("translate-en-fr")
    found = translate(TranslationSettings(text=text), registry)
    assert found.translation_text == french
    assert found.provenance.model == "starter/translate-en-fr"


def test_stories_and_chat(registry: Registry) -> None:
    """A story goes on as a story; asked for one in a chat, the same starter tells of what it was asked for."""
    needs("stories")
    story = generate_text(TextGenerationSettings(prompt="Once upon a time", do_sample=False), registry)
    assert "there was a" in story.result[0]["generated_text"]
    reply = chat(ChatSettings(message="Tell me a story about a cat.", do_sample=False, max_new_tokens=80), registry)
    assert "cat" in reply.text
    assert {story.provenance.model, reply.provenance.model} == {"starter/stories"}


@pytest.mark.parametrize(
    ("text", "told"),
    [("이 영화는 정말 지루했다", True), ("这部电影很好看", True), ("Un café très agréable", False), ("12 + 3", False)],
)
def test_a_script_that_was_never_taught_is_told(registry: Registry, text: str, told: bool) -> None:
    """What is written in no Latin letters is answered with a note that the starter knows English alone."""
    found = classify_text(TextClassificationSettings(text=text), registry)
    assert [note.key for note in found.notes] == (["say.taught_english"] if told else [])
    asked = answer_question(QuestionAnsweringSettings(question=text, context=text), registry)
    assert bool(asked.notes) == told
