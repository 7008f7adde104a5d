"""A metric object in the words of the other libraries: `equivalents`.

`table.py` computes what other libraries say of given samples, for crosscheck; this
makes their metric objects, to be used in place of one that is there.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras

import multiback.metrics as ours
from multiback.errors import ArgumentError

from .libraries import load_torchmetrics
from .spelling import kind_of

LIBRARIES = ("keras", "multiback", "torchmetrics")
# By multiback's names; torchmetrics' where they differ.
_NUMBERS = {
    "ConcordanceCorrelation": "ConcordanceCorrCoef",
    "ExplainedVariance": "ExplainedVariance",
    "MeanAbsoluteError": "MeanAbsoluteError",
    "MeanSquaredError": "MeanSquaredError",
    "PearsonCorrelation": "PearsonCorrCoef",
    "R2Score": "R2Score",
    "RootMeanSquaredError": "MeanSquaredError",
}
_AREAS = {"AUROC": "AUROC", "AveragePrecision": "AveragePrecision"}
_RATIOS = (
    "Accuracy",
    "F1Score",
    "HammingDistance",
    "JaccardIndex",
    "Precision",
    "Recall",
    "Specificity",
)
_AGREEMENTS = {"CohenKappa": "CohenKappa", "MatthewsCorrelation": "MatthewsCorrCoef"}
_OF_CLASSES = {name: name for name in _RATIOS} | _AREAS | _AGREEMENTS
_TASKED = re.compile("(Binary|Multiclass|Multilabel)(.+)")
_CURVES = {"ROC": "AUROC", "PR": "AveragePrecision"}


@dataclasses.dataclass(frozen=True)
class Equivalents:
    """One metric in three libraries.

    Attributes:
        keras: The metric for `compile`, or None.
        multiback: The metric for `compile`, or None.
        torchmetrics: The metric for `update(preds, target)`, or None.
        reasons: By library, why there is none, or what differs all the same.
    """

    keras: Any
    multiback: Any
    torchmetrics: Any
    reasons: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class _Meaning:
    """What a metric measures, in multiback's words."""

    kind: str
    task: str | None = None
    classes: int | None = None
    average: str | None = None
    threshold: float = 0.5
    from_logits: bool = False
    ignore_index: int | None = None


class _NoneSuch(Exception):  # noqa: N818 - an answer
    """There is none, for this reason."""


def equivalents(metric: Any, *, num_classes: int | None = None) -> Equivalents:
    """Translate a metric into the same metric of the other libraries.

    Args:
        metric: A Keras, multiback or torchmetrics metric.
        num_classes: How many classes or labels there are, where the metric does not
            know: those of Keras do not.

    Returns:
        New metric objects, and the reasons where there is none.

    Raises:
        ArgumentError: It is no metric of these libraries.
        MissingPackageError: torchmetrics is not installed.

    Example:
    >>> import keras
    >>> found = equivalents(keras.metrics.AUC(curve="PR"))
    >>> type(found.multiback).__name__, type(found.torchmetrics).__name__
    ('AveragePrecision', 'BinaryAveragePrecision')
    >>> found.reasons["keras"]
    'Keras interpolates between 200 thresholds; the others use every score'
    >>> equivalents(keras.metrics.Precision(top_k=2)).reasons["torchmetrics"]
    'no other library counts as Precision with top_k or class_id does'
    """
    home = type(metric).__module__.partition(".")[0]
    if home not in LIBRARIES:
        raise ArgumentError(
            f"metric= wants a metric of {', '.join(LIBRARIES)}, not {metric!r:.80}."
        )
    read = {"keras": _of_keras, "multiback": _of_ours, "torchmetrics": _of_theirs}
    make: dict[str, Callable[[_Meaning], Any]] = {
        "keras": _as_keras,
        "multiback": _as_ours,
        "torchmetrics": _as_theirs,
    }
    made: dict[str, Any] = {home: metric}
    reasons: dict[str, str] = {}
    try:
        meaning = read[home](metric, num_classes)
    except _NoneSuch as reason:
        others = [name for name in LIBRARIES if name != home]
        return Equivalents(
            **dict.fromkeys(others), **made, reasons=dict.fromkeys(others, str(reason))
        )
    for library in LIBRARIES:
        try:
            if library != home:
                made[library] = make[library](meaning)
        except _NoneSuch as reason:
            made[library], reasons[library] = None, str(reason)
    if meaning.kind in _AREAS:
        if made["keras"] is not None:
            reasons["keras"] = (
                "Keras interpolates between 200 thresholds; the others use every score"
            )
        binned = made["multiback"]
        if binned is not None and binned.get_config()["capacity"] is None:
            reasons["multiback"] = (
                "its bins are fine, and bounds() says how fine; capacity= is exact"
            )
    return Equivalents(**made, reasons=reasons)


def _of_ours(metric: Any, num_classes: int | None) -> _Meaning:
    kind, config = type(metric).__name__, metric.get_config()
    if kind in _NUMBERS:
        _refuse_options(kind, config, num_outputs=1, adjusted=0)
        return _Meaning(kind)
    if kind not in _OF_CLASSES:
        raise _NoneSuch(f"nothing is known to be {kind}")
    _refuse_options(kind, config, zero_division=0.0, weights=None)
    count = config.get("num_classes") or config.get("num_labels") or num_classes
    return _Meaning(
        kind,
        config["task"],
        count,
        config.get("average"),
        config.get("threshold", 0.5),
        config["from_logits"],
        config["ignore_index"],
    )


def _refuse_options(kind: str, config: Mapping[str, Any], **defaults: Any) -> None:
    """Raise where an option is set that nothing is known to have."""
    for option, default in defaults.items():
        if config.get(option, default) not in (default, None):
            raise _NoneSuch(f"no other library has {kind} with {option}")


def _of_theirs(metric: Any, num_classes: int | None) -> _Meaning:
    kind = type(metric).__name__
    numbers = {theirs: name for name, theirs in _NUMBERS.items()}
    if getattr(metric, "num_outputs", 1) != 1 or getattr(metric, "adjusted", 0):
        raise _NoneSuch(f"nothing is known to be {kind} with outputs, or adjusted")
    if kind == "MeanSquaredError":
        return _Meaning(kind if metric.squared else "RootMeanSquaredError")
    if kind in numbers:
        return _Meaning(numbers[kind])
    found = _TASKED.fullmatch(kind)
    names = {theirs: name for name, theirs in _OF_CLASSES.items()}
    if found is None or found[2] not in names:
        raise _NoneSuch(f"nothing is known to be {kind}")
    if getattr(metric, "top_k", 1) != 1 or getattr(metric, "weights", None):
        raise _NoneSuch(f"nothing is known to be {kind} with top_k or weights")
    if getattr(metric, "thresholds", None) is not None:
        raise _NoneSuch(f"no other library has the bins that {kind} was given")
    if getattr(metric, "multidim_average", "global") != "global":
        raise _NoneSuch(f"nothing is known to be {kind} of each sample")
    count = getattr(metric, "num_classes", None) or getattr(metric, "num_labels", None)
    return _Meaning(
        names[found[2]],
        found[1].lower(),
        count or num_classes,
        getattr(metric, "average", None),
        getattr(metric, "threshold", 0.5),
        ignore_index=getattr(metric, "ignore_index", None),
    )


def _of_keras(metric: Any, num_classes: int | None) -> _Meaning:
    kind, config = kind_of(metric), metric.get_config()
    if kind in _NUMBERS:
        return _Meaning(kind)
    if kind == "BinaryAccuracy":
        return _Meaning("Accuracy", "binary", threshold=config.get("threshold", 0.5))
    if kind in ("CategoricalAccuracy", "SparseCategoricalAccuracy"):
        return _Meaning("Accuracy", "multiclass", num_classes, "micro")
    if kind in ("Precision", "Recall"):
        threshold = config["thresholds"]
        threshold = 0.5 if threshold is None else threshold
        threshold = threshold[0] if isinstance(threshold, list) else threshold
        if config["top_k"] is not None or config["class_id"] is not None:
            raise _NoneSuch(
                f"no other library counts as {kind} with top_k or class_id does"
            )
        several = config["thresholds"]
        if isinstance(several, list | tuple) and len(several) > 1:
            raise _NoneSuch("no other library has several thresholds in one metric")
        return _Meaning(kind, "binary", threshold=float(threshold))
    if kind == "F1Score":
        threshold = config["threshold"]
        task = "multiclass" if threshold is None else "multilabel"
        average = config["average"] or "none"
        return _Meaning(kind, task, num_classes, average, threshold or 0.5)
    if kind == "AUC" and not config["multi_label"]:
        curve = _CURVES[config["curve"].upper()]
        return _Meaning(curve, "binary", from_logits=config["from_logits"])
    raise _NoneSuch(f"nothing is known to be {kind or type(metric).__name__}")


def _as_keras(of: _Meaning) -> Any:  # noqa: C901, PLR0911 - a table
    if of.ignore_index is not None:
        raise _NoneSuch("Keras ignores no label; give such rows no weight")
    if of.kind in _NUMBERS and hasattr(keras.metrics, of.kind):
        return getattr(keras.metrics, of.kind)()
    threshold = of.threshold
    if of.from_logits and of.kind in _RATIOS:
        if threshold != 0.5:  # noqa: PLR2004 - the default
            raise _NoneSuch("Keras compares logits with the threshold itself")
        threshold = 0.0
    match of.kind, of.task:
        case "Accuracy", "binary":
            return keras.metrics.BinaryAccuracy(threshold=threshold)
        case "Accuracy", "multiclass" if of.average == "micro":
            return keras.metrics.SparseCategoricalAccuracy()
        case "Precision" | "Recall", "binary":
            return getattr(keras.metrics, of.kind)(thresholds=threshold)
        case "F1Score", "binary" if threshold:
            return keras.metrics.F1Score("micro", threshold=threshold)
        case "F1Score", "multiclass":
            return keras.metrics.F1Score(_or_none(of.average))  # One-hot labels.
        case "F1Score", "multilabel" if threshold:
            return keras.metrics.F1Score(_or_none(of.average), threshold=threshold)
        case (("AUROC" | "AveragePrecision"), "binary"):
            curve = "ROC" if of.kind == "AUROC" else "PR"
            return keras.metrics.AUC(curve=curve, from_logits=of.from_logits)
    raise _NoneSuch(f"Keras has no {of.kind} of {of.average or ''} {of.task} scores")


def _or_none(average: str | None) -> str | None:
    return None if average == "none" else average


def _as_ours(of: _Meaning) -> Any:
    kind = getattr(ours, of.kind)
    if of.task is None:
        return kind()
    given: dict[str, Any] = {"ignore_index": of.ignore_index}
    if of.kind in _RATIOS:
        given["threshold"] = of.threshold
    if of.task != "binary":
        given |= _count(of)
        if of.kind not in _AGREEMENTS:
            given["average"] = _or_none(of.average)
    return kind(of.task, from_logits=of.from_logits, **given)


def _count(of: _Meaning) -> dict[str, Any]:
    if of.classes is None:
        raise _NoneSuch("say num_classes=: the metric does not know how many")
    return {"num_labels" if of.task == "multilabel" else "num_classes": of.classes}


def _as_theirs(of: _Meaning) -> Any:
    library = load_torchmetrics("equivalents")
    if of.task is None:
        kind = getattr(library.regression, _NUMBERS[of.kind])
        root = of.kind == "RootMeanSquaredError"
        return kind(squared=False) if root else kind()
    if of.from_logits and of.kind not in _AREAS:
        raise _NoneSuch(
            "torchmetrics guesses for each batch whether scores are logits; give it "
            "probabilities"
        )
    theirs = f"{of.task.capitalize()}{_OF_CLASSES[of.kind]}"
    kind = getattr(library.classification, theirs, None)
    if kind is None:
        raise _NoneSuch(f"torchmetrics has no {theirs}")
    given: dict[str, Any] = {"ignore_index": of.ignore_index}
    if of.task != "multiclass" and of.kind not in _AREAS:
        given["threshold"] = of.threshold
    if of.task != "binary":
        given |= _count(of)
        if of.kind not in _AGREEMENTS:
            given["average"] = of.average or "none"
    return kind(**given)
