"""Every class of torchmetrics that compares arrays, and what makes one of each."""

import inspect

import torchmetrics.classification
import torchmetrics.regression

CLASSES, LABELS = 4, 3

# What a constructor needs; a curve without thresholds has no fixed shape.
NEEDED = {
    "beta": 2.0,
    "min_precision": 0.6,
    "min_recall": 0.5,
    "min_sensitivity": 0.5,
    "min_specificity": 0.5,
    "num_classes": CLASSES,
    "num_labels": LABELS,
    "p": 3,
    "threshold": 0.5,
}
CURVES = ("ROC", "PrecisionRecallCurve")
# Classes whose constructor makes an object of another one, chosen by task=.
FACADES = {
    name
    for name in torchmetrics.classification.__all__
    if not name.startswith(("Binary", "Multiclass", "Multilabel"))
}
DISTRIBUTIONS = ("KLDivergence", "JensenShannonDivergence", "CosineSimilarity")
ENSEMBLES = ("ContinuousRankedProbabilityScore",)
REFUSED = {"BinaryFairness": "groups", "BinaryGroupStatRates": "groups"}
CLASSIFICATION = [
    name for name in torchmetrics.classification.__all__ if name not in FACADES
]


def make(name, **changed):
    """Make a metric by its class's name, with other arguments than `NEEDED`."""
    library = (
        torchmetrics.classification
        if name in torchmetrics.classification.__all__
        else torchmetrics.regression
    )
    arguments = {"task": "multiclass"} if name in FACADES else {}
    # A facade's constructor is `__new__`, with defaults that it then refuses.
    create = "__new__" if name in FACADES else "__init__"
    cls = getattr(library, name)
    parameters = inspect.signature(getattr(cls, create)).parameters
    for key, value in {**NEEDED, **changed}.items():
        optional = key == "threshold" and library is torchmetrics.classification
        if key in parameters and not optional:
            arguments[key] = value
    if name.endswith(CURVES):
        arguments["thresholds"] = 3
    arguments = {k: v for k, v in arguments.items() if k in parameters}
    return cls(**arguments)


def group_of(name):
    """Return which data a class is for."""
    if name in DISTRIBUTIONS:
        return "distributions"
    if name in ENSEMBLES:
        return "ensembles"
    if name in torchmetrics.regression.__all__:
        return "numbers"
    return next(
        task
        for task in ("binary", "multiclass", "multilabel")
        if name.lower().startswith(task)
    )
