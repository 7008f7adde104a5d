"""Centred second moments of targets and predictions.

Sums of squares lose everything where the mean is large: torchmetrics' R2 at a
target mean of 1e4 is 0.0 for a true 0.75. Here each batch is centred first, and
batches are merged as Chan, Golub and LeVeque (1979) do. The residual is a third
variable of its own, for it cannot be had from the others without cancellation.
"""

import dataclasses
from typing import Any, ClassVar

from keras import ops

from multiback.metrics.inputs.batch import value_batch
from multiback.metrics.numeric import exact
from multiback.metrics.statistics.statistic import State, Statistic

Tensor = Any

# Rows of the state: two weights, three means, four second moments.
_WEIGHTS, _MEANS = slice(0, 2), slice(2, 5)
_LEFT, _RIGHT = [0, 1, 0, 2], [0, 1, 1, 2]  # t t, p p, t p, r r


@dataclasses.dataclass(frozen=True)
class MomentTable:
    """What a state says: float32 tensors of shape `(D,)`.

    Attributes:
        rows: Number of rows whose weight is not 0.
        weight: Sum of the weights.
        bias: Weighted mean of `y_true - y_pred`.
        true: Sum of the weighted squares of `y_true` around its mean.
        predicted: The same of `y_pred`.
        cross: The same of the product of both.
        residual: The same of `y_true - y_pred`.
    """

    rows: Tensor
    weight: Tensor
    bias: Tensor
    true: Tensor
    predicted: Tensor
    cross: Tensor
    residual: Tensor


@dataclasses.dataclass(frozen=True)
class Moments(Statistic):
    """Accumulate means and centred second moments.

    The state is one float32 tensor of shape `(2, 9, D)`, in two words each. It is
    not linear: states are merged by `merge`, never by adding.

    Args:
        num_outputs: Number D of outputs, the length of the last axis; with 1 that
            axis may be missing.
    """

    adds: ClassVar[bool] = False

    num_outputs: int = 1

    def init(self) -> State:
        """Return the state of no data."""
        return {"moments": ops.zeros((2, 9, self.num_outputs), dtype="float32")}

    def update(
        self,
        state: State,
        y_true: Tensor,
        y_pred: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> State:
        """Return the state with one more batch in it."""
        batch = value_batch(
            (y_true, y_pred), sample_weight, mask, num_outputs=self.num_outputs
        )
        true, predicted = (ops.transpose(column) for column in batch.columns)
        x = ops.stack([true, predicted, true - predicted])  # (3, D, N)
        weights = ops.ones_like(x[0, 0]) if batch.weights is None else batch.weights
        counted = ops.cast(ops.not_equal(weights, 0.0), x.dtype)
        totals = exact.batch_sum(ops.stack([counted, weights]))
        weight = ops.cast(totals[0, 1], x.dtype)
        empty = ops.equal(weight, 0.0)
        per_weight = ops.where(empty, 0.0, 1.0 / ops.where(empty, 1.0, weight))

        def total(values: Tensor) -> Tensor:
            words = exact.batch_sum(weights * values)
            return ops.cast(words[0], x.dtype) + ops.cast(words[1], x.dtype)

        rough = total(x) * per_weight
        # Exact where a value is within a factor of 2 of the mean (Sterbenz).
        d = x - ops.expand_dims(rough, -1)
        rest = total(d)
        left = ops.stack([d[i] for i in _LEFT])
        right = ops.stack([d[i] for i in _RIGHT])
        correction = ops.stack(
            [rest[i] * rest[j] for i, j in zip(_LEFT, _RIGHT, strict=True)]
        )
        second = total(left * right) - correction * per_weight
        new = ops.concatenate(
            [
                ops.broadcast_to(ops.expand_dims(totals, -1), (2, 2, self.num_outputs)),
                exact.add_to_words(rough, rest * per_weight),
                exact.to_words(second),
            ],
            axis=1,
        )
        return self.merge(state, {"moments": new})

    def merge(self, a: State, b: State) -> State:
        """Return the state of both states' data together."""
        x, y = a["moments"], b["moments"]
        of_x, of_y = exact.sum_to_float(x)[1], exact.sum_to_float(y)[1]
        both = of_x + of_y
        share = ops.where(ops.equal(both, 0.0), 0.0, of_y) / ops.where(
            ops.equal(both, 0.0), 1.0, both
        )
        apart = y[:, _MEANS] - x[:, _MEANS]
        apart = apart[0] + apart[1]
        between = ops.stack(
            [apart[i] * apart[j] for i, j in zip(_LEFT, _RIGHT, strict=True)]
        )
        second = exact.merge_sums(x[:, 5:], y[:, 5:])
        merged = ops.concatenate(
            [
                exact.merge_sums(x[:, _WEIGHTS], y[:, _WEIGHTS]),
                exact.add_to_sum(x[:, _MEANS], apart * share),
                exact.add_to_sum(second, between * (of_x * share)),
            ],
            axis=1,
        )
        merged = ops.where(ops.equal(of_y, 0.0), x, merged)
        return {"moments": ops.where(ops.equal(of_x, 0.0), y, merged)}

    def read(self, state: State) -> MomentTable:
        """Round a state to float32."""
        table = exact.sum_to_float(state["moments"])
        return MomentTable(
            rows=table[0],
            weight=table[1],
            bias=table[4],
            true=table[5],
            predicted=table[6],
            cross=table[7],
            residual=table[8],
        )
