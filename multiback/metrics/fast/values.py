"""Add up errors and moments of a batch in NumPy, in float64."""

from typing import Any

import numpy as np
import numpy.typing as npt

from multiback.metrics.statistics.error_terms import ErrorTerms
from multiback.metrics.statistics.moments import LEFT, RIGHT, Moments
from multiback.metrics.statistics.sums import ErrorSums

Array = npt.NDArray[Any]

# So large numbers do not fit two words of float32.
LARGEST = 1e37


def one_shape(y_true: Array, y_pred: Array) -> tuple[Array, Array] | None:
    """Give float32 scores, or wider, the shape of the labels, if they fit."""
    if y_pred.dtype.char not in "fd":
        y_pred = y_pred.astype(np.float32)
    if y_true.shape == y_pred.shape:
        return y_true, y_pred
    if y_true.shape == (*y_pred.shape, 1):
        return y_true.reshape(y_pred.shape), y_pred
    if y_pred.shape == (*y_true.shape, 1):
        return y_true, y_pred.reshape(y_true.shape)
    return None


def _columns(y_true: Array, y_pred: Array, columns: int) -> list[Array] | None:
    """Give targets and predictions the shape `(N, columns)`, if they fit."""
    pair = one_shape(y_true, y_pred)
    if pair is None:
        return None
    wide = any(each.dtype == np.float64 for each in pair)
    dtype = np.float64 if wide else np.float32
    return [each.reshape(-1, columns).astype(dtype, copy=False) for each in pair]


def _fits(numbers: Array) -> bool:
    # Something that cannot be used makes a sum infinite or NaN.
    return bool(np.abs(numbers).max() < LARGEST)


def sum_errors(
    sums: ErrorSums | ErrorTerms, y_true: Array, y_pred: Array
) -> list[Array] | None:
    """Add up the terms of a batch, as rows of each array of the state."""
    columns = sums.num_outputs if isinstance(sums, ErrorTerms) else None
    if sums.ignore_nan or (columns and y_pred.shape[-1:] != (columns,)):
        return None
    pair = _columns(y_true, y_pred, columns or 1)
    if pair is None:
        return None
    with np.errstate(all="ignore"):
        terms = sums.of_arrays(*pair).astype(np.float64, copy=False)
        total, squares = terms.sum(axis=0), np.square(terms).sum(axis=0)
    number = np.full_like(total, len(terms))
    rows = [np.stack([total, number, number, total, squares])]
    if isinstance(sums, ErrorTerms) and sums.sized:
        rows.append(np.abs(pair[0]).sum(axis=0, dtype=np.float64))
    return rows if all(map(_fits, rows)) else None


def add_sums(*given: Any) -> None:
    """Add float64 numbers to sums of `exact`, in place."""
    *arrays, tallies = given
    for array, numbers in zip(arrays, tallies, strict=True):
        total = array.sum(axis=0, dtype=np.float64)
        total += numbers.reshape(total.shape)
        _write(array, total)


def _write(array: Array, total: Array) -> None:
    """Write float64 numbers as two words of float32."""
    array[0] = total
    array[1] = total - array[0]


def sum_moments(moments: Moments, y_true: Array, y_pred: Array) -> Array | None:
    """Return the moments of a batch, `(10, D)`."""
    columns = moments.num_outputs
    one_axis = columns == 1 and y_pred.ndim == 1
    if moments.ignore_nan or moments.extremes or not y_true.size:
        return None
    if not one_axis and y_pred.shape[-1:] != (columns,):
        return None
    pair = _columns(y_true, y_pred, columns)
    if pair is None:
        return None
    true, predicted = (each.T.astype(np.float64) for each in pair)
    with np.errstate(all="ignore"):
        x = np.stack([true, predicted, true - predicted])
        means = x.mean(axis=-1)
        x -= means[..., None]
        second = np.einsum("kdn,kdn->kd", x[LEFT], x[RIGHT])
    rows = np.concatenate([np.full((3, columns), true.shape[1]), means, second])
    return rows if _fits(rows) else None


def add_moments(array: Array, rows: Array) -> None:
    """Merge the moments of a batch into those of a state, in place."""
    before = array.sum(axis=0, dtype=np.float64)
    total = before + rows
    empty = total[1] == 0.0
    share = np.where(empty, 0.0, rows[1] / np.where(empty, 1.0, total[1]))
    apart = rows[3:6] - before[3:6]
    total[3:6] = before[3:6] + apart * share
    total[6:] += apart[LEFT] * apart[RIGHT] * (before[1] * share)
    _write(array, total)
