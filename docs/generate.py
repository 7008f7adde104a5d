"""Write docs/metrics.md: what each metric means, and who agrees with it.

    nox -s generate

It writes docs/reference/metrics.md too, the list of public names for the site,
docs/reference/command_line.md, and docs/images/metrics/, a picture of each metric that
has a shape of its own.

Keras's numbers depend on the backend in places; the page shows those under torch.
tests/test_docs.py compares the page with what this writes.
"""

import inspect
import math
import os
import warnings
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import command_reference
import disagreements
import fixed_data
import numpy as np
from metric_cases import cases, cell, of_keras, public_metrics
from metric_reference import draw, reference

from multiback.adapters.torchmetrics import crosscheck
from multiback.metrics.base.score_metric import ScoreMetric

PAGE = Path(__file__).with_name("metrics.md")
REFERENCE = PAGE.parent / "reference" / "metrics.md"
COMMANDS = REFERENCE.with_name("command_line.md")
HEAD = PAGE.with_name("metrics_head.md")

OTHERS = (
    "torchmetrics and scikit-learn (or NumPy, in float64, where it lacks a metric) "
    "have all at once. Keras's numbers are of its own metric of that name."
)


def number(value):
    """Write a number to four digits, of several the first four."""
    if value is None:
        return ""
    values = np.ravel(np.asarray(value, "float64"))
    return ", ".join(f"{x:.4g}" for x in values[:4]) + (", ..." * (len(values) > 4))


def summary_and_source(cls):
    """Return a docstring's first line and formula, and where they are from."""
    text = inspect.getdoc(cls) or ""
    source = text.split("Source:")[1].split("\n\n")[0] if "Source:" in text else ""
    summary, *paragraphs = text.split("\n\n")
    formula = [each for each in paragraphs if each.startswith("Formula: ")]
    return cell(" ".join([summary, *formula])), cell(source)


def catalogue():
    """List each metric's definition, direction and range."""
    lines = [
        "## Catalogue",
        "",
        "| metric | definition | better | range | source |",
        "|---|---|---|---|---|",
    ]
    better = {"max": "higher", "min": "lower", None: "neither"}
    for name, cls in public_metrics().items():
        summary, source = summary_and_source(cls)
        low, high = cls.value_range
        ends = f"{'[' if math.isfinite(low) else '('}{low:g}, {high:g}"
        ends += "]" if math.isfinite(high) else ")"
        direction = better[cls.direction]
        lines.append(f"| `{name}` | {summary} | {direction} | {ends} | {source} |")
    return lines


def agreement():
    """Compare every metric with scikit-learn, torchmetrics and Keras."""
    lines = [
        "## Agreement",
        "",
        f"{fixed_data.ROWS} fixed rows, streamed in batches of 100. {OTHERS}",
        "",
        "| metric | task | multiback | scikit-learn | torchmetrics | Keras | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, task, metric, data in cases(fixed_data.plain()):
        (row,) = crosscheck(metric, data, batch_size=100)
        verdict = row.verdict
        if verdict == "agrees" and row.difference > 1e-5:
            verdict = "agrees within `bounds()`"
        if not verdict.startswith("agrees"):
            verdict += f": {row.reason.split(';')[0]}"
        other = of_keras(name, task, data)
        if not same(row.sklearn, other):
            verdict += f", Keras is {abs(float(row.sklearn) - float(other)):.1g} off"
        numbers = (row.value, row.sklearn, row.torchmetrics, other)
        shown = " | ".join(number(value) for value in numbers)
        lines.append(f"| `{name}` | {task} | {shown} | {cell(verdict)} |")
    return lines


def edges():
    """Say what each metric is worth of no data, and where one score is NaN."""
    lines = {}
    for name, _task, metric, data in cases(fixed_data.plain(), capacity=20):
        nothing = number(metric.result())
        given = [part[:20].copy() for part in data]
        given[-1][0] = np.nan
        metric.update_state(*given)
        broken = np.isnan(metric.result()).any()
        lines[name] = f"| `{name}` | {nothing} | {'NaN' if broken else 'a miss'} |"
    intro = (
        "What metrics with their default arguments are worth of no data (0 is "
        "`zero_division=`, where a metric has it), and what a row of NaN scores makes: "
        "a miss of its label, or NaN of the whole."
    )
    return [
        "## The edges",
        "",
        intro,
        "",
        "| metric | no data | NaN scores |",
        "|---" * 3 + "|",
        *lines.values(),
    ]


def hard_agreement():
    """List what differs where labels or scores are not as they should be."""
    lines, compared = [], 0
    for case, data in fixed_data.odd().items():
        for name, task, metric, given in cases(data, capacity=1024):
            if case == "one class only" and isinstance(metric, ScoreMetric):
                continue  # The known disagreements have it.
            (row,) = crosscheck(metric, given, batch_size=16)
            others = (row.sklearn, row.torchmetrics, of_keras(name, task, given))
            compared += 1
            if not all(same(row.value, other) for other in others):
                shown = " | ".join(map(number, (row.value, *others)))
                why = cell(fixed_data.WHY.get(name, row.reason.split(";")[0]))
                lines.append(f"| `{name}` | {task} | {case} | {shown} | {why} |")
    intro = (
        f"{compared} comparisons on {fixed_data.FEW} fixed rows: "
        f"{'; '.join(fixed_data.odd())}. These {len(lines)} differ; in the others all "
        "libraries that have the metric give one number. What ranks the scores of one "
        "class only stands below."
    )
    columns = "metric | task | case | multiback | scikit-learn | torchmetrics | Keras"
    return [
        "## Where the data are odd",
        "",
        intro,
        "",
        f"| {columns} | why |",
        "|---" * 8 + "|",
        *lines,
    ]


def same(value, other):
    """Return whether another library has no number or the same one."""
    return other is None or np.allclose(
        value, other, rtol=1e-5, atol=1e-5, equal_nan=True
    )


def known_disagreements():
    """Show where the libraries differ, as numbers."""
    lines = [
        "## Known disagreements",
        "",
        "The right number is that of float64 NumPy or scikit-learn.",
        "",
        "| case | right | multiback | torchmetrics | Keras |",
        "|---|---|---|---|---|",
    ]
    for case, *numbers in disagreements.rows():
        lines.append(f"| {case} | {' | '.join(map(number, numbers))} |")
    return lines


def static_part():
    """Return what does not depend on numbers."""
    return "\n".join([HEAD.read_text(), *catalogue(), ""])


def page():
    """Return the whole page."""
    with warnings.catch_warnings():
        # The other libraries say in words what the page shows as numbers.
        warnings.simplefilter("ignore")
        return _page()


def _page():
    parts = (agreement(), edges(), hard_agreement(), known_disagreements())
    return "\n".join([static_part(), *(line for part in parts for line in (*part, ""))])


if __name__ == "__main__":
    PAGE.write_text(page())
    REFERENCE.write_text(reference())
    COMMANDS.write_text(command_reference.page())
    draw()
