"""Pictures of metrics, drawn by matplotlib from NumPy arrays.

`metric.plot()` calls these functions with what the metric has counted. They take plain
arrays, so that they draw the numbers of any other source as well.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multiback.errors import ArgumentError, MissingPackageError

Array = np.ndarray[Any, Any]

__all__ = [
    "bars",
    "calibration",
    "heat_map",
    "point",
    "precision_recall",
    "regression",
    "roc",
    "scores_by_class",
]

# More names in a legend, or numbers in a picture, cannot be read.
MOST_IN_LEGEND = 10
MOST_NAMES = 30
# Pictures beside each other.
PANELS = 4
# Above this share of the largest cell its color is dark.
DARK = 0.6
# More letters below an axis would run into each other.
MOST_LETTERS = 40


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
    figure, ax = _axes(ax)
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
    figure, ax = _axes(ax)
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


def heat_map(
    matrix: Array,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    xlabel: str = "predicted",
    ylabel: str = "label",
    title: str = "",
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draw a matrix as colors with its numbers, such as a confusion matrix.

    Args:
        matrix: Numbers of shape `(rows, columns)`.
        rows: A name for each row.
        columns: A name for each column.
        xlabel: What the columns are.
        ylabel: What the rows are.
        title: Title of the picture.
        ax: Axes of matplotlib to draw on; None makes a figure.

    Returns:
        `(figure, axes)` of matplotlib.

    Raises:
        ArgumentError: The names do not fit the shape.
        MissingPackageError: matplotlib is not installed.

    Examples:
        >>> import numpy as np
        >>> names = ["cat", "dog"]
        >>> figure, axes = heat_map(np.array([[5, 1], [0, 4]]), names, names)
        >>> [text.get_text() for text in axes.texts]
        ['5', '1', '0', '4']
    """
    matrix = np.asarray(matrix, dtype="float64")
    if matrix.shape != (len(rows), len(columns)):
        raise ArgumentError(
            f"matrix= wants shape {(len(rows), len(columns))}, one row and column a "
            f"name, not {matrix.shape}."
        )
    side = 2.4 + 0.45 * min(max(matrix.shape), MOST_NAMES)
    figure, ax = _axes(ax, (max(4.8, side), max(4.0, side - 0.8)))
    largest = float(np.nanmax(matrix, initial=0.0)) or 1.0
    image = ax.imshow(matrix, cmap="Blues", vmin=0.0, vmax=largest, aspect="auto")
    figure.colorbar(image, ax=ax)
    if max(matrix.shape) <= MOST_NAMES:
        whole = bool(np.all(matrix == np.round(matrix)))
        for (row, column), number in np.ndenumerate(matrix):
            text = f"{number:.0f}" if whole else f"{number:.2f}"
            color = "white" if number > DARK * largest else "black"
            ax.text(column, row, text, ha="center", va="center", color=color)
    _name_ticks(ax.xaxis, columns)
    _name_ticks(ax.yaxis, rows)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return figure, ax


def calibration(
    confidence: Array,
    hits: Array,
    share: Array,
    *,
    xlabel: str = "predicted probability",
    ylabel: str = "share of positives",
    title: str = "",
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draw a reliability diagram, and the share of samples in each bin as bars.

    Args:
        confidence: Mean confidence of each bin, `(bins,)` in [0, 1]; NaN where a bin is
            empty. Bins have equal width.
        hits: Share of hits of each bin, `(bins,)`.
        share: Share of all samples that each bin holds, `(bins,)`.
        xlabel: What confidence is.
        ylabel: What a hit is.
        title: Title of the picture.
        ax: Axes of matplotlib to draw on; None makes a figure.

    Returns:
        `(figure, axes)` of matplotlib.

    Raises:
        MissingPackageError: matplotlib is not installed.

    Examples:
        >>> import numpy as np
        >>> figure, axes = calibration(
        ...     np.array([0.25, 0.75]), np.array([0.5, 1.0]), np.array([0.4, 0.6])
        ... )
        >>> [float(bar.get_height()) for bar in axes.patches]
        [0.4, 0.6]
    """
    figure, ax = _axes(ax)
    width = 1.0 / len(share)
    left = np.arange(len(share)) * width
    ax.bar(left, share, width, align="edge", color="0.88", label="share of samples")
    ax.plot([0, 1], [0, 1], "--", color="0.6", lw=1, label="perfectly calibrated")
    held = ~np.isnan(confidence)
    ax.plot(confidence[held], hits[held], "o-", label=ylabel)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, xlim=(0, 1), ylim=(0, 1.02))
    ax.legend(fontsize="small", loc="upper left")
    return figure, ax


def bars(
    values: Array,
    names: Sequence[str],
    *,
    value_range: tuple[float, float] = (-math.inf, math.inf),
    title: str = "",
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draw one bar a class with its value; a class of NaN says that it is undefined.

    Args:
        values: Numbers of shape `(classes,)`.
        names: A name for each.
        value_range: Smallest and largest value that is possible.
        title: Title of the picture.
        ax: Axes of matplotlib to draw on; None makes a figure.

    Returns:
        `(figure, axes)` of matplotlib.

    Raises:
        MissingPackageError: matplotlib is not installed.

    Examples:
        >>> import numpy as np
        >>> figure, axes = bars(np.array([0.5, 0.75]), ["cat", "dog"])
        >>> [float(bar.get_height()) for bar in axes.patches]
        [0.5, 0.75]
    """
    few = len(values) <= MOST_NAMES
    figure, ax = _axes(ax, (max(4.8, 1.5 + 0.4 * min(len(values), MOST_NAMES)), 3.6))
    ax.bar(np.arange(len(values)), values)
    for place, value in enumerate(values if few else ()):
        text = "undefined" if math.isnan(value) else f"{value:.3g}"
        height = 0.0 if math.isnan(value) else max(value, 0.0)
        turned = 90 if math.isnan(value) else 0
        ax.text(
            place, height, text, ha="center", va="bottom", rotation=turned, size="small"
        )
    ax.set_xlim(-0.6, len(values) - 0.4)  # A bar of NaN makes no room for itself.
    _name_ticks(ax.xaxis, names)
    _show_range(ax, value_range)
    ax.set_title(title)
    return figure, ax


def point(
    value: float,
    name: str,
    *,
    value_range: tuple[float, float] = (-math.inf, math.inf),
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draw one value as a point within the range that is possible.

    Args:
        value: The number.
        name: What it is.
        value_range: Smallest and largest value that is possible.
        ax: Axes of matplotlib to draw on; None makes a figure.

    Returns:
        `(figure, axes)` of matplotlib.

    Raises:
        MissingPackageError: matplotlib is not installed.

    Examples:
        >>> figure, axes = point(0.75, "f1_score", value_range=(0.0, 1.0))
        >>> axes.get_title()
        'f1_score 0.7500'
    """
    figure, ax = _axes(ax, (3.2, 3.6))
    ax.plot([0], [value], "o", ms=10, label=name)
    ax.set_xticks([0], [name])
    ax.set_xlim(-1, 1)
    _show_range(ax, value_range)
    ax.set_title(f"{name} {value:.4f}")
    return figure, ax


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
    figure, ax = _axes(ax)
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
    figure, ax = _axes(ax)
    both = np.concatenate([targets, predictions])
    ends = [float(both.min()), float(both.max())]
    ax.plot(ends, ends, "--", color="0.6", lw=1, label="prediction = target")
    ax.set_aspect("equal", adjustable="datalim")
    alpha = float(np.clip(500 / targets.size, 0.1, 0.8))
    ax.scatter(targets, predictions, s=12, alpha=alpha, linewidths=0)
    ax.set(xlabel="target", ylabel="prediction", title=_left_out(gone))
    ax.legend(fontsize="small")
    return figure, ax


def panels(count: int, ax: Any = None) -> tuple[Any, Array]:
    """Make axes beside each other.

    Args:
        count: How many, at least two.
        ax: What the user gave to draw on.

    Returns:
        `(figure, axes)` of matplotlib; `axes` is an array of shape `(count,)`.

    Raises:
        ArgumentError: The user gave axes: there is one picture a class.
        MissingPackageError: matplotlib is not installed.
    """
    if ax is not None:
        raise ArgumentError(
            f"ax= wants one picture, but there are {count}. Pass column= beside it."
        )
    wide = min(count, PANELS)
    rows = math.ceil(count / wide)
    figure, axes = _pyplot().subplots(
        rows,
        wide,
        figsize=(3.6 * wide, 3.2 * rows),
        squeeze=False,
        layout="constrained",
    )
    for unused in axes.flat[count:]:
        unused.set_axis_off()
    return figure, axes.reshape(-1)[:count]


def choose_columns(
    ids: Sequence[int],
    columns: int,
    class_names: Sequence[str] | None,
    column: int | None,
    prefix: str = "",
) -> dict[int, str]:
    """Return which rows of an array are drawn, each with its name.

    Args:
        ids: The class of each row.
        columns: Number of classes that may have a name.
        class_names: The user's names, or None for the ids.
        column: The class that the user wants, or None for all.
        prefix: What precedes an id in place of a name.

    Raises:
        ArgumentError: There are more or fewer names, or the class has no row.
    """
    if class_names is not None and (
        isinstance(class_names, str) or len(class_names) != columns
    ):
        raise ArgumentError(
            f"class_names= wants a list of {columns} names, one a class, not "
            f"{class_names!r:.80}."
        )
    if column is not None and column not in ids:
        shown = f"0 to {columns - 1}" if len(ids) == columns else f"{list(ids)}"
        raise ArgumentError(f"column= wants one of the classes {shown}, not {column}.")
    return {
        row: f"{prefix}{one}" if class_names is None else str(class_names[one])
        for row, one in enumerate(ids)
        if column in (None, one)
    }


def _pyplot() -> Any:
    """Import matplotlib."""
    try:
        import matplotlib.pyplot as plt  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingPackageError(
            "Plots of metrics need matplotlib, which is not installed. Run "
            'pip install "multiback[plot]"'
        ) from error
    return plt


def _axes(ax: Any, size: tuple[float, float] = (4.8, 4.0)) -> tuple[Any, Any]:
    """Return the figure and axes to draw on."""
    if ax is None:
        figure, ax = _pyplot().subplots(figsize=size, layout="constrained")
        return figure, ax
    return ax.figure, ax


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


def _name_ticks(axis: Any, names: Sequence[str]) -> None:
    """Name the places 0, 1, ... of an axis, as many as can be read."""
    step = math.ceil(len(names) / MOST_NAMES)
    axis.set_ticks(range(0, len(names), step), list(names)[::step])
    if (
        axis.axis_name == "x"
        and max(map(len, names), default=0) * len(names) > MOST_LETTERS
    ):
        axis.set_tick_params(rotation=90)


def _show_range(ax: Any, value_range: tuple[float, float]) -> None:
    """Draw the ends of a range, as far as it has any, and make room for them."""
    ends = [end for end in value_range if math.isfinite(end)]
    for end in ends:
        ax.axhline(end, color="0.6", lw=1, ls=":")
    if len(ends) == 2:  # noqa: PLR2004 - a lower and an upper end
        room = 0.08 * (ends[1] - ends[0])
        ax.set_ylim(ends[0] - room, ends[1] + room)


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
