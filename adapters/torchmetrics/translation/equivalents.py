"""Translate a metric object for the other libraries: `equivalents`.

`keras.py` and `torchmetrics.py` translate to and from multiback's names (spec.py);
crosscheck uses the same tables to choose what to compare with.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from multiback.adapters.torchmetrics.to_keras.as_keras import TorchMetric
from multiback.adapters.torchmetrics.translation.keras import (
    ADJUSTED,
    as_keras_metric,
    spec_from_keras,
)
from multiback.adapters.torchmetrics.translation.source import ungrouped
from multiback.adapters.torchmetrics.translation.spec import (
    MetricSpec,
    NoEquivalentError,
    as_ours,
    spec_from_multiback,
)
from multiback.adapters.torchmetrics.translation.torchmetrics import (
    KEEPING,
    OPERATING_POINTS,
    spec_from_torchmetrics,
    to_torchmetrics,
)
from multiback.errors import ArgumentError

LIBRARIES = ("keras", "multiback", "torchmetrics")
_READ: dict[str, Callable[[Any, int | None], MetricSpec]] = {
    "keras": spec_from_keras,
    "multiback": spec_from_multiback,
    "torchmetrics": spec_from_torchmetrics,
}
_MAKE: dict[str, Callable[[MetricSpec], Any]] = {
    "keras": as_keras_metric,
    "multiback": as_ours,
    "torchmetrics": to_torchmetrics,
}
# The attributes that distinguish a metric from other objects of its library.
_ADDS = {"keras": "update_state", "multiback": "update_state", "torchmetrics": "update"}
INDEXES = "update() wants indexes= too, the query of each item"
RETRIEVAL = {
    "MeanAveragePrecisionAtK": f"{INDEXES}; it divides by the relevant items among the "
    "k best, and leaves out scores of 0 and less",
}
_BY_SCORE = ("AUROC", "AveragePrecision", *OPERATING_POINTS)


@dataclasses.dataclass(frozen=True)
class Equivalents:
    """One metric in three libraries.

    Attributes:
        keras: The metric for `compile`, or None.
        multiback: The metric for `compile`, or None.
        torchmetrics: The metric for `update(preds, target)`, or None.
        reasons: By library, why there is no metric, or what still differs.
    """

    keras: Any
    multiback: Any
    torchmetrics: Any
    reasons: Mapping[str, str]


def equivalents(metric: Any, *, num_classes: int | None = None) -> Equivalents:
    """Translate a metric into the same metric of the other libraries.

    Args:
        metric: A Keras, multiback or torchmetrics metric. For metrics of `as_keras` and
            `as_torchmetric`, and members of a group, the inner metric is translated.
        num_classes: How many classes, labels or outputs there are, where the metric
            does not know: those of Keras do not.

    Returns:
        New metric objects, or the reasons.

    Raises:
        ArgumentError: It is not a metric of these libraries.
        MissingPackageError: torchmetrics is not installed.

    Examples:
        >>> import keras
        >>> found = equivalents(keras.metrics.AUC(curve="PR"))
        >>> type(found.multiback).__name__, type(found.torchmetrics).__name__
        ('AveragePrecision', 'BinaryAveragePrecision')
        >>> found.reasons["keras"]
        'Keras interpolates between 200 thresholds; the others use every score'
        >>> equivalents(keras.metrics.Precision(top_k=2)).reasons["torchmetrics"]
        'no other library counts as Precision with top_k does'
    """
    metric = _inside(metric)
    home = type(metric).__module__.partition(".")[0]
    if home not in LIBRARIES or not callable(getattr(type(metric), _ADDS[home], None)):
        raise ArgumentError(
            f"metric= wants a metric of {', '.join(LIBRARIES)}, not {metric!r:.80}. "
            "Make an object of a class, as in keras.metrics.AUC(); of a function of "
            "yours nothing is known."
        )
    made: dict[str, Any] = {home: metric}
    others = [name for name in LIBRARIES if name != home]
    try:
        spec = _READ[home](metric, num_classes)
    except NoEquivalentError as reason:
        return Equivalents(
            **dict.fromkeys(others), **made, reasons=dict.fromkeys(others, str(reason))
        )
    reasons: dict[str, str] = {}
    for library in others:
        try:
            made[library] = _MAKE[library](spec)
        except NoEquivalentError as reason:
            made[library], reasons[library] = None, str(reason)
    for library, difference in _differences(spec, made):
        reasons.setdefault(library, difference)
    return Equivalents(**made, reasons=reasons)


def _inside(metric: Any) -> Any:
    """Return the inner metric of an adapter or a group."""
    if isinstance(metric, TorchMetric):
        return metric.hosted
    # By its module: the class needs torchmetrics, which may not be installed.
    if (
        type(metric).__module__
        == "multiback.adapters.torchmetrics.to_torchmetrics.torch"
    ):
        return metric.foreign
    return ungrouped(metric)


def _differences(  # noqa: C901, PLR0912 - a table
    spec: MetricSpec, made: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield remaining differences, by library."""
    kerass, ours, theirs = (made[library] for library in LIBRARIES)
    kind = spec.kind
    if kind in _BY_SCORE:
        if kerass is not None:
            how = "counts at" if kind in OPERATING_POINTS else "interpolates between"
            count = kerass.get_config()["num_thresholds"]
            yield "keras", f"Keras {how} {count} thresholds; the others use every score"
        if ours is not None and ours.get_config()["capacity"] is None:
            yield (
                "multiback",
                "its bins are fine, and bounds() says how fine; capacity= is exact",
            )
    if kind in OPERATING_POINTS and theirs is not None:
        yield "torchmetrics", "compute() returns the value and its threshold"
    if kind == "ConcordanceCorrelation" and theirs is not None:
        yield "torchmetrics", "torchmetrics takes variances over n - 1, not Lin's n"
    if kind == "ExactMatch" and spec.get("ignore_index") is not None:
        yield "torchmetrics", "a row with everything ignored counts as right"
    if kind == "HingeLoss" and theirs is not None:
        yield (
            "torchmetrics",
            "it takes the sigmoid or softmax of a batch with scores outside of [0, 1]",
        )
    if kind == "MeanSquaredLogarithmicError" and kerass is not None:
        yield "keras", "Keras takes a number below 0 for 0"
    if kind == "MeanAbsolutePercentageError" and theirs is not None:
        yield "torchmetrics", "torchmetrics divides by no less than 1.17e-6"
    if theirs is not None and type(theirs).__module__.startswith(
        "torchmetrics.retrieval"
    ):
        yield "torchmetrics", RETRIEVAL.get(kind, INDEXES)
    if kind in KEEPING and ours is not None:
        yield "multiback", f"it keeps {ours.get_config()['capacity']} elements"
    if kind == "KLDivergence":
        yield "torchmetrics", "update(p, q) takes the targets first, and scales rows"
    several = spec.get("num_outputs", 1) != 1
    if kind == "R2Score" and several and spec.get("adjusted"):
        yield "keras", ADJUSTED
    if kind == "LogLoss" and kerass is not None:
        yield "keras", "Keras keeps probabilities 1e-7 away from 0 and 1"
    if kind in ("Dice", "F1Score", "FBetaScore") and spec.task == "multiclass":
        yield (
            "keras",
            "Keras wants one-hot labels, (batch, classes)"
            + (
                "; its macro average counts a class that does not occur as 0, others "
                "leave it out"
            )
            * (spec.get("average") == "macro"),
        )
