"""Every metric that has an interval, and what the sums for it add to a step.

`metrics.py intervals` times `interval()` of each: `ModelCheckpoint` asks for one an
epoch. The promise is at most 1 ms.
"""

import dataclasses
import inspect

import numpy as np
from contenders import BACKEND
from keras import ops

import multiback as mb
from multiback.errors import ArgumentError
from multiback.metrics.numeric import exact
from multiback.metrics.statistics.sums import ErrorSums

ROWS, COLUMNS = 10_000, 10
TASKS = (
    {"task": "binary"},
    {"task": "multiclass", "num_classes": COLUMNS},
    {"task": "multilabel", "num_labels": COLUMNS},
)
# Arguments that these cannot do without.
NEEDED = {
    "HitRate": {"k": 2},
    "PrecisionAtK": {"k": 2},
    "RecallAtK": {"k": 2},
    "MultiScaleStructuralSimilarity": {"betas": [0.4, 0.6]},
}


def every_metric():
    """Yield a name, a metric that has an interval, and the data that it gets."""
    for name in mb.metrics.__all__:
        kind = getattr(mb.metrics, name)
        if not (inspect.isclass(kind) and issubclass(kind, mb.metrics.Metric)):
            continue
        needed = NEEDED.get(name, {})
        tasks = TASKS if "task" in inspect.signature(kind).parameters else ({},)
        for task in tasks:
            try:
                metric = kind(**needed, **task)
                known = metric.has_interval()
            except (ArgumentError, TypeError):  # No such task; or abstract.
                continue
            if known:
                case = f"{name} {task.get('task', '')}".strip()
                yield case, metric, _data(metric, task.get("task"))


def _data(metric, task):
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(COLUMNS), ROWS).astype("float32")
    module = type(metric).__module__
    if task == "binary":
        return rng.integers(0, 2, ROWS), scores[:, 0]
    if task == "multiclass":
        return rng.integers(0, COLUMNS, ROWS), scores
    if task == "multilabel" or ".retrieval" in module:
        return rng.integers(0, 2, (ROWS, COLUMNS)), scores
    if ".images" in module:
        image = rng.random((4, 32, 32, 1)).astype("float32")
        return image, image**2
    if ".aggregates" in module:
        return (scores[:, 0],)
    return scores[:, 0] + 1.0, scores[:, 1] + 1.0


@dataclasses.dataclass(frozen=True)
class ValueAlone(ErrorSums):
    """The sums that the mean needs, without that of its interval."""

    def added(self, sums, batch):
        terms = self.terms(batch)
        size = ops.convert_to_tensor(ops.shape(terms)[0], dtype="int32")
        plain, ones = exact.batch_sum(terms), exact.to_words(size)
        words = ops.stack([plain, ones, ones, plain, plain], axis=1)
        return exact.merge_sums(sums, words), words


def mean_squared_error(sums):
    """Return a metric over these sums."""
    metric = mb.metrics.MeanSquaredError()
    metric.statistic = metric.sums = sums
    return metric


if BACKEND == "torch":
    from multiback.metrics.fast.table import KERNELS, Kernel
    from multiback.metrics.fast.values import add_sums, one_shape

    def _sum_alone(sums, y_true, y_pred):
        with np.errstate(all="ignore"):
            pair = (each.reshape(-1, 1) for each in one_shape(y_true, y_pred))
            terms = sums.of_arrays(*pair).astype(np.float64, copy=False)
            total = terms.sum(axis=0)
        number = np.full_like(total, len(terms))
        rows = np.stack([total, number, number, total, total])
        return [rows] if np.abs(rows).max() < 1e37 else None

    KERNELS[ValueAlone] = Kernel(_sum_alone, add_sums, ("sums",))
