"""Errors and correlations of predicted numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import (
    Array,
    Elements,
    Samples,
    as_floats,
    pair,
)
from multiback.adapters.torchmetrics.libraries import (
    load_sklearn_metrics,
    run_torchmetrics,
)
from multiback.adapters.torchmetrics.oracles.equivalent import (
    BY_NUMPY,
    NO_WEIGHTS,
    Convention,
    Equivalent,
    Translation,
)
from multiback.adapters.torchmetrics.translation.torchmetrics import make


def error(kind: str, sklearn_name: str) -> Translation:
    """Return the translation of a mean of errors."""

    def translate(_: dict[str, Any], samples: Samples) -> Equivalent:
        elements = pair(samples)
        y_true = as_floats(elements.labels)
        y_pred = as_floats(elements.predictions)

        def theirs() -> Any:
            metric = make(kind, {})
            return run_torchmetrics(metric, y_true=y_true, y_pred=y_pred)

        def sklearn() -> Any:
            function = getattr(load_sklearn_metrics(), sklearn_name)
            return function(y_true, y_pred, sample_weight=elements.weights)

        weighted = elements.weights is not None
        return Equivalent(
            None if weighted else theirs,
            sklearn,
            additions=samples.additions,
            note=NO_WEIGHTS if weighted else "",
        )

    return translate


mean_squared = error("MeanSquaredError", "mean_squared_error")
mean_absolute = error("MeanAbsoluteError", "mean_absolute_error")
root_mean_squared = error("RootMeanSquaredError", "root_mean_squared_error")


def _outputs(config: dict[str, Any], samples: Samples) -> Elements:
    """Return float64 `(N, outputs)` and one weight a row."""
    elements = pair(samples, config["num_outputs"])
    weights = None if elements.weights is None else elements.weights[:, 0]
    return Elements(
        as_floats(elements.labels), as_floats(elements.predictions), weights
    )


def _few_rows(values: Elements) -> bool:
    rows = len(values.labels) if values.weights is None else (values.weights != 0).sum()
    return bool(rows < 2)  # noqa: PLR2004 - a variance takes two


def explained(kind: str, sklearn_name: str) -> Translation:
    """Return the translation of a share of the targets' variance."""

    def translate(config: dict[str, Any], samples: Samples) -> Equivalent:
        values = _outputs(config, samples)
        regressors = config.get("adjusted", 0)
        n = len(values.labels)
        if values.weights is not None:
            n = int((values.weights != 0).sum())
        arguments = {"multioutput": config["multioutput"]}

        def theirs() -> Any:
            y_true, y_pred = _for_torchmetrics(values)
            return run_torchmetrics(make(kind, config), y_true=y_true, y_pred=y_pred)

        def sklearn() -> Any:
            score = getattr(load_sklearn_metrics(), sklearn_name)(
                values.labels,
                values.predictions,
                sample_weight=values.weights,
                **arguments,
            )
            if not regressors:
                return score
            return 1 - (1 - score) * (n - 1) / (n - 1 - regressors)

        undefined = _few_rows(values) or n <= regressors + 1

        def expected() -> Any:
            raw = config["multioutput"] == "raw_values"
            return np.full(config["num_outputs"] if raw else 1, np.nan)

        weighted = values.weights is not None
        return Equivalent(
            None if weighted else theirs,
            None if n <= regressors + 1 and regressors else sklearn,
            convention=Convention(
                "too few rows",
                "of fewer rows than the score needs there is none here; "
                "scikit-learn takes one row for constant targets, and torchmetrics "
                "leaves the adjustment out",
                expected,
            )
            if undefined
            else Convention(
                "constant targets",
                "of constant targets the score is 1 or 0 here and in scikit-learn",
                sklearn,
            ),
            columns=config["num_outputs"],
            additions=samples.additions,
            scale=_size(values, regressors),
            note=NO_WEIGHTS if weighted else "",
        )

    return translate


def _size(values: Elements, regressors: int) -> float:
    """Return the size of the term that R2 subtracts from 1, at least 1."""
    spread = np.var(values.labels, axis=0)
    lost = np.mean((values.labels - values.predictions) ** 2, axis=0)
    parts = lost[spread > 0] / spread[spread > 0]
    n = len(values.labels)
    growth = (n - 1) / max(1, n - 1 - regressors)
    return float(max(1.0, growth * parts.max(initial=0.0)))


def _for_torchmetrics(values: Elements) -> tuple[Array, Array]:
    """Drop the axis of a single output, which torchmetrics wants flat."""
    if values.labels.shape[1] == 1:
        return values.labels[:, 0], values.predictions[:, 0]
    return values.labels, values.predictions


def _pearson(true: Array, predicted: Array, weights: Array | None) -> float:
    """Return the weighted correlation, NaN of constants."""
    covariance = np.cov(true, predicted, aweights=weights, ddof=0)
    spread = np.sqrt(covariance[0, 0]) * np.sqrt(covariance[1, 1])
    return float(covariance[0, 1] / spread) if spread else np.nan


def _concordance(true: Array, predicted: Array, weights: Array | None) -> float:
    """Return Lin's coefficient with variances over n, NaN of one constant."""
    covariance = np.cov(true, predicted, aweights=weights, ddof=0)
    shift = np.average(true, weights=weights) - np.average(predicted, weights=weights)
    spread = covariance[0, 0] + covariance[1, 1] + shift**2
    return float(2 * covariance[0, 1] / spread) if spread else np.nan


def _correlation(
    kind: str,
    of_output: Callable[[Array, Array, Array | None], float],
    convention: tuple[str, str],
) -> Translation:
    def translate(config: dict[str, Any], samples: Samples) -> Equivalent:
        values = _outputs(config, samples)
        outputs = config["num_outputs"]

        def average(scores: Array) -> Any:
            """Average over outputs; torchmetrics has no such argument."""
            if config["multioutput"] == "raw_values":
                return scores
            if config["multioutput"] == "uniform_average":
                return scores.mean()
            center = np.average(values.labels, axis=0, weights=values.weights)
            spread = np.average(
                (values.labels - center) ** 2, axis=0, weights=values.weights
            )
            return np.average(scores, weights=spread if spread.any() else None)

        def theirs() -> Any:
            y_true, y_pred = _for_torchmetrics(values)
            scores = run_torchmetrics(make(kind, config), y_true=y_true, y_pred=y_pred)
            return average(np.atleast_1d(scores))

        def by_numpy() -> Any:
            if _few_rows(values):
                return average(np.full(outputs, np.nan))
            columns = zip(values.labels.T, values.predictions.T, strict=True)
            return average(
                np.array([of_output(t, p, values.weights) for t, p in columns])
            )

        weighted = values.weights is not None
        return Equivalent(
            None if weighted else theirs,
            by_numpy,
            convention=Convention(*convention, by_numpy),
            columns=outputs,
            additions=samples.additions,
            scale=1.0,
            note=f"{NO_WEIGHTS}; {BY_NUMPY}" if weighted else BY_NUMPY,
        )

    return translate


pearson = _correlation(
    "PearsonCorrelation",
    _pearson,
    ("constant", "a constant has no correlation; torchmetrics clips what is left"),
)
concordance = _correlation(
    "ConcordanceCorrelation",
    _concordance,
    (
        "variance over n",
        "torchmetrics takes variances over n - 1, not Lin's n: a shift weighs less",
    ),
)
