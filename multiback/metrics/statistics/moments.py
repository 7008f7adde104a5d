"""Centred second moments of targets and predictions.

Sums of squares lose everything where the mean is large: torchmetrics' R2 at a target
mean of 1e4 is 0.0 for a true 0.75. Here each batch is centred first, and batches are
merged as Chan, Golub and LeVeque (1979) do. The residual is a third variable, because
computing it from the others would cancel.

Of equal numbers a rounded mean is not the number itself, and what rounding leaves of
their variance makes an R2 of 1e24. So a mean lies between the smallest and the largest
number, and equal numbers have a variance of exactly 0.
"""

import dataclasses
from dataclasses import replace
from typing import ClassVar

from keras import ops

from multiback.metrics.inputs.batch import Given, Values
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import namespace
from multiback.metrics.statistics.statistic import State, TargetStatistic, Tensor

# Rows of the state: rows, weights, squared weights, three means, four second moments.
_WEIGHTS, _MEANS, _SECOND = slice(0, 3), slice(3, 6), slice(6, 10)
LEFT, RIGHT = [0, 1, 0, 2], [0, 1, 1, 2]  # t t, p p, t p, r r


# Which second moments are of a column with itself.
_OWN = [[i == j] for i, j in zip(LEFT, RIGHT, strict=True)]


@dataclasses.dataclass(frozen=True)
class MomentTable:
    """The values of a state: float32 tensors of shape `(D,)`.

    Attributes:
        rows: Number of rows whose weight is not 0.
        weight: Sum of the weights.
        squares: Sum of the squared weights.
        level: Weighted mean of `y_true`.
        bias: Weighted mean of `y_true - y_pred`.
        true: Sum of the weighted squares of `y_true` around its mean.
        predicted: The same of `y_pred`.
        cross: The same of the product of both.
        residual: The same of `y_true - y_pred`.
        span: Largest less smallest `y_true`, if extremes are kept.
    """

    rows: Tensor
    weight: Tensor
    squares: Tensor
    level: Tensor
    bias: Tensor
    true: Tensor
    predicted: Tensor
    cross: Tensor
    residual: Tensor
    span: Tensor | None = None


@dataclasses.dataclass(frozen=True)
class Moments(TargetStatistic):
    """Accumulate means and centred second moments.

    "moments" is one float32 tensor of shape `(2, 10, D)`, in two words each. It is
    not linear: states are merged by `merge`, never by adding. With extremes there is
    "extremes" too, `(2, D)`: the largest target, and minus the smallest. With one
    output the last axis may be missing.
    """

    adds: ClassVar[bool] = False

    num_outputs: int = 1
    ignore_nan: bool = False
    extremes: bool = False

    def init(self) -> State:
        """Return the state of no data."""
        state = {"moments": ops.zeros((2, 10, self.num_outputs), dtype="float32")}
        if self.extremes:
            state["extremes"] = ops.zeros((2, self.num_outputs), dtype="float32")
        return {**state, "unusable": self.no_causes()}

    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        moments, ends = self._of_batch(self.values(given))
        new = {"moments": moments}
        if self.extremes:
            new["extremes"] = ops.cast(ends[:, 0], "float32")
        # An invalid number anywhere makes a moment invalid.
        odd = ops.logical_not(ops.all(ops.isfinite(new["moments"])))
        return {**state, **self._both(state, new)}, odd

    def _of_batch(self, batch: Values) -> tuple[Tensor, Tensor]:
        """Return the moments of one batch, and its ends: see `_ends`."""
        true, predicted = (ops.transpose(column) for column in batch.columns)
        x = ops.stack([true, predicted, true - predicted])  # (3, D, N)
        weights = ops.ones_like(x[0])
        if batch.weights is not None:
            weights = ops.transpose(batch.weights)
        counted = ops.cast(ops.not_equal(weights, 0.0), x.dtype)
        totals = exact.batch_sum(ops.stack([counted, weights, ops.square(weights)]))
        weight = ops.cast(totals[0, 1], x.dtype)  # (D,)
        empty = ops.equal(weight, 0.0)
        per_weight = ops.where(empty, 0.0, 1.0 / ops.where(empty, 1.0, weight))

        def total(values: Tensor) -> Tensor:
            words = exact.batch_sum(weights * values)
            return ops.cast(words[0], x.dtype) + ops.cast(words[1], x.dtype)

        ends = _ends(x, None if batch.weights is None else counted)
        rough = ops.where(empty, 0.0, _within(total(x) * per_weight, ends))
        # Exact where a value is within a factor of 2 of the mean (Sterbenz).
        d = x - ops.expand_dims(rough, -1)
        rest = total(d)
        left = ops.stack([d[i] for i in LEFT])
        right = ops.stack([d[i] for i in RIGHT])
        correction = ops.stack(
            [rest[i] * rest[j] for i, j in zip(LEFT, RIGHT, strict=True)]
        )
        second = total(left * right) - correction * per_weight
        below = ops.logical_and(second < 0.0, _OWN)
        if batch.weights is not None:  # Negative ones make negative squares.
            below = ops.logical_and(below, ops.all(weights >= 0.0, axis=-1))
        second = ops.where(below, 0.0, second)
        moments = ops.concatenate(
            [
                totals,
                exact.add_to_words(rough, rest * per_weight),
                exact.to_words(second),
            ],
            axis=1,
        )
        return moments, ends

    def merge(self, a: State, b: State) -> State:
        """Return the state of all data, from the states of two parts."""
        unusable = exact.merge_counts(a["unusable"], b["unusable"])
        return {**self._both(a, b), "unusable": unusable}

    def _both(self, a: State, b: State) -> State:
        """Merge all that is not a count."""
        merged = {"moments": self._merged(a["moments"], b["moments"])}
        if self.extremes:
            x, y = a["extremes"], b["extremes"]
            both = ops.maximum(x, y)
            # Without rows the zeros of a state are no extremes.
            both = ops.where(ops.equal(b["moments"][0, 0], 0.0), x, both)
            merged["extremes"] = ops.where(ops.equal(a["moments"][0, 0], 0.0), y, both)
        return merged

    def _merged(self, x: Tensor, y: Tensor) -> Tensor:
        """Merge the moments of two states."""
        of_x, of_y = exact.sum_to_float(x)[1], exact.sum_to_float(y)[1]
        both = of_x + of_y
        share = ops.where(ops.equal(both, 0.0), 0.0, of_y) / ops.where(
            ops.equal(both, 0.0), 1.0, both
        )
        apart = y[:, _MEANS] - x[:, _MEANS]
        apart = apart[0] + apart[1]
        between = ops.stack(
            [apart[i] * apart[j] for i, j in zip(LEFT, RIGHT, strict=True)]
        )
        second = exact.merge_sums(x[:, _SECOND], y[:, _SECOND])
        merged = ops.concatenate(
            [
                exact.merge_sums(x[:, _WEIGHTS], y[:, _WEIGHTS]),
                exact.add_to_sum(x[:, _MEANS], apart * share),
                exact.add_to_sum(second, between * (of_x * share)),
            ],
            axis=1,
        )
        merged = ops.where(ops.equal(of_y, 0.0), x, merged)
        return ops.where(ops.equal(of_x, 0.0), y, merged)

    def read(self, state: State) -> MomentTable:
        """Round a state to float32."""
        return self.table(exact.sum_to_float(state["moments"]), state)

    def of_one(self, state: State) -> MomentTable:
        """Round a state of one output in NumPy arrays to float32 numbers."""
        high, low = state["moments"][:, :, 0]
        table = self.table(high + low, state)
        return table if table.span is None else replace(table, span=table.span[0])

    def table(self, table: Tensor, state: State) -> MomentTable:
        """Name the moments of a state, which may be those of one output alone."""
        xp = namespace(table)
        # What two constants differ by is rounded in more than one way.
        constant = xp.equal(table[6] + table[7], 0.0)
        residual = xp.where(constant, 0.0, table[9])
        return MomentTable(
            rows=table[0],
            weight=table[1],
            squares=table[2],
            level=table[3],
            bias=table[5],
            true=table[6],
            predicted=table[7],
            cross=table[8],
            residual=residual,
            span=state["extremes"][0] + state["extremes"][1] if self.extremes else None,
        )


def _ends(x: Tensor, counted: Tensor | None) -> Tensor:
    """Return the largest numbers along the last axis, and minus the smallest."""
    both = ops.stack([x, -x])
    if counted is not None:
        both = ops.where(ops.equal(counted, 0.0), -float("inf"), both)
    largest = ops.max(both, axis=-1, initial=-float("inf"))
    # Of no rows Keras gives a scalar on PyTorch.
    return ops.broadcast_to(largest, both.shape[:-1])


def _within(means: Tensor, ends: Tensor) -> Tensor:
    """Move rounded means between the ends of their numbers; NaN stays."""
    means = ops.where(means > ends[0], ends[0], means)
    return ops.where(means < -ends[1], -ends[1], means)
