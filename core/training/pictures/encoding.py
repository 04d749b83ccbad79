"""Everything that stays the same over a whole training, computed once: latents of the pictures, states of the captions.

They are kept beside the run's data under a key of all they were made from: a training that goes on finds them again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.training.data.watch import Watch
from core.training.pictures.captions import read_texts
from core.training.pictures.files import as_values, read_sized
from core.training.pictures.parts import PictureParts
from core.training.pictures.tensor_file import BYTES, TensorFile, TensorWriter, is_whole

if TYPE_CHECKING:
    import torch

PICTURES_PHASE, CAPTIONS_PHASE = "encode", "read_captions"
TOGETHER_PIXELS = 1024 * 1024
"""Pixels that are encoded at once."""
MOST_STATE_BYTES = 2_000_000_000
"""Larger states of captions are computed in each step instead."""
CAPTIONS_TOGETHER = 32
VERSION = 1
"""Raised whenever the same inputs give other numbers."""


@dataclass(frozen=True)
class Picture:
    """One picture with its caption."""

    file: Path
    caption: str


@dataclass(frozen=True)
class How:
    """All that decides what is encoded, beside the pictures and captions themselves."""

    resolution: int
    center_crop: bool = True
    random_flip: bool = False
    states: bool = True
    """Keep the captions' states, which is right unless the text encoder learns."""
    base: str = ""
    """The model with its revision."""
    data_hash: str = ""


@dataclass(frozen=True)
class Encoded:
    """Pictures as latents, by their place in `pictures`; the arrays stay on disk."""

    pictures: tuple[Picture, ...]
    how: How
    tensors: TensorFile
    has_states: bool
    _captions: dict[str, int] = field(default_factory=dict)

    def latents(self, place: int, *, flipped: bool = False) -> torch.Tensor:
        """Return means and deviations of a picture's latents on top of each other, (2 × channels, height, width)."""
        found: torch.Tensor = self.tensors[_latents_name(place, flipped=flipped)]
        return found

    def told(self, place: int) -> tuple[int, int, int, int]:
        """Return what SDXL is told of a picture: its height and width, top and left of the middle square."""
        height, width, top, left = self.tensors[f"told {place}"].int().tolist()
        return height, width, top, left

    def states(self, place: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the states of a picture's caption, (tokens, width), and of the whole caption where the model asks."""
        name = f"caption {self._captions[self.pictures[place].caption]}"
        return self.tensors[name], self.tensors.get(f"{name} pooled")


def encode(
    parts: PictureParts, pictures: Sequence[Picture], how: How, folder: Path, device: Any, watch: Watch
) -> Encoded:
    """Encode what is not in `folder` yet, on `device`; raises BadFile for a picture that cannot be read, Cancelled.

    Call it in one process at a time: the second finds what the first has written.
    """
    keep_states = how.states and _state_bytes(parts, pictures) <= MOST_STATE_BYTES
    file = folder / f"encoded-{_key(pictures, how, keep_states=keep_states)}.bin"
    captions = {text: place for place, text in enumerate(dict.fromkeys(one.caption for one in pictures))}
    if not is_whole(file):
        with TensorWriter(file) as writer:
            _write_latents(parts, pictures, how, writer, device, watch)
            if keep_states:
                _write_states(parts, tuple(captions), writer, device, watch)
    return Encoded(tuple(pictures), how, TensorFile(file), keep_states, captions)


def _write_latents(
    parts: PictureParts, pictures: Sequence[Picture], how: How, writer: TensorWriter, device: Any, watch: Watch
) -> None:
    together = max(TOGETHER_PIXELS // how.resolution**2, 1) if how.center_crop else 1
    flips = (False, True) if how.random_flip else (False,)
    with lent(device, parts.vae):
        for places in _together(watch.over(PICTURES_PHASE, range(len(pictures)), len(pictures)), min(together, 64)):
            watch.cancel.check()
            sized = [read_sized(pictures[place].file, how.resolution, center_crop=how.center_crop) for place in places]
            for flipped in flips:
                found = _encoded(parts.vae, [as_values(one.image) for one in sized], flipped=flipped)
                for place, latents in zip(places, found, strict=True):
                    writer.add(_latents_name(place, flipped=flipped), latents)
            for place, one in zip(places, sized, strict=True):
                _tell_size(writer, place, (*one.original, *one.corner))


def _tell_size(writer: TensorWriter, place: int, told: tuple[int, ...]) -> None:
    import torch

    writer.add(f"told {place}", torch.tensor(told))


def _encoded(vae: Any, values: Sequence[torch.Tensor], *, flipped: bool) -> torch.Tensor:
    """Return means and deviations, (pictures, 2 × channels, height, width); flipped ones are encoded anew."""
    import torch

    batch = torch.stack(list(values)).to(vae.device)
    with torch.no_grad():
        found = vae.encode(_whole_latents(batch.flip(3) if flipped else batch, vae)).latent_dist
        return torch.cat([found.mean, found.std], dim=1)


def _whole_latents(values: torch.Tensor, vae: Any) -> torch.Tensor:
    """Leave out the pixels at the right and below that are no whole latent."""
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    height, width = (side // factor * factor for side in values.shape[2:])
    return values[:, :, :height, :width]


def _write_states(
    parts: PictureParts, captions: Sequence[str], writer: TensorWriter, device: Any, watch: Watch
) -> None:
    with lent(device, *parts.text_encoders.values()):
        counted = watch.over(CAPTIONS_PHASE, range(len(captions)), len(captions))
        for places in _together(counted, CAPTIONS_TOGETHER):
            watch.cancel.check()
            states = read_texts(parts, [captions[place] for place in places])
            for row, place in enumerate(places):
                writer.add(f"caption {place}", states.tokens[row])
                if states.pooled is not None:
                    writer.add(f"caption {place} pooled", states.pooled[row])


def _state_bytes(parts: PictureParts, pictures: Sequence[Picture]) -> int:
    width, tokens = int(parts.unet.config.cross_attention_dim), int(parts.tokenizers[0].model_max_length)
    return BYTES * width * tokens * len({one.caption for one in pictures})


@contextmanager
def lent(device: Any, *networks: Any) -> Iterator[None]:
    """Let networks compute on `device` until the block ends; then they lie where they lay."""
    homes = [network.device for network in networks]
    for network in networks:
        network.to(device)
    try:
        yield
    finally:
        for network, home in zip(networks, homes, strict=True):
            network.to(home)


def _together(places: Iterable[int], count: int) -> Iterator[tuple[int, ...]]:
    """Yield the places `count` at a time."""
    rest = iter(places)
    while several := tuple(islice(rest, count)):
        yield several


def _latents_name(place: int, *, flipped: bool) -> str:
    return f"flipped {place}" if flipped else f"latents {place}"


def _key(pictures: Sequence[Picture], how: How, *, keep_states: bool) -> str:
    words = [VERSION, repr(how), keep_states, [(one.file.name, one.caption) for one in pictures]]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]
