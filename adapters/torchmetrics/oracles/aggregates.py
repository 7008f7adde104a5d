"""Mean, sum, largest and smallest of plain numbers, in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import Array, Samples, as_floats
from multiback.adapters.torchmetrics.libraries import run_aggregate
from multiback.adapters.torchmetrics.oracles.equivalent import (
    BY_NUMPY,
    NO_WEIGHTS,
    Equivalent,
    Translation,
)
from multiback.adapters.torchmetrics.translation.torchmetrics import make


def _mean(values: Array, weights: Array) -> float:
    total = weights.sum()
    return float((values * weights).sum() / total) if total else np.nan


def _sum(values: Array, weights: Array) -> float:
    return float((values * weights).sum())


def _max(values: Array, weights: Array) -> float:
    counted = values[weights != 0]
    return float(counted.max()) if counted.size else np.nan


def _min(values: Array, weights: Array) -> float:
    return -_max(-values, weights)


def _aggregate(
    kind: str, of_numbers: Callable[[Array, Array], float], *, exact: bool = False
) -> Translation:
    def translate(_: dict[str, Any], samples: Samples) -> Equivalent:
        values = as_floats(samples.y_true)
        weights = np.ones(values.shape)
        if samples.sample_weight is not None:
            given = as_floats(samples.sample_weight)
            if given.ndim == values.ndim + 1 and given.shape[-1] == 1:
                given = given[..., 0]
            given = given.reshape(given.shape + (1,) * (values.ndim - given.ndim))
            weights = np.broadcast_to(given, values.shape)

        def theirs() -> Any:
            metric = make(kind, {})
            if kind == "Mean":
                return run_aggregate(metric, values, weights)
            return run_aggregate(metric, values)

        weighted = samples.sample_weight is not None and kind != "Mean"
        return Equivalent(
            None if weighted else theirs,
            lambda: of_numbers(values, weights),
            additions=0 if exact else samples.additions,
            # Terms that cancel in a sum were rounded before.
            scale=0.0 if exact else of_numbers(abs(values), abs(weights)),
            note=f"{NO_WEIGHTS}; {BY_NUMPY}" if weighted else BY_NUMPY,
        )

    return translate


mean = _aggregate("Mean", _mean)
total = _aggregate("Sum", _sum)
largest = _aggregate("Max", _max, exact=True)
smallest = _aggregate("Min", _min, exact=True)
