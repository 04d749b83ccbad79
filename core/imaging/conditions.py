"""What a ControlNet is shown: edges, depths or poses found in a picture, or a picture that is a condition already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.imaging.pictures import Watch
from core.models.registry import Registry

if TYPE_CHECKING:
    from PIL.Image import Image

SCRIBBLE_SIDE = 512
"""Pixels of the longer side at which a scribble's lines are found: coarse, as a hand draws them."""
SCRIBBLE_LINE = 5
"""Thickness of these lines in pixels."""
LIMBS = (
    *((0, 1), (0, 2), (1, 3), (2, 4)),
    *((5, 6), (5, 7), (7, 9), (6, 8), (8, 10)),
    *((5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16)),
)
"""COCO's 17 keypoints, joined: face, arms, trunk and legs."""
COCO = 0
"""The number of that data set among those that ViTPose+ was trained on."""
SURE = 0.3
"""A keypoint with less confidence is not drawn."""
RAINBOW = (
    *((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85)),
    *(
        (0, 255, 170),
        (0, 255, 255),
        (0, 170, 255),
        (0, 85, 255),
        (0, 0, 255),
        (85, 0, 255),
        (170, 0, 255),
        (255, 0, 255),
    ),
)
"""A colour a limb, as OpenPose draws them."""


@dataclass(frozen=True)
class Sought:
    """What is looked for in a picture, with which model and between which thresholds."""

    kind: str
    model: str = ""
    low_threshold: int = 100
    high_threshold: int = 200


def condition_of(picture: Image, sought: Sought, registry: Registry, watch: Watch) -> Image:
    """Return what of the picture leads (RGB, of its size); raises InvalidInput where nothing is found in it."""
    return _FINDERS[sought.kind](picture, sought, registry, watch)


def _canny(picture: Image, sought: Sought, *_: Any) -> Image:
    """Find edges as Canny did (IEEE PAMI 8, 1986): white lines of one pixel on black."""
    import cv2
    import numpy as np
    from PIL import Image as Pillow

    edges = cv2.Canny(np.asarray(picture.convert("L")), sought.low_threshold, sought.high_threshold)
    if not edges.any():
        raise InvalidInput("error.no_edges", low=sought.low_threshold, high=sought.high_threshold)
    return Pillow.fromarray(edges).convert("RGB")


def _scribble(picture: Image, sought: Sought, registry: Registry, watch: Watch) -> Image:
    """Draw over the edges with a thick pen: what remains is what a hand would have drawn."""
    from PIL import Image as Pillow
    from PIL import ImageFilter

    small = picture.copy()
    small.thumbnail((SCRIBBLE_SIDE, SCRIBBLE_SIDE))
    lines = _canny(small, sought, registry, watch).filter(ImageFilter.MaxFilter(SCRIBBLE_LINE))
    return lines.resize(picture.size, Pillow.Resampling.NEAREST)


def _as_is(picture: Image, *_: Any) -> Image:
    return picture


def _depth(picture: Image, sought: Sought, registry: Registry, watch: Watch) -> Image:
    """Ask a depth model: near is white, far is black."""
    from PIL import Image as Pillow

    spec = registry.resolve(sought.model, "depth-estimation")
    with registry.borrow(spec, 0, watch.cancel, watch.report) as model:

        def look(_: Any) -> list[Any]:
            answer = _ask(model, picture)
            found = model.tokenizer.post_process_depth_estimation(answer, target_sizes=[picture.size[::-1]])
            return [found[0]["predicted_depth"].float().cpu().numpy()]

        (depth,) = registry.batcher.submit(object(), [picture], look, cancel=watch.cancel)
    span = float(depth.max() - depth.min()) or 1.0
    return Pillow.fromarray(((depth - depth.min()) / span * 255).astype("uint8")).convert("RGB")


def _pose(picture: Image, sought: Sought, registry: Registry, watch: Watch) -> Image:
    """Ask a pose model about the whole picture: one person, drawn as a stick figure on black."""
    spec = registry.resolve(sought.model, "keypoint-detection")
    with registry.borrow(spec, 0, watch.cancel, watch.report) as model:

        def look(_: Any) -> list[Any]:
            boxes = [[[0.0, 0.0, float(picture.width), float(picture.height)]]]
            answer = _ask(model, picture, boxes=boxes)
            return [model.tokenizer.post_process_pose_estimation(answer, boxes=boxes)[0][0]]

        (person,) = registry.batcher.submit(object(), [picture], look, cancel=watch.cancel)
    return stick_figure(picture.size, person["keypoints"].tolist(), person["scores"].tolist())


def _ask(model: Any, picture: Image, **options: Any) -> Any:
    import torch

    inputs = dict(model.tokenizer(images=picture, return_tensors="pt", **options))
    if getattr(getattr(model.model.config, "backbone_config", None), "num_experts", 1) > 1:
        inputs["dataset_index"] = torch.tensor([COCO])  # ViTPose+ has an expert for each of its data sets
    with torch.inference_mode():
        return model.model(**{name: value.to(model.model.device) for name, value in inputs.items()})


def stick_figure(size: tuple[int, int], points: list[list[float]], scores: list[float]) -> Image:
    """Draw COCO keypoints (x, y) on black; raises InvalidInput if none of them is sure enough to be joined."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    figure = Pillow.new("RGB", size, "black")
    pen = ImageDraw.Draw(figure)
    width = max(min(size) // 64, 1)
    joined = [limb for limb in LIMBS if max(limb) < len(points) and min(scores[end] for end in limb) >= SURE]
    if not joined:
        raise InvalidInput("error.no_pose")
    for limb in joined:
        colour = RAINBOW[LIMBS.index(limb)]
        pen.line([tuple(points[end]) for end in limb], fill=colour, width=2 * width)
        for x, y in (points[end] for end in limb):
            pen.ellipse((x - width, y - width, x + width, y + width), fill=colour)
    return figure


_Finder = Callable[["Image", "Sought", Registry, Watch], "Image"]
_FINDERS: Mapping[str, _Finder] = {
    "canny": _canny,
    "scribble": _scribble,
    "depth": _depth,
    "pose": _pose,
    "as_is": _as_is,
}
