"""Pictures that are drawn while a model learns: the same prompts with the same seeds, at each evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import Cancelled
from core.events import Progress
from core.jobs.work import JobHandle
from core.training.callbacks import Moment
from core.training.pictures.average import Average
from core.training.pictures.encoding import lent
from core.training.pictures.parts import PictureParts
from core.training.settings import TrainSettings

if TYPE_CHECKING:
    from PIL.Image import Image

SAMPLES, PHASE = "samples", "draw"
STEPS, GUIDANCE = 20, 5.0
"""As the Images tab begins with."""
HALF = {"bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True)
class Wanted:
    """What is drawn."""

    prompts: tuple[str, ...]
    resolution: int
    seed: int
    precision: str = "fp32"

    @classmethod
    def of(cls, settings: TrainSettings, captions: Sequence[str], resolution: int) -> Wanted:
        """Return the prompt of the settings, each time with another seed, or where there is none the first captions."""
        prompt, count = settings.validation_prompt.strip(), settings.sample_count
        prompts = (prompt,) * count if prompt else tuple(dict.fromkeys(captions))[:count]
        return cls(prompts, resolution, settings.seed, settings.precision)


class PictureSamples:
    """Draws at each evaluation, or where nothing is held out at each checkpoint."""

    def __init__(self, parts: PictureParts, wanted: Wanted, folder: Path, job: JobHandle) -> None:
        """Draw into `folder`/samples."""
        self._parts, self._wanted, self._job = parts, wanted, job
        self._folder = folder / SAMPLES
        self.average: Average | None = None
        """Where one is kept, it draws; evaluations have put it into the networks already."""

    def on_evaluate(self, moment: Moment) -> None:
        """Draw with what was just measured."""
        if moment.state.is_world_process_zero:
            self.draw(moment.state.global_step, moment.args.device)

    def on_save(self, moment: Moment) -> None:
        """Draw where no evaluation does."""
        if moment.state.is_world_process_zero and moment.args.eval_strategy == "no":
            with self.average.in_place() if self.average else nullcontext():
                self.draw(moment.state.global_step, moment.args.device)

    def draw(self, step: int, device: Any) -> list[Path]:
        """Draw every prompt and tell where the pictures are; raises Cancelled where somebody asks to stop."""
        if not self._wanted.prompts:
            return []
        self._folder.mkdir(parents=True, exist_ok=True)
        files = []
        with drawing(self._parts, device):
            for place, prompt in enumerate(self._wanted.prompts):
                self._job.report(Progress(PHASE, place, len(self._wanted.prompts)))
                file = self._folder / f"step-{step:06}-{place}.png"
                self._picture(prompt, self._wanted.seed + place, device).save(file)
                files.append(file)
        names = [f"{SAMPLES}/{file.name}" for file in files]
        self._job.emit(SAMPLES, {"step": step, "files": names, "prompts": list(self._wanted.prompts)})
        return files

    def _picture(self, prompt: str, seed: int, device: Any) -> Image:
        import torch

        half = HALF.get(self._wanted.precision)
        with torch.no_grad(), torch.autocast(torch.device(device).type, getattr(torch, half or "bfloat16"), bool(half)):
            latents = self._parts.pipeline(
                prompt,
                height=self._wanted.resolution,
                width=self._wanted.resolution,
                num_inference_steps=STEPS,
                guidance_scale=GUIDANCE,
                generator=torch.Generator().manual_seed(seed),
                output_type="latent",
                callback_on_step_end=self._go_on,
            ).images
        return as_picture(self._parts, latents)

    def _go_on(self, _pipeline: Any, _step: int, _time: Any, kept: dict[str, Any]) -> dict[str, Any]:
        if self._job.cancel.cancelled:
            raise Cancelled("error.cancelled")
        return kept


def as_picture(parts: PictureParts, latents: Any) -> Image:
    """Return the first latents as a picture; in float32, as the VAEs of SDXL need it."""
    import torch

    with torch.no_grad():
        values = parts.vae.decode(latents.float() / parts.vae.config.scaling_factor).sample
    image: Image = parts.pipeline.image_processor.postprocess(values, output_type="pil")[0]
    return image


@contextmanager
def drawing(parts: PictureParts, device: Any) -> Iterator[None]:
    """Put every network on the device, at rest, until the block ends."""
    networks = tuple(parts.networks.values())
    busy = [network.training for network in networks]
    with lent(device, parts.vae, *networks):
        for network in networks:
            network.eval()
        try:
            yield
        finally:
            for network, was in zip(networks, busy, strict=True):
                network.train(was)
