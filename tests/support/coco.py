"""pycocotools on padded arrays, and images that are easy to get wrong."""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

NAMES = (
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"),
)


def evaluate(truths, found, num_classes):
    """Return COCO's evaluation of packed arrays with corners."""
    with contextlib.redirect_stdout(io.StringIO()):
        return _evaluate(truths, found, num_classes)


def _evaluate(truths, found, num_classes):
    annotations = []
    for image, rows in enumerate(truths.astype("float64")):
        for x, y, right, bottom, kind, crowd in rows:
            if kind >= 0:
                box = [x, y, right - x, bottom - y]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image,
                        "category_id": int(kind),
                        "bbox": box,
                        "area": box[2] * box[3],
                        "iscrowd": int(crowd),
                    }
                )
    data = COCO()
    data.dataset = {
        "info": {},
        "images": [{"id": image} for image in range(len(truths))],
        "categories": [{"id": kind} for kind in range(num_classes)],
        "annotations": annotations,
    }
    data.createIndex()
    results = [
        {
            "image_id": image,
            "category_id": int(kind),
            "bbox": [x, y, right - x, bottom - y],
            "score": score,
        }
        for image, rows in enumerate(found.astype("float64"))
        for x, y, right, bottom, kind, score in rows
        if kind >= 0
    ]
    if not results:
        answers = COCO()
        answers.dataset = {**data.dataset, "annotations": []}
        answers.createIndex()
    else:
        answers = data.loadRes(results)
    evaluation = COCOeval(data, answers, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


def summary(truths, found, num_classes):
    """Return the twelve numbers by name, NaN where there is no object."""
    stats = evaluate(truths, found, num_classes).stats
    return {
        name: float("nan") if value == -1 else float(value)
        for name, value in zip(NAMES, stats, strict=True)
    }


def per_class(truths, found, num_classes):
    """Return the average precision of each class, NaN where it has no object."""
    table = evaluate(truths, found, num_classes).eval["precision"][:, :, :, 0, -1]
    means = table.mean(axis=(0, 1))
    return np.where(means < 0, np.nan, means)


def draw(rng, images, num_classes, *, objects=12, detections=20):
    """Draw packed objects and detections, some of them near, some anywhere."""
    truths = np.full((images, objects, 6), -1.0)
    found = np.full((images, detections, 6), -1.0)
    for image in range(images):
        many = rng.integers(0, objects + 1)
        corner = rng.uniform(0, 300, (many, 2))
        sides = np.exp(rng.uniform(np.log(8), np.log(250), (many, 2)))
        truths[image, :many, :2] = corner
        truths[image, :many, 2:4] = corner + sides
        truths[image, :many, 4] = rng.integers(0, num_classes, many)
        truths[image, :, 5] = 0
        seen = rng.integers(0, detections + 1)
        for place in range(seen):
            if many and rng.random() < 0.8:
                row = truths[image, rng.integers(many)]
                scale = np.tile(row[2:4] - row[:2], 2)
                box = row[:4] + rng.normal(0, rng.choice([0.02, 0.08, 0.2]), 4) * scale
                kind = row[4] if rng.random() < 0.9 else rng.integers(num_classes)
            else:
                corner = rng.uniform(0, 300, 2)
                box = np.concatenate([corner, corner + rng.uniform(5, 120, 2)])
                kind = rng.integers(num_classes)
            left, right = sorted(box[[0, 2]])
            top, bottom = sorted(box[[1, 3]])
            score = rng.random()
            found[image, place] = left, top, right, bottom, kind, score
    return truths.astype("float32"), found.astype("float32")


def adversarial(seed):
    """Return fifty batches of one image that are easy to get wrong, by name."""
    rng = np.random.default_rng(seed)
    return {
        f"{name} {number}": _padded(*make(rng))
        for name, make in SCENES.items()
        for number in range(5)
    }


def stacked(batches):
    """Return batches of one image as one batch."""
    most = max(len(found[0]) for _, found in batches)
    truths = np.concatenate([truths for truths, _ in batches])
    return truths, np.concatenate([_filled(found[0], most) for _, found in batches])


def _padded(truths, found):
    # Two shapes: each compiles once.
    size = 44 if len(found) <= 44 else 130
    return _filled(truths, 44), _filled(found, size)


def _filled(rows, size):
    padded = np.full((1, size, 6), -1.0, "float32")
    padded[0, :, 5] = 0
    padded[0, : len(rows)] = rows
    return padded


def _grid(rng, number, side=20, step=7):
    """Draw boxes of whole numbers that overlap, packed, of one of two classes."""
    corner = rng.integers(0, 12, (number, 2)) * step
    sides = rng.integers(1, 4, (number, 2)) * side
    kind = rng.integers(0, 2, (number, 1))
    return np.hstack([corner, corner + sides, kind, np.zeros((number, 1))])


def _scored(rng, rows, levels=None):
    """Give packed boxes a confidence, of few levels where there are to be ties."""
    scores = rng.random(len(rows))
    if levels:
        scores = np.ceil(scores * levels) / levels
    return np.hstack([rows[:, :5], scores[:, None]])


def _shifted(rng, rows, most=3):
    """Move the sides of boxes by whole numbers."""
    moved = rows.copy()
    moved[:, :4] += rng.integers(-most, most + 1, (len(rows), 4))
    moved[:, 2:4] = np.maximum(moved[:, 2:4], moved[:, :2] + 1)
    return moved


def _halves(rng):
    """Make overlaps that equal a threshold."""
    corner = rng.integers(0, 9, (10, 2)) * 100
    truths = np.hstack([corner, corner + 20, np.zeros((10, 2))])
    found = truths.copy()
    found[:, 3] = found[:, 1] + 10 + np.arange(10)  # 10 / 20, 11 / 20, ...
    return truths, _scored(rng, found)


def _edges(rng):
    """Make boxes whose areas are those where sizes change."""
    corner = rng.integers(0, 500, (6, 2))
    sides = np.array([[32, 32], [96, 96], [64, 16], [31, 33], [95, 97], [144, 64]])
    truths = np.hstack([corner, corner + sides, np.zeros((6, 2))])
    other = truths.copy()
    other[:, 2] += rng.integers(-1, 2, 6)
    return truths, _scored(rng, np.vstack([truths, other]))


def _crowds(rng):
    """Make regions of a crowd, and detections in and out of them."""
    truths = _grid(rng, 12)
    truths[:4, 5] = 1
    found = np.vstack([_shifted(rng, truths), _shifted(rng, truths, 8), truths[:4]])
    return truths, _scored(rng, found, 8)


def _equal_overlaps(rng):
    """Make detections between two objects that they overlap alike."""
    corner = rng.integers(0, 9, (12, 2)) * 50
    left = np.hstack([corner, corner + 20, np.zeros((12, 2))])
    right = left + np.array([8, 0, 8, 0, 0, 0])
    middle = left + np.array([4, 0, 4, 0, 0, 0])
    return np.vstack([left, right]), _scored(rng, np.vstack([middle, middle]), 4)


SCENES = {
    "nothing": lambda _: (np.zeros((0, 6)), np.zeros((0, 6))),
    "no object": lambda rng: (np.zeros((0, 6)), _scored(rng, _grid(rng, 9))),
    "no detection": lambda rng: (_grid(rng, 9), np.zeros((0, 6))),
    "all wrong": lambda rng: (_grid(rng, 9), _scored(rng, _grid(rng, 30) + 5000)),
    "crowded": lambda rng: (
        rows := _grid(rng, 44, side=6, step=3) * [1, 1, 1, 1, 0, 1],
        _scored(rng, np.vstack([_shifted(rng, rows, 2) for _ in range(3)])[:130]),
    ),
    "ties": lambda rng: (
        rows := _grid(rng, 11),
        _scored(rng, np.vstack([_shifted(rng, rows, 6) for _ in range(4)]), 3),
    ),
    "exact thresholds": _halves,
    "edges of sizes": _edges,
    "crowds": _crowds,
    "equal overlaps": _equal_overlaps,
}
