"""Keras's names for multiback's metrics, and vice versa."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from multiback import keras_private
from multiback.adapters.torchmetrics.translation.source import is_function, kind_of
from multiback.adapters.torchmetrics.translation.spec import (
    MetricSpec,
    NoEquivalentError,
)
from multiback.adapters.torchmetrics.translation.table import METRICS
from multiback.adapters.torchmetrics.translation.torchmetrics import OPERATING_POINTS
from multiback.adapters.torchmetrics.translation.unmatched import OF_KERAS

CURVES = {"ROC": "AUROC", "PR": "AveragePrecision"}
ADJUSTED = "of several outputs Keras adjusts by the number of elements, not of samples"
_AVERAGES = {"variance_weighted_average": "variance_weighted", None: "raw_values"}
_AS_THEY_ARE = (
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "RootMeanSquaredError",
    "Sum",
)


def spec_from_keras(metric: Any, count: int | None) -> MetricSpec:
    """Read a metric of Keras, or a function of Keras's that it averages.

    Keras does not know the count of classes or labels.
    """
    name, metric = metric.name, of_function(metric)
    if metric is None:
        raise NoEquivalentError(f"nothing is known of the function {name}")
    kind = kind_of(metric)
    if kind in OF_KERAS:
        raise NoEquivalentError(OF_KERAS[kind])
    config = {
        k: v for k, v in metric.get_config().items() if k not in ("name", "dtype")
    }
    _refuse_options(kind, config)
    if kind in _AS_THEY_ARE:
        return MetricSpec(kind)
    if kind in OPERATING_POINTS:
        (condition,) = (k for k in config if k not in ("num_thresholds", "class_id"))
        return MetricSpec(kind, {"task": "binary", condition: config[condition]})
    if kind not in _READ:
        raise NoEquivalentError(
            f"nothing is known to be {kind or type(metric).__name__}"
        )
    return _READ[kind](kind, config, count)


def of_function(metric: Any) -> Any | None:
    """Return the metric of a Keras function; None for other functions."""
    if not is_function(metric):
        return metric
    cls: Any = getattr(keras.metrics, kind_of(metric) or "", None)
    if not inspect.isclass(cls):
        return None
    return cls(**keras_private.wrapped_function(metric)[1])


def _refuse_options(kind: str, config: Mapping[str, Any]) -> None:
    """Raise if an option is set that the others do not have."""
    for option in ("top_k", "class_id", "label_weights"):
        if option == "class_id" and kind in ("Precision", "Recall"):
            continue
        if config.get(option) is not None:
            raise NoEquivalentError(
                f"no other library counts as {kind} with {option} does"
            )
    thresholds = config.get("thresholds")
    if isinstance(thresholds, list | tuple) and len(thresholds) > 1:
        raise NoEquivalentError("no other library has several thresholds in one metric")
    for option, usual in (
        ("label_smoothing", 0),
        ("from_sorted_ids", False),
        ("axis", -1),
    ):
        if config.get(option, usual) != usual:
            raise NoEquivalentError(
                f"no other library has {kind} with {option}={config[option]!r}"
            )


def _accuracy(kind: str, config: Mapping[str, Any], count: int | None) -> MetricSpec:
    if kind == "BinaryAccuracy":
        threshold = config.get("threshold", 0.5)
        return MetricSpec("Accuracy", {"task": "binary", "threshold": threshold})
    return MetricSpec("Accuracy", _classes(count, average="micro"))


def _classes(count: int | None, **more: Any) -> dict[str, Any]:
    return {"task": "multiclass", "num_classes": count, **more}


def _ratio(kind: str, config: Mapping[str, Any], count: int | None) -> MetricSpec:
    threshold = config["thresholds"]
    threshold = threshold[0] if isinstance(threshold, list | tuple) else threshold
    threshold = 0.5 if threshold is None else float(threshold)
    chosen = config.get("class_id")
    if chosen is None:
        return MetricSpec(kind, {"task": "binary", "threshold": threshold})
    # Each column has a threshold of its own: the largest score need not be above it.
    task = {"task": "multilabel", "num_labels": count, "average": "macro"}
    return MetricSpec(kind, {**task, "threshold": threshold, "classes": int(chosen)})


def _f(kind: str, config: Mapping[str, Any], count: int | None) -> MetricSpec:
    more = {"average": config["average"]}
    if kind == "FBetaScore":
        more["beta"] = config["beta"]
    if config["threshold"] is None:
        return MetricSpec(kind, _classes(count, **more))
    task = {"task": "multilabel", "num_labels": count}
    return MetricSpec(kind, {**task, "threshold": config["threshold"], **more})


def _area(kind: str, config: Mapping[str, Any], count: int | None) -> MetricSpec:
    curve = config["curve"].upper()
    if curve not in CURVES:
        raise NoEquivalentError(f"only Keras knows the {kind} of the curve {curve}")
    task: dict[str, Any] = {"task": "binary"}
    if config["multi_label"]:
        labels = config["num_labels"] or count
        task = {"task": "multilabel", "num_labels": labels, "average": "macro"}
    return MetricSpec(CURVES[curve], {**task, "from_logits": config["from_logits"]})


def _iou(kind: str, config: Mapping[str, Any], count: int | None) -> MetricSpec:
    del count
    if kind == "BinaryIoU":
        of: dict[str, Any] = {"task": "binary", "threshold": config["threshold"]}
        if list(config["target_class_ids"]) != [1]:
            of |= {"classes": list(config["target_class_ids"]), "average": "macro"}
        return MetricSpec("JaccardIndex", of)
    classes, chosen = config["num_classes"], config.get("target_class_ids")
    ignored = config.get("ignore_class")
    if ignored is not None and 0 <= ignored < classes:
        raise NoEquivalentError(
            "an ignored class leaves the average elsewhere, not here"
        )
    more: dict[str, Any] = {"average": "macro", "ignore_index": ignored}
    if chosen is not None and sorted(chosen) != list(range(classes)):
        more["classes"] = list(chosen)
    return MetricSpec("JaccardIndex", _classes(classes, **more))


def _loss(kind: str, config: Mapping[str, Any], count: int | None) -> MetricSpec:
    from_logits = config["from_logits"]
    if config.get("ignore_class") is not None:
        raise NoEquivalentError(
            "an ignored class counts as a loss of 0 in Keras's mean"
        )
    if kind == "BinaryCrossentropy":
        return MetricSpec("LogLoss", {"task": "binary", "from_logits": from_logits})
    return MetricSpec("LogLoss", _classes(count, from_logits=from_logits))


def _top_k(kind: str, config: Mapping[str, Any], count: int | None) -> MetricSpec:
    del kind
    size = {"num_classes": count, "top_k": config["k"]}
    return MetricSpec("TopKAccuracy", {**size, "average": "micro"})


def _r2(kind: str, config: Mapping[str, Any], count: int | None) -> MetricSpec:
    how = config["class_aggregation"]
    multioutput = _AVERAGES.get(how, how)
    size = {"num_outputs": count or 1, "adjusted": config["num_regressors"]}
    return MetricSpec(kind, {**size, "multioutput": multioutput})


def _of_rows(kind: str, config: Mapping[str, Any], count: int | None) -> MetricSpec:
    del config, count
    return MetricSpec(kind)


_Read = Callable[[str, Mapping[str, Any], int | None], MetricSpec]
_READ: dict[str, _Read] = {
    "AUC": _area,
    "Accuracy": _accuracy,
    "BinaryAccuracy": _accuracy,
    "BinaryCrossentropy": _loss,
    "BinaryIoU": _iou,
    "CategoricalAccuracy": _accuracy,
    "CategoricalCrossentropy": _loss,
    "CosineSimilarity": _of_rows,
    "F1Score": _f,
    "FBetaScore": _f,
    "IoU": _iou,
    "KLDivergence": _of_rows,
    "MeanIoU": _iou,
    "OneHotIoU": _iou,
    "OneHotMeanIoU": _iou,
    "Precision": _ratio,
    "R2Score": _r2,
    "Recall": _ratio,
    "SparseCategoricalAccuracy": _accuracy,
    "SparseCategoricalCrossentropy": _loss,
    "SparseTopKCategoricalAccuracy": _top_k,
    "TopKCategoricalAccuracy": _top_k,
}


def as_keras_metric(of: MetricSpec) -> Any:
    """Make the metric of Keras, or raise NoEquivalentError."""
    _refuse(of)
    if of.config.get("classes") is not None:
        return _of_chosen(of)
    k = keras.metrics
    if of.kind in (*_AS_THEY_ARE, "CosineSimilarity", "KLDivergence"):
        return getattr(k, of.kind)()
    if (
        of.kind in OPERATING_POINTS
        and of.task == "binary"
        and not of.get("from_logits")
    ):
        (condition,) = (n for n in of.config if n in _CONDITIONS)
        return getattr(k, of.kind)(of.config[condition])
    made = _counted(of) or _scored(of)
    if made is None:
        words = [_average(of), of.task, "scores" if of.task else ""]
        of_what = " ".join(word for word in words if word)
        raise NoEquivalentError(
            f"Keras has no {of.kind}" + f" of {of_what}" * bool(of_what)
        )
    return made


def _refuse(of: MetricSpec) -> None:
    """Raise if Keras has no metric of that kind, or another one of that name."""
    why = METRICS[of.kind].keras if of.kind in METRICS else ""
    for holds, reason in (
        (why, why),
        (of.get("ignore_nan"), "Keras leaves no NaN out; give such rows no weight"),
        (
            of.kind in _AS_THEY_ARE and of.get("num_outputs", 1) != 1,
            "Keras averages over outputs",
        ),
        (
            of.get("ignore_index") is not None,
            "Keras ignores no label; give such rows no weight",
        ),
        (
            of.config.get("classes") is None and of.get("zero_division", 0.0) != 0,
            f"Keras has no {of.kind} with zero_division",
        ),
    ):
        if holds:
            raise NoEquivalentError(reason)


def _of_chosen(of: MetricSpec) -> Any:
    """Make Keras's metric of some classes: few of its metrics select any."""
    one = isinstance(of.config["classes"], int)
    if of.kind in ("Precision", "Recall") and of.task == "multilabel" and one:
        metric = getattr(keras.metrics, of.kind)
        return metric(thresholds=_threshold(of), class_id=of.config["classes"])
    if of.kind != "JaccardIndex" or of.get("average", "macro") != "macro":
        raise NoEquivalentError(f"Keras has no {of.kind} of some classes averaged so")
    chosen = [int(each) for each in np.atleast_1d(of.config["classes"])]
    if of.task == "binary":
        return keras.metrics.BinaryIoU(chosen, _threshold(of))
    if of.task != "multiclass":
        raise NoEquivalentError("Keras has no JaccardIndex of some labels")
    return keras.metrics.IoU(of.config["num_classes"], chosen, sparse_y_pred=False)


_CONDITIONS = ("precision", "recall", "sensitivity", "specificity")


def _average(of: MetricSpec) -> str:
    return "" if of.task == "binary" else str(of.get("average", ""))


def _counted(of: MetricSpec) -> Any | None:  # noqa: PLR0911 - a table
    """Make a metric of decided classes."""
    k, average = keras.metrics, of.config.get("average", "micro")
    # Keras's metrics that count without columns, and by class.
    flat = of.task == "binary" or (of.task, average) == ("multilabel", "micro")
    match of.kind:
        case "Accuracy" if flat:
            return k.BinaryAccuracy(threshold=_threshold(of))
        case "Accuracy" if (of.task, average) == ("multiclass", "micro"):
            return k.SparseCategoricalAccuracy()
        case "Precision" | "Recall" if flat:
            return getattr(k, of.kind)(thresholds=_threshold(of))
        case "JaccardIndex" if of.task == "binary":
            return k.BinaryIoU([1], _threshold(of))
        case "JaccardIndex" if (of.task, average) == ("multiclass", "macro"):
            return k.MeanIoU(of.config["num_classes"], sparse_y_pred=False)
        case "TopKAccuracy" if average in ("micro", "weighted"):
            return k.SparseTopKCategoricalAccuracy(k=of.config["top_k"])
        case "Dice" | "F1Score" | "FBetaScore":
            return _f_of(of)
    return None


def _f_of(of: MetricSpec) -> Any | None:
    chosen = None if of.task == "multiclass" else _threshold(of)
    if chosen == 0:  # Keras takes only thresholds above 0.
        return None
    average = "micro" if of.task == "binary" else of.get("average")
    if of.kind == "FBetaScore":
        return keras.metrics.FBetaScore(average, of.get("beta", 1.0), chosen)
    return keras.metrics.F1Score(average, chosen)


def _threshold(of: MetricSpec) -> float:
    threshold: float = of.get("threshold", 0.5)
    if not of.get("from_logits"):
        return threshold
    if threshold != 0.5:  # noqa: PLR2004 - the default
        raise NoEquivalentError("Keras compares logits with the threshold itself")
    return 0.0


def _scored(of: MetricSpec) -> Any | None:
    """Make a metric of scores."""
    k, logits = keras.metrics, bool(of.get("from_logits"))
    match of.kind:
        case "AUROC" if of.get("max_fpr") is not None:
            raise NoEquivalentError(
                f"Keras has no partial area, as of max_fpr={of.get('max_fpr')}"
            )
        case "AUROC" | "AveragePrecision" if of.task == "binary":
            curve = "ROC" if of.kind == "AUROC" else "PR"
            return k.AUC(curve=curve, from_logits=logits)
        case "AUROC" | "AveragePrecision" if (
            of.task == "multilabel" and of.get("average") == "macro"
        ):
            curve, labels = "ROC" if of.kind == "AUROC" else "PR", of.get("num_labels")
            return k.AUC(
                curve=curve, multi_label=True, num_labels=labels, from_logits=logits
            )
        case "LogLoss" if of.task == "binary":
            return k.BinaryCrossentropy(from_logits=logits)
        case "LogLoss":
            return k.SparseCategoricalCrossentropy(from_logits=logits)
        case "R2Score":
            if of.get("adjusted") and of.get("num_outputs", 1) != 1:
                raise NoEquivalentError(ADJUSTED)
            names = {ours: kerass for kerass, ours in _AVERAGES.items()}
            how = of.get("multioutput", "uniform_average")
            return k.R2Score(names.get(how, how), of.get("adjusted", 0))
    return None
