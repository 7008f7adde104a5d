"""Values that follow from the whole confusion matrix: counts, balance, agreement."""

import dataclasses
import math
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import Elements, Samples, as_floats, counted
from multiback.adapters.torchmetrics.libraries import load_sklearn_metrics
from multiback.adapters.torchmetrics.oracles.counts import (
    ignored_class,
    ignores_a_class,
)
from multiback.adapters.torchmetrics.oracles.decisions import (
    column,
    columns_of,
    decided,
    keep,
)
from multiback.adapters.torchmetrics.oracles.equivalent import (
    NO_CLASSES,
    NO_WEIGHTS,
    Compute,
    Convention,
    Equivalent,
)
from multiback.adapters.torchmetrics.translation.torchmetrics import decided_score


def confusion_matrix(config: dict[str, Any], samples: Samples) -> Equivalent:
    """Translate `multiback.metrics.ConfusionMatrix`."""
    elements, several = decided(config, samples), config["task"] == "multilabel"
    classes = config["num_classes"] or 2

    def of(one: Elements) -> Any:
        kept = keep(one, counted(one.labels, config["ignore_index"]))
        if not kept.labels.size:
            return np.zeros((classes, classes))
        return load_sklearn_metrics().confusion_matrix(  # type: ignore[union-attr]  # judged only with scikit-learn
            kept.labels,
            kept.predictions,
            labels=np.arange(classes),
            sample_weight=kept.weights,
            normalize=config["normalize"],
        )

    def sklearn() -> Any:
        if not several:
            return of(elements)
        return np.stack([of(column(elements, i)) for i in range(columns_of(config))])

    return _equivalent("ConfusionMatrix", config, samples, elements, sklearn)


def stat_scores(config: dict[str, Any], samples: Samples) -> Equivalent:
    """Translate `multiback.metrics.StatScores`."""
    elements, task = decided(config, samples), config["task"]
    chosen = config.get("classes")
    several = task != "binary"

    def sklearn() -> Any:
        kept = counted(elements.labels, config["ignore_index"])
        if task == "multilabel":
            tables = [
                _count(keep(column(elements, i), kept[:, i]), [1])[0]
                for i in range(columns_of(config))
            ]
        else:
            classes = range(columns_of(config)) if several else [1]
            if not several and chosen is not None:
                classes = [0, 1]
            tables = list(_count(keep(elements, kept), classes))
        counts = np.array([[tp, fp, tn, fn, tp + fn] for (tn, fp), (fn, tp) in tables])
        if chosen is not None:
            counts = counts[np.atleast_1d(chosen)]
        one = np.ndim(chosen) == 0 if chosen is not None else not several
        return counts if not one and config["average"] is None else counts.sum(axis=0)

    return _equivalent("StatScores", config, samples, elements, sklearn)


def _count(elements: Elements, classes: Any) -> Any:
    """Return scikit-learn's 2 x 2 table of each class."""
    if elements.labels.size == 0:
        return np.zeros((len(classes), 2, 2))
    return load_sklearn_metrics().multilabel_confusion_matrix(  # type: ignore[union-attr]  # as above
        elements.labels,
        elements.predictions,
        labels=list(classes),
        sample_weight=elements.weights,
    )


def balanced_accuracy(config: dict[str, Any], samples: Samples) -> Equivalent:
    """Translate `multiback.metrics.BalancedAccuracy`."""
    elements, task = decided(config, samples), config["task"]
    ignored, empty = config["ignore_index"], config["zero_division"]
    labels = columns_of(config)
    columns = (
        [column(elements, i) for i in range(labels)]
        if task == "multilabel"
        else [elements]
    )

    def sklearn_of(one: Elements) -> Any:
        one = keep(one, counted(one.labels, ignored))
        if one.labels.size == 0:
            return empty
        return load_sklearn_metrics().balanced_accuracy_score(  # type: ignore[union-attr]  # as above
            one.labels, one.predictions, sample_weight=one.weights
        )

    def sklearn() -> Any:
        return np.mean([sklearn_of(one) for one in columns])

    def theirs() -> Any:
        # torchmetrics' mean of class accuracies is the mean recall.
        return np.mean(
            [
                decided_score(
                    "BalancedAccuracy",
                    {
                        "task": "multiclass",
                        "num_classes": config["num_classes"] or 2,
                        "ignore_index": ignored,
                    },
                    one.labels,
                    one.predictions,
                )()
                for one in columns
            ]
        )

    weighted = samples.sample_weight is not None
    return Equivalent(
        None if weighted else theirs,
        sklearn,
        convention=Convention(
            "absent class",
            "a class without a label leaves the mean here and in scikit-learn; "
            "torchmetrics counts it as 0 when it is predicted",
            sklearn if load_sklearn_metrics() is not None else None,
        ),
        columns=2 * labels,
        additions=samples.additions if weighted else 0,
        note=NO_WEIGHTS if weighted else "",
    )


def matthews(config: dict[str, Any], samples: Samples) -> Equivalent:
    """Translate `multiback.metrics.MatthewsCorrelation`."""
    elements = decided(config, samples)
    # Multilabel input is flattened here: each label of each row is an element.
    kept = keep(elements, counted(elements.labels, config["ignore_index"]))
    # A sum over no element, or over elements of one class, has no spread.
    weighed = kept if kept.weights is None else keep(kept, kept.weights != 0)
    constant = any(
        np.unique(ids).size < 2  # noqa: PLR2004 - two classes
        for ids in (weighed.labels, weighed.predictions)
    )

    def sklearn() -> Any:
        if constant:
            return config["zero_division"]
        return load_sklearn_metrics().matthews_corrcoef(  # type: ignore[union-attr]  # as above
            kept.labels, kept.predictions, sample_weight=kept.weights
        )

    return _equivalent(
        "MatthewsCorrelation", config, samples, elements, sklearn, scale=1
    )


def cohen_kappa(config: dict[str, Any], samples: Samples) -> Equivalent:
    """Translate `multiback.metrics.CohenKappa`."""
    if config.get("regression"):
        samples = _rounded(samples, config["num_classes"])
    elements = decided(config, samples)
    kept = keep(elements, counted(elements.labels, config["ignore_index"]))
    classes = columns_of(config) if config["num_classes"] else 2

    def sklearn() -> Any:
        if kept.labels.size == 0:
            return config["zero_division"]
        value = load_sklearn_metrics().cohen_kappa_score(  # type: ignore[union-attr]  # as above
            kept.labels,
            kept.predictions,
            labels=np.arange(classes),
            weights=config["weights"],
            sample_weight=kept.weights,
        )
        return config["zero_division"] if math.isnan(value) else value

    return _equivalent("CohenKappa", config, samples, elements, sklearn, scale=1)


def _rounded(samples: Samples, classes: int) -> Samples:
    """Return class ids for the numbers that a model predicts."""
    numbers = as_floats(samples.y_pred)
    if numbers.ndim > 1 and numbers.shape[-1] == 1:
        numbers = numbers[..., 0]
    ids = np.clip(np.rint(numbers), 0, classes - 1).astype("int64")
    return dataclasses.replace(samples, y_pred=ids)


def _equivalent(
    name: str,
    config: dict[str, Any],
    samples: Samples,
    elements: Elements,
    sklearn: Compute | None,
    *,
    scale: float = 0.0,
) -> Equivalent:
    """Put torchmetrics' metric beside scikit-learn's value."""
    weighted = samples.sample_weight is not None
    expected = sklearn if load_sklearn_metrics() is not None else None
    convention = None
    if ignores_a_class(config):
        convention = ignored_class(expected)
    elif "zero_division" in config and name != "StatScores":
        convention = Convention(
            "zero division",
            "where labels or predictions are of one class the value is "
            "zero_division= here; torchmetrics gives what suits the case",
            expected,
        )
    theirs = decided_score(name, config, elements.labels, elements.predictions)
    note = NO_WEIGHTS if weighted else ""
    if config.get("classes") is not None:
        note = NO_CLASSES
    return Equivalent(
        None if note else theirs,
        sklearn,
        convention=convention,
        columns=columns_of(config) ** 2 if scale else 1,
        additions=samples.additions if weighted else 0,
        scale=scale,
        note=note,
    )
