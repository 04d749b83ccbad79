"""The networks that learn together, as one module: from a batch to its loss."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from core.training.pictures.captions import States, read_tokens
from core.training.pictures.noise import loss_of, wanted, weights
from core.training.pictures.parts import PictureParts

if TYPE_CHECKING:
    import torch

    from core.training.pictures.batches import Batch


def learner_of(parts: PictureParts, snr_gamma: float, *, reads: bool) -> Any:
    """Return a torch module of the UNet, and of the text encoders unless its batches hold their states already.

    Its state is what learns, and nothing else.
    """
    return _learner_class()(parts, snr_gamma, dict(parts.text_encoders) if reads else {})


def trained_state(module: Any) -> dict[str, torch.Tensor]:
    """Return the parameters of a module that learn, by name."""
    return {name: one.detach() for name, one in module.named_parameters() if one.requires_grad}


@cache
def _learner_class() -> Any:
    """Make the class when torch is there."""
    import torch

    class PictureLearner(torch.nn.Module):
        """UNet and text encoders."""

        def __init__(self, parts: PictureParts, snr_gamma: float, encoders: dict[str, Any]) -> None:
            """Take the networks as they are."""
            super().__init__()
            self.unet = parts.unet
            self.encoders = torch.nn.ModuleDict(encoders)
            self._family, self._scheduler, self._snr_gamma = parts.family, parts.noise_scheduler, snr_gamma

        def forward(self, batch: Batch) -> torch.Tensor:
            """Return the loss of a batch."""
            latents, noise, times = batch["latents"], batch["noise"], batch["times"]
            noisy = self._scheduler.add_noise(latents, noise, times)
            states = self._states(batch)
            found = self.unet(noisy, times, states.tokens, added_cond_kwargs=_told(batch, states)).sample
            weight = weights(self._scheduler, times, self._snr_gamma)
            return loss_of(found, wanted(self._scheduler, latents, noise, times), weight)

        def _states(self, batch: Batch) -> States:
            if "states" in batch:
                return States(batch["states"], batch.get("pooled"))
            tokens = [batch[f"tokens_{number}"] for number in range(len(self.encoders))]
            return read_tokens(self._family, tuple(self.encoders.values()), tokens)

        def state_dict(self, *_: Any, **__: Any) -> Any:
            """Return what learns, laid out as safetensors wants it."""
            return {name: one.contiguous() for name, one in trained_state(self).items()}

        def load_state_dict(self, state_dict: Mapping[str, Any], *_: Any, **__: Any) -> Any:
            """Take back what `state_dict` returned; RuntimeError for anything else."""
            strange = set(trained_state(self)) ^ set(state_dict)
            if strange:
                raise RuntimeError(f"not what learns here: {sorted(strange)[:3]}")
            return super().load_state_dict(state_dict, strict=False)

    return PictureLearner


def _told(batch: Batch, states: States) -> dict[str, torch.Tensor] | None:
    """Return what SDXL's UNet is told beside the states."""
    if states.pooled is None:
        return None
    return {"text_embeds": states.pooled, "time_ids": batch["time_ids"]}
