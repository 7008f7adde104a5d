"""Sums of error terms, one of several formulas, for each output."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
from keras import ops

from multiback.metrics.inputs.batch import Given, Values
from multiback.metrics.inputs.causes import NUMBER, count_value_causes
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.statistic import (
    State,
    SumStatistic,
    TargetStatistic,
    Tensor,
)
from multiback.metrics.statistics.sums import sums_for_mean

Kind = Literal[
    "huber",
    "logarithmic",
    "percentage",
    "pinball",
    "power",
    "symmetric percentage",
    "tweedie",
    "weighted percentage",
]
# scikit-learn divides by no less than this, the float64 rounding of 1.
SMALLEST_TARGET = 2.0**-52


def _all_above(bound: float, values: Tensor) -> bool:
    """Return whether all are above a bound, as far as it is known: of NumPy arrays.

    NumPy takes longer for a condition or a maximum with one number than for this.
    """
    if not isinstance(values, np.ndarray) or not values.size:
        return False
    return bool(np.minimum.reduce(values, axis=None) > bound)


def _percentage(true: Tensor, predicted: Tensor, _: float) -> Tensor:
    xp = namespace(true)
    size = xp.abs(true)
    if not _all_above(SMALLEST_TARGET, size):
        size = xp.maximum(size, SMALLEST_TARGET)
    return xp.abs(true - predicted) / size


def _symmetric_percentage(true: Tensor, predicted: Tensor, _: float) -> Tensor:
    xp = namespace(true)
    size = xp.abs(true) + xp.abs(predicted)
    if not _all_above(0.0, size):
        size = xp.where(xp.equal(size, 0.0), 1.0, size)
    return 2.0 * (xp.abs(true - predicted) / size)


def _absolute(true: Tensor, predicted: Tensor, _: float) -> Tensor:
    xp = namespace(true)
    return xp.abs(true - predicted)


def _logarithmic(true: Tensor, predicted: Tensor, _: float) -> Tensor:
    xp = namespace(true)
    # A logarithm of the ratio is exact where both numbers are near each other.
    apart = xp.log1p((predicted - true) / (1.0 + true))
    if _all_above(-1.0, true):  # No other prediction has a finite logarithm.
        return xp.square(apart)
    defined = xp.logical_and(true > -1.0, predicted > -1.0)
    return xp.where(defined, xp.square(apart), float("nan"))


def _pinball(true: Tensor, predicted: Tensor, quantile: float) -> Tensor:
    xp = namespace(true)
    error = true - predicted
    return xp.maximum(quantile * error, (quantile - 1.0) * error)


def _huber(true: Tensor, predicted: Tensor, delta: float) -> Tensor:
    xp = namespace(true)
    size = xp.abs(true - predicted)
    # Within delta this is half the square, beyond it a line.
    inside = xp.minimum(size, delta)
    return inside * (size - 0.5 * inside)


def _power(true: Tensor, predicted: Tensor, power: float) -> Tensor:
    xp = namespace(true)
    size = xp.abs(true - predicted)
    if power in (2.0, 3.0):  # Products take a tenth of the time of a power.
        return size * size if power == 2.0 else size * size * size  # noqa: PLR2004 - see above
    return xp.power(size, power)


def _tweedie(true: Tensor, predicted: Tensor, power: float) -> Tensor:
    xp = namespace(true)
    if power == 0.0:
        return xp.square(true - predicted)
    positive = xp.where(predicted > 0.0, predicted, 1.0)
    defined = predicted > 0.0
    if power >= 1.0:
        above = true > 0.0 if power >= 2.0 else true >= 0.0  # noqa: PLR2004 - gamma
        defined = xp.logical_and(defined, above)
    # Of the ratio less 1: the powers themselves would cancel where both are near.
    apart = (xp.where(defined, true, 1.0) - positive) / positive
    logarithm = xp.log1p(xp.maximum(apart, -1.0))
    # Each way is exact where its own limit, Poisson's or gamma's, would divide by 0.
    if 1.0 <= power < 1.5:  # noqa: PLR2004 - halfway from Poisson to gamma
        zero = xp.equal(apart, -1.0)
        rest = _grown(logarithm, 1.0 - power)
        loss = xp.where(zero, 0.0, (1.0 + apart) * rest) - apart
        loss /= 2.0 - power
    else:
        loss = (_grown(logarithm, 2.0 - power) - apart) / (1.0 - power)
    loss = 2.0 * loss * xp.power(positive, 2.0 - power)
    return xp.where(defined, loss, float("nan"))


def _grown(logarithm: Tensor, rate: float) -> Tensor:
    """Return `(x**rate - 1) / rate` of the logarithm of x, which is its limit at 0."""
    if rate == 0.0:
        return logarithm
    return namespace(logarithm).expm1(rate * logarithm) / rate


FORMULAS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "huber": _huber,
    "logarithmic": _logarithmic,
    "percentage": _percentage,
    "pinball": _pinball,
    "power": _power,
    "symmetric percentage": _symmetric_percentage,
    "tweedie": _tweedie,
    "weighted percentage": _absolute,
}


@dataclasses.dataclass(frozen=True)
class ErrorTerms(SumStatistic, TargetStatistic):
    """Add up one term an element, and the weights, apart for each output.

    "sums" is float32 of shape `(2, 5, D)`, as `sums_for_mean` returns them. For
    "weighted percentage" there is "sizes" too, `(2, D)`: the sum of `|y_true|`.
    Without `num_outputs` all elements are of one output.
    """

    words_of: ClassVar[dict[str, str]] = {
        "nan_label": "nan_target",
        "outside_score": "outside_domain",
    }

    kind: Kind
    parameter: float = 0.0
    num_outputs: int | None = None
    ignore_nan: bool = False

    @property
    def sized(self) -> bool:
        """Whether the sum of `|y_true|` is kept too."""
        return self.kind == "weighted percentage"

    def init(self) -> State:
        """Return the state of no data."""
        columns = self.num_outputs or 1
        state = {"sums": ops.zeros((2, 5, columns), dtype="float32")}
        if self.sized:
            state["sizes"] = ops.zeros((2, columns), dtype="float32")
        return {**state, "unusable": self.no_causes()}

    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        batch = self.values(given)
        terms, weights = self._terms(batch), batch.weights
        columns: tuple[Tensor, ...] = (terms,) if weights is None else (terms, weights)
        if self.num_outputs is None:
            columns = tuple(ops.expand_dims(column, 0) for column in columns)
        else:
            columns = tuple(ops.transpose(column) for column in columns)
        weight = ops.ones_like(columns[0]) if weights is None else columns[1]
        words = sums_for_mean(columns[0], weight, equal=weights is None)
        after = {**state, "sums": exact.merge_sums(state["sums"], words)}
        if self.sized:
            size = ops.abs(batch.columns[0])
            size = size if weights is None else weights * size
            size = ops.transpose(ops.reshape(size, (-1, self.num_outputs or 1)))
            after["sizes"] = exact.merge_sums(state["sizes"], exact.batch_sum(size))
        # An invalid number anywhere makes the sum invalid.
        odd = ops.logical_not(ops.all(ops.isfinite(words[0, 0])))
        return after, odd

    def explain_labels(self) -> str:
        """Name the targets and predictions that have a term."""
        if self.kind == "logarithmic":
            return "numbers above -1"
        if self.kind == "tweedie" and self.parameter:
            targets = "any targets"
            if self.parameter >= 1.0:
                targets = "targets of at least 0"
            if self.parameter >= 2.0:  # noqa: PLR2004 - gamma
                targets = "targets above 0"
            return f"{targets}, predictions above 0"
        return "finite numbers"

    def causes(self, given: Given) -> Tensor:
        """Count numbers that are NaN or infinite, or outside of the formula."""
        batch = self.values(given)
        finite = ops.logical_and(*(ops.isfinite(column) for column in batch.columns))
        term = ops.isfinite(self._terms(batch))
        outside = ops.logical_and(finite, ops.logical_not(term))
        if batch.weights is not None:
            outside = ops.logical_and(outside, ops.not_equal(batch.weights, 0.0))
        outside = ops.sum(ops.cast(outside, "int32"))
        counts = count_value_causes(batch)
        place = [int(index == NUMBER["outside_score"]) for index in NUMBER.values()]
        return counts + outside * ops.convert_to_tensor(place, "int32")

    def read(self, state: State) -> tuple[Tensor, Tensor]:
        """Round the sum and the weight of each output to float32, `(D,)`."""
        sums = exact.sum_to_float(state["sums"])
        return sums[0], sums[1]

    def read_sizes(self, state: State) -> Tensor:
        """Round the sum of `|y_true|` of each output to float32, `(D,)`."""
        return exact.sum_to_float(state["sizes"])

    def of_arrays(self, true: Any, predicted: Any) -> Any:
        """Return the terms of NumPy arrays, or of tensors."""
        return FORMULAS[self.kind](true, predicted, self.parameter)

    def _terms(self, batch: Values) -> Tensor:
        return self.of_arrays(*batch.columns)
