"""TensorFlow kernels: what no `keras.ops` offers, or does slowly in a graph.

Keras compiles with XLA only where there is a GPU. In a graph on the CPU each operation
costs some microseconds however small it is, so that few large ones are wanted.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from multiback.metrics.kernels.arrays import WIDTH, WINS

Tensor = Any


def add_at(count: Tensor, ids: Tensor, numbers: Tensor) -> Tensor:
    """Add a number to the low word of each id."""
    places = tf.stack([tf.ones_like(ids), ids], axis=1)
    return tf.tensor_scatter_nd_add(count, places, numbers)


def as_arrays(state: dict[str, Tensor]) -> dict[str, Any] | None:
    """View a state as NumPy arrays; None while a graph is being written."""
    if not tf.executing_eagerly():
        return None
    return {key: value.numpy() for key, value in state.items()}


def roc_area(
    state: dict[str, Tensor], bins: int, otherwise: Callable[[], Tensor]
) -> Tensor:
    """Return the area under the ROC curve of one ranking.

    Args:
        state: That of a `ScoreHistogram` with one column.
        bins: Number of bins.
        otherwise: Computes the area of other states than those of fewer than 2**24
            scores without weights, in a branch of its own.
    """
    counts, weighted = state["counts"], state["weighted"]

    def area() -> Tensor:
        # float64, which no GPU rounds to fewer bits in a product of matrices.
        table = tf.cast(tf.reshape(counts[1, : 2 * bins], (2, bins)), tf.float64)
        if bins % WIDTH:
            table = tf.pad(table, [(0, 0), (0, -bins % WIDTH)])
        table = tf.reshape(table, (2, -1, WIDTH))
        negatives, positives = tf.unstack(table)
        pairs = tf.matmul(positives, negatives, transpose_a=True)
        rows = tf.reduce_sum(table, axis=2)
        below = tf.cumsum(rows[0], exclusive=True)
        won = tf.reduce_sum(pairs * WINS) + tf.tensordot(rows[1], below, 1)
        sums = tf.reduce_sum(rows, axis=1)
        # One class makes this 0 / 0.
        return tf.cast(won / (sums[0] * sums[1]), tf.float32)

    # The last cells: NaN, all together, unknown labels.
    last = tf.cast(counts[:, -3:] * [[0, 1, 1], [1, 0, 1]], tf.float32)
    odd = tf.reduce_any(tf.not_equal(tf.abs(weighted[:, -3:]) + last, 0.0))
    return tf.cond(odd, otherwise, area)
