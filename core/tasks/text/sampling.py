"""How the next token is chosen: every setting of `generate` that the field uses, its limits, and which contradict."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core import fields
from core.compute.decoding import Rule
from core.errors import InvalidInput
from core.models.loading import LoadedModel
from core.seeds import LARGEST_SEED
from core.tasks.text.options import ModelOptions
from core.words import Sentence, say

if TYPE_CHECKING:
    import torch

STOP_LINES = 20
ALWAYS = (
    "max_new_tokens",
    "min_new_tokens",
    "do_sample",
    "num_beams",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "num_return_sequences",
)
SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p")
BEAMS = ("length_penalty", "early_stopping")

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "balanced": {},
    "greedy": {"do_sample": False},
    "creative": {"temperature": 1.2, "top_k": 0, "top_p": 0.98},
    "beam": {"do_sample": False, "num_beams": 4, "no_repeat_ngram_size": 3, "early_stopping": True},
}
"""What each preset sets; everything else that any preset sets goes back to its default."""


@dataclass(frozen=True, kw_only=True)
class GenerationOptions(ModelOptions):
    """The field's generation settings, under the names of transformers' GenerationConfig."""

    max_new_tokens: int = fields.number(120, low=1, high=4096)
    min_new_tokens: int = fields.number(0, low=0, high=4096)
    do_sample: bool = True
    temperature: float = fields.number(0.8, low=0.05, high=5.0, step=0.05)
    top_k: int = fields.number(50, low=0, high=1000)
    """0 = off."""
    top_p: float = fields.number(0.95, low=0.01, high=1.0, step=0.01)
    """1 = off."""
    min_p: float = fields.number(0.0, low=0.0, high=1.0, step=0.01)
    """0 = off."""
    typical_p: float = fields.number(1.0, low=0.01, high=1.0, step=0.01)
    """1 = off."""
    repetition_penalty: float = fields.number(1.0, low=0.5, high=5.0, step=0.05)
    no_repeat_ngram_size: int = fields.number(0, low=0, high=20)
    num_beams: int = fields.number(1, low=1, high=16)
    num_return_sequences: int = fields.number(1, low=1, high=8)
    length_penalty: float = fields.number(1.0, low=-5.0, high=5.0, step=0.1)
    early_stopping: bool = False
    seed: int = fields.number(-1, low=-1, high=LARGEST_SEED)
    """-1 = drawn anew each time, and told in the result."""
    stop: str = fields.text(limit=2_000, optional=True)
    """Strings that end the text, one a line."""

    def __post_init__(self) -> None:
        """Refuse what lies outside the limits, and settings that contradict each other."""
        super().__post_init__()
        for refused, key in self._contradictions():
            if refused:
                raise InvalidInput(
                    key,
                    low=self.min_new_tokens,
                    high=self.max_new_tokens,
                    beams=self.num_beams,
                    count=self.num_return_sequences,
                    lines=len(self.stop_strings),
                    limit=STOP_LINES,
                )

    def _contradictions(self) -> tuple[tuple[bool, str], ...]:
        return (
            (self.min_new_tokens > self.max_new_tokens, "error.new_tokens_crossed"),
            (self.num_beams > 1 and self.num_return_sequences > self.num_beams, "error.more_sequences_than_beams"),
            (self.greedy and self.num_return_sequences > 1, "error.greedy_has_one_sequence"),
            (self.num_beams == 1 and self.early_stopping, "error.early_stopping_needs_beams"),
            (self.num_beams == 1 and self.length_penalty != 1.0, "error.length_penalty_needs_beams"),
            (len(self.stop_strings) > STOP_LINES, "error.too_many_stops"),
        )

    @property
    def greedy(self) -> bool:
        """True where always the best token is taken."""
        return not self.do_sample and self.num_beams == 1

    @property
    def rows(self) -> int:
        """Texts that are written side by side."""
        return max(self.num_beams, self.num_return_sequences)

    @property
    def stop_strings(self) -> list[str]:
        r"""The strings that end the text; `\n` in a line is a line break."""
        lines = (line.replace("\\n", "\n") for line in self.stop.splitlines())
        return [line for line in lines if line]


def unused_names(options: GenerationOptions) -> tuple[str, ...]:
    """Return the settings that somebody chose and that play no part, as nothing is drawn; a seed of -1 is no choice."""
    if options.do_sample:
        return ()
    usual = {field.name: field.default for field in dataclasses.fields(options)}
    return tuple(name for name in (*SAMPLING, "seed") if getattr(options, name) != usual[name])


def unused(options: GenerationOptions) -> tuple[Sentence, ...]:
    """Say which settings that somebody chose play no part, for no token is drawn."""
    chosen = unused_names(options)
    return (say("say.sampling_unused", names=", ".join(chosen)),) if chosen else ()


def preset(name: str) -> dict[str, Any]:
    """Return the settings that the preset of this name stands for, by field."""
    touched = sorted({field for chosen in PRESETS.values() for field in chosen})
    usual = {field.name: field.default for field in dataclasses.fields(GenerationOptions)}
    return {field: usual[field] for field in touched} | dict(PRESETS[name])


def arguments(options: GenerationOptions, ends: Sequence[int] = ()) -> dict[str, Any]:
    """Return what to pass to `generate`: everything that counts, for the model's own file may say otherwise.

    `ends`: the tokens that end a text; none = those of the model's own file.
    """
    names = [*ALWAYS, *(SAMPLING if options.do_sample else ()), *(BEAMS if options.num_beams > 1 else ())]
    return {name: getattr(options, name) for name in names} | ({"eos_token_id": list(ends)} if ends else {})


def rule(
    options: GenerationOptions,
    model: LoadedModel,
    prompt_tokens: int,
    seed: int,
    candidates: int = 0,
    ends: Sequence[int] = (),
) -> Rule:
    """Return how `options` choose tokens after a prompt of so many; what `generate` would do, with its own parts."""
    import torch

    network = model.model
    config, _ = network._prepare_generation_config(None, **arguments(options, ends))  # noqa: SLF001 the one place that knows the model's own settings
    config.max_length = prompt_tokens + options.max_new_tokens  # a forced end is counted from it
    network._prepare_special_tokens(config, kwargs_has_attention_mask=True, device=network.device)  # noqa: SLF001
    processors = network._get_logits_processor(  # noqa: SLF001 its order decides the result
        generation_config=config, input_ids_seq_length=prompt_tokens, device=network.device
    )
    return Rule(
        process=_one_by_one(tuple(processors)),
        ended=_ends(model, config, options.stop_strings),
        generator=torch.Generator().manual_seed(seed) if options.do_sample else None,
        max_new_tokens=options.max_new_tokens,
        candidates=candidates,
    )


def _one_by_one(processors: Sequence[Any]) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Call the processors as their list does, but without reading each one's signature at each token."""

    def process(ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for processor in processors:
            scores = processor(ids, scores)
        return scores

    return process


def _ends(model: LoadedModel, config: Any, stop_strings: Sequence[str]) -> Callable[[torch.Tensor], list[str | None]]:
    """Return the question why a row ends: "eos", "stop", or not yet."""
    from transformers import StoppingCriteriaList, StopStringCriteria

    eos = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    stops = StoppingCriteriaList([StopStringCriteria(model.tokenizer, list(stop_strings))] if stop_strings else [])

    def ended(ids: torch.Tensor) -> list[str | None]:
        last = ids[:, -1].tolist()
        stopped = stops(ids, None).tolist() if stop_strings else [False] * len(last)
        return ["eos" if id_ in eos else "stop" if stop else None for id_, stop in zip(last, stopped, strict=True)]

    return ended
