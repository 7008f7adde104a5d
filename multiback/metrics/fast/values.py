"""Add up errors, moments and values of rows of a batch in NumPy."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from multiback.metrics.statistics.error_terms import ErrorTerms
from multiback.metrics.statistics.moments import LEFT, RIGHT, Moments
from multiback.metrics.statistics.row_means import RowMeans
from multiback.metrics.statistics.sums import ErrorSums

Array = npt.NDArray[Any]

# So large numbers do not fit two words of float32.
LARGEST = 1e37
BEYOND = float(np.finfo(np.float32).max)
# So many float32 numbers are added up in float64; more would take four times as long.
FEW = 4096
BLOCK = 16_384
_quiet = functools.partial(np.errstate, all="ignore")


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


def in_columns(y_true: Array, y_pred: Array, columns: int) -> list[Array] | None:
    """Give targets and predictions the shape `(N, columns)`, or `(N,)` of one."""
    plain = y_true.dtype.char == y_pred.dtype.char == "f"
    if plain and columns == 1 and y_true.shape == y_pred.shape:  # Most often.
        if y_true.ndim == 1:
            return [y_true, y_pred]
        return [y_true.reshape(-1), y_pred.reshape(-1)]
    pair = one_shape(y_true, y_pred)
    if pair is None:
        return None
    dtype: Any = np.float32
    if pair[0].dtype.char == "d" or pair[1].dtype.char == "d":
        dtype = np.float64
    shape = (-1, columns) if columns > 1 else (-1,)
    return [each.astype(dtype, copy=False).reshape(shape) for each in pair]


def _fits(numbers: Array) -> bool:
    # Something that cannot be used makes a sum infinite or NaN.
    return bool(np.abs(numbers).max() < LARGEST)


def column_sum(numbers: Array) -> float:
    """Add up a vector: in float64, or many numbers of float32 in pairs of pairs."""
    few = numbers.size <= FEW
    return float(np.add.reduce(numbers, dtype=np.float64 if few else None))


def blocks(size: int) -> Iterator[slice]:
    """Give parts of a vector whose intermediate values stay in a processor's cache."""
    for start in range(0, size, BLOCK):
        yield slice(start, start + BLOCK)


def sum_errors(
    sums: ErrorSums | ErrorTerms, y_true: Array, y_pred: Array
) -> list[Any] | None:
    """Add up the terms of a batch, as numbers for each array of the state."""
    columns = sums.num_outputs if isinstance(sums, ErrorTerms) else None
    if columns and y_pred.shape[-1:] != (columns,):
        return None
    pair = in_columns(y_true, y_pred, columns or 1)
    if pair is None:
        return None
    sized = isinstance(sums, ErrorTerms) and sums.sized
    if columns and columns > 1:
        return _sum_columns(sums, pair, sized=sized)
    with _quiet():
        rows, size = _in_blocks(sums.of_arrays, *pair, sized=sized)
    if rows is None or not size < LARGEST:
        return None
    return [rows, (size,)] if sized else [rows]


def _in_blocks(
    formula: Callable[[Array, Array], Array],
    true: Array,
    predicted: Array,
    *,
    sized: bool,
) -> tuple[tuple[float, ...] | None, float]:
    """Add up the terms of one output, and perhaps the sizes of the targets."""
    if true.size <= BLOCK:
        size = column_sum(np.abs(true)) if sized else 0.0
        return in_sums(formula(true, predicted)), size
    total = squares = size = 0.0
    for part in blocks(true.size):
        own, others = true[part], predicted[part]
        terms = formula(own, others)
        total += column_sum(terms)
        squares += float(np.dot(terms, terms))
        size += column_sum(np.abs(own)) if sized else 0.0
    return _checked(true.size, total, squares), size


def in_sums(terms: Array) -> tuple[float, ...] | None:
    """Add up one contiguous vector of terms, and their squares."""
    if terms.size <= FEW:
        terms = terms.astype(np.float64, copy=False)
    return _checked(terms.size, column_sum(terms), float(np.dot(terms, terms)))


def _checked(rows: int, total: float, squares: float) -> tuple[float, ...] | None:
    # What cannot be used makes a sum infinite or NaN.
    if not (abs(total) < LARGEST and squares < LARGEST):
        return None
    return (total, rows, rows, total, squares)


def sum_rows(means: RowMeans, y_true: Array, y_pred: Array) -> list[Any] | None:
    """Add up the value of each row of a batch, if there is a formula on arrays."""
    with _quiet():
        values = means.values_of_arrays(y_true, y_pred)
        rows = None if values is None else in_sums(values)
    return None if rows is None else [rows]


def _sum_columns(sums: Any, pair: list[Array], *, sized: bool) -> list[Any] | None:
    with _quiet():
        terms = sums.of_arrays(*pair).astype(np.float64, copy=False)
        total, squares = terms.sum(axis=0), np.square(terms).sum(axis=0)
    number = np.full_like(total, len(terms))
    rows = [np.stack([total, number, number, total, squares])]
    if sized:
        rows.append(np.abs(pair[0]).sum(axis=0, dtype=np.float64))
    return rows if all(map(_fits, rows)) else None


def add_sums(*given: Any) -> None:
    """Add float64 numbers to sums of `exact`, in place."""
    *arrays, tallies = given
    for array, numbers in zip(arrays, tallies, strict=True):
        if isinstance(numbers, tuple):
            add_numbers(array, numbers)
            continue
        total = array.sum(axis=0, dtype=np.float64)
        total += numbers.reshape(total.shape)
        _write(array, total)


def add_numbers(array: Array, numbers: tuple[float, ...]) -> None:
    """Add few numbers to the words of a sum, in place."""
    # Python reads and writes few numbers faster than NumPy.
    words: Any = array.reshape(-1).data
    size = len(numbers)
    for place, number in enumerate(numbers):
        total = words[place] + words[size + place] + number
        if -BEYOND < total < BEYOND:
            words[place] = total
            words[size + place] = total - words[place]
        else:  # No float32 is so large, or it is NaN.
            words[place] = words[size + place] = math.nan


def _write(array: Array, total: Array) -> None:
    """Write float64 numbers as two words of float32."""
    with _quiet():
        total = np.where(np.abs(total) < BEYOND, total, math.nan)
        array[0] = total
        array[1] = total - array[0]


def sum_moments(moments: Moments, y_true: Array, y_pred: Array) -> Any | None:
    """Return the moments of a batch: a tuple of 10, or an array `(10, D)`."""
    columns = moments.num_outputs
    one_axis = columns == 1 and y_pred.ndim == 1
    if moments.extremes or not y_true.size:
        return None
    if not one_axis and y_pred.shape[-1:] != (columns,):
        return None
    pair = in_columns(y_true, y_pred, columns)
    if pair is None:
        return None
    if columns == 1:
        return _moments_of_one(*pair)
    true, predicted = (each.T.astype(np.float64) for each in pair)
    with _quiet():
        x = np.stack([true, predicted, true - predicted])
        means = x.mean(axis=-1)
        means = _take_means(x, means, pair[0])
        second = np.einsum("kdn,kdn->kd", x[LEFT], x[RIGHT])
    rows = np.concatenate([np.full((3, columns), true.shape[1]), means, second])
    return rows if _fits(rows) else None


def _moments_of_one(true: Array, predicted: Array) -> tuple[float, ...] | None:
    """Return the moments of one output."""
    n = true.size
    with _quiet():
        if n > BLOCK and true.dtype.char == "f":
            return _moments_of_many(true, predicted)
        x = np.empty((3, n))
        x[0], x[1] = true, predicted
        np.subtract(x[0], x[1], out=x[2])
        means = np.add.reduce(x, axis=1)
        means /= n
        means = _take_means(x, means, true)
        t, p, r = x
        second = np.dot(t, t), np.dot(p, p), np.dot(t, p), np.dot(r, r)
    return _if_finite(n, [*means.tolist(), *map(float, second)])


def _take_means(x: Array, means: Array, given: Array) -> Array:
    """Take means from numbers, in place; return them as two words hold them.

    Equal numbers become exactly 0, and have the same mean in each batch. `given` is
    what the numbers were: of equal float32 numbers float64 has the mean itself.
    """
    if given.dtype.char != "d":
        x -= means[..., None]
        return means
    means = np.clip(means, x.min(axis=-1), x.max(axis=-1))
    x -= means[..., None]
    high = means.astype(np.float32)
    return high + (means - high).astype(np.float32).astype(np.float64)


def _moments_of_many(true: Array, predicted: Array) -> tuple[float, ...] | None:
    """Return the moments of one output, in float32 around the means of some rows.

    Rows from all over the batch: what they miss is rare, and far from their mean only
    if it makes the spread itself.
    """
    n = true.size
    own, others = (x[:: n // FEW].astype(np.float64) for x in (true, predicted))
    shifts = [np.float32(x.mean()) for x in (own, others, own - others)]
    rests, second = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]
    for part in blocks(n):
        own, others = true[part], predicted[part]
        given = own, others, own - others
        apart = [x - shift for x, shift in zip(given, shifts, strict=True)]
        for k, values in enumerate(apart):
            rests[k] += column_sum(values)
        for k, (i, j) in enumerate(zip(LEFT, RIGHT, strict=True)):
            second[k] += float(np.dot(apart[i], apart[j]))
    for k, (i, j) in enumerate(zip(LEFT, RIGHT, strict=True)):
        second[k] -= rests[i] * rests[j] / n
    means = [float(shift) + rest / n for shift, rest in zip(shifts, rests, strict=True)]
    return _if_finite(n, [*means, *second])


def _if_finite(n: int, found: list[float]) -> tuple[float, ...] | None:
    return (n, n, n, *found) if all(abs(x) < LARGEST for x in found) else None


def add_moments(array: Array, rows: Any) -> None:
    """Merge the moments of a batch into those of a state, in place."""
    if isinstance(rows, tuple):
        _add_moments_of_one(array, rows)
        return
    before = array.sum(axis=0, dtype=np.float64)
    total = before + rows
    empty = total[1] == 0.0
    share = np.where(empty, 0.0, rows[1] / np.where(empty, 1.0, total[1]))
    apart = rows[3:6] - before[3:6]
    total[3:6] = before[3:6] + apart * share
    total[6:] += apart[LEFT] * apart[RIGHT] * (before[1] * share)
    _write(array, total)


def _add_moments_of_one(array: Array, rows: tuple[float, ...]) -> None:
    words, size = array.reshape(-1).data, len(rows)
    before = [words[place] + words[size + place] for place in range(size)]
    weight = before[1] + rows[1]
    share = rows[1] / weight if weight else 0.0
    apart = [rows[place] - before[place] for place in (3, 4, 5)]
    total = [before[place] + rows[place] for place in (0, 1, 2)]
    total += [before[3 + k] + apart[k] * share for k in range(3)]
    between = before[1] * share
    total += [
        before[6 + k] + rows[6 + k] + apart[LEFT[k]] * apart[RIGHT[k]] * between
        for k in range(4)
    ]
    array.fill(0.0)  # Adding to zeros replaces the old totals.
    add_numbers(array, tuple(total))
