"""A small UNet's step without Python: on a processor half of such a step's time is the interpreter's.

Once a UNet has taken some steps of a shape, that shape is recorded with torch.jit.trace: the same kernels run in the
same order, called from C++ (`python -m bench.images`). A recording is made after the pictures are handed over, for
exactly one shape, and used only if it repeats the UNet's own answer on other values.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

log = logging.getLogger("atelier")

STEPS_BEFORE = 40
"""A recording takes as long as some sixty steps save: a shape first shows that it is used."""
LARGEST_UNET = 200_000_000
"""Parameters; in larger ones the kernels take so long that nobody waits for Python."""
MOST_SHAPES = 8
TOLERANCE = 1e-4
"""By how much a recording may differ from the UNet: rounding, where kernels were merged."""
KEPT = "recordings"

Inputs = tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]
"""Latents (batch, channels, height, width), timestep (), prompt (batch, tokens, width)."""


@dataclass
class _Shape:
    """Steps of one shape: how many there were, and the recording once it is made."""

    steps: int = 0
    example: Inputs | None = None
    traced: Callable[..., torch.Tensor] | None = None
    refused: bool = False

    @property
    def due(self) -> bool:
        return self.steps >= STEPS_BEFORE and self.traced is None and not self.refused


@contextmanager
def recorded(unet: Any, kept: dict[str, Any]) -> Iterator[None]:
    """Let the UNet's steps run as recordings of their shapes; when the block ends, record what has come to be used.

    Whoever uses the UNet meanwhile must hold the model's lock. `kept`: what lives and goes with the model.
    """
    shapes: dict[Any, _Shape] = kept.setdefault(KEPT, {})
    plain, before = unet.forward, vars(unet).get("forward")

    def forward(sample: Any, timestep: Any, encoder_hidden_states: Any, *rest: Any, **options: Any) -> Any:
        inputs = (sample, timestep, encoder_hidden_states)
        shape = None if rest or not _is_simple(options) else _shape_of(inputs, shapes)
        if shape is None:
            return plain(*inputs, *rest, **options)
        if shape.traced is not None:
            with _as_recorded():
                return (shape.traced(*inputs),)
        shape.steps, shape.example = shape.steps + 1, inputs
        return plain(*inputs, **options)

    unet.forward = forward
    try:
        yield
    finally:
        del unet.forward
        if before is not None:
            unet.forward = before
    for shape in shapes.values():
        if shape.due:
            _record(unet, shape)


def may_be_recorded(pipeline: Any) -> bool:
    """Tell whether this pipeline's UNet is one that Python slows down: small, on a processor, with fused attention."""
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import AttnProcessor2_0

    unet: Any = getattr(pipeline, "unet", None)
    usual = type(unet) is UNet2DConditionModel
    return (
        usual
        and unet.device.type == "cpu"
        and all(type(one) is AttnProcessor2_0 for one in unet.attn_processors.values())
        and sum(one.numel() for one in unet.parameters()) <= LARGEST_UNET
    )


def _is_simple(options: dict[str, Any]) -> bool:
    """Tell whether a call has nothing but its three inputs, and wants a tuple."""
    return options.get("return_dict") is False and all(
        value is None for name, value in options.items() if name != "return_dict"
    )


def _shape_of(inputs: tuple[Any, ...], shapes: dict[Any, _Shape]) -> _Shape | None:
    """Return what is known of inputs of this shape, None for what is no tensor or one shape too many."""
    import torch

    if not all(isinstance(one, torch.Tensor) for one in inputs):
        return None
    key = tuple((tuple(one.shape), one.dtype) for one in inputs)
    if key not in shapes and len(shapes) >= MOST_SHAPES:
        return None
    return shapes.setdefault(key, _Shape())


def _record(unet: Any, shape: _Shape) -> None:
    """Record one shape; one whose recording fails, or differs, stays as it is."""
    import torch

    example, shape.example = shape.example, None
    if example is None:
        return
    try:
        with torch.inference_mode(mode=False), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of every size; here each shape has a recording
            made: Inputs = tuple(one.clone() for one in example)  # type: ignore[assignment]
            traced = torch.jit.freeze(torch.jit.trace(_as_module(unet), made, check_trace=False))  # type: ignore[no-untyped-call]
            shape.refused = not _repeats(unet, traced, made)
    except Exception as problem:  # noqa: BLE001 whatever a UNet's code makes of being recorded
        log.info("%s is not recorded: %s", type(unet).__name__, problem)
        shape.refused = True
    else:
        shape.traced = None if shape.refused else traced


def _repeats(unet: Any, traced: Callable[..., torch.Tensor], made: Inputs) -> bool:
    """Tell whether a recording answers other latents, another timestep and another prompt as the UNet does."""
    import torch

    latents, timestep, prompt = made
    tried = (latents.flip(0, -1) * 0.7, timestep // 2 + 1, prompt.flip(1))
    with _as_recorded():
        mine = traced(*tried)
    theirs = unet(tried[0], tried[1], encoder_hidden_states=tried[2], return_dict=False)[0]
    return torch.allclose(mine, theirs, atol=TOLERANCE * float(theirs.abs().max()), rtol=0.0)


def _as_module(unet: Any) -> torch.nn.Module:
    """Return the UNet as a module of tensors alone."""
    import torch

    class Step(torch.nn.Module):
        """Holds the UNet only until it is recorded."""

        def __init__(self) -> None:
            super().__init__()
            self.unet = unet

        def forward(self, sample: torch.Tensor, timestep: torch.Tensor, prompt: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.unet(sample, timestep, encoder_hidden_states=prompt, return_dict=False)[0]
            return found

    return Step().eval()


def _as_recorded() -> Any:
    """Run without the executor's rewriting, which takes a tenth of a second at the second call, to save little."""
    import torch

    return torch.jit.optimized_execution(should_optimize=False)  # type: ignore[attr-defined]
