"""What a metric has computed: a matrix, a value a class or a bin, or one value."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from multiback.errors import ArgumentError
from multiback.metrics.plots.axes import (
    MOST_NAMES,
    Array,
    name_ticks,
    new_axes,
    show_range,
)

# Above this share of the largest cell its color is dark.
DARK = 0.6


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
    figure, ax = new_axes(ax, (max(4.8, side), max(4.0, side - 0.8)))
    largest = float(np.nanmax(matrix, initial=0.0)) or 1.0
    image = ax.imshow(matrix, cmap="Blues", vmin=0.0, vmax=largest, aspect="auto")
    figure.colorbar(image, ax=ax)
    if max(matrix.shape) <= MOST_NAMES:
        whole = bool(np.all(matrix == np.round(matrix)))
        for (row, column), number in np.ndenumerate(matrix):
            text = f"{number:.0f}" if whole else f"{number:.2f}"
            color = "white" if number > DARK * largest else "black"
            ax.text(column, row, text, ha="center", va="center", color=color)
    name_ticks(ax.xaxis, columns)
    name_ticks(ax.yaxis, rows)
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
    figure, ax = new_axes(ax)
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
    figure, ax = new_axes(ax, (max(4.8, 1.5 + 0.4 * min(len(values), MOST_NAMES)), 3.6))
    ax.bar(np.arange(len(values)), values)
    for place, value in enumerate(values if few else ()):
        text = "undefined" if math.isnan(value) else f"{value:.3g}"
        height = 0.0 if math.isnan(value) else max(value, 0.0)
        turned = 90 if math.isnan(value) else 0
        ax.text(
            place, height, text, ha="center", va="bottom", rotation=turned, size="small"
        )
    ax.set_xlim(-0.6, len(values) - 0.4)  # Matplotlib leaves no room for a bar of NaN.
    name_ticks(ax.xaxis, names)
    show_range(ax, value_range)
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
    figure, ax = new_axes(ax, (3.2, 3.6))
    ax.plot([0], [value], "o", ms=10, label=name)
    ax.set_xticks([0], [name])
    ax.set_xlim(-1, 1)
    show_range(ax, value_range)
    ax.set_title(f"{name} {value:.4f}")
    return figure, ax
