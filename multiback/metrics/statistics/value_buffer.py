"""Targets and predictions in a buffer of fixed size, for what needs their ranks."""

import dataclasses
from typing import Any, ClassVar

from keras import ops

from multiback.metrics.inputs.batch import Given
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.by_id import places_in_buffer
from multiback.metrics.statistics.statistic import State, TargetStatistic, Tensor


@dataclasses.dataclass(frozen=True)
class KeptValues:
    """The values of a state: float32 tensors `(D, capacity)`.

    A free place has weight 0. `broken`, `(D,)` boolean: some value is NaN or had no
    room.
    """

    true: Tensor
    predicted: Tensor
    weights: Tensor
    broken: Tensor


@dataclasses.dataclass(frozen=True)
class ValueBuffer(TargetStatistic):
    """Keep every target with its prediction and weight.

    The state is "kept", `(3, D, capacity)` float32: targets, predictions and weights,
    0 where a place is free. "used" counts the places, `(D,)` int32, and grows past the
    capacity: then values are missing. "unusable" counts causes. An element that is
    masked, left out or of weight 0 takes no place.
    """

    words_of: ClassVar[dict[str, str]] = {
        "beyond_capacity": "values_beyond_capacity",
        "nan_label": "nan_target",
        "unusable_weight": "negative_weight",
    }
    adds: ClassVar[bool] = False
    negative_weights: ClassVar[bool] = False

    capacity: int
    num_outputs: int = 1
    ignore_nan: bool = False

    def init(self) -> State:
        """Return the state of no data."""
        return {
            "kept": ops.zeros((3, self.num_outputs, self.capacity), dtype="float32"),
            "used": ops.zeros((self.num_outputs,), dtype="int32"),
            "unusable": self.no_causes(),
        }

    def add(self, state: State, given: Given) -> tuple[State, Tensor]:
        """Return the state with a batch in it, and whether something is unusable."""
        batch = self.values(given)
        weights = batch.weights
        if weights is None:
            weights = ops.ones_like(batch.columns[0])
        values = [ops.cast(one, "float32") for one in (*batch.columns, weights)]
        odd = ops.logical_not(ops.all(ops.isfinite(ops.stack(values))))
        odd = ops.logical_or(odd, ops.any(values[2] < 0.0))
        stacked = ops.transpose(ops.stack(values), (0, 2, 1))
        keep = ops.not_equal(stacked[2], 0.0)
        return self._append(state, stacked, keep), odd

    def merge(self, a: State, b: State) -> State:
        """Return the state of all data, from the states of two parts."""
        places = ops.arange(self.capacity, dtype="int32")
        keep = places < ops.expand_dims(b["used"], -1)
        # Values that did not fit into b are missing here too.
        return {
            **self._append(a, b["kept"], keep),
            "used": a["used"] + b["used"],
            "unusable": exact.merge_counts(a["unusable"], b["unusable"]),
        }

    def unusable(self, state: dict[str, Any]) -> dict[str, int]:
        """Return the number of elements with each cause, and of those without room."""
        missing = int(state["used"].max()) - self.capacity
        more = {"beyond_capacity": missing} if missing > 0 else {}
        return {**super().unusable(state), **more}

    def read(self, state: State) -> KeptValues:
        """Return the kept values, and which outputs have no usable result."""
        true, predicted, weights = ops.unstack(state["kept"], 3)
        broken = ops.logical_or(
            # A ranking has no meaning for a negative weight.
            ops.any(
                ops.logical_or(ops.isnan(true + predicted + weights), weights < 0.0),
                axis=-1,
            ),
            state["used"] > self.capacity,
        )
        return KeptValues(true, predicted, weights, broken)

    def _append(self, state: State, values: Tensor, keep: Tensor) -> State:
        """Append the kept values, `(3, D, N)`, to the used places."""
        room = self.capacity + 1  # The last place takes dropped values.
        place, used = places_in_buffer(state["used"], keep, self.capacity)
        outputs = 3 * self.num_outputs
        starts = ops.arange(outputs, dtype="int32") * room
        place = ops.concatenate([place] * 3) + ops.expand_dims(starts, -1)
        flat = ops.pad(state["kept"], [(0, 0), (0, 0), (0, 1)])
        flat = ops.scatter_update(
            ops.reshape(flat, (-1,)),
            ops.reshape(place, (-1, 1)),
            ops.reshape(values, (-1,)),
        )
        flat = ops.reshape(flat, (3, self.num_outputs, room))[..., : self.capacity]
        return {**state, "kept": flat, "used": used}
