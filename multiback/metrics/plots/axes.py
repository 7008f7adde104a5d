"""The axes of a picture: made by matplotlib, named, and one a class."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from multiback.errors import ArgumentError, MissingPackageError

Array = np.ndarray[Any, Any]

# More names, or numbers in a picture, cannot be read.
MOST_NAMES = 30
# At most this many pictures in a row.
PANELS = 4
# More letters below an axis would run into each other.
MOST_LETTERS = 40


def panels(count: int, ax: Any = None) -> tuple[Any, Array]:
    """Make `count` axes of matplotlib beside each other; raise if the user gave one."""
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


def new_axes(ax: Any, size: tuple[float, float] = (4.8, 4.0)) -> tuple[Any, Any]:
    """Return the figure and axes to draw on."""
    if ax is None:
        figure, ax = _pyplot().subplots(figsize=size, layout="constrained")
        return figure, ax
    return ax.figure, ax


def name_ticks(axis: Any, names: Sequence[str]) -> None:
    """Name the places 0, 1, ... of an axis, as many as can be read."""
    step = math.ceil(len(names) / MOST_NAMES)
    axis.set_ticks(range(0, len(names), step), list(names)[::step])
    if (
        axis.axis_name == "x"
        and max(map(len, names), default=0) * len(names) > MOST_LETTERS
    ):
        axis.set_tick_params(rotation=90)


def show_range(ax: Any, value_range: tuple[float, float]) -> None:
    """Draw the ends of a range, as far as it has any, and make room for them."""
    ends = [end for end in value_range if math.isfinite(end)]
    for end in ends:
        ax.axhline(end, color="0.6", lw=1, ls=":")
    if len(ends) == 2:  # noqa: PLR2004 - a lower and an upper end
        room = 0.08 * (ends[1] - ends[0])
        ax.set_ylim(ends[0] - room, ends[1] + room)


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
