"""Curves over all thresholds: ROC, and precision against recall."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from multiback.metrics.plots.axes import Array, new_axes

# More names in a legend cannot be read.
MOST_IN_LEGEND = 10


def roc(
    curves: Mapping[str, tuple[Array, Array, Array]],
    *,
    thresholds: Mapping[str, float] | None = None,
    at_least: tuple[str, float] | None = None,
    title: str = "",
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draw ROC curves and the diagonal of chance.

    Args:
        curves: For each label of the legend `(false positive rate, true positive rate,
            thresholds)`, float arrays of one length, as scikit-learn's `roc_curve` and
            `metric.roc_curve()` return them.
        thresholds: For some of the labels a threshold. The point of the smallest
            threshold that is at least as large is marked.
        at_least: "sensitivity" or "specificity", and what it has to be at least: a
            dotted line.
        title: Title of the picture.
        ax: Axes of matplotlib to draw on; None makes a figure.

    Returns:
        `(figure, axes)` of matplotlib.

    Raises:
        MissingPackageError: matplotlib is not installed.

    Examples:
        >>> import numpy as np
        >>> curve = np.array([0, 0, 1]), np.array([0, 0.5, 1]), np.array([2, 0.8, 0.1])
        >>> figure, axes = roc({"cat": curve}, thresholds={"cat": 0.8})
        >>> axes.get_legend_handles_labels()[1]
        ['chance', 'cat', 'threshold 0.8: FPR 0.000, TPR 0.500']
    """
    figure, ax = new_axes(ax)
    ax.plot([0, 1], [0, 1], "--", color="0.6", lw=1, label="chance")
    for label, (fpr, tpr, at) in curves.items():
        ax.plot(fpr, tpr, label=label)
        _mark(ax, {"FPR": fpr, "TPR": tpr}, at, (thresholds or {}).get(label))
    if at_least is not None:
        across = at_least[0] == "sensitivity"
        _limit(ax, at_least, at_least[1] if across else 1 - at_least[1], across=across)
    _finish_curves(ax, len(curves), title)
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    return figure, ax


def precision_recall(
    curves: Mapping[str, tuple[Array, Array, Array]],
    *,
    thresholds: Mapping[str, float] | None = None,
    at_least: tuple[str, float] | None = None,
    title: str = "",
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draw precision against recall, in steps: nothing lies between two points.

    A single curve has the share of positives beside it, the precision of chance.

    Args:
        curves: For each label of the legend `(precision, recall, thresholds)`, float
            arrays, from the lowest threshold up, with one threshold fewer, as
            scikit-learn's `precision_recall_curve` and
            `metric.precision_recall_curve()` return them.
        thresholds: For some of the labels a threshold. The point of the smallest
            threshold that is at least as large is marked.
        at_least: "precision" or "recall", and what it has to be at least: a dotted
            line.
        title: Title of the picture.
        ax: Axes of matplotlib to draw on; None makes a figure.

    Returns:
        `(figure, axes)` of matplotlib.

    Raises:
        MissingPackageError: matplotlib is not installed.

    Examples:
        >>> import numpy as np
        >>> curve = np.array([0.5, 1, 1]), np.array([1, 0.5, 0]), np.array([0.1, 0.8])
        >>> figure, axes = precision_recall({"cat": curve}, thresholds={"cat": 0.8})
        >>> axes.get_legend_handles_labels()[1]
        ['chance: 0.5 positive', 'cat', 'threshold 0.8: recall 0.500, precision 1.000']
    """
    figure, ax = new_axes(ax)
    for label, (precision, recall, at) in curves.items():
        if len(curves) == 1 and len(precision) > 1:
            share = float(precision[0])
            ax.axhline(
                share, ls="--", color="0.6", lw=1, label=f"chance: {share:.2g} positive"
            )
        ax.plot(recall, precision, drawstyle="steps-post", label=label)
        rates = {"recall": recall, "precision": precision}
        _mark(ax, rates, at, (thresholds or {}).get(label))
    if at_least is not None:
        _limit(ax, at_least, at_least[1], across=at_least[0] == "precision")
    _finish_curves(ax, len(curves), title)
    ax.set(xlabel="recall", ylabel="precision")
    return figure, ax


def _mark(
    ax: Any, rates: Mapping[str, Array], at: Array, threshold: float | None
) -> None:
    """Mark the point of a curve that a threshold makes, if there is one."""
    if threshold is None or not math.isfinite(threshold):
        return
    above = np.where(at >= threshold, at, np.inf)
    place = int(np.argmin(above))
    if not math.isfinite(above[place]):
        return
    reached = ", ".join(f"{name} {rate[place]:.3f}" for name, rate in rates.items())
    label = f"threshold {threshold:.4g}: {reached}"
    x, y = (rate[[place]] for rate in rates.values())
    color = ax.lines[-1].get_color()
    ax.plot(x, y, "o", ms=8, color=color, mec="black", label=label)


def _limit(ax: Any, at_least: tuple[str, float], place: float, *, across: bool) -> None:
    """Draw what a rate has to be at least."""
    line = ax.axhline if across else ax.axvline
    line(place, ls=":", color="black", lw=1, label="{} >= {:g}".format(*at_least))


def _finish_curves(ax: Any, count: int, title: str) -> None:
    """Set what curves in the unit square have in common."""
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), title=title)
    if count <= MOST_IN_LEGEND:
        ax.legend(fontsize="small")
    else:
        text = f"{count} curves; column= draws one"
        ax.text(0.98, 0.02, text, ha="right", va="bottom", size="small")
