"""One state a replica, for statistics whose states do not add.

TensorFlow's `MirroredStrategy` gives each replica a copy of a metric's variables and
adds the copies up where they are read. A maximum of 50 and one of 13 were 63. Where
adding is not a merge, each copy therefore has a row for every replica: a replica writes
its own, so that the sum of the copies is all rows, and these are merged. JAX computes
on global arrays and Keras on torch has no replicas: there is one row.
"""

from typing import Any

import keras
from keras import ops

from multiback.metrics.statistics.statistic import State, Statistic, Tensor


def _strategy() -> Any:
    if keras.backend.backend() != "tensorflow":
        return None
    from multiback.metrics.base import tensorflow  # noqa: PLC0415 - only here

    return tensorflow


def this_replica() -> Any:
    """Return which replica of TensorFlow's strategy this runs on; 0 elsewhere."""
    strategy = _strategy()
    return 0 if strategy is None else strategy.replica()


class Replicas:
    """The rows of a metric's state; without replicas the state is plain.

    There is one row a replica of the strategy in whose scope this is made.
    """

    def __init__(self, statistic: Statistic) -> None:
        strategy = None if statistic.adds else _strategy()
        self._statistic = statistic
        self._rows: int = 1 if strategy is None else strategy.replicas()

    def shape(self, shape: Any) -> tuple[int, ...]:
        """Return the shape of a variable that holds all rows."""
        return tuple(shape) if self._rows == 1 else (self._rows, *shape)

    def own(self, rows: State) -> State:
        """Return the state of this replica."""
        if self._rows == 1:
            return rows
        index = _strategy().replica()
        return {key: ops.take(value, index, axis=0) for key, value in rows.items()}

    def put(self, rows: Tensor, own: Tensor) -> Tensor:
        """Return one part of the state with this replica's row replaced."""
        if self._rows == 1:
            return own
        here = ops.equal(ops.arange(self._rows), _strategy().replica())
        here = ops.reshape(here, (self._rows, *(1 for _ in own.shape)))
        return ops.where(here, ops.expand_dims(own, 0), rows)

    def merge(self, rows: State) -> State:
        """Return the state of all replicas together."""
        if self._rows == 1:
            return rows
        states = [{k: v[row] for k, v in rows.items()} for row in range(self._rows)]
        merged = states[0]
        for state in states[1:]:
            merged = self._statistic.merge(merged, state)
        return merged
