"""Count a batch in NumPy, where eager PyTorch would take longer to start than to run.

One operation of `keras.ops` on PyTorch takes about as long as NumPy takes for a batch
of 32 altogether. A kernel returns None for a batch that is not plain: an unknown label,
a NaN score, shapes that do not fit. Then the specification counts it, or raises the
error.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from multiback.metrics.fast.values import one_shape
from multiback.metrics.inputs.scores import ScoreTask
from multiback.metrics.inputs.task import Ids
from multiback.metrics.numeric.exact import COUNT_BASE, COUNT_BITS
from multiback.metrics.statistics.class_hits import ClassHits
from multiback.metrics.statistics.counts import score_threshold
from multiback.metrics.statistics.score_bins import bin_ids_of_array
from multiback.metrics.statistics.score_histogram import ScoreHistogram
from multiback.metrics.statistics.task_counts import (
    BinaryCounts,
    MulticlassCounts,
    MultilabelCounts,
)

Array = npt.NDArray[Any]

# A matrix product counts the pairs within rows of this many bins: a positive (row) wins
# over a negative (column); a tie counts half.
WIDTH = 16
WINS = np.tri(WIDTH) - np.eye(WIDTH) / 2.0
# By float type: the integer type of the same width, and the bits of 1.
_BITS: dict[str, tuple[Any, Any]] = {
    "f": (np.uint32, np.uint32(0x3F800000)),
    "d": (np.uint64, np.uint64(0x3FF0000000000000)),
}
_ONES = np.ones(WIDTH, np.float32)
# Of the state's own dtype: casting makes NumPy take its slow path.
_ONE = np.int32(1)


def _positive(y_true: Array) -> Array | None:
    """Return which labels are 1, if all others are 0."""
    if y_true.dtype == bool:
        return y_true
    positive = y_true == 1
    known = np.count_nonzero(y_true) == np.count_nonzero(positive)
    return positive if known else None


def _has_nan(scores: Array) -> bool:
    return int(np.count_nonzero(np.isnan(scores))) > 0


def _are_usable(scores: Array, *, from_logits: bool) -> bool:
    """Return whether no score is NaN, and each is a probability if required."""
    if from_logits:
        return not _has_nan(scores)
    # The bits of floats of at least 0 are in order, and all others are above: one
    # comparison checks both ends and NaN.
    bits, one = _BITS[scores.dtype.char]
    if not np.count_nonzero(scores.view(bits) > one):
        return True
    # Some of them may be -0, which equals 0.
    return bool(((scores >= 0.0) & (scores <= 1.0)).all())


def without_ignored(
    y_true: Array, y_pred: Array, ignore_index: Ids
) -> tuple[Array, Array]:
    """Leave out elements whose label is ignored."""
    if ignore_index is None:
        return y_true, y_pred
    several = isinstance(ignore_index, tuple)
    kept = ~np.isin(y_true, ignore_index) if several else y_true != ignore_index
    return y_true[kept], y_pred[kept]


def positives_and_scores(
    y_true: Array, y_pred: Array, ignore_index: Ids
) -> tuple[Array, Array] | None:
    """Return which of two classes holds, if each label is known, and the scores."""
    matched = one_shape(y_true, y_pred)
    if matched is None:
        return None
    y_true, scores = without_ignored(*matched, ignore_index)
    positive = _positive(y_true)
    return None if positive is None else (positive, scores)


def count_binary(
    counts: BinaryCounts, y_true: Array, y_pred: Array
) -> tuple[Any, ...] | None:
    """Count tp, fp, tn and fn."""
    pair = positives_and_scores(y_true, y_pred, counts.ignore_index)
    if pair is None or not _are_usable(pair[1], from_logits=counts.from_logits):
        return None
    positive, scores = pair
    above = scores > score_threshold(counts.threshold, from_logits=counts.from_logits)
    predicted, positives = np.count_nonzero(above), np.count_nonzero(positive)
    tp = np.count_nonzero(positive & above)
    tn = scores.size - positives - predicted + tp
    return tp, predicted - tp, tn, positives - tp


def count_multilabel(
    counts: MultilabelCounts, y_true: Array, y_pred: Array
) -> Array | None:
    """Count tp, fp, tn and fn of each label."""
    labels = counts.num_labels
    if (
        counts.ignore_index is not None
        or y_true.shape != y_pred.shape
        or not y_true.shape
        or y_true.shape[-1] != labels
    ):
        return None
    if y_pred.dtype.char not in "fd":
        y_pred = y_pred.astype(np.float32)
    positive = _positive(y_true)
    if positive is None or not _are_usable(y_pred, from_logits=counts.from_logits):
        return None
    above = y_pred > score_threshold(counts.threshold, from_logits=counts.from_logits)
    positive, above = positive.reshape(-1, labels), above.reshape(-1, labels)
    tp, predicted, positives = (
        each.sum(axis=0) for each in (positive & above, above, positive)
    )
    tn = len(above) - positives - predicted + tp
    return np.concatenate((tp, predicted - tp, tn, positives - tp))


def known_ids(values: Array, num_classes: int) -> Array | None:
    """Return flat class ids, if all are known."""
    ids = values.reshape(-1)
    if ids.dtype.kind not in "iu":
        with np.errstate(invalid="ignore"):  # NaN, which no integer equals.
            ids = ids.astype(np.int64)
        if not np.array_equal(ids, values.reshape(-1)):
            return None
    if ids.size and not (ids.min() >= 0 and ids.max() < num_classes):
        return None
    return ids


def _first_largest(scores: Array) -> Array | None:
    """Return the index of the first largest score of each row, if none is NaN."""
    if scores.dtype.char not in "fd":
        scores = scores.astype(np.float32)
    rows = scores.reshape(-1, scores.shape[-1])
    best = rows.argmax(axis=1)
    # NumPy takes a NaN for the largest.
    return None if np.isnan(rows[np.arange(len(rows)), best]).any() else best


def _one_hot_ids(y_true: Array, num_classes: int) -> Array | None:
    rows = y_true.reshape(-1, num_classes)
    ids = rows.argmax(axis=1)
    ones = rows[np.arange(len(rows)), ids] == 1
    return ids if ones.all() and np.count_nonzero(rows) == len(rows) else None


def _labels_and_classes(
    y_true: Array, y_pred: Array, n: int, ignore_index: Ids
) -> tuple[Array, Array] | None:
    """Return flat ids of the labels and of the predictions."""
    rank = y_pred.ndim
    if y_pred.dtype.kind in "iub" and rank > 1 and y_true.shape == y_pred.shape:
        if y_pred.shape[-1] == n:
            # Both are one-hot.
            shape, predictions = y_pred.shape[:-1], _one_hot_ids(y_pred, n)
        else:
            shape, predictions = y_pred.shape, known_ids(y_pred, n)
    elif y_pred.dtype.kind in "iub" and y_true.ndim in (rank, rank + 1):
        shape, predictions = y_pred.shape, known_ids(y_pred, n)
    elif rank and y_pred.shape[-1] == n and y_pred.dtype.kind == "f" and y_pred.size:
        shape, predictions = y_pred.shape[:-1], _first_largest(y_pred)
    else:
        return None
    if predictions is None:
        return None
    labels: Array | None
    if y_true.shape in (shape, (*shape, 1)):
        labels, predictions = without_ignored(
            y_true.reshape(-1), predictions, ignore_index
        )
        labels = known_ids(labels, n)
    elif y_true.shape == (*shape, n) and ignore_index is None:
        labels = _one_hot_ids(y_true, n)
    else:
        return None
    return None if labels is None else (labels, predictions)


def count_classes(
    counts: MulticlassCounts, y_true: Array, y_pred: Array
) -> Array | None:
    """Count tp, fp, tn and fn of each class."""
    n = counts.num_classes
    pair = _labels_and_classes(y_true, y_pred, n, counts.ignore_index)
    if pair is None:
        return None
    labels, predictions = pair
    true, predicted, tp = (
        np.bincount(ids, minlength=n)
        for ids in (labels, predictions, labels[labels == predictions])
    )
    tn = len(labels) - true - predicted + tp
    return np.concatenate((tp, predicted - tp, tn, true - tp))


def count_hits(counts: ClassHits, y_true: Array, y_pred: Array) -> Array | None:
    """Count the labels of each class that were predicted, and those not."""
    n = counts.num_classes
    shape = y_pred.shape[:-1]
    if (
        y_pred.dtype.kind != "f"
        or not y_pred.size
        or y_pred.shape[-1] != n
        or y_true.shape not in (shape, (*shape, 1))
    ):
        pair = _labels_and_classes(y_true, y_pred, n, counts.ignore_index)
        if pair is None:
            return None
        labels, hit = pair[0], pair[0] == pair[1]
    else:
        if y_pred.dtype.char not in "fd":
            y_pred = y_pred.astype(np.float32)
        labels, rows = without_ignored(
            y_true.reshape(-1), y_pred.reshape(-1, n), counts.ignore_index
        )
        known = known_ids(labels, n)
        if known is None:
            return None
        labels = known
        with np.errstate(invalid="ignore"):  # NaN.
            best = rows.max(axis=1)
            if _has_nan(best):
                return None
            hit = rows[np.arange(len(rows)), labels] >= best
        # Of equal scores the first one counts.
        found = np.flatnonzero(hit)
        hit[found] = rows[found].argmax(axis=1) == labels[found]
    tp = np.bincount(labels[hit], minlength=n)
    none = np.zeros_like(tp)
    return np.concatenate((tp, none, none, np.bincount(labels, minlength=n) - tp))


def count_scores(
    histogram: ScoreHistogram, y_true: Array, y_pred: Array
) -> Array | None:
    """Return the cell that each element falls into."""
    task, bins = histogram.task, histogram.bins
    if task.num_classes is not None or task.num_labels is not None:
        return _count_columns(histogram, y_true, y_pred)
    pair = positives_and_scores(y_true, y_pred, task.ignore_index)
    if pair is None:
        return None
    positive, scores = pair[0], pair[1].reshape(-1)
    if not _are_usable(scores, from_logits=task.from_logits):
        return None
    ids = bin_ids_of_array(scores, histogram.bits, logits=task.from_logits)
    ids += positive.reshape(-1) * bins
    return ids


def _labels_and_scores(
    task: ScoreTask, y_true: Array, y_pred: Array
) -> tuple[Array | None, Array] | None:
    """Return class ids or which labels hold, if all are known, and rows of scores."""
    columns = task.num_classes or task.num_labels
    if y_pred.dtype.char not in "fd":
        y_pred = y_pred.astype(np.float32)
    if columns is None or not y_pred.size or y_pred.shape[-1] != columns:
        return None
    scores, shape = y_pred.reshape(-1, columns), y_pred.shape[:-1]
    if task.num_classes is not None and y_true.shape in (shape, (*shape, 1)):
        ids, scores = without_ignored(y_true.reshape(-1), scores, task.ignore_index)
        return known_ids(ids, columns), scores
    if y_true.shape != y_pred.shape or task.ignore_index is not None:
        return None
    if task.num_classes is not None:
        return _one_hot_ids(y_true, columns), scores
    return _positive(y_true), scores


def _count_columns(
    histogram: ScoreHistogram, y_true: Array, y_pred: Array
) -> Array | None:
    """Return the cell of each score of classes or labels."""
    task, bins = histogram.task, histogram.bins
    pair = _labels_and_scores(task, y_true, y_pred)
    if pair is None or task.together is not None:
        return None
    labels, scores = pair
    if labels is None:
        return None
    if not _are_usable(scores.reshape(-1), from_logits=task.from_logits):
        return None
    if task.num_classes is not None and task.from_logits:
        if not np.isfinite(scores).all():
            return None
        scores = softmax_logits(scores)
    ids = bin_ids_of_array(scores.reshape(-1), histogram.bits, logits=task.from_logits)
    ids = ids.reshape(scores.shape)
    if task.num_classes is None:
        ids += labels.reshape(ids.shape) * bins
    else:
        ids[np.arange(len(ids)), labels] += bins
    if not task.micro:
        ids += np.arange(task.columns) * (2 * bins + 1)
    return ids.reshape(-1)


def softmax_logits(scores: Array) -> Array:
    """Return `log(p / (1 - p))` of the softmax p of finite scores, `(N, C)`."""
    rows, best = np.arange(len(scores)), scores.argmax(axis=1)
    top, others = scores[rows, best], scores.copy()
    others[rows, best] = -np.inf
    second = others.max(axis=1)
    others -= second[:, None]
    rest = second + np.log(np.exp(others, out=others).sum(axis=1))
    # All but the best have a p of at most 1/2, where 1 - p keeps every bit.
    log_p = np.subtract(scores, np.logaddexp(top, rest)[:, None], out=others)
    np.minimum(log_p, -0.5, out=log_p)
    log_p -= np.log1p(-np.exp(log_p))
    log_p[rows, best] = top - rest
    found: Array = log_p
    return found


def roc_area(
    counts: Array, weighted: Array, bins: int
) -> tuple[float, float, float] | None:
    """Return area under the ROC curve, gap of its bounds and number of scores.

    For a state that counts one ranking in bins. None if a count has left its low word,
    or with weights: too rare for a second formula. The last cells are NaN and the
    total.
    """
    high, low = counts
    if high[-1] or low[-1] >= COUNT_BASE or weighted[0, -1] != 0.0:
        return None
    if low[-2]:
        return math.nan, math.nan, 0.0
    # Half the memory of float64, and exact: the total is less than 2**24.
    padded = np.zeros((2, bins + -bins % WIDTH), np.float32)
    padded[:, :bins] = low[: 2 * bins].reshape(2, bins)
    table = padded.reshape(2, -1, WIDTH)
    negatives, positives = table
    below, above = (table @ _ONES).astype(np.float64)
    # Pairs within rows of bins, by their places in the row, and pairs of two rows.
    # Pairs within rows are many only if few rows hold scores: few roundings.
    inside = (positives.T @ negatives).astype(np.float64)
    up_to = below.cumsum()
    pairs = float(up_to[-1] * above.sum())
    if not pairs:
        return math.nan, math.nan, 0.0
    won = np.vdot(inside, WINS) + np.dot(above, up_to - below)
    return float(won) / pairs, float(inside.trace()) / pairs, float(low[-1])


def roc_areas(chunks: Iterable[Array], count: int, bins: int) -> Array:
    """Return `(6, count)`: areas, both bounds, positives, negatives and NaN.

    Args:
        chunks: The cells of some rankings after the others, `(k, 2 * bins + 1)` of
            int32 or float64: negatives, positives, NaN.
        count: Number of all rankings.
        bins: Number of bins.
    """
    width = bins + -bins % WIDTH
    sums = np.empty((count, 2, width // WIDTH))
    inside = np.empty((count, WIDTH, WIDTH))
    undefined = np.empty(count)
    first, room, ones = 0, np.empty((0, 2, width)), np.empty(0)
    for cells in chunks:
        rows = slice(first, first + len(cells))
        first = rows.stop
        if len(room) < len(cells):
            # Sums of less than 2**24 are exact in float32, of half the memory.
            dtype: Any = np.float32 if cells.dtype.kind == "i" else np.float64
            room = np.zeros((len(cells), 2, width), dtype)
            ones = np.ones(WIDTH, dtype)
        table = room[: len(cells)]
        table[:, :, :bins] = cells[:, :-1].reshape(-1, 2, bins)
        sums[rows] = (table.reshape(-1, WIDTH) @ ones).reshape(len(cells), 2, -1)
        table = table.reshape(len(cells), 2, -1, WIDTH)
        inside[rows] = table[:, 1].swapaxes(1, 2) @ table[:, 0]
        undefined[rows] = cells[:, -1]
    below, above = sums[:, 0], sums[:, 1]
    up_to = below.cumsum(axis=1)
    negatives, positives = up_to[:, -1].copy(), above.sum(axis=1)
    up_to -= below
    won = inside.reshape(count, -1) @ WINS.reshape(-1)
    won += np.einsum("kr,kr->k", above, up_to)
    with np.errstate(invalid="ignore"):  # One class makes this 0 / 0.
        value = won / (positives * negatives)
        tied = np.einsum("kii->k", inside) / (2.0 * positives * negatives)
    low, high = value - tied, value + tied
    return np.stack([value, low, high, positives, negatives, undefined])


def add_four(counts: Array, cells: tuple[Any, ...]) -> None:
    """Add four numbers to the first cells of a count of `exact`, in place."""
    low = counts[1].data  # Python reads and writes few numbers faster than NumPy.
    for place, number in enumerate(cells):
        low[place] += number
    if max(low) >= COUNT_BASE:
        _carry(counts)


def add_cells(counts: Array, cells: Array) -> None:
    """Add numbers to the first cells of a count of `exact`, in place."""
    part = counts[1, : cells.size]
    part += cells.astype(np.int32)
    if np.count_nonzero(part >= COUNT_BASE):
        _carry(counts)


def add_scores(counts: Array, ids: Array) -> None:
    """Add 1 to each cell as often as its id occurs, in place, and to the total."""
    low = counts[1]
    if ids.size > low.size:
        low += np.bincount(ids, minlength=low.size).astype(np.int32)
    else:
        np.add.at(low, ids, _ONE)
    total = int(low[-1]) + ids.size
    low[-1] = total
    # No cell has more than the total.
    if total >= COUNT_BASE:
        _carry(counts)


def _carry(counts: Array) -> None:
    high, low = counts
    high += low >> COUNT_BITS
    low &= COUNT_BASE - 1
