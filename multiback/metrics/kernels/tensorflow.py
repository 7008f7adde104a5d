"""TensorFlow kernels for what no version of `keras.ops` that we support offers."""

from typing import Any

import tensorflow as tf


def add_at(count: Any, ids: Any, numbers: Any) -> Any:
    """Add a number to the low word of each id."""
    places = tf.stack([tf.ones_like(ids), ids], axis=1)
    return tf.tensor_scatter_nd_add(count, places, numbers)
