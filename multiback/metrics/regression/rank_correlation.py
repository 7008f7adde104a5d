"""Correlations of ranks: Spearman's rho and Kendall's tau."""

import abc
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base.bootstrap_states import Intervals
from multiback.metrics.base.metric import Direction, PairMetric
from multiback.metrics.fast.ranks import spearman
from multiback.metrics.inputs.arguments import as_integer, check_flag
from multiback.metrics.numeric import ranks
from multiback.metrics.numeric.arithmetic import ratio
from multiback.metrics.regression.error_metric import Multioutput, check_multioutput
from multiback.metrics.statistics.statistic import State, Tensor
from multiback.metrics.statistics.value_buffer import KeptValues, ValueBuffer

Variant = Literal["b", "c"]


class RankMetric(PairMetric):
    """A number that depends on ranks alone; subclasses write `score`."""

    direction: ClassVar[Direction | None] = "max"
    value_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    def __init__(
        self,
        capacity: int,
        num_outputs: int,
        multioutput: Multioutput,
        ignore_nan: bool,
        name: str,
        dtype: str | None,
        intervals: Intervals = None,
    ) -> None:
        check_multioutput(multioutput)
        self._kept = ValueBuffer(
            as_integer("capacity", capacity, 1),
            as_integer("num_outputs", num_outputs, 1),
            check_flag("ignore_nan", ignore_nan),
        )
        super().__init__(self._kept, name=name, dtype=dtype, intervals=intervals)
        self.multioutput = multioutput

    @abc.abstractmethod
    def score(self, kept: KeptValues) -> Tensor:
        """Return one value an output."""

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        kept = self._kept.read(state)
        # Free places have no weight, and so no part in any sum.
        values = ops.clip(self.score(kept), -1.0, 1.0)
        values = ops.where(kept.broken, float("nan"), values)
        return values if self.multioutput == "raw_values" else ops.mean(values)


@keras.saving.register_keras_serializable("multiback")
class SpearmanCorrelation(RankMetric):
    """Spearman's rank correlation of targets and predictions.

    Formula: Pearson's correlation of the ranks, where equal values share the mean of
    their ranks.

    Use it where predictions should rise with the targets, on a line or not. NaN where
    targets or predictions are constant, and of fewer than two elements. Ranks need all
    data at once, so the state holds them: it takes 12 bytes an element.

    Args:
        capacity: Number of elements that are kept, of each output. Where there are more
            the value is NaN, and a warning says how many had no room.
        num_outputs: Number D of outputs, the length of the last axis.
        multioutput: How the values of several outputs become one: "uniform_average"
            (plain mean) or "raw_values" (an array of all).
        ignore_nan: Leave out elements whose target is NaN.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; the result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Targets `(..., D)`, integers or floats; for one output also `(...)`.
        y_pred: Predictions of the same shape. For one output either one may have a last
            axis of length 1 that the other lacks.
        sample_weight: One number a sample, a row or an element, or None. A weight of 2
            counts as the element twice.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: SciPy's `scipy.stats.spearmanr`.

    Examples:
        One output, in two batches:

        >>> metric = SpearmanCorrelation(capacity=100)
        >>> metric.update_state([1.0, 2.0, 3.0], [1.0, 4.0, 9.0])
        >>> metric.update_state([4.0], [8.0])
        >>> round(float(metric.result()), 4)
        0.8

        Two outputs, one value each:

        >>> metric = SpearmanCorrelation(
        ...     capacity=100, num_outputs=2, multioutput="raw_values"
        ... )
        >>> metric.update_state(
        ...     [[1.0, 5.0], [2.0, 3.0], [3.0, 4.0]],
        ...     [[1.0, 5.0], [2.0, 4.0], [4.0, 3.0]],
        ... )
        >>> [round(float(value), 4) for value in metric.result()]
        [1.0, 0.5]
    """

    def __init__(
        self,
        capacity: int,
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "spearman_correlation",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        super().__init__(
            capacity, num_outputs, multioutput, ignore_nan, name, dtype, intervals
        )

    def compute_on_arrays(self, state: State) -> Any | None:
        """Return the metric's value for a state of NumPy arrays."""
        if type(self).score is not SpearmanCorrelation.score:
            return None
        values = spearman(state["kept"], state["used"])
        return values if self.multioutput == "raw_values" else float(values.mean())

    def score(self, kept: KeptValues) -> Tensor:
        """Return the correlation of each output."""
        weights = kept.weights
        total = ops.sum(weights, axis=-1, keepdims=True)
        true, predicted = (
            self._centred(column, weights, total)
            for column in (kept.true, kept.predicted)
        )
        cross, of_true, of_predicted = ops.unstack(
            ranks.sums(
                weights * true * predicted,
                weights * true * true,
                weights * predicted * predicted,
            ),
            3,
        )
        spread = ops.sqrt(of_true) * ops.sqrt(of_predicted)
        return ratio(cross, spread, float("nan"))

    def _centred(self, values: Tensor, weights: Tensor, total: Tensor) -> Tensor:
        """Return how far the mean rank of each value is from the mean of all ranks.

        In a share of all weight, and times 2: the weight below less the weight above.
        """
        free = ops.equal(weights, 0.0)
        places = ranks.dense(ops.where(free, float("inf"), values))
        below = ranks.sum_below(places, weights)
        tied = ranks.sum_tied(places, weights)
        return ratio(2.0 * below + tied - total, total, 0.0)


@keras.saving.register_keras_serializable("multiback")
class KendallTau(RankMetric):
    """Kendall's tau: how many pairs are in the same order, less those in the other.

    Formula: for "b" `(c - d) / sqrt((n - t) (n - p))` with c concordant and d
    discordant of n pairs, t of them tied in the targets and p in the predictions; for
    "c" `2 (c - d) / (N^2 (m - 1) / m)` with N elements, and m the smaller number of
    distinct values.

    Use it in place of `SpearmanCorrelation` where few elements are far out of place.
    NaN where targets or predictions are constant, and of fewer than two elements. Pairs
    need all data at once, so the state holds them: it takes 12 bytes an element.

    Args:
        capacity: Number of elements that are kept, of each output. Where there are more
            the value is NaN, and a warning says how many had no room.
        variant: "b", or "c" where the numbers of distinct values differ much.
        num_outputs: Number D of outputs, the length of the last axis.
        multioutput: How the values of several outputs become one: "uniform_average"
            (plain mean) or "raw_values" (an array of all).
        ignore_nan: Leave out elements whose target is NaN.
        name: Name in Keras's logs.
        dtype: Accepted as in Keras's metrics; the result is float32.
        intervals: "bootstrap" draws the rows again for `interval()` while they come, or
            a mapping of "replicates" and "seed" does; None takes a formula.

    Call arguments:
        y_true: Targets `(..., D)`, integers or floats; for one output also `(...)`.
        y_pred: Predictions of the same shape. For one output either one may have a last
            axis of length 1 that the other lacks.
        sample_weight: One number a sample, a row or an element, or None. A weight of 2
            counts as the element twice.

    Raises:
        ArgumentError: An argument is unknown or not usable, or the shapes do not fit
            together.

    Source: SciPy's `scipy.stats.kendalltau`; Knight, A computer method for calculating
    Kendall's tau with ungrouped data, JASA 61 (1966).

    Examples:
        One output, in two batches:

        >>> metric = KendallTau(capacity=100)
        >>> metric.update_state([1.0, 2.0, 3.0], [1.0, 4.0, 9.0])
        >>> metric.update_state([4.0], [8.0])
        >>> round(float(metric.result()), 4)
        0.6667

        Two outputs, one value each:

        >>> metric = KendallTau(capacity=100, num_outputs=2, multioutput="raw_values")
        >>> metric.update_state(
        ...     [[1.0, 5.0], [2.0, 3.0], [3.0, 4.0]],
        ...     [[1.0, 5.0], [2.0, 4.0], [4.0, 3.0]],
        ... )
        >>> [round(float(value), 4) for value in metric.result()]
        [1.0, 0.3333]
    """

    def __init__(
        self,
        capacity: int,
        variant: Variant = "b",
        *,
        num_outputs: int = 1,
        multioutput: Multioutput = "uniform_average",
        ignore_nan: bool = False,
        name: str = "kendall_tau",
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if variant not in ("b", "c"):
            raise ArgumentError(f'variant= wants "b" or "c", not {variant!r}.')
        super().__init__(
            capacity, num_outputs, multioutput, ignore_nan, name, dtype, intervals
        )
        self.variant = variant

    def score(self, kept: KeptValues) -> Tensor:
        """Return tau of each output."""
        free = ops.equal(kept.weights, 0.0)
        true, predicted = (
            ranks.dense(ops.where(free, float("inf"), column))
            for column in (kept.true, kept.predicted)
        )
        # Equal targets in the order of their predictions are no discordant pairs.
        order = ops.argsort(predicted, axis=-1)
        order = ranks.take(order, ops.argsort(ranks.take(true, order), axis=-1))
        true, predicted, weights = (
            ranks.take(column, order) for column in (true, predicted, kept.weights)
        )
        in_true, in_predicted = (
            ranks.sum_tied(column, weights) for column in (true, predicted)
        )
        in_both = ranks.sum_tied(ranks.of_pairs(true, predicted), weights)
        total = ops.sum(weights, axis=-1, keepdims=True)
        of_true, of_predicted, apart = ops.unstack(
            ranks.sums(
                weights * (total - in_true),
                weights * (total - in_predicted),
                weights * (total - in_true - (in_predicted - in_both)),
            ),
            3,
        )
        # Each of these sums counts a pair twice.
        surplus = apart - 4.0 * ranks.discordant(predicted, weights)
        if self.variant == "b":
            spread = ops.sqrt(of_true) * ops.sqrt(of_predicted)
            return ratio(surplus, spread, float("nan"))
        distinct = ops.minimum(
            *(ranks.count(one, weights) for one in (true, predicted))
        )
        square = ops.square(total[:, 0]) * (distinct - 1.0) / distinct
        return ratio(surplus, square, float("nan"))
