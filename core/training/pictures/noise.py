"""What a UNet learns: to answer noisy latents as its kind of prediction wants it, each noise level at its weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

EPSILON, VELOCITY, SAMPLE = "epsilon", "v_prediction", "sample"


def wanted(scheduler: Any, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Return what the UNet should answer, (batch, channels, height, width), as the scheduler's prediction_type says."""
    kind = scheduler.config.prediction_type
    if kind == VELOCITY:
        velocity: torch.Tensor = scheduler.get_velocity(latents, noise, times)
        return velocity
    return {EPSILON: noise, SAMPLE: latents}[kind]


def weights(scheduler: Any, times: torch.Tensor, snr_gamma: float) -> torch.Tensor:
    """Return how much each row's error counts, (batch,): Min-SNR (arXiv 2303.09556, section 3.4); 0 = all the same.

    Written so that noise alone (a signal of 0, as with a rescaled schedule) divides nothing by 0.
    """
    import torch

    if not snr_gamma:
        return torch.ones(len(times), device=times.device)
    power = scheduler.alphas_cumprod.to(times.device)[times].float()
    snr = power / (1 - power)
    kind = scheduler.config.prediction_type
    found: torch.Tensor = snr_gamma / snr.clamp(min=snr_gamma)
    if kind != EPSILON:
        found = snr.clamp(max=snr_gamma) / (snr + 1 if kind == VELOCITY else 1)
    return found


def loss_of(found: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean squared error over the batch, in float32."""
    errors = (found.float() - target.float()).square().flatten(1).mean(dim=1)
    return (weight * errors).mean()
