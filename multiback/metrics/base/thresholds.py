"""Metrics of one threshold: the counts above each one, and the one that is chosen."""

import abc
from typing import Any

import numpy as np
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.curves import as_threshold
from multiback.metrics.base.score_metric import ScoreMetric
from multiback.metrics.inputs.task import Task
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.score_histogram import Histogram, before
from multiback.metrics.statistics.statistic import State, Tensor

Array = np.ndarray[Any, Any]


def above(histogram: Histogram) -> tuple[Tensor, Tensor]:
    """Return true and false positives for each threshold, the first with none."""

    def from_the_top(values: Tensor) -> Tensor:
        xp = namespace(values)
        return before(xp.pad(xp.flip(values, axis=-1), [(0, 0), (0, 1)]))

    return from_the_top(histogram.positives), from_the_top(histogram.negatives)


def thresholds_at(
    index: Tensor, edges: Array, undefined: Tensor, record: Task
) -> float | Array:
    """Return the threshold of each ranking, NaN where there is no value.

    `index` is its number from the top, `(columns,)`, and `edges` are the lower edges of
    the bins, `(columns or 1, bins)`.
    """
    places = ops.convert_to_numpy(index)
    edges = np.broadcast_to(edges[:, ::-1], (len(places), edges.shape[1]))
    found = np.take_along_axis(edges, np.maximum(places - 1, 0)[:, None], 1)[:, 0]
    thresholds: Array = np.where(places == 0, np.inf, as_threshold(found))
    thresholds[ops.convert_to_numpy(undefined)] = np.nan
    classes = record.chosen
    if classes is not None and len(thresholds) > 1:
        thresholds = thresholds[list(classes)]
        return float(thresholds[0]) if record.is_single else thresholds
    return float(thresholds[0]) if len(thresholds) == 1 else thresholds


class BestThreshold(ScoreMetric):
    """A value that one threshold reaches; subclasses choose it."""

    # A smaller limit would warn of few samples: one moves the value by a percent.
    wide = 0.1

    def _check_record(self, record: Task) -> None:
        """Raise for the classes of a binary task: one threshold makes both."""
        if record.kind == "binary" and record.classes is not None:
            raise ArgumentError(
                'classes= wants task="multiclass" or "multilabel" here, not "binary". '
                "For the negative class give 1 - y_true and 1 - y_pred."
            )

    @abc.abstractmethod
    def choose(self, tp: Tensor, fp: Tensor) -> Tensor:
        """Return the number of the chosen threshold from the top, `(columns,)`."""

    def threshold(self) -> Any:
        """Return the threshold that the value was reached with.

        Returns:
            A float, or with several classes or labels an array: the largest float32
            for which `score > threshold` makes the value, in the unit of the scores
            (for `from_logits` logits, but the softmax of logits of classes). NaN
            where the value is.
        """
        return self.compute_threshold(self.state)

    def compute_threshold(self, state: State) -> Any:
        """Return the threshold of a state; see `threshold`."""
        histogram = self._scores.read(state)
        tp, fp = above(histogram)
        undefined = ops.logical_or(ops.equal(tp[:, -1], 0.0), histogram.undefined > 0.0)
        if self.needs_negatives:
            undefined = ops.logical_or(undefined, ops.equal(fp[:, -1], 0.0))
        index = self.choose(tp, fp)
        return thresholds_at(index, self._scores.edges(state), undefined, self.record)
