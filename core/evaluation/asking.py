"""Rows put to a model by the skill that the page uses, in the background, some of them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.errors import AtelierError, InvalidInput, RemoteUnreachable
from core.evaluation.data import WRITES, EvaluationData
from core.evaluation.metrics.language import Desk, losses_of
from core.evaluation.reading import input_of
from core.evaluation.settings import EvaluateSettings
from core.events import CancelToken
from core.messages import Message, read_messages
from core.remote.chat import CUT
from core.remote.names import remote_place
from core.settings import LIMITS
from core.tasks.text.batch import concerns_every_row, told
from core.tasks.text.chat_elsewhere import ask_elsewhere
from core.tasks.text.chat_prompt import ChatPrompt, prompt_of
from core.tasks.text.question_answering import answer_questions
from core.tasks.text.request import STOPPED, Request
from core.tasks.text.row_tasks import ROW_TASKS, UNUSED, WRITTEN, RowOptions
from core.tasks.text.text_generation import TEXTS_TOGETHER, continue_texts
from core.tasks.text.writing import write_many
from core.training.data.encoding.chat_text import has_template
from core.training.data.encoding.spoken import joint
from core.training.data.prepared import ANSWERS, COMPLETION, LABELS, PAIRS, PLAIN, Row
from core.words import say

if TYPE_CHECKING:
    from core.catalogue import ModelSpec
    from core.models.loading import LoadedModel
    from core.models.registry import Registry
    from core.provenance import Provenance
    from core.tasks.text.encoder import Lane

MOST_LABELS = 100
"""Probabilities of a classifier that are kept."""
LOSSES_TOGETHER = 64
ELSEWHERE_TOGETHER = 4
"""Answers of a model on another machine that are kept in one piece: each may take a while, and cost something."""

_HALF = (CUT, STOPPED)
"""Why an answer ended that is not whole."""


@dataclass(frozen=True)
class Reply:
    """What became of one row: the skill's result, or why there is none."""

    result: Any = None
    problem: str | None = None
    cut: bool = False
    """The model could not read all of the text."""


@dataclass(frozen=True)
class Here:
    """Where rows are asked of a borrowed model."""

    registry: Registry
    model: LoadedModel
    lane: Lane


Ask = Callable[[Sequence[Row], Here], Sequence[Any]]


@dataclass(frozen=True)
class Asker:
    """How the rows of some data are asked."""

    ask: Ask
    together: int
    """Rows between two looks at what is done: they are kept in one piece."""
    beams: int = 1
    check: Callable[[LoadedModel], None] = lambda _: None
    """Raises in words what would fail every row."""

    def replies(self, rows: Sequence[Row], here: Here) -> list[Reply]:
        """Ask for all at once; if that fails, one by one, so that only the bad row fails.

        Raises Cancelled, and what would fail every row: ModelError, HubError, and too little memory.
        """
        cut: set[int] = set()
        try:
            results = self.ask(rows, replace(here, lane=replace(here.lane, on_cut=cut.update)))
        except Exception as problem:
            if here.lane.cancel:
                here.lane.cancel.check()
            if concerns_every_row(problem):
                raise
            if len(rows) == 1:
                return [Reply(problem=told(problem))]
            return [reply for row in rows for reply in self.replies([row], here)]
        return [_reply(result, cut=place in cut) for place, result in enumerate(results)]


def _reply(result: Any, *, cut: bool) -> Reply:
    return Reply(problem=told(result)) if isinstance(result, AtelierError) else Reply(result, cut=cut)


def asker_for(settings: EvaluateSettings, data: EvaluationData, model: str) -> Asker:
    """Return how these rows are asked of a model by its name; raises InvalidInput for what its task refuses."""
    task = ROW_TASKS[settings.task]
    row = task.settings(_asked(settings, model))
    beams = max(settings.num_beams, 1)
    if data.shape == PLAIN:
        return Asker(_losses, LOSSES_TOGETHER)
    if data.shape in WRITES:
        return Asker(_Writer(row, plain=data.shape == COMPLETION), WRITTEN, beams)
    if data.shape == ANSWERS:
        row = replace(row, handle_impossible_answer=any(not one["answers"]["text"] for one in data.rows))
        return Asker(_Questions(row), task.together)
    if data.shape == LABELS:
        row = replace(row, top_k=MOST_LABELS)
    answer = _Texts(task.answer, row, data.shape, pairs=data.has_pairs)
    return Asker(answer, task.together, beams, lambda loaded: task.check(row, loaded))


def _asked(settings: EvaluateSettings, model: str) -> RowOptions:
    return RowOptions(
        model=model,
        question=UNUSED,
        source_language=settings.source_language,
        target_language=settings.target_language,
        sentences=settings.sentences,
        max_length=min(settings.max_new_tokens, 500),
        max_new_tokens=settings.max_new_tokens,
        num_beams=settings.num_beams,
        **settings.wishes,
    )


@dataclass(frozen=True)
class _Texts:
    """Puts texts to a task of tables."""

    answer: Callable[..., Sequence[Any]]
    settings: Any
    shape: str
    pairs: bool = False

    def __call__(self, rows: Sequence[Row], here: Here) -> Sequence[Any]:
        if self.pairs:
            texts = [row["text"] for row in rows]
            more = [row.get("text_pair", "") for row in rows]
            return self.answer(texts, self.settings, here.registry, here.model, here.lane, more)
        texts = [input_of(row, self.shape) for row in rows]
        return self.answer(texts, self.settings, here.registry, here.model, here.lane)


@dataclass(frozen=True)
class _Questions:
    settings: Any

    def __call__(self, rows: Sequence[Row], here: Here) -> Sequence[Any]:
        pairs = [(row["question"], row["context"]) for row in rows]
        return answer_questions(pairs, self.settings, here.registry, here.model, here.lane)


def _losses(rows: Sequence[Row], here: Here) -> Sequence[Any]:
    found = losses_of([row["text"] for row in rows], Desk(here.registry, here.model, here.lane))
    columns = zip(found.means, found.tokens, found.sizes, strict=True)
    return [{"loss": loss, "tokens": tokens, "bytes": size} for loss, tokens, size in columns]


@dataclass(frozen=True)
class _Writer:
    """Lets a language model answer: by its chat template, or, where it has none, going on with the prompt itself."""

    settings: Any
    plain: bool
    """Prompts with completions, which a model without a template was taught as one text."""

    def __call__(self, rows: Sequence[Row], here: Here) -> Sequence[Any]:
        if self.plain and not has_template(here.model.tokenizer):
            return self._going_on(rows, here)
        prompts = [self._prompt(row, here.model) for row in rows]
        requests = [self._request(prompt, here.lane) for prompt in prompts]
        written = write_many(requests, here.registry, here.model, at_once=TEXTS_TOGETHER)
        return [
            [{"generated_text": prompt.clean(_decoded(one, here.model))}]
            for prompt, one in zip(prompts, written, strict=True)
        ]

    def _going_on(self, rows: Sequence[Row], here: Here) -> Sequence[Any]:
        prompts = [joint(input_of(row, COMPLETION), row["messages"][-1]["content"]) for row in rows]
        found = continue_texts(prompts, self.settings, here.registry, here.model, here.lane)
        texts = [one[0]["generated_text"].removeprefix(prompt) for one, prompt in zip(found, prompts, strict=True)]
        return [[{"generated_text": text.strip()}] for text in texts]

    def _prompt(self, row: Row, model: LoadedModel) -> ChatPrompt:
        return prompt_of(_before_answer(row), self.settings.max_new_tokens, model)

    def _request(self, prompt: ChatPrompt, lane: Lane) -> Request:
        cancel = lane.cancel or CancelToken()
        how = {"probabilities": False, "background": lane.background}
        return Request(prompt.ids, self.settings, 0, cancel, prompt.ends, prompt.stops, **how)  # type: ignore[arg-type]


def _before_answer(row: Row) -> tuple[Message, ...]:
    return tuple(read_messages(row["messages"][:-1]))


def _decoded(written: Any, model: LoadedModel) -> str:
    """Return the answer without the token that ended it."""
    ids = [token.id for token in written.rows[0]]
    ended = written.reasons[0] == "eos"
    return str(model.tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=True)).strip()


def longest_texts(data: EvaluationData, most: int) -> list[str]:
    """Return the longest inputs, as many as may be computed together."""
    return sorted((input_of(row, data.shape) for row in data.rows), key=len, reverse=True)[:most]


def too_long(row: Row, shape: str) -> str | None:
    """Return why a row is not asked at all; None for one that is."""
    length = len(input_of(row, shape))
    limit = LIMITS.context_characters if shape in (ANSWERS, PAIRS) else LIMITS.batch_text_characters
    if length <= limit:
        return None
    return str(say("error.text_too_long", name="text", length=length, limit=limit))


def ask_all_elsewhere(
    rows: Sequence[Row], spec: ModelSpec, settings: EvaluateSettings, cancel: CancelToken
) -> tuple[list[Reply], Provenance | None]:
    """Ask a model on another machine, one row after the other, and tell who answered.

    Raises RemoteError where it does not answer: what was kept before is not asked again.
    """
    from core.remote.options import RemoteOptions

    options = RemoteOptions(max_new_tokens=settings.max_new_tokens or None, do_sample=False, seed=settings.seed)
    replies: list[Reply] = []
    provenance = None
    for row in rows:
        cancel.check()
        try:
            answer = ask_elsewhere(spec, _before_answer(row), options, cancel)
        except InvalidInput as problem:
            replies.append(Reply(problem=told(problem)))
            continue
        if answer.reason in _HALF:
            cancel.check()
            raise RemoteUnreachable("error.remote_broke", host=remote_place(spec.name).host)
        provenance = answer.provenance()
        replies.append(Reply([{"generated_text": answer.text.strip()}]))
    return replies, provenance
