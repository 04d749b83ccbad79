"""What the model writes while it learns: a few texts at each evaluation, always for the same inputs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from core.events import CancelToken
from core.jobs.work import JobHandle
from core.training.callbacks import Moment
from core.training.data.encoding.chat_text import has_template, write
from core.training.data.encoding.spoken import joint
from core.training.data.prepared import CHAT, COMPLETION, PAIRS, PLAIN, PREFERENCE, Prepared, Row
from core.training.settings import TrainSettings

SAMPLES = "samples"
SHAPES_THAT_WRITE = (PAIRS, PLAIN, COMPLETION, CHAT, PREFERENCE)
FEWEST_WORDS, SHARE_OF_WORDS = 4, 0.3
"""Of running text, the model reads the first words and writes on."""
MOST_CHARACTERS = 2_000
"""Of each text in an event; the page shows no more."""


@dataclass(frozen=True)
class Sample:
    """One input as the model reads it, as a person reads it, and what stands in the data."""

    prompt: str
    input: str
    reference: str = ""


@dataclass(frozen=True)
class Writer:
    """A model with what it takes to write."""

    model: Any
    tokenizer: Any
    settings: TrainSettings
    prepared: Prepared


def samples_from(rows: Sequence[Row], prepared: Prepared, tokenizer: Any, settings: TrainSettings) -> list[Sample]:
    """Return the inputs that are written to: `validation_prompt`, or the first of `rows`."""
    if not settings.known_task.generates or not settings.sample_count or prepared.shape not in SHAPES_THAT_WRITE:
        return []
    asked = settings.validation_prompt.strip()
    if asked:
        return [_asked(asked, prepared, tokenizer, settings)]
    return [_sample(row, prepared, tokenizer, settings) for row in rows[: settings.sample_count]]


def write_samples(writer: Writer, samples: Sequence[Sample], cancel: CancelToken) -> list[str]:
    """Return what the model writes to each, greedily, so that only the weights make a difference.

    Writing ends early, with what there is, once somebody asks to stop.
    """
    import torch
    from transformers import StoppingCriteriaList

    model, tokenizer = writer.model, writer.tokenizer
    batch = tokenizer(
        [sample.prompt for sample in samples],
        return_tensors="pt",
        padding=True,
        padding_side="right" if _reads_whole(writer) else "left",
        truncation=True,
        max_length=writer.prepared.max_length,
        add_special_tokens=not _talks(writer.prepared, tokenizer),
    ).to(model.device)
    batch.pop("token_type_ids", None)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode(), _without_peft_on_positions(), _mixed(writer.settings, model.device.type):
            written = model.generate(
                **batch,
                do_sample=False,
                num_beams=1,
                max_new_tokens=writer.settings.max_new_tokens,
                pad_token_id=tokenizer.pad_token_id,
                stopping_criteria=StoppingCriteriaList([_until(cancel)]),
            )
    finally:
        model.train(training)
    new = written if _reads_whole(writer) else written[:, batch["input_ids"].shape[1] :]
    return [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]


class SampleListener:
    """Writes samples at each evaluation; the first process does."""

    def __init__(self, job: JobHandle, writer: Writer, samples: Sequence[Sample]) -> None:
        """Write to these inputs."""
        self._job, self._writer, self._samples = job, writer, samples

    def on_evaluate(self, now: Moment) -> None:
        """Write, and tell what was written."""
        if not self._samples or not now.state.is_world_process_zero:
            return
        texts = write_samples(self._writer, self._samples, self._job.cancel)
        items = [
            {"input": _cut(sample.input), "text": _cut(text), "reference": _cut(sample.reference)}
            for sample, text in zip(self._samples, texts, strict=True)
        ]
        self._job.emit(SAMPLES, {"step": now.state.global_step, "items": items})


def _asked(text: str, prepared: Prepared, tokenizer: Any, settings: TrainSettings) -> Sample:
    if _talks(prepared, tokenizer):
        return Sample(_written([{"role": "user", "content": text}], prepared, tokenizer), text)
    prefix = settings.source_prefix if prepared.shape == PAIRS else ""
    return Sample(f"{prefix}{text}", text)


def _sample(row: Row, prepared: Prepared, tokenizer: Any, settings: TrainSettings) -> Sample:
    if prepared.shape == PAIRS:
        return Sample(f"{settings.source_prefix}{row['source']}", row["source"], row["target"])
    if prepared.shape == PREFERENCE:
        return _before_the_answer(row["messages"], row["chosen"], prepared, tokenizer)
    if prepared.shape in (CHAT, COMPLETION):
        *before, answer = row["messages"]
        return _before_the_answer(before, answer["content"], prepared, tokenizer)
    words = row["text"].split(" ")
    read = max(int(len(words) * SHARE_OF_WORDS), FEWEST_WORDS)
    beginning = " ".join(words[:read])
    return Sample(beginning, beginning, " ".join(words[read:]))


def _before_the_answer(messages: Sequence[dict[str, str]], answer: str, prepared: Prepared, tokenizer: Any) -> Sample:
    """Ask what the last answer was given to, in the form in which the model learns it."""
    shown = "\n".join(one["content"] for one in messages)
    if _talks(prepared, tokenizer):
        return Sample(_written(messages, prepared, tokenizer), shown, answer)
    return Sample(joint("\n\n".join(one["content"] for one in messages), answer), shown, answer)


def _talks(prepared: Prepared, tokenizer: Any) -> bool:
    """Tell whether inputs go through a chat template."""
    if prepared.shape == PREFERENCE:
        return bool(prepared.chat_template) or has_template(tokenizer)
    return prepared.shape == CHAT


def _written(messages: Sequence[dict[str, str]], prepared: Prepared, tokenizer: Any) -> str:
    return write(tokenizer, messages, prepared.chat_template, asks=True)


def _reads_whole(writer: Writer) -> bool:
    """Tell whether what is written comes alone, and not behind what was read."""
    return bool(getattr(writer.model.config, "is_encoder_decoder", False))


@contextmanager
def _without_peft_on_positions() -> Iterator[None]:
    """Let peft keep to itself that it counts positions anew behind learnt vectors, as it must."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Position ids are not supported", UserWarning)
        yield


def _mixed(settings: TrainSettings, device: str) -> Any:
    import torch

    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(settings.precision)
    return torch.autocast(device, half or torch.bfloat16, enabled=half is not None)


def _until(cancel: CancelToken) -> Any:
    import torch
    from transformers import StoppingCriteria

    class Until(StoppingCriteria):
        """Ends all texts at once."""

        def __call__(self, input_ids: Any, *_: Any, **__: Any) -> Any:
            return torch.full((len(input_ids),), cancel.cancelled, dtype=torch.bool, device=input_ids.device)

    return Until()


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
