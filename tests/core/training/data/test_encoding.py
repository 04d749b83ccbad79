"""Tokens say what the rows said, and only what shall be learnt carries loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.training.data.collators import collator_for
from core.training.data.encoding.chat_text import TAUGHT, spoken
from core.training.data.encoding.rules import Rules
from core.training.data.encoding.spoken import encode_chat
from core.training.data.packing import pack
from core.training.data.prepare import prepare
from core.training.data.prepared import IGNORED, Prepared
from core.training.data.rules import ModelReader
from core.training.settings import TrainSettings
from tests.fakes.models import CHATML

Write = Callable[..., TrainSettings]
TALK = [
    {"role": "system", "content": "be kind"},
    {"role": "user", "content": "who is it ?"},
    {"role": "assistant", "content": "ada, é"},
    {"role": "user", "content": "where ?"},
    {"role": "assistant", "content": "in london"},
]
MARKED = CHATML.replace(
    "{{ message['content'] }}<|im_end|>\n",
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}<|im_end|>{% endgeneration %}"
    "{% else %}{{ message['content'] }}<|im_end|>{% endif %}{{ '\\n' }}",
)
FORGETFUL = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['role'] == 'assistant' and not loop.last %}{{ message['content'].split('</think>')[-1] }}"
    "{% else %}{{ message['content'] }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""As Qwen3 does: thoughts are read in the last answer only."""


def _prepared(settings: TrainSettings, tokenizer: Any, folder: Path, longest: int = 128) -> Prepared:
    return prepare(settings, ModelReader(tokenizer, longest), folder)


def _learnt(tokenizer: Any, sequence: dict[str, Any]) -> str:
    return str(tokenizer.decode([label for label in sequence["labels"] if label != IGNORED]))


def test_marks_equal_those_of_a_template_that_brings_its_own(chatting: Any) -> None:
    """Found by comparing texts, the answers are those that transformers finds by generation marks."""
    ours = encode_chat([{"messages": TALK}], Rules(chatting))[0].sequences[0]
    theirs = chatting.apply_chat_template(
        TALK, chat_template=MARKED, return_dict=True, return_assistant_tokens_mask=True
    )
    assert ours["input_ids"] == theirs["input_ids"]
    assert [label != IGNORED for label in ours["labels"]] == [mark == 1 for mark in theirs["assistant_masks"]]
    assert _learnt(chatting, ours) == "ada, é<|im_end|>in london<|im_end|>"


def test_an_answer_that_looks_different_later_is_taught_alone(chatting: Any) -> None:
    """A template that forgets thoughts gives a sequence for each answer, as the model will read it when it answers."""
    thought = [dict(one) for one in TALK]
    thought[2]["content"] = "<think>hm</think>ada"
    found = encode_chat([{"messages": thought}], Rules(chatting, template=FORGETFUL))[0].sequences
    assert [_learnt(chatting, one) for one in found] == ["<think>hm</think>ada<|im_end|>", "in london<|im_end|>"]
    assert "hm" not in chatting.decode(found[1]["input_ids"])


def test_a_template_of_ours_teaches_where_to_end(bytewise: Any) -> None:
    """Where a model has no template, its answers end with its own end sign, and carry loss alone."""
    found = encode_chat([{"messages": TALK}], Rules(bytewise, template=TAUGHT))[0].sequences[0]
    assert _learnt(bytewise, found) == " ada, é</s> in london</s>"
    assert bytewise.decode(found["input_ids"]).startswith("<s>be kind\n\nUser: who is it ?\nAssistant: ada")


def test_a_template_without_end_sign_gets_one(bytewise: Any) -> None:
    """A template whose answers end with nothing leaves a model talking: the end sign is put behind the last."""
    bare = TAUGHT.replace(" + eos_token", "")
    found = encode_chat([{"messages": TALK[1:3]}], Rules(bytewise, template=bare))[0].sequences[0]
    assert _learnt(bytewise, found) == " ada, é</s>"


def test_a_refused_system_prompt_is_read_with_the_first_question(chatting: Any) -> None:
    """A template that has no system prompt reads it before the first question; nothing is lost."""
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + CHATML
    text = spoken(chatting, TALK, strict)[0].text
    assert text.startswith("<|im_start|>user\nbe kind\n\nwho is it ?<|im_end|>")


def test_everything_can_carry_loss(chatting: Any) -> None:
    """Without loss on answers only, every token but the first is learnt."""
    found = encode_chat([{"messages": TALK}], Rules(chatting, assistant_only_loss=False))[0].sequences[0]
    assert found["labels"][1:] == found["input_ids"][1:]


def test_an_answer_that_is_cut_off_teaches_nothing(chatting: Any, over: Write, tmp_path: Path) -> None:
    """A conversation whose answers lie beyond max_length is left out, and counted."""
    rows = [{"messages": TALK}, {"messages": TALK[1:3]}]
    settings = over("text-generation", rows, max_length=45, validation_fraction=0)
    found = _prepared(settings, chatting, tmp_path / "data")
    assert (found.counts.train_sequences, found.counts.dropped, found.counts.truncated) == (1, 1, 1)
    assert "1 of 2 rows are left out" in " ".join(map(str, found.notes))


def test_a_completion_is_learnt_and_its_prompt_is_not(
    bytewise: Any, chatting: Any, over: Write, tmp_path: Path
) -> None:
    """Without chat template the two are one text; with one they are question and answer."""
    settings = over("text-generation", [{"prompt": "one two", "completion": "three"}], validation_fraction=0)
    plain = _prepared(settings, bytewise, tmp_path / "a")
    assert bytewise.decode(plain.train[0]["input_ids"]) == "<s>one two\nthree</s>"
    assert _learnt(bytewise, plain.train[0]) == "three</s>"
    talked = _prepared(settings, chatting, tmp_path / "b")
    assert talked.shape == "chat"
    assert _learnt(chatting, talked.train[0]) == "three<|im_end|>"


def test_first_tokens_of_words_carry_their_tags(words: Any, bytewise: Any, over: Write, tmp_path: Path) -> None:
    """A word in several tokens is learnt once, and bytewise tokenizers see the blanks between words."""
    row = {"tokens": ["ada", "zzz", "in", "london"], "tags": ["B-PER", "I-PER", "O", "B-LOC"]}
    settings = over("token-classification", [row], validation_fraction=0)
    found = _prepared(settings, words, tmp_path / "a")
    tags = [found.labels[label] for label in found.train[0]["labels"] if label != IGNORED]
    assert tags == row["tags"]
    assert found.train[0]["labels"][3:5] == [IGNORED, IGNORED]
    spelt = _prepared(settings, bytewise, tmp_path / "b").train[0]
    assert bytewise.decode(spelt["input_ids"]) == "<s> ada zzz in london"
    assert sum(label != IGNORED for label in spelt["labels"]) == 4


def test_windows_find_the_answer(words: Any, over: Write, tmp_path: Path) -> None:
    """In each window that holds the answer its tokens spell it, in the others both ends are [CLS]."""
    context = "the film was bad . " * 8 + "ada lovelace lives in london . " + "the plot was good . " * 8
    row = {"question": "who ?", "context": context, "answers": "ada lovelace"}
    settings = over("question-answering", [row], max_length=40, doc_stride=10, validation_fraction=0)
    found = _prepared(settings, words, tmp_path / "data")
    assert len(found.train) > 2
    spelt = {_answer(words, window) for window in found.train}
    assert spelt == {"ada lovelace", "[CLS]"}
    covered = {tuple(pair) for window in found.train for pair in window["offset_mapping"] if pair}
    assert len(covered) == len(context.split())


def _answer(tokenizer: Any, window: dict[str, Any]) -> str:
    return str(tokenizer.decode(window["input_ids"][window["start_positions"] : window["end_positions"] + 1]))


def test_long_texts_go_on_in_the_next_sequence(bytewise: Any, over: Write, tmp_path: Path) -> None:
    """Nothing of running text is thrown away, and its end is marked once."""
    settings = over(
        "text-generation", [{"text": "abcdefghij" * 5}], max_length=20, packing="off", validation_fraction=0
    )
    found = _prepared(settings, bytewise, tmp_path / "data")
    together = [one for row in found.train for one in row["input_ids"]]
    assert bytewise.decode(together) == f"<s>{'abcdefghij' * 5}</s>"
    assert [row["labels"][0] for row in found.train] == [IGNORED] * len(found.train)


def test_rows_are_packed_by_best_fit() -> None:
    """Texts share rows without one being too long, and none is lost."""
    lengths = [5, 3, 7, 2, 2, 9, 1, 10]
    found = pack(lengths, 10)
    assert sorted(place for row in found for place in row) == list(range(len(lengths)))
    assert all(sum(lengths[place] for place in row) <= 10 for row in found)
    assert len(found) == 4


def test_packed_texts_are_blind_to_each_other(bytewise: Any, llama_folder: Path, over: Write, tmp_path: Path) -> None:
    """A batch of packed rows has the loss and the logits of its texts one by one."""
    import torch
    from transformers import AutoModelForCausalLM

    rows = [{"text": "film " * (1 + number % 3) + str(number)} for number in range(6)]
    model = AutoModelForCausalLM.from_pretrained(llama_folder, use_cache=False)  # as Trainer sets it
    losses = []
    for packing in ("on", "off"):
        settings = over("text-generation", rows, packing=packing, max_length=40, validation_fraction=0)
        found = _prepared(settings, bytewise, tmp_path / packing)
        batch = collator_for(found, bytewise)(list(found.train))
        assert ("attention_mask" in batch) == (packing == "off")
        with torch.inference_mode():
            losses.append(float(model(**batch).loss))
        assert found.packed == (packing == "on")
        assert found.counts.loss_tokens == int((batch["labels"] != IGNORED).sum())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert len(_prepared(settings, bytewise, tmp_path / "off").train) == 6


def test_hidden_words_are_drawn_once_for_evaluation(words: Any, over: Write, tmp_path: Path) -> None:
    """Evaluation hides the same words each time, training other ones; special tokens are never hidden."""
    rows = [{"text": f"the film was good and the plot was bad {number}"} for number in range(40)]
    found = _prepared(over("fill-mask", rows, validation_fraction=0.25), words, tmp_path / "data")
    collate = collator_for(found, words)
    held, learnt = list(found.validation), list(found.train)
    assert collate(held)["labels"].equal(collate(held)["labels"])
    assert not collate(learnt)["labels"].equal(collate(learnt)["labels"])
    hidden = {label for row in held for label in row["labels"] if label != IGNORED}
    assert hidden
    assert not hidden & {words.cls_token_id, words.sep_token_id}


@pytest.mark.parametrize("prompt", ["who is it ?", [{"role": "user", "content": "who is it ?"}]])
def test_two_answers_share_their_prompt(chatting: Any, over: Write, tmp_path: Path, prompt: Any) -> None:
    """DPO reads the prompt once and two ended answers; a reward model reads both with their prompt."""
    rows = [{"prompt": prompt, "chosen": "ada", "rejected": "nobody"}]
    one = _prepared(over("preference", rows, validation_fraction=0), chatting, tmp_path / "a").train[0]
    asked = "<|im_start|>user\nwho is it ?<|im_end|>\n<|im_start|>assistant\n"
    assert chatting.decode(one["prompt_ids"]) == asked
    assert chatting.decode(one["chosen_ids"]).startswith("ada<|im_end|>")
    assert chatting.decode(one["rejected_ids"]).startswith("nobody<|im_end|>")
    whole = _prepared(over("reward", rows, validation_fraction=0), chatting, tmp_path / "b").train[0]
    assert chatting.decode(whole["chosen_ids"]).startswith(f"{asked}ada<|im_end|>")


def test_a_prefix_stands_before_each_source(words: Any, over: Write, tmp_path: Path) -> None:
    """What T5 wants to read first is there, the target is tokenized as a target, and both are cut at their lengths."""
    settings = over(
        "summarization",
        [{"text": "the film was good " * 10, "summary": "good film " * 10}],
        source_prefix="who - ",
        max_length=20,
        max_target_length=8,
        validation_fraction=0,
    )
    found = _prepared(settings, words, tmp_path / "data")
    assert words.decode(found.train[0]["input_ids"]).startswith("[CLS] who - the film")
    assert (len(found.train[0]["input_ids"]), len(found.train[0]["labels"])) == (20, 8)
    assert found.train[0]["labels"][-1] == words.sep_token_id
    assert found.counts.truncated == 1
