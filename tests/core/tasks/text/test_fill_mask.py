"""Filling gaps equals the transformers pipeline, for one gap and for several, in whatever company."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer, pipeline

from core.errors import InvalidInput, ModelError, WrongTask
from core.models.registry import Registry
from core.settings import LIMITS
from core.tasks.text.encoder import INTERACTIVE, Lane
from core.tasks.text.fill_mask import MOST_MASKS, TASK, FillMaskSettings, fill_masks, fill_masks_of_texts
from core.tasks.text.masks import part_with_masks
from tests.core.tasks.text.conftest import Borrow, MakeModel
from tests.fakes.models import tiny_bert

TEXTS = (
    "the film was [MASK] , we love it !",
    "[MASK]",
    "the [MASK] was very [MASK] and the plot is [MASK] .",
    "ada lovelace lives in [MASK] ? 🦜 不好 اللغة 영화 " * 2,
    "not good [SEP] [MASK] " + "very " * 40,
)


@pytest.fixture
def bert(make_model: MakeModel) -> str:
    """Give a tiny masked language model."""
    return make_model("masked-lm")


@pytest.fixture
def roberta(make_model: MakeModel) -> str:
    """Give one whose tokens hold the space before a word, and whose mask takes the space before it, as RoBERTa's."""
    folder = make_model("masked-lm", byte_level=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if tokenizer.mask_token is None:
        tokenizer.add_special_tokens({"mask_token": AddedToken("<mask>", lstrip=True)})
        tokenizer.save_pretrained(folder)
    return folder


def asked(model: str, **values: Any) -> FillMaskSettings:
    """Return settings for a local model in float32, whatever the machine would choose."""
    return FillMaskSettings(**{"text": TEXTS[0], "model": model, "dtype": "float32", **values})


def close(ours: Any, theirs: Any) -> bool:
    """Tell whether two results are the same but for rounding in their scores; the keys have the same order."""
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(close, ours, theirs))
    assert list(ours) == list(theirs)
    assert ours["score"] == pytest.approx(theirs["score"], abs=1e-5)
    return {**ours, "score": 0} == {**theirs, "score": 0}


@pytest.mark.parametrize("top_k", [1, 5, 50])
def test_equals_the_pipeline(registry: Registry, bert: str, top_k: int) -> None:
    """Scores, tokens and texts are those of the transformers pipeline: a list, or for several gaps a list of lists."""
    reference = pipeline(TASK, model=bert)
    for text in TEXTS:
        answer = fill_masks(asked(bert, text=text, top_k=top_k), registry)
        assert close(answer.result, reference(text, top_k=top_k))
        assert json.loads(json.dumps(answer.result)) == answer.result


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("roberta", {}),
        ("distilbert", {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}),
        ("modernbert", {"cls_token_id": 2, "sep_token_id": 3}),
        ("longformer", {"attention_window": 4}),
    ],
)
def test_other_architectures_equal_the_pipeline(
    registry: Registry, tmp_path: Path, architecture: str, config: dict[str, Any]
) -> None:
    """However a model turns hidden states into words, computing them at the gaps only changes nothing."""
    folder = tiny_bert(tmp_path / "model", "masked-lm")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    known = {
        "vocab_size": len(AutoTokenizer.from_pretrained(folder)),
        "max_position_embeddings": 140,
        **sizes,
        **config,
    }
    described = AutoConfig.for_model(architecture, pad_token_id=0, bos_token_id=2, eos_token_id=3, **known)
    AutoModelForMaskedLM.from_config(described).save_pretrained(folder)
    reference = pipeline(TASK, model=str(folder))
    for text in TEXTS:
        assert close(fill_masks(asked(str(folder), text=text), registry).result, reference(text))


def test_targets_equal_the_pipelines(registry: Registry, bert: str) -> None:
    """Only the target words are scored, capital letters as the model reads them, each once, at each gap."""
    reference = pipeline(TASK, model=bert)
    for text in TEXTS:
        answer = fill_masks(asked(bert, text=text, targets="good, London，bad,good, ##a"), registry)
        assert close(answer.result, reference(text, targets=["good", "london", "bad", "##a"]))
        assert set(answer.targets) == {"good", "london", "bad", "##a"}
        assert answer.notes == ()


def test_a_target_of_several_tokens_is_its_first_one(registry: Registry, bert: str) -> None:
    """As in the pipeline the first token stands for the word; a note says which, and which words are left out."""
    answer = fill_masks(asked(bert, targets="zebra, films, 🦜"), registry)
    assert close(answer.result, pipeline(TASK, model=bert)(TEXTS[0], targets=["z", "film"]))
    first, second = map(str, answer.notes)
    assert "zebra → z, films → film" in first
    assert "🦜" in second
    assert answer.provenance.fallbacks[-2:] == (first, second)


def test_a_word_is_the_token_that_fits_the_gap(registry: Registry, roberta: str) -> None:
    """Where a token holds the space before its word, a target after a space is that token, not the bare one."""
    reference = pipeline(TASK, model=roberta)
    after_a_space = fill_masks(asked(roberta, text="say <mask> now", targets="th"), registry)
    assert close(after_a_space.result, reference("say <mask> now", targets=["Ġth"]))
    at_the_beginning = fill_masks(asked(roberta, text="<mask> now", targets="th"), registry)
    assert close(at_the_beginning.result, reference("<mask> now", targets=["th"]))


@pytest.mark.parametrize("sign", ["[MASK]", "<mask>", "[mask]", "<Mask>"])
def test_a_gap_may_be_written_as_people_write_it(registry: Registry, bert: str, roberta: str, sign: str) -> None:
    """The generic signs become the model's own mask token."""
    for model, own in ((bert, "[MASK]"), (roberta, "<mask>")):
        answer = fill_masks(asked(model, text=f"the film was {sign} !"), registry)
        assert close(answer.result, pipeline(TASK, model=model)(f"the film was {own} !"))
        assert (answer.part, answer.mask_token) == (f"the film was {own} !", own)


def test_a_reading_fills_every_gap(registry: Registry, bert: str) -> None:
    """Gap after gap, the surest first, takes its likeliest word with those before in place."""
    words, parts = ["good", "bad", "film", "plot", "london"], ["the ", " was very ", " ."]
    answer = fill_masks(asked(bert, text="[MASK]".join(parts), targets=", ".join(words)), registry)
    reference = pipeline(TASK, model=bert, top_k=1, targets=words)
    alone = [mask[0] for mask in reference("[MASK]".join(parts))]
    sure = max((0, 1), key=lambda place: alone[place]["score"])
    known = alone[sure]["token_str"]
    rest = (
        f"{parts[0]}{known}{parts[1]}[MASK]{parts[2]}" if sure == 0 else f"{parts[0]}[MASK]{parts[1]}{known}{parts[2]}"
    )
    (other,) = reference(rest)
    expected = {sure: alone[sure], 1 - sure: other}
    assert answer.reading == tuple(expected[place]["token_str"] for place in (0, 1))


def test_one_gap_needs_no_reading(registry: Registry, bert: str) -> None:
    """Where there is one gap its candidates say all."""
    assert fill_masks(asked(bert), registry).reading == ()


def test_a_reading_keeps_to_the_targets(registry: Registry, bert: str) -> None:
    """Each gap is filled with one of the words."""
    answer = fill_masks(asked(bert, text=TEXTS[2], targets="good, bad"), registry)
    assert len(answer.reading) == 3
    assert set(answer.reading) <= {"good", "bad"}


def test_many_at_once_equal_one_by_one(registry: Registry, bert: str, borrowed: Borrow) -> None:
    """Company changes nothing: each text of a batch has its own answer, in order, however many gaps it has."""
    settings = asked(bert)
    alone = [fill_masks(replace(settings, text=text), registry).result for text in TEXTS]
    with borrowed(settings, TASK) as model:
        together = fill_masks_of_texts(TEXTS * 20, settings, registry, model, INTERACTIVE)
        assert fill_masks_of_texts([], settings, registry, model, INTERACTIVE) == []
    assert close(together, alone * 20)


def test_a_text_without_a_gap_is_refused_alone(registry: Registry, bert: str, borrowed: Borrow) -> None:
    """Among many texts only those that cannot be filled are refused; the long one is told to be cut."""
    long = "good " * 300 + "[MASK]"
    cut: set[int] = set()
    with borrowed(asked(bert), TASK) as model:
        rows = fill_masks_of_texts([TEXTS[0], "no gap", long], asked(bert), registry, model, Lane(on_cut=cut.update))
    assert close(rows[0], pipeline(TASK, model=bert)(TEXTS[0]))
    assert isinstance(rows[1], InvalidInput)
    assert len(rows[2]) == 5
    assert cut == {2}


def test_rows_choose_from_the_targets(registry: Registry, roberta: str) -> None:
    """Every text of a table has the best of the words asked for, as it has alone; behind a space a word may differ."""
    texts = ["say <mask> now", "<mask> now", "good <mask> and <mask>"]
    settings = asked(roberta, targets="th, go", top_k=1)
    with registry.borrow(settings.spec(registry, TASK)) as model:
        together = fill_masks_of_texts(texts, settings, registry, model, INTERACTIVE)
    alone = [fill_masks(asked(roberta, text=text, targets="th, go", top_k=1), registry) for text in texts]
    assert alone[0].targets != alone[1].targets
    assert all(close(row, one.result) for row, one in zip(together, alone, strict=True))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("the [MASK] film " + "good " * 300, "the [MASK] film " + "good " * 123),
        ("bad " * 300 + "film [MASK] " + "good " * 300, "bad " * 61 + "film [MASK] " + "good " * 63),
        ("bad " * 300 + "[MASK] film", "bad " * 124 + "[MASK] film"),
        ("bad " * 200 + "[MASK] " + "film " * 80 + "[MASK] " + "good " * 200, ""),
    ],
    ids=["beginning", "middle", "end", "two"],
)
def test_a_long_text_is_read_around_its_gaps(registry: Registry, bert: str, text: str, read: str) -> None:
    """As much as the model takes is read, with every gap in it, and the answer and a note say so."""
    answer = fill_masks(asked(bert, text=text), registry)
    if read:
        assert answer.part == read.strip()
    assert answer.part in text
    assert answer.part.count("[MASK]") == text.count("[MASK]")
    assert close(answer.result, pipeline(TASK, model=bert)(answer.part))
    said = f"This text has {len(AutoTokenizer.from_pretrained(bert)(text)['input_ids'])} tokens"
    assert str(answer.notes[0]).startswith(said)
    assert answer.provenance.fallbacks[-1:] == (str(answer.notes[0]),)


@pytest.mark.parametrize("model", ["bert", "roberta"])
@pytest.mark.parametrize(
    "text", ["supercalifragilistic" * 4 + " {} " + "x y" * 500, "不好" * 200 + "{}" + "영화" * 200]
)
def test_a_part_fits_whatever_its_words(model: str, text: str, request: pytest.FixtureRequest) -> None:
    """Words without end and scripts without spaces are cut, too, and the part has no more tokens than allowed."""
    tokenizer = AutoTokenizer.from_pretrained(request.getfixturevalue(model))
    part = part_with_masks(text.format(tokenizer.mask_token), tokenizer.mask_token, tokenizer, 128)
    assert tokenizer.mask_token in part
    assert 90 < len(tokenizer(part)["input_ids"]) <= 128


def test_an_endless_word_is_looked_at_once(bert: str) -> None:
    """The last word of a part is looked for from its end alone, whatever stands before it."""
    endless = "x" * (LIMITS.text_characters - 1_000)
    text = f"[MASK] {endless} " + "good " * 199
    part = part_with_masks(text, "[MASK]", AutoTokenizer.from_pretrained(bert), 128)
    assert part == f"[MASK] {endless}" + " good" * 124


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no gap here", r"no gap to fill.*\[MASK\]"),
        ("good " * 300, "no gap to fill"),
        ("[MASK] " * (MOST_MASKS + 1), f"{MOST_MASKS + 1} gaps; at most {MOST_MASKS}"),
        ("[MASK] " + "good " * 200 + "[MASK]", "at most 128 tokens at once"),
    ],
)
def test_what_has_no_fitting_gaps_is_refused_in_words(registry: Registry, bert: str, text: str, said: str) -> None:
    """No gap, too many and gaps too far apart each have a sentence that says what to do."""
    with pytest.raises(InvalidInput, match=said):
        fill_masks(asked(bert, text=text), registry)


def test_targets_that_nobody_knows_are_refused(registry: Registry, bert: str) -> None:
    """Where no target is left there is nothing to choose from."""
    with pytest.raises(InvalidInput, match="none of these words: 🦜, 😀"):
        fill_masks(asked(bert, targets="🦜, 😀"), registry)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"text": " \n"}, "no text yet"),
        ({"text": "a" * 1_000_000}, f"at most {LIMITS.text_characters:,}"),
        ({"top_k": 51}, "between 1 and 50"),
        ({"targets": ",".join(map(str, range(51)))}, "51 words are too many; at most 50"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(values: dict[str, Any], said: str) -> None:
    """Each refusal is a sentence with the numbers."""
    with pytest.raises(InvalidInput, match=said):
        asked("any", **values)


def test_models_that_fill_no_gaps_are_refused(registry: Registry, make_model: MakeModel) -> None:
    """A classifier is refused by its own name, and a tokenizer without a mask token in words."""
    with pytest.raises(WrongTask, match="BertForSequenceClassification"):
        fill_masks(asked(make_model("sequence-classification")), registry)
    without = Path(make_model("masked-lm", attention_probs_dropout_prob=0.0))
    described = json.loads((without / "tokenizer_config.json").read_text())
    described |= {"tokenizer_class": "PreTrainedTokenizerFast", "mask_token": None}
    (without / "tokenizer_config.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match="no token that stands for a gap"):
        fill_masks(asked(str(without)), registry)


def test_words_are_computed_at_the_gaps_only(registry: Registry, bert: str, borrowed: Borrow) -> None:
    """The product with the vocabulary has one row a gap, and the model is as before afterwards."""
    rows: list[int] = []
    with borrowed(asked(bert), TASK) as model:
        layer = model.model.get_output_embeddings()
        watch = layer.register_forward_hook(lambda _, __, output: rows.append(output.shape.numel() // output.shape[-1]))
        fill_masks_of_texts(TEXTS, asked(bert), registry, model, INTERACTIVE)
        watch.remove()
        assert not layer._forward_pre_hooks
    assert sum(rows) == sum(text.count("[MASK]") for text in TEXTS)


def test_the_result_names_what_ran(registry: Registry, bert: str) -> None:
    """Provenance holds the model, its device, dtype and attention."""
    said = fill_masks(asked(bert, attention="eager"), registry).provenance
    assert (said.model, said.dtype, said.attention) == (bert, "float32", "eager")
