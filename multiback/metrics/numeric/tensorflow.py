"""Counting by id in TensorFlow, in place, and the bits of floats."""

from typing import Any

import tensorflow as tf

Tensor = Any


def add_at(count: Tensor, ids: Tensor, numbers: Tensor) -> Tensor:
    """Add a number to the low word of each id."""
    places = tf.stack([tf.ones_like(ids), ids], axis=1)
    return tf.tensor_scatter_nd_add(count, places, numbers)


def bits(values: Tensor) -> Tensor:
    """Read the bits of float32 values as int32."""
    return tf.bitcast(values, tf.int32)
