"""Keep values and rank them in NumPy."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from multiback.metrics.fast.values import in_columns
from multiback.metrics.statistics.value_buffer import ValueBuffer

Array = npt.NDArray[Any]


def kept_values(buffer: ValueBuffer, y_true: Array, y_pred: Array) -> Any | None:
    """Return targets and predictions to keep, each `(N, D)`, if all are finite."""
    columns = buffer.num_outputs
    one_axis = columns == 1 and y_pred.ndim <= 1
    if not one_axis and y_pred.shape[-1:] != (columns,):
        return None
    pair = in_columns(y_true, y_pred, columns)
    if pair is None:
        return None
    with np.errstate(over="ignore"):
        pair = [one.astype(np.float32, copy=False) for one in pair]
    if not all(np.isfinite(one).all() for one in pair):
        return None
    return [one.reshape(-1, columns) for one in pair]


def keep_values(kept: Array, used: Array, pair: list[Array]) -> None:
    """Append values of weight 1 to a buffer, in place."""
    size = len(pair[0])
    for column, start in enumerate(used.tolist()):
        # Values without room are counted, and make the value NaN.
        room = max(min(size, kept.shape[2] - start), 0)
        places = slice(start, start + room)
        kept[0, column, places] = pair[0][:room, column]
        kept[1, column, places] = pair[1][:room, column]
        kept[2, column, places] = 1.0
    used += size


def spearman(kept: Array, used: Array) -> Array:
    """Return Spearman's correlation of each output of a buffer, float64 `(D,)`."""
    capacity = kept.shape[2]
    return np.array(
        [
            math.nan if size > capacity else _spearman(*kept[:, column, :size])
            for column, size in enumerate(used.tolist())
        ]
    )


def _spearman(true: Array, predicted: Array, weights: Array) -> float:
    if not weights.size or np.isnan(true + predicted).any() or not weights.min() >= 0.0:
        return math.nan
    # Most often each weight is 1.
    total = float(np.add.reduce(weights, dtype=np.float64))
    each = None if np.count_nonzero(weights == 1.0) == weights.size else weights
    x, y = (_centred_ranks(values, each, total) for values in (true, predicted))
    weighted = x if each is None else each * x
    cross, of_x = float(np.dot(weighted, y)), float(np.dot(weighted, x))
    of_y = float(np.dot(y if each is None else each * y, y))
    spread = math.sqrt(of_x) * math.sqrt(of_y)
    return min(max(cross / spread, -1.0), 1.0) if spread else math.nan


def _centred_ranks(values: Array, weights: Array | None, total: float) -> Array:
    """Return the weight below each value less the weight above it."""
    order = values.argsort()
    ordered = values[order]
    last = np.flatnonzero(ordered[1:] != ordered[:-1])
    if weights is None:
        if len(last) == len(values) - 1:  # No ties.
            of_places = np.arange(1.0 - total, total, 2.0)
        else:
            edges = np.concatenate([[0], last + 1, [len(values)]])
            of_places = (edges[1:] + edges[:-1] - total).repeat(np.diff(edges))
    else:
        upto = np.cumsum(weights[order], dtype=np.float64)
        edges = np.concatenate([[0.0], upto[last], [total]])
        sizes = np.diff(np.concatenate([[0], last + 1, [len(values)]]))
        of_places = (edges[1:] + edges[:-1] - total).repeat(sizes)
    ranks = np.empty(len(values))
    ranks[order] = of_places
    return ranks
