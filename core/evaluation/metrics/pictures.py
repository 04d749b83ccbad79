"""Generated pictures: how well they fit their texts (CLIPScore), and how far they lie from real ones (FID)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.evaluation.columns import texts
from core.evaluation.metric import Outcome, Recipe, Rows
from core.words import Sentence, say

if TYPE_CHECKING:
    import numpy as np
    import torch

AT_ONCE = 16
"""Pictures in one pass."""
_MATRIX = 2
_FEWEST = 2


@dataclass(frozen=True)
class ClipOptions:
    """Which CLIP model reads texts and pictures, and CLIPScore's factor and beginning (Hessel et al. 2021)."""

    model_name: str = "openai/clip-vit-base-patch32"
    w: float = 2.5
    prefix: str = "A photo depicts "


@dataclass(frozen=True)
class FrechetOptions:
    """What turned the pictures into features: the id of a vision model, or a function; of features given, its name."""

    feature_extractor: str | Callable[[Sequence[Any]], Any] | None = None


def _clip_score(rows: Rows, options: ClipOptions) -> Outcome:
    from transformers import AutoModel, AutoProcessor

    captions = [options.prefix + text for text in texts(rows.predictions, "predictions")]
    pictures = list(rows.columns["images"])
    model, processor = (_loaded(one, options.model_name) for one in (AutoModel, AutoProcessor))
    if not hasattr(model, "get_image_features"):
        raise InvalidInput("error.metric_no_clip", name=options.model_name)
    scores: list[float] = []
    for first in range(0, len(captions), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        scores += _similarities(model.eval(), processor, captions[part], pictures[part])
    scaled = [options.w * max(score, 0.0) for score in scores]
    mean = sum(scaled) / len(scaled)
    notes = [] if mean else [say("reason.metric_clip_zero", count=len(scaled))]
    return Outcome({"clip_score": mean, "per_image_clip_score": scaled}, notes)


def _similarities(model: Any, processor: Any, captions: list[str], pictures: list[Any]) -> list[float]:
    """Return the cosine of each text with its picture."""
    import torch

    inputs = processor(text=captions, images=pictures, return_tensors="pt", padding=True, truncation=True)
    words = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        sides = (model.get_text_features(**words), model.get_image_features(pixel_values=inputs["pixel_values"]))
    written, seen = (torch.nn.functional.normalize(_vectors(side).float(), dim=-1) for side in sides)
    cosines: list[float] = (written * seen).sum(dim=-1).tolist()
    return cosines


def _vectors(output: Any) -> torch.Tensor:
    """Return one vector a row, from whichever form the model answers in."""
    import torch

    if isinstance(output, torch.Tensor):
        return output
    pooled: torch.Tensor | None = getattr(output, "pooler_output", None)
    vectors: torch.Tensor = output.last_hidden_state.mean(dim=1) if pooled is None else pooled
    return vectors.flatten(1)


def _loaded(kind: Any, name: str) -> Any:
    """Load from safetensors, and never code of a repository."""
    weights = {"use_safetensors": True} if kind.__name__ == "AutoModel" else {"backend": "pil"}
    try:
        return kind.from_pretrained(name, **weights)
    except (OSError, ValueError) as problem:
        raise InvalidInput("error.metric_model", name=name, reason=str(problem).splitlines()[0]) from problem


def _fid(rows: Rows, options: FrechetOptions) -> Outcome:
    generated, real = (_features(rows.columns[name], name, options) for name in ("predictions", "references"))
    if generated.shape[1] != real.shape[1]:
        raise InvalidInput("error.metric_shapes", shapes=f"{generated.shape} ≠ {real.shape}")
    value = frechet_distance(generated, real)
    name = options.feature_extractor
    used = {"feature_extractor": name if isinstance(name, str) else getattr(name, "__name__", "given features")}
    return Outcome({"fid": value}, _notes(value, generated, real), used={**used, "features": real.shape[1]})


def frechet_distance(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    """Return |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½) of two samples (rows, features), Heusel et al. 2017."""
    import numpy as np

    apart = first.mean(axis=0) - second.mean(axis=0)
    spreads = [np.atleast_2d(np.cov(one, rowvar=False)) for one in (first, second)]
    roots = np.sqrt(np.linalg.eigvals(spreads[0] @ spreads[1]).astype(complex)).real.sum()
    distance = float(apart @ apart + np.trace(spreads[0]) + np.trace(spreads[1]) - 2 * roots)
    return max(distance, 0.0)


def _features(column: Any, name: str, options: FrechetOptions) -> np.ndarray[Any, Any]:
    import numpy as np

    if len(column) < _FEWEST:
        raise InvalidInput("error.metric_two_pictures", column=name)
    if np.ndim(column[0]) == 1:
        return np.asarray(column, dtype=float)
    if options.feature_extractor is None:
        raise InvalidInput("error.metric_no_extractor")
    if callable(options.feature_extractor):
        found = np.asarray(options.feature_extractor(list(column)), dtype=float)
        return found.reshape(len(found), -1)
    return _seen(list(column), options.feature_extractor)


def _seen(pictures: list[Any], name: str) -> np.ndarray[Any, Any]:
    import torch
    from transformers import AutoImageProcessor, AutoModel

    model, processor = _loaded(AutoModel, name), _loaded(AutoImageProcessor, name)
    look = getattr(model, "get_image_features", model)
    parts = []
    with torch.inference_mode():
        for first in range(0, len(pictures), AT_ONCE):
            inputs = processor(images=pictures[first : first + AT_ONCE], return_tensors="pt")
            parts.append(_vectors(look(pixel_values=inputs["pixel_values"])).double())
    found: np.ndarray[Any, Any] = torch.cat(parts).numpy()
    return found


def _notes(value: float, generated: np.ndarray[Any, Any], real: np.ndarray[Any, Any]) -> list[Sentence]:
    notes = [] if value else [say("reason.metric_perfect", name="fid")]
    fewest = min(len(generated), len(real))
    if fewest <= real.shape[1]:
        notes.append(say("reason.metric_few_pictures", count=fewest, features=real.shape[1]))
    return notes


RECIPES = (
    Recipe(
        "clip_score",
        "transformers",
        "cosine of text and image features",
        _clip_score,
        ClipOptions,
        columns=("predictions", "images"),
    ),
    Recipe("fid", "numpy", "numpy.linalg.eigvals", _fid, FrechetOptions, lower_is_better=True, same_length=False),
)
"""The metrics of this file."""
