"""multiback's ratios of counts in torchmetrics and scikit-learn."""

import dataclasses
import math
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import Array, Elements, Samples
from multiback.adapters.torchmetrics.libraries import load_sklearn_metrics
from multiback.adapters.torchmetrics.oracles.decisions import columns_of, decided
from multiback.adapters.torchmetrics.oracles.equivalent import (
    NO_CLASSES,
    NO_WEIGHTS,
    Compute,
    Convention,
    Equivalent,
    Translation,
)
from multiback.adapters.torchmetrics.oracles.scores import class_scores, column_scores
from multiback.adapters.torchmetrics.translation.table import (
    CLASSES,
    SCORES,
    no_torchmetrics,
)
from multiback.adapters.torchmetrics.translation.torchmetrics import (
    TAKES_ZERO_DIVISION,
    decided_score,
)


def counts(kind: str) -> Translation:
    """Return the translation of `multiback.metrics.<kind>`, a ratio of counts."""

    def translate(config: dict[str, Any], samples: Samples) -> Equivalent:
        task, average = config["task"], config["average"]
        zero_division, ignored = config["zero_division"], config["ignore_index"]
        elements, columns = decided(config, samples), columns_of(config)
        score, chosen = SCORES[kind], config.get("classes")
        if task == "binary" and chosen is not None:  # Both sides are classes then.
            task, columns = "multiclass", 2
        if "beta" in config:
            score = dataclasses.replace(score, beta=config["beta"])

        def sklearn() -> Any:
            if task == "multiclass":
                return class_scores(
                    score,
                    elements,
                    num_classes=columns,
                    average=average,
                    zero_division=zero_division,
                    ignore_index=ignored,
                    chosen=chosen,
                )
            how = average if task == "multilabel" else "micro"
            return column_scores(
                score, choose(elements, chosen), how, zero_division, ignored
            )

        note = _why_not_theirs(kind, config, samples)
        theirs = decided_score(kind, config, elements.labels, elements.predictions)
        return Equivalent(
            None if note else theirs,
            sklearn,
            convention=_convention(kind, config, sklearn),
            columns=columns,
            additions=0 if samples.sample_weight is None else samples.additions,
            note=note,
        )

    return translate


def _why_not_theirs(kind: str, config: dict[str, Any], samples: Samples) -> str:
    """Say why torchmetrics cannot compute it, if it cannot."""
    if kind not in CLASSES:
        return no_torchmetrics(kind)
    if samples.sample_weight is not None:
        return NO_WEIGHTS
    if config.get("classes") is not None:
        return NO_CLASSES
    if np.ndim(config["ignore_index"]):
        return "torchmetrics ignores one label"
    if kind in TAKES_ZERO_DIVISION and math.isnan(config["zero_division"]):
        return "torchmetrics takes zero_division 0 or 1, not NaN"
    return ""


def choose(elements: Elements, chosen: Any) -> Elements:
    """Return the columns of these labels, in their order; all for None."""
    if chosen is None:
        return elements
    ids = np.atleast_1d(chosen)

    def of(array: Array | None) -> Any:
        return None if array is None else array[:, ids]

    return Elements(of(elements.labels), of(elements.predictions), of(elements.weights))


def _convention(
    kind: str, config: dict[str, Any], sklearn: Compute
) -> Convention | None:
    """Return what torchmetrics does differently with these arguments."""
    if kind not in CLASSES:
        return None
    expected = sklearn if load_sklearn_metrics() is not None else None
    if ignores_a_class(config):
        return ignored_class(expected)
    if kind == "HammingDistance":
        return Convention(
            "zero division",
            "a ratio without a denominator is zero_division= here; torchmetrics, "
            "which takes 1 less an accuracy of 0, gives 1",
            expected,
        )
    if config["zero_division"] != 0:
        return Convention(
            "zero division",
            "a ratio without a denominator is zero_division= here; torchmetrics "
            + ("gives 0" if kind in TAKES_ZERO_DIVISION else "has no such argument")
            + (" for accuracy" if kind == "Accuracy" else "")
            + " and averages by its own rule",
            expected,
        )
    return None


def ignores_a_class(config: dict[str, Any]) -> bool:
    """Return whether `ignore_index` is one of several classes."""
    ignored = config["ignore_index"]
    return (
        config["task"] == "multiclass"
        and ignored is not None
        and bool(np.isin(ignored, range(config["num_classes"])).any())
    )


def ignored_class(expected: Compute | None) -> Convention:
    """Return what happens to predictions of an ignored class."""
    return Convention(
        "ignored class",
        "an ignored class leaves the average here, as its labels do; torchmetrics "
        "counts it by its own rule when it is predicted",
        expected,
    )
