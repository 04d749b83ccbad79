"""How a model elsewhere shall write: settings under transformers' names, and what of them its protocol can say."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LACKING = (
    *("min_new_tokens", "top_k", "min_p", "typical_p", "repetition_penalty", "no_repeat_ngram_size", "num_beams"),
    *("num_return_sequences", "length_penalty", "early_stopping"),
    *("device", "dtype", "attention", "attention_slicing", "quantisation"),
)
"""Settings of ours that OpenAI's chat protocol has no word for."""


@dataclass(frozen=True)
class RemoteOptions:
    """What is asked of a model elsewhere; None = whatever the server takes by itself."""

    max_new_tokens: int | None = None
    do_sample: bool = True
    """False = always the most probable token, which the protocol calls temperature 0."""
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    others: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Settings that were chosen but cannot be sent; the answer says in a note that they did not count."""

    @classmethod
    def of(cls, settings: Any, seed: int | None = None) -> RemoteOptions:
        """Read a settings dataclass such as GenerationOptions; what the protocol lacks counts where it was changed."""
        usual = {field.name: field.default for field in dataclasses.fields(settings)}
        named = {name: getattr(settings, name) for name in usual}
        own = {field.name for field in dataclasses.fields(cls)} - {"stop", "seed", "others"}
        return cls(
            **{name: value for name, value in named.items() if name in own},
            stop=tuple(getattr(settings, "stop_strings", ())),
            seed=seed,
            others={name: named[name] for name in LACKING if name in named and named[name] != usual[name]},
        )

    def parameters(self) -> dict[str, Any]:
        """Return what is sent, by the protocol's names; what is not said is left out."""
        drawn = {"temperature": self.temperature, "top_p": self.top_p} if self.do_sample else {"temperature": 0.0}
        said = {
            "max_tokens": self.max_new_tokens,
            **drawn,
            "seed": self.seed,
            "stop": list(self.stop) or None,
        }
        return {name: value for name, value in said.items() if value is not None}
