"""Write docs/metrics.md: what each metric means, and who agrees with it.

    KERAS_BACKEND=torch python docs/generate.py

It writes docs/reference/metrics.md too, the list of public names for the site, and
docs/images/metrics/, a picture of each metric that has a shape of its own.

Keras's numbers depend on the backend in places; the page shows those under torch.
tests/test_docs.py compares the page with what this writes.
"""

import inspect
import math
import os
import warnings
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import disagreements
import fixed_data
import keras
import numpy as np

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck
from multiback.metrics import plots
from multiback.metrics.base.score_metric import ScoreMetric

PAGE = Path(__file__).with_name("metrics.md")
REFERENCE = PAGE.parent / "reference" / "metrics.md"
IMAGES = PAGE.parent / "images" / "metrics"
CLASSES = {"task": "multiclass", "num_classes": 4}
LABELS = {"task": "multilabel", "num_labels": 3}

# Metrics that want to know more than their task.
NEEDED = {
    "MultiScaleStructuralSimilarity": {"betas": [0.5, 0.5]},
    "HitRate": {"k": 2},
    "KendallTau": {"capacity": 400},
    "PrecisionAtK": {"k": 2},
    "PrecisionAtRecall": {"recall": 0.8},
    "RecallAtK": {"k": 2},
    "RecallAtPrecision": {"precision": 0.8},
    "SensitivityAtSpecificity": {"specificity": 0.8},
    "SpearmanCorrelation": {"capacity": 400},
    "SpecificityAtSensitivity": {"sensitivity": 0.8},
}
# What `plot` draws of it says more than one bar; with the data that it is drawn from.
PICTURES = {
    "AUROC": "binary",
    "AveragePrecision": "binary",
    "CalibrationError": "binary",
    "ConfusionMatrix": "multiclass",
    "EqualErrorRate": "binary",
    "F1Score": "multiclass",
    "JaccardIndex": "multiclass",
    "MaxFBeta": "binary",
    "PrecisionAtRecall": "binary",
    "Recall": "multilabel",
    "RecallAtPrecision": "binary",
    "SensitivityAtSpecificity": "binary",
    "SpecificityAtSensitivity": "binary",
}
# Boxes are compared with pycocotools, by the tests.
ROOMS = {
    "detection": {"boxes": {"num_classes": 2}},
    "images": {"images": {}},
    "retrieval": {"queries": {}},
}
KERAS = {
    "AUROC": keras.metrics.AUC,
    "Accuracy": keras.metrics.BinaryAccuracy,
    "AveragePrecision": lambda: keras.metrics.AUC(curve="PR"),
    "ConcordanceCorrelation": lambda: keras.metrics.ConcordanceCorrelation(axis=0),
    "JaccardIndex": lambda: keras.metrics.BinaryIoU(target_class_ids=[1]),
    "LogLoss": keras.metrics.BinaryCrossentropy,
    "MeanAbsoluteError": keras.metrics.MeanAbsoluteError,
    "MeanSquaredError": keras.metrics.MeanSquaredError,
    "MeanSquaredLogarithmicError": keras.metrics.MeanSquaredLogarithmicError,
    "PearsonCorrelation": lambda: keras.metrics.PearsonCorrelation(axis=0),
    "Precision": keras.metrics.Precision,
    "PrecisionAtRecall": lambda: keras.metrics.PrecisionAtRecall(0.8),
    "R2Score": keras.metrics.R2Score,
    "Recall": keras.metrics.Recall,
    "RecallAtPrecision": lambda: keras.metrics.RecallAtPrecision(0.8),
    "RootMeanSquaredError": keras.metrics.RootMeanSquaredError,
    "SensitivityAtSpecificity": lambda: keras.metrics.SensitivityAtSpecificity(0.8),
    "SpecificityAtSensitivity": lambda: keras.metrics.SpecificityAtSensitivity(0.8),
}

OTHERS = (
    "torchmetrics and scikit-learn (or NumPy, in float64, where it lacks a metric) "
    "have all at once. Keras's numbers are of its own metric of that name."
)

HEAD = """<!-- Written by docs/generate.py: change that, or the docstrings. -->
# The metrics

What each metric means, its conventions, and which libraries give the same number. Their
arguments are in the [reference](reference/metrics.md).

## Conventions

- **Labels** are compared as integers. Values never raise: a label that the task does
  not know makes the result NaN, and the first result outside of a compiled step warns
  with the cause and its cure. `metric.unusable()` returns how many there are by cause.
- **One-hot** rows of integers on both sides are classes. Sequences of ids whose length
  is `num_classes` look the same: give the labels a last axis of 1.
- **Soft labels** have a `LogLoss`, `Perplexity` and `BrierScore`; other metrics take
  class ids.
- **Thresholds**: positive is `score > threshold`. Of equal scores of classes the
  first is the largest. A NaN score is never a hit.
- **Logits** are never guessed: pass `from_logits=True`. A probability outside of
  [0, 1] makes a ranking or a loss NaN; a threshold takes it as it is. Both warn.
- **Averages**: "macro" leaves out classes with neither a label nor a prediction (for
  ranking metrics: without positives or negatives). `zero_division` is explicit, and
  nothing has an epsilon in its denominator.
- **`task`** need not be given for one score an element: a vector, or a last axis of 1,
  is "binary". Any other `y_pred` wants `task=`, which is never guessed.
- **`ignore_index`** removes the elements with a label, and with them the false
  positives on them; an ignored class leaves the macro average. It takes several labels.
- **`classes`** chooses the classes or labels that the value is of, while every element
  counts, as with scikit-learn's `labels=`: `JaccardIndex(task="multiclass",
  num_classes=4, classes=[1, 2, 3])` is the IoU without the background. A chosen class
  with neither a label nor a prediction still leaves the macro average.
- **Masks and weights** act on elements. Keras hands `sample_weight` and
  `class_weight` to `weighted_metrics=` only: metrics in `metrics=` cannot know that
  there were any. In `fit` on JAX Keras drops masks before metrics see them, though
  not in `evaluate`: mark padded labels with `ignore_index`, or give weights.
- **Negative weights** are taken for what they say, as scikit-learn takes them: they
  are subtracted. A ratio may leave its range then, and a ranking is NaN.
- **Numbers** are float32 as a rule, and sums are wider. Whole numbers beyond 2^24 are
  rounded to it before they are subtracted from such predictions: of targets with a
  large offset in common, give what is left without it. Scores below 1e-38 may count as
  0. A loss, a mean or a sum of infinite numbers, or beyond 3e38, is NaN: it is never
  the best.
- **Arrays**: metrics with `average=None` and a confusion matrix log arrays. Keras's
  progress bar shows the mean, which says nothing; monitor one ("val_recall[1]").
- **State** is exact: counts past 2^31, sums in two words, centred moments. States of
  devices, processes and files merge (`metric.statistic.merge`).
- **Strings** have no metrics here: BLEU, ROUGE and word error rates need a decoder and
  the texts themselves. Compute them in a callback that stands before `ModelCheckpoint`,
  write `logs["val_bleu"]` in its `on_epoch_end`, and monitor that name.
- **Ranking metrics** count scores in bins and know what that may cost: `bounds()`.
  Where it is much, a warning names `capacity=N`, which keeps N scores and is exact.
"""

REFERENCE_HEAD = """# Metrics

What each metric computes, its arguments and an example. [The catalogue](../metrics.md)
compares them with other libraries.
"""


def public_metrics():
    """Return every metric class by name."""
    classes = {name: getattr(mb.metrics, name) for name in mb.metrics.__all__}
    return {
        name: cls
        for name, cls in classes.items()
        if inspect.isclass(cls)
        and issubclass(cls, mb.metrics.Metric)
        and cls is not mb.metrics.Metric
    }


def cell(text):
    """Make a text fit into a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


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


def choices(name, cls):
    """Return the arguments of each kind of data that a metric is for."""
    if name in {"Max", "Mean", "Min", "Sum"}:
        return {"numbers": {}}
    if name == "TopKAccuracy":
        return {"multiclass": {"num_classes": 4, "top_k": 2}}
    room = cls.__module__.split(".")[2]
    if room in ROOMS:
        return ROOMS[room]
    if name in fixed_data.OF_POSITIVE:
        return {"positive": {}}
    if "task" not in inspect.signature(cls).parameters:
        return {"regression": {}}
    return {"binary": {"task": "binary"}, "multiclass": CLASSES, "multilabel": LABELS}


def cases(data, **more):
    """Yield `(name, task, metric, data)` for each metric on each task with data.

    Args:
        data: What to stream, by task.
        **more: Arguments for the metrics over ranked scores.
    """
    for name, cls in public_metrics().items():
        extra = NEEDED.get(name, {})
        if issubclass(cls, ScoreMetric) or "capacity" in extra:
            extra = {**extra, **more}
        for task, arguments in choices(name, cls).items():
            if task not in data:
                continue
            try:
                metric = cls(**extra, **arguments)
            except mb.errors.ArgumentError:  # No such task.
                continue
            yield name, task, metric, data[task]


def of_keras(name, task, data):
    """Return the value of Keras's metric of that kind, streamed alike, or None."""
    if name not in KERAS or task not in {"binary", "positive", "regression"}:
        return None
    metric = KERAS[name]()
    for start in range(0, len(data[0]), 100):
        metric.update_state(*(part[start : start + 100, None] for part in data))
    return keras.ops.convert_to_numpy(metric.result())


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
    """Tell whether another library has no number or the same one."""
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
    return "\n".join([HEAD, *catalogue(), ""])


def reference():
    """Return the page of the site that shows each public name's docstring."""
    objects = (getattr(mb.metrics, name) for name in mb.metrics.__all__)
    places = [f"{one.__module__}.{one.__name__}" for one in objects]
    shown = dict.fromkeys(places, "false")
    shown["multiback.metrics.base.metric.Metric"] = "[interval, plot, unusable]"
    shown["multiback.metrics.plots"] = f"[{', '.join(plots.__all__)}]"
    entries = (
        f"::: {place}\n    options: {{members: {members}}}\n" + picture(place)
        for place, members in sorted(shown.items())
        if not place.startswith("multiback.errors.")  # These have a page of their own.
    )
    return "\n".join([REFERENCE_HEAD, *entries])


def picture(place):
    """Return the line that shows a metric's picture, or ""."""
    name = place.rpartition(".")[2]
    if name not in PICTURES:
        return ""
    return f"\n![What plot() draws of {name}](../images/metrics/{name}.png)\n"


def draw():
    """Write a picture of each metric of `PICTURES`."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    data = fixed_data.plain()
    for name, kind in PICTURES.items():
        arguments = {"binary": {}, "multiclass": CLASSES, "multilabel": LABELS}[kind]
        shape = (
            {"average": None} if kind != "binary" and name != "ConfusionMatrix" else {}
        )
        more = NEEDED.get(name, {})
        metric = getattr(mb.metrics, name)(**arguments, **shape, **more)
        metric.update_state(*data[kind])
        figure, _ = metric.plot()
        figure.savefig(IMAGES / f"{name}.png", dpi=72, bbox_inches="tight")


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
    draw()
