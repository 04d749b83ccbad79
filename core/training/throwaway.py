"""Runs a few training steps of the very model with throw-away weights, in a process of its own, and tells the time.

`python -m core.training.throwaway` reads one order (JSON) from standard input and writes one line to standard output.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.catalogue import ModelSpec, Source
from core.machine.peak import peak_bytes
from core.placement.model_facts import ModelFacts
from core.training.base import Base
from core.training.memory import frozen_dtype
from core.training.methods import Circumstances, apply_method
from core.training.settings import TrainSettings, settings_from
from core.training.skeleton import skeleton

SECONDS = 4.0
"""Steps begin until so much time has passed."""
FEWEST_STEPS = 2
"""In any case: one that warms up, and one that counts."""
MOST_STEPS = 8
WEIGHT = 0.01
"""Of every parameter: a number that is neither zero nor so small that processors become slow."""
SUPPOSED_STEPS = 1_000
"""What AdaLoRA is told of the length of the run."""


@dataclass(frozen=True)
class Step:
    """What one step is made of."""

    settings: TrainSettings
    rows: int
    tokens: int
    target_tokens: int
    device: str


def main() -> None:
    """Read the order, do it, answer."""
    order = json.loads(sys.stdin.read())
    print(json.dumps(measure(order)))  # noqa: T201 the answer


def measure(order: Mapping[str, Any]) -> dict[str, float]:
    """Return the median seconds of a pass forth and back, those of one forth, and the most bytes that were held."""
    import torch

    settings = settings_from(order["settings"])
    step = Step(settings, order["rows"], order["tokens"], order["target_tokens"], settings.device)
    torch.manual_seed(0)
    model = throwaway_model(order, settings)
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(learning, lr=1e-6)
    batch = next(iter(_batches(step, model)))
    model.train()
    passes: list[float] = []
    started = time.perf_counter()
    while len(passes) < FEWEST_STEPS or (time.perf_counter() - started < SECONDS and len(passes) < MOST_STEPS):
        passes.append(_timed(step, model, batch))
        optimiser.step()
        optimiser.zero_grad()
    model.eval()
    with torch.no_grad():
        forth = _timed(step, model, batch, learns=False)
    return {
        "seconds_per_pass": statistics.median(passes[1:]),
        "seconds_forth": forth,
        "peak_bytes": peak_bytes(step.device),
        "passes": len(passes),
    }


def throwaway_model(order: Mapping[str, Any], settings: TrainSettings) -> Any:
    """Return the model with its adapter, ready to step, on the settings' device."""
    import torch

    nobody = ModelSpec(str(order["name"]), Source.FOLDER, settings.task)
    base = Base(nobody, nobody.name, "", ModelFacts(), order["configurations"])
    model = skeleton(base, settings.known_task, order["labels"], device=settings.device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(WEIGHT)
    if frozen_dtype(settings) != "float32":
        model.to(getattr(torch, frozen_dtype(settings)))
    if settings.gradient_checkpointing == "on" and hasattr(model, "gradient_checkpointing_enable"):
        model.gradient_checkpointing_enable({"use_reentrant": False})
    adapted = apply_method(model, settings, Circumstances(total_steps=SUPPOSED_STEPS))
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return adapted


def _timed(step: Step, model: Any, batch: dict[str, Any], *, learns: bool = True) -> float:
    """Return the seconds of one pass, the device's own work included."""
    import torch

    began = time.perf_counter()
    precision = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(step.settings.precision)
    kind = torch.device(step.device).type
    with torch.autocast(kind, dtype=precision or torch.bfloat16, enabled=precision is not None):
        if learns and step.settings.task == "preference":
            with torch.no_grad():
                model(**batch)  # the reference's answer
        found = model(**batch)
        loss = found.loss if getattr(found, "loss", None) is not None else found.sample.float().square().mean()
    if learns:
        loss.backward()
    if kind == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _batches(step: Step, model: Any) -> Iterator[dict[str, Any]]:
    """Give a batch of the task's own shape: rows x tokens, no padding."""
    import torch

    task = step.settings.known_task
    if task.kind == "diffusion":
        yield _noisy_latents(step, model)
        return
    rows = step.rows * (2 if task.name in ("preference", "reward") else 1)
    words = torch.ones((rows, step.tokens), dtype=torch.long, device=step.device)
    batch = {"input_ids": words, "attention_mask": torch.ones_like(words)}
    first = torch.zeros(rows, dtype=torch.long, device=step.device)
    answers = {
        "text-classification": {"labels": first},
        "token-classification": {"labels": torch.zeros_like(words)},
        "question-answering": {"start_positions": first, "end_positions": first},
        "reward": {"labels": first.float()},
    }
    if task.kind == "encoder-decoder":
        yield {**batch, "labels": torch.ones((rows, step.target_tokens), dtype=torch.long, device=step.device)}
    else:
        yield {**batch, **answers.get(task.name, {"labels": words})}


def _noisy_latents(step: Step, model: Any) -> dict[str, Any]:
    """Return what a UNet is given: noisy latents, how noisy, and the prompt's states; of SDXL its sizes, too."""
    import torch

    config = model.config
    dtype = getattr(torch, frozen_dtype(step.settings))
    shape = (step.rows, config.in_channels, step.tokens, step.tokens)
    wide = config.cross_attention_dim
    wide = max(wide) if isinstance(wide, list | tuple) else wide
    batch: dict[str, Any] = {
        "sample": torch.randn(shape, device=step.device, dtype=dtype),
        "timestep": torch.full((step.rows,), 500, device=step.device),
        "encoder_hidden_states": torch.randn((step.rows, 77, wide), device=step.device, dtype=dtype),
    }
    if config.addition_embed_type == "text_time":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        batch["added_cond_kwargs"] = {
            "text_embeds": torch.randn((step.rows, pooled), device=step.device, dtype=dtype),
            "time_ids": torch.zeros((step.rows, 6), device=step.device, dtype=dtype),
        }
    return batch


if __name__ == "__main__":
    main()
