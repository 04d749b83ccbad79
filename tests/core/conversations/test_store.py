"""Conversations on disk: each visitor's own, whole or not there, found again, bounded."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.conversations.export import as_json, as_markdown, file_name
from core.conversations.file import LONGEST_TITLE, Conversation, Said
from core.conversations.room import Room
from core.conversations.store import Conversations, Quota
from core.errors import Busy, InvalidInput, UnknownName
from core.events import CancelToken
from core.messages import read_messages

ADA, BOB = "a" * 32, "b" * 32
HI, HELLO = Said("user", "Hi\nthere\u2028你好 👋"), Said("assistant", "Hello!", "org/model", 7, "eos")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder that is not there yet."""
    return tmp_path / "conversations"


@pytest.fixture
def kept(folder: Path) -> Conversations:
    """Give an empty store."""
    return Conversations(folder)


def one(kept: Conversations, owner: str = ADA, *said: Said) -> Conversation:
    """Keep a conversation in which this was said."""
    return kept.keep(owner, kept.begin(owner, "Hi there").with_said(*(said or (HI, HELLO))))


def test_it_is_found_again_after_a_restart(kept: Conversations, folder: Path) -> None:
    """A second store on the same folder, as after a restart, reads the very same conversation."""
    written = replace(one(kept), system_prompt="Be kind.")
    kept.save(ADA, written)
    again = Conversations(folder)
    (head,) = again.heads(ADA)
    found = again.read(ADA, head.id)
    assert (found.said, found.system_prompt, found.head) == ((HI, HELLO), "Be kind.", head)
    assert found.head.title == "Hi there"


def test_visitors_never_see_each_other(kept: Conversations) -> None:
    """Another visitor's conversation is the same refusal as one that never was, whatever is tried with it."""
    mine = one(kept).head.id
    assert kept.heads(BOB) == []
    kept.look_at(BOB, mine)
    assert kept.latest(BOB) is None
    for id_ in (mine, "0" * 32, "../" + mine, "", "nonsense"):
        for attempt in (
            lambda id_=id_: kept.read(BOB, id_),
            lambda id_=id_: kept.rename(BOB, id_, "mine"),
            lambda id_=id_: kept.delete(BOB, id_),
        ):
            with pytest.raises(UnknownName) as caught:
                attempt()
            assert caught.value.sentence.key == "error.conversation_unknown"
    assert kept.read(ADA, mine).head.title == "Hi there"


def test_no_secret_is_on_disk(kept: Conversations, folder: Path) -> None:
    """Neither a file's name nor its content holds the visitor's secret, and nobody else may read the folder."""
    one(kept)
    kept.look_at(ADA, kept.heads(ADA)[0].id)
    for path in (folder, *folder.rglob("*")):
        assert ADA not in str(path.relative_to(folder.parent))
        if path.is_file():
            assert ADA not in path.read_text(encoding="utf-8")
            assert path.name == "opened" or path.stat().st_mode & 0o077 == 0
    assert next(folder.iterdir()).stat().st_mode & 0o077 == 0


def test_rename_and_delete(kept: Conversations) -> None:
    """A title can be changed, cut to one line; an answer that was on its way keeps it; deleted is gone."""
    first = one(kept)
    kept.rename(ADA, first.head.id, "  A new\nname " + "x" * 200)
    assert kept.save(ADA, first).head.title == kept.heads(ADA)[0].title
    assert kept.heads(ADA)[0].title.startswith("A new name x")
    assert len(kept.heads(ADA)[0].title) == LONGEST_TITLE
    with pytest.raises(InvalidInput):
        kept.rename(ADA, first.head.id, "  ")
    kept.delete(ADA, first.head.id)
    assert kept.heads(ADA) == []
    with pytest.raises(UnknownName):
        kept.save(ADA, first)
    assert kept.heads(ADA) == []


def test_the_last_changed_comes_first(kept: Conversations) -> None:
    """The list is ordered by change, and the one that was looked at last is found."""
    first, second = one(kept), one(kept)
    assert [head.id for head in kept.heads(ADA)] == [second.head.id, first.head.id]
    kept.save(ADA, first)
    assert [head.id for head in kept.heads(ADA)] == [first.head.id, second.head.id]
    kept.look_at(ADA, second.head.id)
    assert kept.latest(ADA) == kept.read(ADA, second.head.id)
    kept.look_at(ADA, "")
    assert kept.latest(ADA) is None


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]\n",
        b"\xff\xfe\n",
        b'{"title": 7}\n',
        b'{"title": "x", "created": "yesterday"}\n',
        b'{"title": "x", "created": 1e99}\n',
        b'{"title": "x"}\n{"role": "robot"}\n',
        b'{"title": "x"}\n{"role": "user", "content": [1]}\n',
        b'{"title": "x"}\nnot json\n',
    ],
)
def test_a_damaged_file_stops_nothing(
    kept: Conversations, folder: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Opening it is a sentence, the others are there, the log names it once, and it can be deleted."""
    bad, good = one(kept), one(kept)
    path = next(folder.rglob(f"{bad.head.id}*"))
    path.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert good.head.id in [head.id for head in kept.heads(ADA)]
            with pytest.raises(InvalidInput) as caught:
                kept.read(ADA, bad.head.id)
            assert caught.value.sentence.key == "error.conversation_damaged"
    assert caplog.text.count(bad.head.id) == 1
    kept.look_at(ADA, bad.head.id)
    assert kept.latest(ADA) is None
    kept.sweep()
    kept.delete(ADA, bad.head.id)
    assert [head.id for head in kept.heads(ADA)] == [good.head.id]


def test_readers_see_whole_conversations(kept: Conversations) -> None:
    """However often it is written, whoever reads meanwhile reads one whole state of it."""
    first = one(kept)
    over = threading.Event()

    def write() -> None:
        for count in range(60):
            kept.save(ADA, first.with_said(*[HI] * (1 + count % 30)))
        over.set()

    threading.Thread(target=write, daemon=True).start()
    reads = 0
    while not over.is_set() or not reads:
        assert set(kept.read(ADA, first.head.id).said) <= {HI, HELLO}
        assert len(kept.heads(ADA)) == 1
        reads += 1


def test_one_answer_at_a_time(kept: Conversations) -> None:
    """A second page is refused in words; a stop waits until the answer is over, and tells what became of it."""
    id_, cancel, began = one(kept).head.id, CancelToken(), threading.Event()

    def answer() -> None:
        with kept.answering(ADA, id_, cancel) as mine:
            began.set()
            while not cancel.cancelled:
                time.sleep(0.001)
            mine.outcome = "so far"

    threading.Thread(target=answer, daemon=True).start()
    assert began.wait(5)
    with pytest.raises(Busy), kept.answering(ADA, id_, CancelToken()):
        pass
    kept.settle(ADA, id_, 0.01)
    assert kept.stop(BOB, id_) is None
    stopped = kept.stop(ADA, id_)
    assert stopped is not None
    assert (stopped.outcome, stopped.over.is_set()) == ("so far", True)
    assert kept.stop(ADA, id_) is None
    with kept.answering(ADA, id_, CancelToken()):
        pass


def test_a_server_that_ends_waits_for_its_answers(kept: Conversations) -> None:
    """A shutdown stops every answer and waits until it is kept, but not for ever."""
    assert kept.shutdown()
    first, began, cancel = one(kept), threading.Event(), CancelToken()

    def answer() -> None:
        with kept.answering(ADA, first.head.id, cancel):
            began.set()
            while not cancel.cancelled:
                time.sleep(0.001)
            kept.save(ADA, first.with_said(HI))

    threading.Thread(target=answer, daemon=True).start()
    assert began.wait(5)
    assert kept.shutdown()
    assert kept.read(ADA, first.head.id).said == (HI,)
    with kept.answering(ADA, first.head.id, CancelToken()):
        assert not kept.shutdown(0.01)


def test_a_visitor_has_a_quota(folder: Path) -> None:
    """Too many conversations, or too many bytes, are refused with the numbers; another visitor has room."""
    small = Conversations(folder, Quota(conversations=2, visitor_bytes=2_000))
    first, third = one(small), small.begin(ADA, "third")
    one(small)
    for attempt in (lambda: small.keep(ADA, third), lambda: small.begin(ADA, "third")):
        with pytest.raises(InvalidInput) as caught:
            attempt()
        assert caught.value.sentence.values == {"count": 2, "limit": 2}
    small.begin(BOB, "first")
    small.save(ADA, first.with_said(Said("user", "x" * 3_000)))
    with pytest.raises(InvalidInput) as caught, small.answering(ADA, first.head.id, CancelToken()):
        pass
    assert caught.value.sentence.key == "error.conversations_too_big"


def test_old_conversations_are_swept(folder: Path) -> None:
    """What nobody changed for too long goes, then the longest unchanged beyond the quota, then empty folders."""
    roomy = Conversations(folder, Quota(keep_days=365))  # whose own sweep, in a thread, finds nothing to remove
    old, large, small = one(roomy, BOB), one(roomy, ADA, Said("user", "x" * 1_500)), one(roomy, ADA)
    long_ago = time.time() - 31 * 86_400
    for conversation, when in ((old, long_ago), (large, time.time() - 100)):
        os.utime(next(folder.rglob(f"{conversation.head.id}*")), (when, when))
    kept = Conversations(folder, Quota(all_bytes=1_500, keep_days=30))
    assert kept.sweep() == 2
    assert [head.id for head in kept.heads(ADA)] == [small.head.id]
    (empty,) = [home for home in folder.iterdir() if not list(home.iterdir())]
    draft = empty / ".0.jsonl"
    draft.write_text("{")
    os.utime(draft, (long_ago, long_ago))
    os.utime(empty, (long_ago, long_ago))
    kept.sweep()
    kept.sweep()
    assert not draft.exists()
    assert kept.heads(BOB) == []


def test_it_can_be_taken_away(kept: Conversations) -> None:
    """JSON holds messages that /chat reads as a history; Markdown holds every word, with headings in the language."""
    whole = replace(one(kept), system_prompt="Be kind.")
    found = json.loads(as_json(whole))
    assert found["title"] == "Hi there"
    history = read_messages(found["messages"])
    assert [message.role for message in history] == ["system", "user", "assistant"]
    assert history[1].content == HI.content
    assert found["messages"][2]["model"] == "org/model"
    text = as_markdown(whole, "ko")
    for piece in ("# Hi there", "Be kind.", HI.content, "Hello!", "org/model"):
        assert piece in text
    assert as_markdown(whole, "en") != text
    assert file_name(whole, ".md") == "Hi there.md"
    odd = replace(whole, head=replace(whole.head, title='../../x: "y" 貓?'))
    assert file_name(odd, ".json") == "x y 貓.json"
    assert file_name(replace(whole, head=replace(whole.head, title="/..")), ".md") == "conversation.md"


LONG = Said("user", "x" * 1_000)
"""A conversation of this takes between 1,100 and 1,400 bytes."""


def test_who_keeps_most_gives_way(folder: Path) -> None:
    """Where all keep too much, room is made of the oldest of those who keep most, and whoever keeps most is refused."""
    kept = Conversations(folder, Quota(all_bytes=6_000))
    for owner in "cde":
        one(kept, owner * 32, LONG)
    large = [one(kept, ADA, LONG) for _ in range(3)]
    with pytest.raises(InvalidInput) as caught, kept.answering(ADA, large[2].head.id, CancelToken()):
        pass
    assert caught.value.sentence.key == "error.conversations_full"
    assert len(kept.heads(ADA)) == 3
    with kept.holding(ADA, large[0].head.id, CancelToken()), kept.answering(BOB, "0" * 32, CancelToken()):
        pass
    assert {head.id for head in kept.heads(ADA)} < {one.head.id for one in large}
    assert large[0].head.id in {head.id for head in kept.heads(ADA)}
    assert [len(kept.heads(owner * 32)) for owner in "cde"] == [1, 1, 1]
    assert sum(path.stat().st_size for path in folder.rglob("*.jsonl")) <= 6_000


def test_many_visitors_cannot_fill_the_disk(folder: Path) -> None:
    """However many visitors come, all keep no more than the quota and one turn, and the small ones keep theirs."""
    kept = Conversations(folder, Quota(all_bytes=20_000))
    mine = one(kept, ADA)
    for place in range(60):
        owner = f"{place:032}"
        new = kept.begin(owner, "x")
        with kept.answering(owner, new.head.id, CancelToken()):
            kept.keep(owner, new.with_said(LONG))
        assert sum(path.stat().st_size for path in folder.rglob("*.jsonl")) < 20_000 + 1_400
    assert kept.read(ADA, mine.head.id).said == mine.said


def test_the_total_is_kept_current(folder: Path) -> None:
    """What is written, renamed, deleted and swept is counted, by this store, one before it, and one beside it."""
    one(Conversations(folder), BOB)
    room = Room(folder)
    assert room.total == sum(path.stat().st_size for path in folder.rglob("*.jsonl"))
    kept = Conversations(folder, Quota(visitor_bytes=3_000, all_bytes=4_000))
    first, second = one(kept), one(kept, ADA, LONG)
    for _ in range(20):
        with kept.answering(ADA, first.head.id, CancelToken()):
            kept.save(ADA, first.with_said(LONG))
            kept.rename(ADA, first.head.id, "y" * 50)
            kept.save(ADA, first)
        kept.drop(ADA, one(kept, ADA, LONG).head.id)
    assert len(kept.heads(ADA)) == 2
    one(Conversations(folder), ADA, LONG, LONG)
    with pytest.raises(InvalidInput) as caught, kept.answering(ADA, second.head.id, CancelToken()):
        pass
    assert caught.value.sentence.key == "error.conversations_too_big"
    home = next(folder.rglob(f"{first.head.id}*")).parent
    assert room.look_again(home) == sum(path.stat().st_size for path in home.glob("*.jsonl"))
    assert room.largest_first()[0] == home
