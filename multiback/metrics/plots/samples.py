"""Labels and predictions themselves, as they are before a metric counts them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from multiback.errors import ArgumentError
from multiback.metrics.plots.axes import Array, new_axes


def scores_by_class(
    y_true: Any,
    y_pred: Any,
    threshold: float | None = None,
    *,
    bins: int = 40,
    class_names: Sequence[str] | None = None,
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draw how the scores of each class are distributed, and the threshold.

    Each class's bars add up to 1, so that a rare class can be seen. Scores that are
    not finite are left out, and the title says how many.

    Args:
        y_true: Class ids of any shape, 0 or 1 for a binary task.
        y_pred: One score an element, probability or logit, in the shape of `y_true`.
        threshold: Where to draw a line, such as `metric.threshold()`.
        bins: Number of bars between the smallest and the largest score.
        class_names: A name for each class id from 0 up.
        ax: Axes of matplotlib to draw on; None makes a figure.

    Returns:
        `(figure, axes)` of matplotlib.

    Raises:
        ArgumentError: The shapes differ, or there is no finite score, or a class has no
            name.
        MissingPackageError: matplotlib is not installed.

    Examples:
        >>> figure, axes = scores_by_class([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.5)
        >>> axes.get_legend_handles_labels()[1]
        ['class 0', 'class 1', 'threshold 0.5']
    """
    labels, scores, gone = _pairs(y_true, y_pred)
    ids = np.unique(labels)
    if class_names is not None and not (ids[0] >= 0 and ids[-1] < len(class_names)):
        raise ArgumentError(
            f"class_names= wants a name for each class from 0 to {ids[-1]:g}, not "
            f"{len(class_names)} names."
        )
    figure, ax = new_axes(ax)
    edges = np.histogram_bin_edges(scores, bins)
    for one in ids:
        mine = scores[labels == one]
        name = f"class {one:g}" if class_names is None else class_names[int(one)]
        weights = np.full(mine.shape, 1.0 / mine.size)
        ax.hist(mine, edges, weights=weights, alpha=0.55, label=name)
    if threshold is not None:
        ax.axvline(
            threshold, ls="--", color="black", lw=1, label=f"threshold {threshold:.4g}"
        )
    ax.set(xlabel="score", ylabel="share of the class", title=_left_out(gone))
    ax.legend(fontsize="small")
    return figure, ax


def regression(y_true: Any, y_pred: Any, *, ax: Any = None) -> tuple[Any, Any]:
    """Draw predictions against targets, and the line on which they are equal.

    Pairs that are not finite are left out, and the title says how many.

    Args:
        y_true: Targets of any shape.
        y_pred: Predictions, in the shape of `y_true`.
        ax: Axes of matplotlib to draw on; None makes a figure.

    Returns:
        `(figure, axes)` of matplotlib.

    Raises:
        ArgumentError: The shapes differ, or no pair is finite.
        MissingPackageError: matplotlib is not installed.

    Examples:
        >>> figure, axes = regression([1.0, 2.0, 3.0], [1.1, 1.9, 3.2])
        >>> axes.collections[0].get_offsets().tolist()
        [[1.0, 1.1], [2.0, 1.9], [3.0, 3.2]]
    """
    targets, predictions, gone = _pairs(y_true, y_pred)
    figure, ax = new_axes(ax)
    both = np.concatenate([targets, predictions])
    ends = [float(both.min()), float(both.max())]
    ax.plot(ends, ends, "--", color="0.6", lw=1, label="prediction = target")
    ax.set_aspect("equal", adjustable="datalim")
    alpha = float(np.clip(500 / targets.size, 0.1, 0.8))
    ax.scatter(targets, predictions, s=12, alpha=alpha, linewidths=0)
    ax.set(xlabel="target", ylabel="prediction", title=_left_out(gone))
    ax.legend(fontsize="small")
    return figure, ax


def _pairs(y_true: Any, y_pred: Any) -> tuple[Array, Array, int]:
    """Return flat finite pairs in float64, and how many are left out."""
    true, pred = (np.asarray(each, dtype="float64") for each in (y_true, y_pred))
    if true.shape != pred.shape:
        raise ArgumentError(
            f"y_pred= wants the shape of y_true, {true.shape}, not {pred.shape}."
        )
    finite = np.isfinite(true) & np.isfinite(pred)
    if not finite.any():
        raise ArgumentError("y_pred= wants at least one finite pair with y_true.")
    return true[finite], pred[finite], int(np.sum(~finite))


def _left_out(count: int) -> str:
    return f"{count} not finite, left out" if count else ""
