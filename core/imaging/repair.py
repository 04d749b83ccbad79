"""What is done when a picture comes out black or memory runs out, and how that is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import ModelError, NotEnoughMemory
from core.placement.planner import Placement
from core.placement.wish import Wish
from core.words import Sentence, say

if TYPE_CHECKING:
    import torch

Tell = Callable[[Sentence], None]

BLACK = -0.99
"""A picture (from -1 to 1) that is nowhere brighter than this is black."""


@contextmanager
def careful_decoding(vae: Any, tell: Tell) -> Iterator[None]:
    """Decode again in float32 what comes out black or as no numbers in half precision, and say so.

    Changes the autoencoder while the block runs: whoever uses it must hold the model's lock. Raises ModelError where
    the latents are no numbers already, so that no decoder could help.
    """
    plain = vae.decode

    def decode(latents: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        answer = plain(latents, *arguments, **options)
        if not _is_blank(answer[0]):
            return answer
        _refuse_no_numbers(latents)
        dtype = str(latents.dtype).removeprefix("torch.")
        if dtype == "float32" or any(one.is_meta for one in vae.parameters()):
            tell(say("say.picture_black"))
            return answer
        tell(say("say.vae_again", dtype=dtype))
        with _in_float32(vae):
            return plain(latents.float(), *arguments, **options)

    vae.decode = decode
    try:
        yield
    finally:
        del vae.decode


def _is_blank(pictures: torch.Tensor) -> bool:
    """Tell whether any picture of the batch is black or has places that are no numbers."""
    import torch

    brightest = pictures.flatten(1).amax(1)
    return bool((brightest <= BLACK).any()) or not bool(torch.isfinite(pictures).all())


def _refuse_no_numbers(latents: torch.Tensor) -> None:
    import torch

    if not bool(torch.isfinite(latents).all()):
        raise ModelError("error.latents_no_numbers", dtype=str(latents.dtype).removeprefix("torch."))


@contextmanager
def _in_float32(vae: Any) -> Iterator[None]:
    """Hold the autoencoder in float32; half precision loses nothing on the way there and back."""
    import torch

    before = next(vae.parameters()).dtype
    with torch.inference_mode(mode=False):  # parameters made in inference mode could never be trained or moved again
        vae.to(torch.float32)
    try:
        yield
    finally:
        with torch.inference_mode(mode=False):
            vae.to(before)


@dataclass(frozen=True)
class Shortage:
    """Where memory ran out: on which placement, and in the autoencoder or between two steps."""

    problem: NotEnoughMemory
    placement: Placement
    decoding: bool
    slices: bool
    """The denoiser's attention can be sliced."""


def next_remedy(wish: Wish, short: Shortage) -> tuple[str, str] | None:
    """Return the wish (name, value) that saves memory where it ran out, or None where nothing is left to try.

    What was switched off by a wish stays off.
    """
    placement = short.placement
    offloads = placement.device.partition(":")[0] in {"cuda", "xpu"} and wish.offload == "auto"
    vae = [
        ("vae_slicing", "on", wish.vae_slicing == "auto" and not placement.vae_slicing),
        ("vae_tiling", "on", wish.vae_tiling == "auto" and not placement.vae_tiling),
    ]
    attention = short.slices and wish.attention_slicing == "auto" and not placement.attention_slicing
    denoiser = [
        ("offload", "model", offloads and placement.offload == "none"),
        ("attention_slicing", "on", attention),
        ("offload", "sequential", offloads and placement.offload == "model"),
    ]
    order = [*vae, *denoiser] if short.decoding else [*denoiser, *vae]
    return next(((name, value) for name, value, is_open in order if is_open), None)
