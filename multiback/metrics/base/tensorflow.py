"""TensorFlow's replicas, and graphs of what would run operation by operation."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import ops


def replicas() -> int:
    """Return the number of replicas of the current strategy's scope."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def replica() -> Any:
    """Return which replica this runs on; 0 outside of a replica."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as one graph; within a graph it is a part of that."""
    graph = tf.function(function, autograph=False, reduce_retracing=True)

    def run(*given: Any) -> Any:
        return (graph if tf.executing_eagerly() else function)(*given)

    return run


def mapped(function: Callable[[Any], Any], states: Any, _rows: Any) -> Any:
    """Return `function` of each state along the first axis, in turn."""
    return ops.map(function, states)
