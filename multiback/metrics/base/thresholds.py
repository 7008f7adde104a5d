"""Counts above each threshold of a histogram of scores, and the thresholds."""

from typing import Any

import numpy as np
from keras import ops

from multiback.metrics.base.curves import as_threshold
from multiback.metrics.inputs.task import Task
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.score_histogram import Histogram, before

Tensor = Any
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

    Args:
        index: The number of the threshold from the top, `(columns,)`.
        edges: The lower edge of each bin, `(columns or 1, bins)`.
        undefined: Which rankings have no value, `(columns,)`.
        record: What is classified.
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
