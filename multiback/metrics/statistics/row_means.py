"""One value a row, such as a query or an image, and the mean over rows."""

import abc
from typing import Any

from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.inputs.batch import Given
from multiback.metrics.inputs.causes import count_each
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import ratio
from multiback.metrics.statistics.statistic import (
    PairStatistic,
    State,
    SumStatistic,
    Tensor,
)
from multiback.metrics.statistics.sums import sums_for_mean


class RowMeans(SumStatistic, PairStatistic):
    """Add up one value a row, and the rows' weights.

    "sums" is float32 `(2, 5)`, as `sums_for_mean` returns them.
    """

    @abc.abstractmethod
    def rows(self, given: Given) -> tuple[Tensor, Tensor, Tensor]:
        """Return the value of each row, whether it counts, and whether any is odd.

        A value that is NaN makes the mean NaN. What is odd is a scalar, which may be
        True for a batch that is not.
        """

    def values_of_arrays(self, _y_true: Any, _y_pred: Any) -> Any | None:
        """Return the value of each row of plain NumPy arrays; None leaves it to `rows`.

        A batch with any value that cannot be used is not plain.
        """
        return None

    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        values, counts, odd = self.rows(given)
        weights = self._weights(given, counts)
        if given.sample_weight is not None:
            odd = ops.logical_or(odd, ops.logical_not(ops.all(ops.isfinite(weights))))
        equal = given.sample_weight is None
        words = sums_for_mean(values, weights, equal=equal)
        return {**state, "sums": exact.merge_sums(state["sums"], words)}, odd

    def _weights(self, given: Given, counts: Tensor) -> Tensor:
        if given.sample_weight is None:
            return ops.cast(counts, "float32")
        each = weights_of_rows(given.sample_weight, given.tensors()[0].shape)
        return ops.where(counts, each, 0.0)

    @abc.abstractmethod
    def causes_of_rows(self, given: Given) -> Tensor:
        """Count the elements of a batch that have each cause, weights apart."""

    def causes(self, given: Given) -> Tensor:
        """Count the elements and weights of a batch that have each cause."""
        counts = self.causes_of_rows(given)
        if given.sample_weight is None:
            return counts
        weights = self._weights(given, self.rows(given)[1])
        unusable = ops.logical_not(ops.isfinite(weights))
        return counts + count_each({"unusable_weight": unusable})

    def read(self, state: State) -> Tensor:
        """Return the mean, NaN of no rows."""
        sums = exact.sum_to_float(state["sums"])
        return ratio(sums[0], sums[1], float("nan"))


def weights_of_rows(sample_weight: Tensor, shape: tuple[int | None, ...]) -> Tensor:
    """Return one float32 weight a row, of labels of this shape (None where unknown).

    There is one number a row, with axes of length 1 behind it, or one for all rows.
    """
    each = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    rows = shape[0] if shape else None
    if any(size != 1 for size in each.shape[1:]) or (
        len(each.shape) and each.shape[0] not in (1, None, rows) and rows is not None
    ):
        raise ArgumentError(
            f"sample_weight has shape {tuple(each.shape)} and y_true {tuple(shape)}; "
            "this metric wants one number a sample."
        )
    return ops.reshape(each, (-1,))
