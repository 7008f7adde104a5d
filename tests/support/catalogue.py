"""Every public metric on every task that it has, and fixed data for each.

A metric that is added to `multiback.metrics` appears here by itself. What it needs
to know beside its task stands in `NEEDED`, its oracle in `oracles.py`.
"""

import dataclasses
import inspect
from typing import Any

import numpy as np

import multiback as mb

# All data have one length, because JAX compiles each operation for each shape.
N, CLASSES, LABELS, PIXELS = 16, 4, 4, 4
NEEDED = {
    "MultiScaleStructuralSimilarity": {"betas": [0.4, 0.6]},
    "HitRate": {"k": 2},
    "KendallTau": {"capacity": 1024},
    "Lift": {"fraction": 0.3},
    "PrecisionAtK": {"k": 2},
    "PrecisionAtRecall": {"recall": 0.5},
    "PrecisionAtTopFraction": {"fraction": 0.3},
    "RecallAtK": {"k": 2},
    "RecallAtPrecision": {"precision": 0.5},
    "SensitivityAtSpecificity": {"specificity": 0.5},
    "SpearmanCorrelation": {"capacity": 1024},
    "SpecificityAtSensitivity": {"sensitivity": 0.5},
    "TopKAccuracy": {"num_classes": CLASSES, "top_k": 2},
}
OF_TASKS = {
    "binary": {"task": "binary"},
    "multiclass": {"task": "multiclass", "num_classes": CLASSES},
    "multilabel": {"task": "multilabel", "num_labels": LABELS},
}
NUMBERS = ("Max", "Mean", "Min", "Sum")
# A sample of these is a whole row, such as an image.
OF_ROWS = ("ExactMatch", "GeneralizedDice", "SamplewiseDice", "SamplewiseJaccardIndex")
# Its data are boxes, and tests/metrics/test_detection.py has its oracle.
OF_BOXES = "BoxMeanAveragePrecision"
# Arrays: nothing can monitor them.
ARRAYS = ("ConfusionMatrix", "StatScores")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A metric with the arguments that it needs, and the kind of its data."""

    name: str
    kind: str
    arguments: dict[str, Any]

    @property
    def id(self):
        return f"{self.name}-{self.kind}"

    def __str__(self):
        return self.id

    def make(self, **more):
        return getattr(mb.metrics, self.name)(**self.arguments, **more)


def public_names():
    """Return the names of all public metrics of labels, numbers or ranked items."""
    return [
        name
        for name in mb.metrics.__all__
        if inspect.isclass(cls := getattr(mb.metrics, name))
        and issubclass(cls, mb.metrics.Metric)
        and cls is not mb.metrics.Metric
        and name != OF_BOXES
    ]


def _entries():
    for name in public_names():
        cls, needed = getattr(mb.metrics, name), NEEDED.get(name, {})
        if name in NUMBERS:
            yield Entry(name, "numbers", needed)
        elif name == "TopKAccuracy":
            yield Entry(name, "multiclass", needed)
        elif ".images." in cls.__module__:
            yield Entry(name, "images", needed)
        elif ".retrieval." in cls.__module__:
            yield Entry(name, "queries", needed)
        elif "task" not in inspect.signature(cls).parameters:
            yield Entry(name, "regression", needed)
        else:
            for task, arguments in OF_TASKS.items():
                kind = f"{task}-rows" if name in OF_ROWS else task
                if name == "ExactMatch" and task == "multilabel":
                    kind = task
                try:
                    cls(**needed, **arguments)
                except (TypeError, mb.errors.ArgumentError):  # It has no such task.
                    continue
                yield Entry(name, kind, {**needed, **arguments})


ENTRIES = {entry.id: entry for entry in _entries()}


def of_each_statistic(entries, copies=1, alike=lambda statistic: statistic):
    """Keep the first entries of each statistic: what accumulates is the same."""
    kept, seen = {}, {}
    for name, entry in entries.items():
        statistic = alike(entry.make().statistic)
        seen[statistic] = seen.get(statistic, 0) + 1
        if seen[statistic] <= copies:
            kept[name] = entry
    return kept


def _grid(rng, shape):
    """Draw scores in (0, 1) that float32 holds exactly, none of them alike."""
    size = int(np.prod(shape))
    fine = 2 ** int(np.ceil(np.log2(size + 1)))
    return rng.permutation(np.arange(1, fine)[:: fine // size][:size] / fine).reshape(
        shape
    )


def _classes(rng, y_true, *, ties):
    """Draw rows of probabilities that add up to 1, in eighths or much finer."""
    size = 8 if ties else 1024
    p = rng.dirichlet(np.ones(CLASSES), y_true.shape) + 0.4 * np.eye(CLASSES)[y_true]
    parts = np.floor(p / p.sum(-1, keepdims=True) * (size - CLASSES)) + 1
    parts[..., 1] += size - parts.sum(-1)
    return parts / size


def datasets(kind):
    """Return the fixed cases of a kind of data, by name: `y_true, y_pred`."""
    # No other seed: the stored values depend on it.
    rng = np.random.default_rng(20261122)
    if kind in {"numbers", "regression"}:
        return _numbers(rng, kind)
    if kind == "images":
        return _images(rng)
    if kind == "queries":
        return _queries(rng)
    task, *rows = kind.split("-")
    shape = (N, PIXELS) if rows else (N,)
    if task == "multiclass":
        y_true = rng.integers(0, CLASSES, shape)
        y_true[:CLASSES] = np.arange(CLASSES).reshape(-1, *[1] * len(rows))
        present = y_true % (CLASSES - 1)
        absent = _classes(rng, present, ties=False)
        absent[..., 0] += absent[..., -1] - 1 / 1024
        absent[..., -1] = 1 / 1024
        cases = {
            "plain": (y_true, _classes(rng, y_true, ties=False)),
            "ties": (y_true, _classes(rng, y_true, ties=True)),
            "single class": (np.ones_like(y_true), _classes(rng, y_true, ties=False)),
            "absent class": (present, absent),
        }
    else:
        if task == "multilabel":
            shape = (*shape, LABELS)
        y_true = rng.integers(0, 2, shape)
        y_true[0], y_true[1] = 0, 1
        y_pred = np.clip(_grid(rng, shape) * 0.75 + 0.25 * y_true, 0, 1)
        absent = y_true.copy()
        absent[..., -1] = 0  # For a binary task, only its last label.
        cases = {
            "plain": (y_true, y_pred),
            "ties": (y_true, np.clip(np.round(y_pred * 4) / 4, 0.25, 0.75)),
            "single class": (np.ones_like(y_true), y_pred),
            "absent class": (absent, y_pred),
        }
    nan = cases["plain"][1].copy()
    nan.reshape(N, -1)[3, 0] = np.nan
    cases["nan"] = (y_true, nan)
    return {
        case: (labels.astype("int32"), scores.astype("float32"))
        for case, (labels, scores) in cases.items()
    }


def _images(rng):
    image = rng.integers(0, 256, (2, 24, 24, 1)) / 256
    noisy = np.clip(image + rng.integers(-64, 65, image.shape) / 256, 0, 1)
    nan = noisy.copy()
    nan[1, 3, 3] = np.nan
    cases = {"plain": (image, noisy), "nan": (image, nan), "dark": (image / 4, noisy)}
    return {
        case: tuple(part.astype("float32") for part in pair)
        for case, pair in cases.items()
    }


def _queries(rng):
    relevant = rng.integers(0, 2, (N, LABELS))
    relevant[:, 0] = 1
    scores = _grid(rng, (N, LABELS))
    nan = scores.copy()
    nan[3, 0] = np.nan
    cases = {
        "plain": (relevant, scores),
        "ties": (relevant, np.round(scores * 4) / 4),
        "nan": (relevant, nan),
        "single class": (np.ones_like(relevant), scores),
        "nothing relevant": (relevant * (np.arange(N) > 3)[:, None], scores),
    }
    return {
        case: (labels.astype("int32"), given.astype("float32"))
        for case, (labels, given) in cases.items()
    }


def _numbers(rng, kind):
    target = rng.integers(-64, 64, N) / 16
    guess = target + rng.integers(-16, 17, N) / 16
    nan = guess.copy()
    nan[3] = np.nan
    cases = {
        "plain": (target, guess),
        "ties": (np.round(target), np.round(guess)),
        "nan": (target, nan),
        "single class": (np.full(N, 2.0), guess),
        "far from 0": (target + 4096, guess + 4096),
    }
    if kind == "numbers":
        return {case: (pair[1].astype("float32"),) for case, pair in cases.items()}
    return {
        case: tuple(part.astype("float32") for part in pair)
        for case, pair in cases.items()
    }
