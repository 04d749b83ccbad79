"""Sampled beams on a CUDA device, whose generator they draw from; skipped, with the reason, where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.atelier import open_atelier
from core.events import CancelToken
from core.machine.hardware import probe
from core.settings import Settings
from core.tasks.text.beams import write_with_beams
from core.tasks.text.request import Request
from core.tasks.text.text_generation import TASK, TextGenerationSettings
from tests.core.tasks.text.test_beams import Beside
from tests.fakes.models import tiny_llama

pytestmark = pytest.mark.skipif(
    not any(device.kind == "cuda" for device in probe().gpus),
    reason="no NVIDIA GPU that the installed PyTorch can use",
)


def test_what_others_draw_on_the_gpu_changes_nothing(tmp_path: Path) -> None:
    """A sampled search finds the same, however much is drawn on its device beside it, and leaves the generator be."""
    registry = open_atelier(Settings(home=tmp_path / "home")).registry
    story = str(tiny_llama(tmp_path / "llama"))
    settings = TextGenerationSettings(prompt="-", model=story, device="cuda", num_beams=4, max_new_tokens=40)
    with registry.borrow(settings.spec(registry, TASK)) as model:
        device = model.model.device
        before = torch.cuda.get_rng_state(device)
        found = []
        for others in (lambda: None, lambda: torch.rand(9, device=device)):
            registry.batcher = Beside(others)
            request = Request([0, 40, 50, 60], settings, 7, CancelToken(), candidates=settings.candidates)
            found.append(write_with_beams(request, registry, model).rows[0])
            if len(found) == 1:
                assert torch.equal(torch.cuda.get_rng_state(device), before)
    assert [token.id for token in found[0]] == [token.id for token in found[1]]
