"""Boxes against boxes: mean average precision as COCO counts it, by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.errors import InvalidInput
from core.evaluation.metric import Outcome, Recipe, Rows
from core.words import Sentence, say

if TYPE_CHECKING:
    import numpy as np

NAMES = (
    *("map", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)
"""COCO's twelve numbers in its order, by the names that the field took from TorchMetrics."""

_CORNERS = 4


@dataclass(frozen=True)
class DetectionOptions:
    """How boxes are written (xyxy: two corners; xywh: a corner and the size; cxcywh: the centre and the size)."""

    box_format: Literal["xyxy", "xywh", "cxcywh"] = "xyxy"
    class_metrics: bool = False


def _map(rows: Rows, options: DetectionOptions) -> Outcome:
    from faster_coco_eval import COCO, COCOeval_faster

    found = _boxes(rows.predictions, "predictions", ("boxes", "scores", "labels"), options)
    wanted = _boxes(rows.references, "references", ("boxes", "labels"), options)
    classes = sorted({one["category_id"] for one in (*found, *wanted)})
    images = [{"id": place} for place in range(1, rows.count + 1)]
    categories = [{"id": one, "name": str(one)} for one in classes]
    truth = COCO({"images": images, "annotations": wanted, "categories": categories})
    evaluation = COCOeval_faster(truth, truth.loadRes(found), "bbox", print_function=_silent)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    values: dict[str, Any] = {name: _number(one) for name, one in zip(NAMES, evaluation.stats, strict=False)}
    if options.class_metrics:
        values["map_per_class"] = _per_class(evaluation.eval["precision"])
        values["classes"] = classes
    return Outcome(values, _notes(values, found, wanted))


def _silent(*_: Any) -> None:
    """Print nothing: the numbers are the result."""


def _boxes(column: Any, name: str, keys: Sequence[str], options: DetectionOptions) -> list[dict[str, Any]]:
    """Return COCO's annotations, one for each box; raises InvalidInput by column and row."""
    annotations: list[dict[str, Any]] = []
    for row, image in enumerate(column, 1):
        values = [_listed(image, key, name, row) for key in keys]
        crowd = list(image.get("iscrowd") or [0] * len(values[0]))
        if len({len(crowd), *map(len, values)}) > 1:
            raise InvalidInput("error.metric_box_counts", column=name, row=row, keys=", ".join(keys))
        for place, box in enumerate(values[0]):
            x, y, width, height = _placed(box, options.box_format, name, row)
            annotation: dict[str, Any] = {
                "id": len(annotations) + 1,
                "image_id": row,
                "category_id": int(values[-1][place]),
            }
            annotation |= {"bbox": [x, y, width, height], "area": width * height, "iscrowd": int(crowd[place])}
            annotations.append(annotation | ({"score": float(values[1][place])} if "scores" in keys else {}))
    return annotations


def _listed(image: Any, key: str, name: str, row: int) -> list[Any]:
    if not isinstance(image, Mapping) or image.get(key) is None:
        raise InvalidInput("error.metric_no_key", column=name, row=row, key=key)
    value = image[key]
    return list(value.tolist() if hasattr(value, "tolist") else value)


def _placed(box: Sequence[float], form: str, name: str, row: int) -> tuple[float, float, float, float]:
    """Return the corner with the smallest coordinates, the width and the height."""
    if len(box) != _CORNERS:
        raise InvalidInput("error.metric_not_a_box", column=name, row=row, box=list(box))
    first, second, third, fourth = map(float, box)
    if form == "xyxy":
        third, fourth = third - first, fourth - second
    elif form == "cxcywh":
        first, second = first - third / 2, second - fourth / 2
    elif form != "xywh":
        raise InvalidInput("error.not_an_option", name="box_format", value=form, options="xyxy, xywh, cxcywh")
    if third < 0 or fourth < 0:
        raise InvalidInput("error.metric_not_a_box", column=name, row=row, box=list(box))
    return first, second, third, fourth


def _number(value: float) -> float:
    """Return COCO's number; its -1 stands for "there is none", which is NaN here."""
    return float("nan") if value < 0 else float(value)


def _per_class(precision: np.ndarray[Any, Any]) -> list[float]:
    """Average over thresholds and recalls, for each class, all areas and 100 detections: from (T, R, K, A, M)."""
    each = precision[:, :, :, 0, -1].reshape(-1, precision.shape[2]).T
    return [_number(one[one > -1].mean() if (one > -1).any() else -1.0) for one in each]


def _notes(values: Mapping[str, Any], found: Sequence[Any], wanted: Sequence[Any]) -> list[Sentence]:
    if not wanted:
        return [say("reason.metric_no_boxes", column="references")]
    if not found:
        return [say("reason.metric_no_boxes", column="predictions")]
    notes = [] if values["map"] else [say("reason.metric_no_box_right", count=len(found))]
    sizes = [size for size in ("small", "medium", "large") if values[f"map_{size}"] != values[f"map_{size}"]]
    return [*notes, say("reason.metric_no_boxes_of_size", sizes=", ".join(sizes))] if sizes else notes


RECIPES = (
    Recipe("mean_average_precision", "faster-coco-eval", "faster_coco_eval.COCOeval_faster", _map, DetectionOptions),
)
"""The metrics of this file."""
