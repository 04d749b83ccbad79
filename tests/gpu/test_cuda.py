"""The starters on a CUDA device; skipped, with the reason, where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.atelier import Atelier, open_atelier
from core.machine.hardware import probe
from core.settings import Settings
from core.tasks.text.text_classification import TextClassificationSettings, classify_text

pytestmark = pytest.mark.skipif(
    not any(device.kind == "cuda" for device in probe().gpus),
    reason="no NVIDIA GPU that the installed PyTorch can use",
)
TEXTS = ("I loved every minute of it.", "The plot is thin and the jokes fall flat.")


@pytest.fixture
def atelier(tmp_path: Path) -> Atelier:
    """An instance of one's own."""
    return open_atelier(Settings(home=tmp_path))


def _ask(atelier: Atelier, text: str, **options: str) -> tuple[str, str]:
    answer = classify_text(TextClassificationSettings(text=text, **options), atelier.registry)
    return answer.scores[0].label, answer.provenance.device


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("dtype", ["auto", "float32", "bfloat16"])
def test_gpu_and_processor_give_one_label(atelier: Atelier, text: str, dtype: str) -> None:
    """The label on the GPU is the processor's, in each dtype, and the result names the GPU."""
    label, device = _ask(atelier, text, device="cuda", dtype=dtype)
    assert device.startswith("cuda")
    assert label == _ask(atelier, text, device="cpu", dtype="float32")[0]


def test_unload_gives_the_gpu_its_memory_back(atelier: Atelier) -> None:
    """After a release PyTorch holds nothing of the model on the GPU."""
    import torch

    before = torch.cuda.memory_allocated()
    _ask(atelier, TEXTS[0], device="cuda")
    assert torch.cuda.memory_allocated() > before
    (freed,) = atelier.registry.release_all()
    assert freed.tensor_bytes > 0
    assert torch.cuda.memory_allocated() == before
