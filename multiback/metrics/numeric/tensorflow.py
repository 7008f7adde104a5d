"""Counting by id in TensorFlow, in place, and the bits of floats."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Only a private name shows whether XLA will compile the current graph;
# `tests/metrics/test_graph_kernels.py` notices when this name changes.
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

Tensor = Any


def add_at(count: Tensor, ids: Tensor, numbers: Tensor) -> Tensor:
    """Add a number to the low word of each id."""
    # By one index a number: by two it takes XLA longer.
    places = tf.expand_dims(ids + count.shape[1], 1)
    flat = tf.tensor_scatter_nd_add(tf.reshape(count, [-1]), places, numbers)
    return tf.reshape(flat, count.shape)


def bits(values: Tensor) -> Tensor:
    """Read the bits of float32 values as int32."""
    return tf.bitcast(values, tf.int32)


def is_for_xla() -> bool:
    """Return whether XLA will compile the current graph."""
    return bool(GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def apart(branch: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Keep a branch that is rarely taken out of the graph around it.

    A graph on the CPU passes each operation of a branch that it does not take: for the
    hundreds of a result with its bounds a fifth of the time of the whole metric. XLA
    does not.
    """
    if tf.executing_eagerly() or is_for_xla():
        return branch
    attributes = {"_noinline": True}
    kept: Callable[[], Tensor] = tf.function(
        branch, experimental_attributes=attributes, autograph=False
    )
    return kept
