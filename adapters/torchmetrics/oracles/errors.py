"""Errors by a formula of their own, and correlations of ranks."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import Array, Samples, as_floats, pair
from multiback.adapters.torchmetrics.libraries import (
    load_sklearn_metrics,
    run_torchmetrics,
)
from multiback.adapters.torchmetrics.oracles.equivalent import (
    BY_NUMPY,
    NO_WEIGHTS,
    Convention,
    Equivalent,
    NoEquivalent,
    Translation,
)
from multiback.adapters.torchmetrics.translation.table import CLASSES
from multiback.adapters.torchmetrics.translation.torchmetrics import make

Config = dict[str, Any]
# From a metric's arguments, targets, predictions and weights, in float64.
Score = Callable[[Config, Array, Array, Array | None], float]


def _mean(terms: Callable[[Config, Array, Array], Array]) -> Score:
    def score(config: Config, true: Array, guess: Array, weight: Array | None) -> float:
        return float(np.average(terms(config, true, guess), weights=weight))

    return score


def _sklearn(name: str, **passed: str) -> Score:
    """Return a function of scikit-learn, with its name for each argument of ours."""

    def score(config: Config, true: Array, guess: Array, weight: Array | None) -> float:
        more = {argument: config[own] for argument, own in passed.items()}
        function = getattr(load_sklearn_metrics(), name)
        return float(function(true, guess, sample_weight=weight, **more))

    return score


def _huber(config: Config, true: Array, guess: Array) -> Array:
    size, delta = np.abs(true - guess), config["delta"]
    found: Array = np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))
    return found


def _symmetric(_: Config, true: Array, guess: Array) -> Array:
    size = np.abs(true) + np.abs(guess)
    found: Array = 2 * np.abs(true - guess) / np.where(size == 0, 1, size)
    return found


def _weighted_percentage(
    _: Config, true: Array, guess: Array, weight: Array | None
) -> float:
    errors, sizes = (
        float(np.average(np.abs(each), weights=weight)) for each in (true - guess, true)
    )
    return errors / sizes if sizes else np.nan


def _minkowski(
    config: Config, true: Array, guess: Array, weight: Array | None
) -> float:
    powers = np.abs(true - guess) ** config["p"]
    total = powers.sum() if weight is None else (weight * powers).sum()
    return float(total ** (1 / config["p"]))


def _normalized(
    config: Config, true: Array, guess: Array, weight: Array | None
) -> float:
    weight = np.ones(len(true)) if weight is None else weight
    mean = np.average(true, weights=weight)
    size = {
        "mean": abs(mean),
        "range": np.ptp(true[weight != 0]),
        "std": np.sqrt(np.average((true - mean) ** 2, weights=weight)),
        "l2": np.sqrt(np.sum(weight * true**2)),
    }[config["normalization"]]
    error = np.sqrt(np.average((true - guess) ** 2, weights=weight))
    return float(error / size) if size else np.nan


def _relative(config: Config, true: Array, guess: Array, weight: Array | None) -> float:
    mean = np.average(true, weights=weight)
    spread = np.average((true - mean) ** 2, weights=weight)
    error = np.average((true - guess) ** 2, weights=weight)
    value = float(error / spread) if spread else np.nan
    return value if config["squared"] else float(np.sqrt(value))


SCORES: dict[str, Score] = {
    "Huber": _mean(_huber),
    "MeanAbsolutePercentageError": _sklearn("mean_absolute_percentage_error"),
    "MeanSquaredLogarithmicError": _sklearn("mean_squared_log_error"),
    "MinkowskiDistance": _minkowski,
    "NormalizedRootMeanSquaredError": _normalized,
    "PinballLoss": _sklearn("mean_pinball_loss", alpha="quantile"),
    "RelativeSquaredError": _relative,
    "RootMeanSquaredLogarithmicError": _sklearn("root_mean_squared_log_error"),
    "SymmetricMeanAbsolutePercentageError": _mean(_symmetric),
    "TweedieDeviance": _sklearn("mean_tweedie_deviance", power="power"),
    "WeightedMeanAbsolutePercentageError": _weighted_percentage,
}
# Where torchmetrics gives another number, by choice.
DIFFERS = {
    "MeanAbsolutePercentageError": Convention(
        "smallest target", "torchmetrics divides by no less than 1.17e-6", None
    ),
    "NormalizedRootMeanSquaredError": Convention(
        "sign of the mean", "torchmetrics divides by a negative mean as it is", None
    ),
}


def _columns(
    config: Config, samples: Samples
) -> list[tuple[Array, Array, Array | None]]:
    """Return targets, predictions and weights of each output, without NaN targets."""
    outputs = config["num_outputs"]
    elements = pair(samples, None if outputs == 1 else outputs)
    parts = [as_floats(elements.labels), as_floats(elements.predictions)]
    if elements.weights is not None:
        parts.append(elements.weights)
    found = []
    for each in zip(*(part.reshape(-1, outputs).T for part in parts), strict=True):
        kept = (
            ~np.isnan(each[0]) if config["ignore_nan"] else np.ones(len(each[0]), bool)
        )
        true, guess, *weights = (part[kept] for part in each)
        found.append((true, guess, weights[0] if weights else None))
    return found


def _average(config: Config, values: list[float], spread: list[float]) -> Any:
    how = config["multioutput"]
    if how == "raw_values":
        return np.asarray(values)
    weights = spread if how == "variance_weighted" and any(spread) else None
    return np.average(values, weights=weights)


def _by_torchmetrics(
    kind: str,
    config: Config,
    columns: list[tuple[Array, Array, Array | None]],
    spread: list[float],
) -> Any:
    """Compute each output by torchmetrics, and average."""
    alone = {**config, "num_outputs": 1}
    values = [
        float(run_torchmetrics(make(kind, alone), y_true=true, y_pred=guess))
        for true, guess, _ in columns
    ]
    return _average(config, values, spread)


def error(kind: str) -> Translation:
    """Return the translation of an error of each output."""

    def translate(config: Config, samples: Samples) -> Equivalent:
        columns = _columns(config, samples)
        spread = [float(np.cov(t, aweights=w, ddof=0)) for t, _, w in columns]
        weighted = samples.sample_weight is not None

        def sklearn() -> Any:
            values = [SCORES[kind](config, *column) for column in columns]
            return _average(config, values, spread)

        theirs = functools.partial(_by_torchmetrics, kind, config, columns, spread)
        notes = []
        if SCORES[kind].__name__ != "score" or kind == "Huber":
            notes.append(BY_NUMPY)
        if weighted:
            notes.append(NO_WEIGHTS)
        convention = DIFFERS.get(kind)
        return Equivalent(
            None if weighted or kind not in CLASSES else theirs,
            sklearn,
            convention=convention,
            columns=len(columns),
            additions=samples.additions,
            # A deviance is a small difference of terms.
            scale=1.0 if kind == "TweedieDeviance" else 0.0,
            note="; ".join(notes),
        )

    return translate


def rank_correlation(kind: str, scipy_name: str) -> Translation:
    """Return the translation of a correlation of ranks."""

    def translate(config: Config, samples: Samples) -> Equivalent | NoEquivalent:
        if samples.sample_weight is not None:
            return NoEquivalent("neither SciPy nor torchmetrics weighs ranks")
        columns = _columns(config, samples)
        more = {"variant": config["variant"]} if "variant" in config else {}

        def scipy() -> Any:
            import scipy.stats

            function = getattr(scipy.stats, scipy_name)
            values = [function(t, p, **more).statistic for t, p, _ in columns]
            return _average(config, values, [])

        return Equivalent(
            functools.partial(_by_torchmetrics, kind, config, columns, []),
            scipy,
            convention=Convention(
                "capacity",
                "elements beyond capacity= are missing here, and the value is NaN",
                lambda: np.full(len(columns), np.nan),
            )
            if max(len(true) for true, *_ in columns) > config["capacity"]
            else None,
            columns=len(columns) + 64,
            additions=samples.additions,
            scale=1.0,
            note="scikit-learn's column is SciPy's",
        )

    return translate
