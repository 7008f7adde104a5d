"""One HTML file about the runs of a directory: curves, decisions, what is on the disk.

Bokeh draws the curves and ships its JavaScript in its wheel, so the file opens without
a network. Every name that comes from a file is escaped by Jinja or drawn as text.
"""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

from multiback.errors import MissingPackageError
from multiback.show.story import Decision, Story

try:
    from bokeh.embed import components
    from bokeh.models import ColumnDataSource, HoverTool
    from bokeh.models.annotations import Legend, Span
    from bokeh.plotting import figure
    from bokeh.resources import Resources
    from jinja2 import Environment, PackageLoader
except ImportError as error:
    raise MissingPackageError(
        "A report needs Bokeh, which is not installed. Run "
        'pip install "multiback[report]"'
    ) from error

# Colours after Okabe and Ito: distinct for colour-blind users, on white and on black.
COLOURS = ("#3a8fd0", "#d9702b", "#22a07a", "#c474a6", "#c2951c", "#8795a5")
# Has the same contrast, 4.2, with the page's light and dark paper.
_INK = "#7c7c7c"
# Keeps the file below 2 MB.
_MOST_POINTS, _MOST_FIGURES, _MOST_RUNS = 400, 24, 6


def render(stories: Sequence[Story], checks: Sequence[tuple[str, str]] = ()) -> str:
    """Return the page of some runs, the most important one first.

    `checks` are tables of a cross-check or an audit, as (title, text).
    """
    shown = list(stories)[:_MOST_RUNS]
    names = _base_names(shown)
    plots = [_figure(name, shown) for name in names[:_MOST_FIGURES]]
    script, divs = components(plots, wrap_script=True) if plots else ("", ())
    pages = Environment(loader=PackageLoader("multiback.show"), autoescape=True)
    page: str = pages.get_template("report.html").render(
        stories=[_facts(story) for story in shown],
        left_out={
            "runs": len(stories) - len(shown),
            "metrics": len(names[len(divs) :]),
        },
        # Bokeh's own markup and code, which holds names only as JSON.
        library=Resources(mode="inline", components=["bokeh"]).render_js(),
        script=script,
        figures=[
            {"name": name, "div": div, "alt": _alt(name, shown)}
            for name, div in zip(names, divs, strict=False)
        ],
        checks=checks,
        written=dt.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
    )
    return page


def _base_names(stories: Sequence[Story]) -> list[str]:
    """List the metrics without the prefix of a validation set, the monitored first."""
    names = [name for story in stories for name in story.names]
    return list(dict.fromkeys(name.removeprefix("val_") for name in names))


def _figure(name: str, stories: Sequence[Story]) -> Any:
    """Draw one metric of every run, in training and in validation."""
    plot = figure(
        height=320,
        sizing_mode="stretch_width",
        tools="pan,box_zoom,wheel_zoom,reset,save",
        active_scroll=None,
        x_axis_label="epoch",
        y_axis_label=name,
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=_INK,
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    for axis in plot.axis:
        axis.axis_line_color = axis.major_tick_line_color = _INK
        axis.major_label_text_color = axis.axis_label_text_color = _INK
        axis.major_label_text_font_size = axis.axis_label_text_font_size = "13px"
        axis.minor_tick_line_color = None
    plot.xaxis.ticker.min_interval = 1  # There is no half epoch.
    plot.y_range.range_padding = 0.15  # Room for a star on the best value.
    plot.grid.grid_line_color, plot.grid.grid_line_alpha = _INK, 0.2
    rows = []
    for story, colour in zip(stories, COLOURS, strict=False):
        for series, dash in ((f"val_{name}", "solid"), (name, "dotted")):
            epochs, values = _thinned(*story.series(series))
            if not epochs:
                continue
            label = series if len(stories) == 1 else f"{series}, {story.run_id}"
            data = {"epoch": epochs, "value": values, "name": label}
            line = _line(plot, story.run_id, data, color=colour, line_dash=dash)
            rows.append((label, [line, *_marks(plot, story, series, colour)]))
        for one in story.epochs:
            if one.redone or one.pause:
                plot.add_layout(
                    Span(
                        location=one.epoch - 0.5,
                        dimension="height",
                        line_color=colour,
                        line_dash="dashed",
                        line_alpha=0.6,
                    )
                )
    legend = Legend(
        items=rows,
        click_policy="hide",
        orientation="horizontal",
        spacing=20,
        ncols=2,
        background_fill_alpha=0,
        border_line_alpha=0,
        label_text_color=_INK,
        label_text_font_size="13px",
    )
    plot.add_layout(legend, "below")
    return plot


def _line(plot: Any, run_id: str, data: dict[str, Any], **style: Any) -> Any:
    """Draw a curve that shows its name, run, epoch and value under the mouse."""
    count = len(data["epoch"])
    data = {**data, "name": [data["name"]] * count, "run": [run_id] * count}
    line = plot.line(
        "epoch", "value", source=ColumnDataSource(data), line_width=2, **style
    )
    tips = [
        ("", "@name"),
        ("run", "@run"),
        ("epoch", "@epoch"),
        ("value", "@value{0.000000}"),
    ]
    plot.add_tools(HoverTool(renderers=[line], tooltips=tips))
    return line


def _marks(plot: Any, story: Story, series: str, colour: str) -> list[Any]:
    """Mark the epochs whose checkpoint is on the disk, the best by a star."""
    if not series.startswith("val_") and f"val_{series}" in story.names:
        return []
    value_at = dict(zip(*story.series(series), strict=True))
    kept = [one.epoch for one in story.kept if one.epoch in value_at]
    drawn = [
        plot.scatter(
            kept,
            [value_at[epoch] for epoch in kept],
            size=9,
            color=colour,
            fill_alpha=0.2,
            line_width=2,
        )
    ]
    best = story.best
    if best is not None and best.epoch in value_at:
        drawn.append(
            plot.scatter(
                [best.epoch],
                [value_at[best.epoch]],
                marker="star",
                size=18,
                color=colour,
            )
        )
    return drawn


def _thinned(epochs: list[int], values: list[float]) -> tuple[list[int], list[float]]:
    """Keep each stretch's smallest and largest value where there are many.

    >>> _thinned([1, 2], [0.5, 0.6])
    ([1, 2], [0.5, 0.6])
    """
    if len(epochs) <= _MOST_POINTS:
        return epochs, values
    width = math.ceil(2 * len(epochs) / _MOST_POINTS)
    chosen = {0, len(epochs) - 1}
    for start in range(0, len(epochs), width):
        stretch = range(start, min(start + width, len(epochs)))
        chosen |= {
            min(stretch, key=values.__getitem__),
            max(stretch, key=values.__getitem__),
        }
    return [epochs[i] for i in sorted(chosen)], [values[i] for i in sorted(chosen)]


def _alt(name: str, stories: Sequence[Story]) -> str:
    """Describe a figure in words."""
    parts = []
    for story in stories:
        for series in (f"val_{name}", name):
            epochs, values = story.series(series)
            if epochs:
                parts.append(
                    f"{series} of run {story.run_id} from {values[0]:.4g} at epoch "
                    f"{epochs[0]} to {values[-1]:.4g} at epoch {epochs[-1]}, between "
                    f"{min(values):.4g} and {max(values):.4g}"
                )
                break
    return "; ".join(parts)


def _facts(story: Story) -> dict[str, Any]:
    """Describe a run in plain values, for the template."""
    newest = story.kept[-1] if story.kept else None
    times = [one.time for one in story.epochs if not math.isnan(one.time)]
    return {
        "run_id": story.run_id,
        "location": story.location,
        "monitor": story.monitor,
        "mode": {"max": "higher is better", "min": "lower is better", None: ""}[
            story.mode
        ],
        "epochs": len(story.epochs),
        "began": _when(times[0]) if times else "unknown",
        "ended": _when(times[-1]) if times else "unknown",
        "decisions": list(story.decisions),
        "turns": [one for one in story.decisions if _is_turn(one)],
        "resumes": [
            {"epoch": one.epoch, "redone": one.redone, "pause": _pause(one.pause)}
            for one in story.epochs
            if one.redone or one.pause
        ],
        "kept": [
            {
                "name": one.name,
                "epoch": one.epoch,
                "step": one.step,
                "score": one.extra.get("scores", {}).get(story.monitor),
                "size": _size(one.size),
                "saved": _when(one.created),
                "best": one is story.best,
            }
            for one in story.kept
        ],
        "best": story.best.location if story.best else None,
        "versions": dict(newest.versions) if newest else {},
        "backend": newest.backend if newest else None,
        "skipped": list(story.skipped),
    }


def _is_turn(decision: Decision) -> bool:
    return decision.outcome in ("first", "better", "tie", "nan")


def _when(time: float) -> str:
    return dt.datetime.fromtimestamp(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _pause(seconds: float) -> str:
    """Return a pause in words.

    >>> _pause(90.0), _pause(0.0), _pause(7200.0)
    ('1.5 minutes', '', '2.0 hours')
    """
    if not seconds:
        return ""
    if seconds < 3600:  # noqa: PLR2004 - an hour
        return f"{seconds / 60:.1f} minutes"
    return f"{seconds / 3600:.1f} hours"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - the unit itself
            return f"{count:.1f} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.1f} TiB"
