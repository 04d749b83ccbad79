"""One forward pass over many texts of mixed length: sorted, packed by tokens, in the one compute thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from core.catalogue import ModelSpec
from core.compute.batching import LARGEST_BATCH
from core.events import CancelToken
from core.models.loading import USUAL_POSITIONS, LoadedModel, Report
from core.models.registry import Registry
from core.placement.model_facts import ModelFacts, Needs, Working, text_working
from core.provenance import Provenance
from core.words import Sentence, say

if TYPE_CHECKING:
    import torch

TOKENS_AT_ONCE = 2048
"""Padded tokens in one forward pass: enough to fill two cores, little enough to stay in their caches."""

BYTES_A_TOKEN = 4
"""What one token stands for, about, in bytes of UTF-8: four letters, or a little more than one Chinese character."""

_TOKENIZING = threading.Lock()
"""Truncation is a state of the tokenizer, set before each call: of two threads at once, one gets the other's cut."""


@dataclass(frozen=True)
class Encoded:
    """One text as the model sees it; `length` counts tokens before anything was cut."""

    ids: tuple[int, ...]
    type_ids: tuple[int, ...]
    length: int


@dataclass(frozen=True)
class Lane:
    """How a request travels: behind interactive ones if `background`, until `cancel` says stop, telling `report`."""

    background: bool = False
    exact: bool = True
    """Never under autocast; only a table whose dtype nobody chose is not exact."""
    cancel: CancelToken | None = None
    report: Report | None = None
    on_cut: Callable[[Iterable[int]], None] | None = None
    """Told which of many texts (by their places) were longer than the model reads."""
    on_full: Callable[[Iterable[int]], None] | None = None
    """Told which of many answers have as many tokens as were allowed, so that their ends may be missing."""

    def mixes(self, model: LoadedModel) -> bool:
        """Tell whether this request is computed under bfloat16 autocast."""
        return not self.exact and model.placement.mixed_tables

    def tell_cut(self, model: LoadedModel, encoded: Sequence[Encoded], *, of_a_text: int = 1) -> None:
        """Tell which texts were cut; `of_a_text` neighbours in `encoded` belong to the same text."""
        if self.on_cut:
            cut = (place for place, one in enumerate(encoded) if one.length > model.max_length)
            self.on_cut({place // of_a_text for place in cut})


INTERACTIVE = Lane()

Read = Callable[[Any, "torch.Tensor"], Sequence[Any]]
"""(model output, attention mask (batch, length)) → one value a text; equal ones may be computed together."""

Ask = Callable[[LoadedModel, "dict[str, torch.Tensor]"], Any]
"""(model, its inputs) → model output."""


def ask_all(model: LoadedModel, inputs: dict[str, torch.Tensor]) -> Any:
    """Run the model as it is."""
    return model.model(**inputs)


@contextmanager
def borrow(
    registry: Registry, spec: ModelSpec, texts: Iterable[str], lane: Lane, beams: int = 1
) -> Iterator[LoadedModel]:
    """Lend the model, with memory for the largest pass over `texts`: every text task comes to its model this way.

    Raises NotEnoughMemory, with the numbers, before that pass fills what is free.
    """
    with registry.borrow(spec, needs(tuple(texts), beams), lane.cancel, lane.report) as model:
        yield model


def needs(texts: Sequence[str], beams: int = 1) -> Needs:
    """Return what the largest pass over `texts` holds, by an estimate of their tokens and packed as `forward` does it.

    What is longer than the model reads counts as several pieces; only models that write have `beams`.
    """
    tokens = [len(one.encode()) // BYTES_A_TOKEN + 1 for one in texts]

    def working(facts: ModelFacts) -> Working:
        longest = facts.positions or USUAL_POSITIONS
        lengths = [min(longest, count - start) for count in tokens for start in range(0, count, longest)]
        sizes = [(len(group), lengths[group[0]]) for group in pack(lengths)]
        batch, length = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
        return text_working(facts, batch * (1 if facts.kind == "encoder" else beams), length)

    return working


def tokenize(model: LoadedModel, *columns: Sequence[str], language: str | None = None, **options: Any) -> Any:
    """Call the model's tokenizer with columns of texts; one call at a time, whatever the thread.

    `language`: for tokenizers that put a token of it beside each text.
    """
    with _TOKENIZING:
        if language is not None:
            model.tokenizer.src_lang = language
        return model.tokenizer(*(list(column) for column in columns), verbose=False, **options)


def encode(
    model: LoadedModel,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    truncation: str = "longest_first",
    language: str | None = None,
) -> list[Encoded]:
    """Tokenize texts (or text pairs) to at most the model's own length; `truncation` says which of a pair is cut."""
    columns = (texts,) if pairs is None else (texts, pairs)
    if not texts:
        return []
    whole = tokenize(model, *columns, language=language, truncation=False)
    lengths = [len(ids) for ids in whole["input_ids"]]
    if max(lengths) > model.max_length:
        cut = {"truncation": truncation, "max_length": model.max_length}
        whole = tokenize(model, *columns, language=language, **cut)
    types = whole.get("token_type_ids") or [[0] * len(ids) for ids in whole["input_ids"]]
    rows = zip(whole["input_ids"], types, lengths, strict=True)
    return [Encoded(tuple(ids), tuple(kinds), length) for ids, kinds, length in rows]


def cut_notes(model: LoadedModel, encoded: Sequence[Encoded]) -> tuple[Sentence, ...]:
    """Return the sentence that says how much the model could not read; nothing if it read everything."""
    longest = max((one.length for one in encoded), default=0)
    if longest <= model.max_length:
        return ()
    return (say("say.text_cut", read=model.max_length, length=longest),)


def with_notes(provenance: Provenance, notes: Iterable[Sentence]) -> Provenance:
    """Return the provenance with the notes among its fallbacks, so that a script reads them, too."""
    return replace(provenance, fallbacks=(*provenance.fallbacks, *map(str, notes)))


def forward(
    registry: Registry,
    model: LoadedModel,
    encoded: Sequence[Encoded],
    read: Read,
    lane: Lane = INTERACTIVE,
    ask: Ask = ask_all,
) -> list[Any]:
    """Run the model over `encoded` and return what `read` takes from its output, one value a text, in order.

    More than LARGEST_BATCH texts go in several turns, the longest first, so that others get in between and a stop
    request is heard.
    """

    def run(items: Sequence[Encoded]) -> list[Any]:
        return _run(model, items, lambda inputs: read(ask(model, inputs), inputs["attention_mask"]), mixed=mixed)

    mixed = lane.mixes(model)
    group = (id(model.model), read, ask, mixed)
    results: list[Any] = [None] * len(encoded)
    order = sorted(range(len(encoded)), key=lambda place: len(encoded[place].ids), reverse=True)
    for first in range(0, len(order), LARGEST_BATCH):
        places = order[first : first + LARGEST_BATCH]
        items = [encoded[place] for place in places]
        values = registry.batcher.submit(group, items, run, background=lane.background, cancel=lane.cancel)
        for place, value in zip(places, values, strict=True):
            results[place] = value
    return results


def read_logits(output: Any, _: torch.Tensor) -> list[torch.Tensor]:
    """Take the logits of each text as float32: (labels,)."""
    return list(output.logits.float().cpu())


def read_token_logits(output: Any, mask: torch.Tensor) -> list[torch.Tensor]:
    """Take the logits of each token as float32: (length, labels), without padding."""
    return _without_padding(output.logits, mask)


def read_span_logits(output: Any, mask: torch.Tensor) -> list[torch.Tensor]:
    """Take the logits of beginning and ending at each token as float32: (length, 2), without padding."""
    import torch

    return _without_padding(torch.stack([output.start_logits, output.end_logits], dim=-1), mask)


def _without_padding(logits: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
    return [row[kept] for row, kept in zip(logits.float().cpu(), mask.bool().cpu(), strict=True)]


def _run(
    model: LoadedModel,
    items: Sequence[Encoded],
    answer: Callable[[dict[str, torch.Tensor]], Sequence[Any]],
    *,
    mixed: bool,
) -> list[Any]:
    import torch

    results: list[Any] = [None] * len(items)
    autocast = torch.autocast("cpu", torch.bfloat16) if mixed else nullcontext()
    with torch.inference_mode(), autocast:
        for places in pack([len(item.ids) for item in items]):
            values = answer(padded_inputs(model, [items[place] for place in places]))
            for place, value in zip(places, values, strict=True):
                results[place] = value
    return results


def pack(lengths: Sequence[int], tokens_at_once: int = TOKENS_AT_ONCE) -> Iterator[list[int]]:
    """Group positions of similar length, so that each group holds at most `tokens_at_once` padded tokens."""
    group: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place], reverse=True):
        if group and (len(group) + 1) * lengths[group[0]] > tokens_at_once:
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def padded_inputs(model: LoadedModel, items: Sequence[Encoded], side: str | None = None) -> dict[str, torch.Tensor]:
    """Pad to the longest: input_ids, attention_mask and, where the model knows them, token_type_ids (batch, length).

    `side`: where padding goes, by default where the tokenizer puts it.
    """
    import torch

    tokenizer = model.tokenizer
    lengths = torch.tensor([len(item.ids) for item in items])[:, None]
    longest = int(lengths.max())
    places = torch.arange(longest)
    real = places >= longest - lengths if (side or tokenizer.padding_side) == "left" else places < lengths

    def padded(values: Iterable[Sequence[int]], filler: int) -> torch.Tensor:
        table = torch.full(real.shape, filler)
        table[real] = torch.tensor(list(chain.from_iterable(values)))
        return table

    columns = {
        "input_ids": padded((item.ids for item in items), tokenizer.pad_token_id or 0),
        "attention_mask": real.long(),
    }
    if "token_type_ids" in tokenizer.model_input_names:
        columns["token_type_ids"] = padded((item.type_ids for item in items), 0)
    return {name: table.to(model.model.device) for name, table in columns.items()}
