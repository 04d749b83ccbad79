"""What a UNet learns of noise, held against diffusers' own training script."""

from __future__ import annotations

import diffusers
import pytest
import torch
from diffusers.training_utils import compute_snr

from core.training.pictures.noise import EPSILON, SAMPLE, VELOCITY, loss_of, wanted, weights

TIMES = torch.tensor([0, 1, 250, 700, 999])
GAMMA = 5.0


def scheduler(kind: str, **options: bool) -> diffusers.DDPMScheduler:
    """Return Stable Diffusion's noise with a kind of prediction."""
    return diffusers.DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=kind, **options
    )


def test_each_kind_of_prediction_has_its_answer() -> None:
    """Noise, velocity, or the latents themselves."""
    latents, noise = torch.randn(5, 4, 2, 2), torch.randn(5, 4, 2, 2)
    assert wanted(scheduler(EPSILON), latents, noise, TIMES) is noise
    assert wanted(scheduler(SAMPLE), latents, noise, TIMES) is latents
    velocity = scheduler(VELOCITY)
    assert torch.equal(wanted(velocity, latents, noise, TIMES), velocity.get_velocity(latents, noise, TIMES))


@pytest.mark.parametrize("kind", [EPSILON, VELOCITY])
def test_weights_are_those_of_diffusers_script(kind: str) -> None:
    """Min-SNR as examples/text_to_image/train_text_to_image.py computes it."""
    noise = scheduler(kind)
    snr = compute_snr(noise, TIMES)
    expected = torch.stack([snr, GAMMA * torch.ones(5)]).min(dim=0)[0] / (snr if kind == EPSILON else snr + 1)
    assert torch.allclose(weights(noise, TIMES, GAMMA), expected, rtol=1e-4)


def test_without_gamma_all_levels_count_the_same() -> None:
    """Zero switches the weighting off."""
    assert weights(scheduler(EPSILON), TIMES, 0).tolist() == [1] * 5


@pytest.mark.parametrize("kind", [EPSILON, VELOCITY, SAMPLE])
def test_a_step_of_noise_alone_has_a_finite_weight(kind: str) -> None:
    """A rescaled schedule ends without any signal, and nothing is divided by it."""
    noise = scheduler(kind, rescale_betas_zero_snr=True)
    assert compute_snr(noise, TIMES)[-1] == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(weights(noise, TIMES, GAMMA)).all()


def test_the_loss_is_a_weighted_mean() -> None:
    """Each row counts by its weight, and all weights of 1 give the mean squared error."""
    found, target = torch.randn(3, 4, 2, 2), torch.randn(3, 4, 2, 2)
    plain = torch.nn.functional.mse_loss(found, target)
    assert torch.allclose(loss_of(found, target, torch.ones(3)), plain)
    alone = torch.nn.functional.mse_loss(found[1], target[1])
    assert torch.allclose(loss_of(found, target, torch.tensor([0.0, 3.0, 0.0])), alone)
