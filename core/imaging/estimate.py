"""The picture that a step believes in: what is left of noisy latents once the predicted noise is taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.imaging.schedulers import learned_flow

if TYPE_CHECKING:
    import torch


def clean_latents(scheduler: Any, output: torch.Tensor, timestep: Any, noisy: torch.Tensor, place: int) -> torch.Tensor:
    """Return the latents without noise as the model's `output` for `noisy` at step number `place` says, about.

    A noisy latent is a x clean + b x noise with a² + b² = 1, for flows a = 1 - b; equations 9 and 12 of DDIM
    (arXiv 2010.02502), and v-prediction of arXiv 2202.00512. Where a scheduler keeps other numbers, `noisy` itself.
    """
    if output.shape != noisy.shape:
        return noisy
    flow = learned_flow(scheduler)
    if flow:
        sigma = _sigma(scheduler, place)
        return noisy if sigma is None else noisy - sigma * output
    levels = _levels(scheduler, timestep, place)
    if levels is None:
        return noisy
    signal, noise, scale = levels
    plain = noisy * scale
    kind = scheduler.config.get("prediction_type", "epsilon")
    if kind == "sample":
        return output
    of_velocity = kind == "v_prediction"
    clean: torch.Tensor = signal * plain - noise * output if of_velocity else (plain - noise * output) / signal
    return clean


def _levels(scheduler: Any, timestep: Any, place: int) -> tuple[Any, Any, Any] | None:
    """Return a, b, and what the latents must be multiplied with so that a² + b² = 1 holds for them."""
    sigma = _sigma(scheduler, place)
    if sigma is not None and hasattr(scheduler, "_sigma_to_alpha_sigma_t"):
        return (*scheduler._sigma_to_alpha_sigma_t(sigma), 1.0)  # noqa: SLF001 diffusers offers no public one
    if sigma is not None:
        signal = 1 / (1 + sigma**2) ** 0.5
        return signal, sigma * signal, signal
    kept = getattr(scheduler, "alphas_cumprod", None)
    if kept is None:
        return None
    share = kept[int(timestep)]
    return share**0.5, (1 - share) ** 0.5, 1.0


def _sigma(scheduler: Any, place: int) -> Any:
    """Return the noise level of a step, or None for schedulers that count in shares of the signal."""
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is None or not len(sigmas) > place >= 0:
        return None
    return float(sigmas[place])
