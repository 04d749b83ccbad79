"""What a picture looks like half-way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from core.imaging.estimate import clean_latents
from core.imaging.preview import preview
from core.imaging.schedulers import SCHEDULERS, make_scheduler

KINDS = ("epsilon", "v_prediction", "sample")
NAMES = ("ddim", "ddpm", "euler", "heun", "dpmpp_2m", "unipc", "lcm", "pndm")
UNKNOWN = {("pndm", "sample"), ("lcm", "sample")}
"""What diffusers does not combine."""


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in NAMES for kind in KINDS if (name, kind) not in UNKNOWN]
)
def test_the_clean_picture_is_found_under_the_noise(name: str, kind: str) -> None:
    """With the right answer for the model's, the latents without noise come back, by whichever scheduler."""
    import diffusers

    own = diffusers.DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, prediction_type=kind
    )
    scheduler = make_scheduler(name, own)
    scheduler.set_timesteps(10)
    clean, noise = torch.randn(2, 1, 4, 8, 8).unbind()
    place, timestep = 3, scheduler.timesteps[3]
    if hasattr(scheduler, "sigmas") and not hasattr(scheduler, "_sigma_to_alpha_sigma_t"):
        sigma = scheduler.sigmas[place]
        noisy, signal, share = clean + sigma * noise, 1 / (1 + sigma**2) ** 0.5, sigma / (1 + sigma**2) ** 0.5
    else:
        sigmas = getattr(scheduler, "sigmas", None)
        level = own.alphas_cumprod[int(timestep)] if sigmas is None else 1 / (1 + sigmas[place] ** 2)
        signal, share = level**0.5, (1 - level) ** 0.5
        noisy = signal * clean + share * noise
    answers = {"epsilon": noise, "v_prediction": signal * noise - share * clean, "sample": clean}
    found = clean_latents(scheduler, answers[kind], timestep, noisy, place)
    assert torch.allclose(found, clean, atol=1e-3)


@pytest.mark.parametrize("name", [name for name, one in SCHEDULERS.items() if one.flow])
def test_a_flow_is_followed_back(name: str) -> None:
    """Models that learned a flow: the noise less what is left of it."""
    import diffusers

    scheduler = make_scheduler(name, diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0))
    scheduler.set_timesteps(10)
    clean, noise = torch.randn(2, 1, 4, 8, 8).unbind()
    sigma = scheduler.sigmas[3]
    found = clean_latents(scheduler, noise - clean, scheduler.timesteps[3], (1 - sigma) * clean + sigma * noise, 3)
    assert torch.allclose(found, clean, atol=1e-5)


class _LinearDecoder(torch.nn.Module):
    """Decodes each latent to a square of one colour: what a linear map can say exactly."""

    config = SimpleNamespace(latent_channels=4, scaling_factor=0.5, shift_factor=0.1)

    def __init__(self) -> None:
        super().__init__()
        self.colours = torch.nn.Linear(4, 3)

    def decode(self, latents: torch.Tensor, **_: Any) -> tuple[torch.Tensor]:
        colours = self.colours(latents.movedim(1, -1)).movedim(-1, 1)
        return (torch.nn.functional.interpolate(colours, scale_factor=8),)


def test_the_map_is_fitted_from_the_autoencoder() -> None:
    """The preview of a linear autoencoder is its picture, and the map is fitted once."""
    pipeline = SimpleNamespace(vae=_LinearDecoder(), _execution_device=torch.device("cpu"))
    latents, kept = torch.randn(2, 4, 5, 7) * 0.2, {}
    with torch.inference_mode():
        image = preview(pipeline, latents, (56, 40), kept)
        decoded = pipeline.vae.decode(latents[:1] / 0.5 + 0.1)[0][0, :, ::8, ::8]
    expected = ((decoded / 2 + 0.5).clamp(0, 1) * 255).round().movedim(0, -1).numpy()
    assert np.abs(np.asarray(image, float) - expected).max() <= 1
    del pipeline.vae.colours
    assert preview(pipeline, latents, (56, 40), kept) == image


def test_latents_of_another_kind_have_no_preview() -> None:
    """Nothing is shown where the latents cannot be read."""
    pipeline = SimpleNamespace(vae=_LinearDecoder(), _execution_device=torch.device("cpu"))
    assert preview(pipeline, torch.randn(1, 35, 16), (56, 40), {}) is None
    assert preview(pipeline, torch.randn(1, 3, 5, 7), (56, 40), {}) is None
