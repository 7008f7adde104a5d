"""TensorFlow kernels for what no version of `keras.ops` that we support offers."""

from typing import Any

import tensorflow as tf


def add_at(low: Any, ids: Any, numbers: Any) -> Any:
    """Add a number to the cell of each id."""
    return tf.tensor_scatter_nd_add(low, ids[:, None], numbers)
