"""Write the list of public metrics for the site, and a picture of some."""

from pathlib import Path

import fixed_data
from metric_cases import CLASSES, LABELS, NEEDED

import multiback as mb
from multiback.metrics import plots

IMAGES = Path(__file__).parent / "images" / "metrics"
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
HEAD = """# Metrics

What each metric computes, its arguments and an example. [The catalogue](../metrics.md)
compares them with other libraries.
"""


def reference():
    """Return the page of the site that shows each public name's docstring."""
    objects = (getattr(mb.metrics, name) for name in mb.metrics.__all__)
    places = [f"{one.__module__}.{one.__name__}" for one in objects]
    shown = dict.fromkeys(places, "false")
    shown["multiback.metrics.base.metric.Metric"] = "[interval, plot, unusable]"
    shown["multiback.metrics.plots"] = f"[{', '.join(plots.__all__)}]"
    entries = (
        f"::: {place}\n    options: {{members: {members}}}\n" + picture(place)
        for place, members in sorted(shown.items(), key=by_name)
        if not place.startswith("multiback.errors.")  # These have a page of their own.
    )
    return "\n".join([HEAD, *entries])


def by_name(entry):
    """Order metrics by name, and functions and the module of plots after them."""
    name = entry[0].rpartition(".")[2]
    return name[0].islower(), name.lower()


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
