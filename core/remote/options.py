"""How a model elsewhere shall write: settings under transformers' names, and what of them its protocol can say."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

ELSEWHERE = ("model", "history", "system_prompt", "stop", "seed")
"""Settings that travel in another way: as the place, the messages, or by a name of the protocol's own."""


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
    def of(cls, settings: Any, seed: int | None = None, unused: Collection[str] = ()) -> RemoteOptions:
        """Read a settings dataclass such as GenerationOptions.

        Whatever field the protocol has no word for is among the others where it was changed, but for those that are
        told as `unused` anyway; a field without a default is the input itself.
        """
        usual = {
            one.name: one.default for one in dataclasses.fields(settings) if one.default is not dataclasses.MISSING
        }
        named = {name: getattr(settings, name) for name in usual}
        own = {field.name for field in dataclasses.fields(cls)} - {"stop", "seed", "others"}
        lacking = [name for name in usual if name not in {*own, *ELSEWHERE, *unused}]
        return cls(
            **{name: value for name, value in named.items() if name in own},
            stop=tuple(getattr(settings, "stop_strings", ())),
            seed=seed,
            others={name: named[name] for name in lacking if named[name] != usual[name]},
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
