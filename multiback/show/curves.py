"""Curves of a run as a matplotlib figure."""

import math
from typing import Any

from multiback.errors import ArgumentError, MissingPackageError
from multiback.show.story import Story, read_story
from multiback.store import Place


def plot(
    dirpath: Place, metrics: list[str] | str | None = None, *, run: str | None = None
) -> tuple[Any, Any]:
    """Draw the metrics of a run over its epochs, and mark the kept checkpoints.

    A ring is a checkpoint on the disk, a star the best one, a dashed vertical line a
    place where the run was interrupted and resumed. The dotted line is training.

    Args:
        dirpath: The run directory, or its URL.
        metrics: Names without the prefix `val_`; all metrics by default.
        run: A run's id; the run that began last by default.

    Returns:
        `(figure, axes)` of matplotlib; `axes` is an array with one for each metric.

    Raises:
        ArgumentError: A metric was never logged.
        MissingPackageError: matplotlib is not installed.
        NoCheckpointError: There is no such run.

    Examples:
        >>> import multiback as mb
        >>> figure, axes = mb.plot("runs/tumour", "f1_score")  # doctest: +SKIP
    """
    try:
        import matplotlib.pyplot as plt  # noqa: PLC0415 - optional
    except ImportError as error:
        raise MissingPackageError(
            "multiback.plot needs matplotlib, which is not installed. Run "
            'pip install "multiback[plot]"'
        ) from error
    story = read_story(dirpath, run)
    known = list(dict.fromkeys(name.removeprefix("val_") for name in story.names))
    wanted = (
        known if metrics is None else [metrics] if isinstance(metrics, str) else metrics
    )
    wanted = [name.removeprefix("val_") for name in wanted]
    for name in wanted:
        if name not in known:
            raise ArgumentError(
                f"metrics= wants names of {', '.join(known) or '(nothing)'}, not "
                f"{name!r}."
            )
    columns = min(3, max(1, len(wanted)))
    rows = max(1, math.ceil(len(wanted) / columns))
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(4.5 * columns, 3.2 * rows),
        squeeze=False,
        layout="constrained",
    )
    for name, axis in zip(wanted, axes.flat, strict=False):
        _draw(axis, story, name)
    for axis in list(axes.flat)[len(wanted) :]:
        axis.set_axis_off()
    figure.suptitle(f"run {story.run_id}")
    return figure, axes.reshape(-1)[: len(wanted)]


def _draw(axis: Any, story: Story, name: str) -> None:
    """Draw one metric, in training and in validation."""
    for series, style in ((f"val_{name}", "-"), (name, ":")):
        epochs, values = story.series(series)
        if epochs:
            axis.plot(epochs, values, style, color="C0", label=series)
    shown = f"val_{name}" if f"val_{name}" in story.names else name
    value_at = dict(zip(*story.series(shown), strict=True))
    kept = [one.epoch for one in story.kept if one.epoch in value_at]
    heights = [value_at[epoch] for epoch in kept]
    axis.plot(kept, heights, "o", mfc="none", color="C1", label="kept")
    if story.best is not None and story.best.epoch in value_at:
        at = story.best.epoch
        axis.plot([at], [value_at[at]], "*", ms=14, color="C1", label="best")
    for one in story.epochs:
        if one.redone or one.pause:
            axis.axvline(one.epoch - 0.5, ls="--", lw=1, color="0.5")
    axis.set_xlabel("epoch")
    axis.set_title(name)
    axis.legend(fontsize="small")
