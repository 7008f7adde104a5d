"""Sums of numbers and of errors, and extremes."""

import abc
import dataclasses
from typing import Any, ClassVar, Literal

from keras import ops

from multiback.metrics.inputs.batch import Values, value_batch
from multiback.metrics.numeric import exact
from multiback.metrics.statistics.statistic import State, Statistic

Tensor = Any


class WeightedSums(Statistic):
    """Accumulate a weighted sum and the sum of the weights, exactly across batches.

    The state is one float32 tensor of shape `(2, 2)`: the words of `exact`, and in
    each the sum of the terms and that of the weights.
    """

    @abc.abstractmethod
    def terms(self, batch: Values) -> Tensor:
        """Return what is added up, one number an element."""

    def init(self) -> State:
        """Return the state of no data."""
        return {"sums": ops.zeros((2, 2), dtype="float32")}

    def add(self, state: State, batch: Values) -> State:
        """Return the state with the terms of a batch in it."""
        terms, weights = self.terms(batch), batch.weights
        if weights is None:
            size = ops.convert_to_tensor(ops.shape(terms)[0], dtype="int32")
            total, weight = exact.batch_sum(terms), exact.to_words(size)
        else:
            # A term that does not count may be infinite.
            weighted = ops.where(ops.equal(weights, 0.0), 0.0, weights * terms)
            total, weight = exact.batch_sum(weighted), exact.batch_sum(weights)
        words = ops.stack([total, weight], axis=1)
        return {"sums": exact.merge_sums(state["sums"], words)}

    def merge(self, a: State, b: State) -> State:
        """Return the state of both states' data together."""
        return {"sums": exact.merge_sums(a["sums"], b["sums"])}

    def read(self, state: State) -> tuple[Tensor, Tensor]:
        """Round the sum and the weight to float32."""
        sums = exact.sum_to_float(state["sums"])
        return sums[0], sums[1]


@dataclasses.dataclass(frozen=True)
class ValueSums(WeightedSums):
    """Add up numbers."""

    def terms(self, batch: Values) -> Tensor:
        """Return the numbers themselves."""
        return batch.columns[0]

    def update(
        self,
        state: State,
        values: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> State:
        """Return the state with one more batch in it."""
        return self.add(state, value_batch((values,), sample_weight, mask))


@dataclasses.dataclass(frozen=True)
class ErrorSums(WeightedSums):
    """Add up errors of predictions.

    Args:
        kind: "squared" or "absolute".
    """

    kind: Literal["squared", "absolute"]

    def terms(self, batch: Values) -> Tensor:
        """Return one error an element."""
        y_true, y_pred = batch.columns
        error = y_true - y_pred
        return ops.square(error) if self.kind == "squared" else ops.abs(error)

    def update(
        self,
        state: State,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> State:
        """Return the state with one more batch in it."""
        return self.add(state, value_batch((y_true, y_pred), sample_weight, mask))


@dataclasses.dataclass(frozen=True)
class Extremes(Statistic):
    """Keep the largest number and the smallest.

    The state of no data is all zeros, as Keras resets it, so each extreme comes
    with a flag that says whether there is one.
    """

    adds: ClassVar[bool] = False

    def init(self) -> State:
        """Return the state of no data."""
        return {"extremes": ops.zeros((3,), dtype="float32")}

    def update(
        self,
        state: State,
        values: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> State:
        """Return the state with one more batch in it."""
        batch = value_batch((values,), sample_weight, mask)
        column = ops.cast(batch.columns[0], "float32")
        # One more element makes an empty batch no special case.
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
        return self.merge(state, {"extremes": words})

    def merge(self, a: State, b: State) -> State:
        """Return the state of both states' data together."""
        x, y = a["extremes"], b["extremes"]
        both = ops.maximum(x, y)
        # A flag of 0 says that the other state is all there is; a NaN stays.
        merged = ops.where(
            ops.equal(x[2], 0.0), y, ops.where(ops.equal(y[2], 0.0), x, both)
        )
        return {"extremes": merged}

    def read(self, state: State) -> tuple[Tensor, Tensor]:
        """Return the largest and the smallest; NaN where there is none."""
        words = state["extremes"]
        words = ops.where(ops.equal(words[2], 0.0), float("nan"), words)
        return words[0], -words[1]
