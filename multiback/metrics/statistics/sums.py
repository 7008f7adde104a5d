"""Sums of numbers and of errors, and extremes."""

import abc
import dataclasses
from typing import Any, ClassVar, Literal

from keras import ops

from multiback.metrics.inputs.batch import Given, Values, value_batch
from multiback.metrics.inputs.causes import count_number_causes
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.statistic import (
    CountsCauses,
    State,
    SumStatistic,
    TargetStatistic,
    Tensor,
)


def sums_for_mean(terms: Tensor, weights: Tensor, *, equal: bool) -> Tensor:
    """Add up the terms of a weighted mean and its standard error, over the last axis.

    Of terms t with weights w: `w t`, `w`, `w^2`, `w^2 t` and `w^2 t^2`. The first two
    make the mean m; its squared standard error, `sum(w^2 (t - m)^2) / sum(w)^2`,
    follows from all.

    Args:
        terms: Float tensor `(..., N)`.
        weights: The same shape and dtype; a term of weight 0 may be infinite or NaN.
        equal: Each weight is 0 or 1, so three sums are enough.

    Returns:
        float32 tensor `(2, 5, ...)`, in the words of `exact`.
    """
    terms = ops.where(ops.equal(weights, 0.0), 0.0, terms)
    weighted = weights * terms
    columns = [weighted, weights, ops.square(weighted)]
    if equal:
        words = exact.batch_sum(ops.stack(columns))
        return ops.stack([words[:, k] for k in (0, 1, 1, 0, 2)], axis=1)
    columns[2:2] = [ops.square(weights), weights * weighted]
    return exact.batch_sum(ops.stack(columns))


class WeightedSums(SumStatistic):
    """Accumulate sums of terms and weights, exactly across batches."""

    @abc.abstractmethod
    def terms(self, batch: Values) -> Tensor:
        """Return the terms of the sum, one number an element."""

    def added(self, sums: Tensor, batch: Values) -> tuple[Tensor, Tensor]:
        """Return sums with the terms of a batch in them, and the batch's own."""
        terms, weights = self.terms(batch), batch.weights
        if weights is None:
            size = ops.convert_to_tensor(ops.shape(terms)[0], dtype="int32")
            plain, ones = exact.batch_sum(terms), exact.to_words(size)
            squares = exact.batch_sum(ops.square(terms))
            words = ops.stack([plain, ones, ones, plain, squares], axis=1)
        else:
            words = sums_for_mean(terms, weights, equal=False)
        return exact.merge_sums(sums, words), words

    def read(self, state: State) -> tuple[Tensor, Tensor]:
        """Round the sum and the weight to float32."""
        sums = exact.sum_to_float(state["sums"])
        return sums[0], sums[1]


class ValueStatistic(CountsCauses):
    """A statistic of plain numbers.

    Attributes:
        takes_infinity: An infinite number has a value.
    """

    words_of: ClassVar[dict[str, str]] = {"nan_score": "nan_value"}
    takes_infinity: ClassVar[bool] = False

    def update(
        self,
        state: State,
        values: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> State:
        """Return the state with one more batch in it."""
        batch = value_batch((values,), sample_weight, mask)
        after, odd = self.add(state, batch)
        return {**after, "unusable": self.note(state, batch, odd)}

    @abc.abstractmethod
    def add(self, state: State, batch: Values) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""

    def explain_labels(self) -> str:
        """Name the values."""
        return "finite numbers"

    def causes(self, given: Values) -> Tensor:
        """Count values that are NaN or, where they have no value, infinite."""
        return count_number_causes(given, infinite=not self.takes_infinity)


@dataclasses.dataclass(frozen=True)
class ValueSums(WeightedSums, ValueStatistic):
    """Add up numbers."""

    def terms(self, batch: Values) -> Tensor:
        """Return the numbers themselves."""
        return batch.columns[0]

    def add(self, state: State, batch: Values) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        sums, words = self.added(state["sums"], batch)
        # An invalid number anywhere makes the sum invalid.
        return {"sums": sums}, ops.logical_not(ops.isfinite(words[0, 0]))


@dataclasses.dataclass(frozen=True)
class ErrorSums(WeightedSums, TargetStatistic):
    """Add up "squared" or "absolute" errors of predictions."""

    kind: Literal["squared", "absolute"]
    ignore_nan: bool = False

    def of_arrays(self, true: Any, predicted: Any) -> Any:
        """Return the errors of NumPy arrays, or of tensors."""
        error, xp = true - predicted, namespace(true)
        return xp.square(error) if self.kind == "squared" else xp.abs(error)

    def terms(self, batch: Values) -> Tensor:
        """Return one error an element."""
        return self.of_arrays(*batch.columns)

    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        sums, words = self.added(state["sums"], self.values(given))
        # An invalid number anywhere makes the sum invalid.
        odd = ops.logical_not(ops.isfinite(words[0, 0]))
        return {**state, "sums": sums}, odd


@dataclasses.dataclass(frozen=True)
class Extremes(ValueStatistic):
    """Keep the largest number and the smallest.

    The state of no data is all zeros, as Keras resets it, so each extreme comes
    with a flag that says whether there is one.
    """

    adds: ClassVar[bool] = False
    takes_infinity: ClassVar[bool] = True

    def init(self) -> State:
        """Return the state of no data."""
        extremes = ops.zeros((3,), dtype="float32")
        return {"extremes": extremes, "unusable": self.no_causes()}

    def add(self, state: State, batch: Values) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        column = ops.cast(batch.columns[0], "float32")
        # Append a neutral element so that an empty batch needs no special case.
        column = ops.concatenate([column, ops.zeros((1,), dtype="float32")])
        counts = ops.ones_like(column[:-1], dtype="bool")
        if batch.weights is not None:
            counts = ops.not_equal(batch.weights, 0.0)
        counts = ops.concatenate([counts, ops.zeros((1,), dtype="bool")])
        infinity = float("inf")
        words = ops.stack(
            [
                ops.max(ops.where(counts, column, -infinity)),
                -ops.min(ops.where(counts, column, infinity)),
                ops.cast(ops.any(counts), "float32"),
            ]
        )
        invalid = ops.any(ops.logical_and(counts, ops.isnan(column)))
        words = ops.where(invalid, ops.stack([words[2] * float("nan")] * 3), words)
        return {"extremes": self._merged(state["extremes"], words)}, invalid

    def merge(self, a: State, b: State) -> State:
        """Return the state of all data, from the states of two parts."""
        return {
            "extremes": self._merged(a["extremes"], b["extremes"]),
            "unusable": exact.merge_counts(a["unusable"], b["unusable"]),
        }

    def _merged(self, x: Tensor, y: Tensor) -> Tensor:
        both = ops.maximum(x, y)
        # A flag of 0 says that the other state is all there is; a NaN stays.
        return ops.where(
            ops.equal(x[2], 0.0), y, ops.where(ops.equal(y[2], 0.0), x, both)
        )

    def read(self, state: State) -> tuple[Tensor, Tensor]:
        """Return the largest and the smallest; NaN without data."""
        words = state["extremes"]
        words = ops.where(ops.equal(words[2], 0.0), float("nan"), words)
        return words[0], -words[1]
