"""Leave a compiled step of TensorFlow and return, by `tf.numpy_function`.

XLA cannot compile that, and its error names neither the metric nor the argument.
`tests/adapters/test_as_keras.py` notices when the private name changes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.ops import control_flow_util

from multiback.errors import ArgumentError


def run(
    function: Callable[..., tuple[Any, ...]],
    count: Any,
    arrays: list[Any],
    width: int | None,
    kept: list[Any],  # noqa: ARG001 - TensorFlow keeps what a step calls
) -> tuple[Any, ...]:
    """Call a function of `(count, *arrays)` on the host, now or inside of a step.

    It returns the new count and, unless `width` is None, so many values. A step that
    XLA compiles, or several replicas share, raises.
    """
    if tf.inside_function() and control_flow_util.GraphOrParentsInXlaContext(
        tf.compat.v1.get_default_graph()
    ):
        raise ArgumentError(
            "jit_compile=True does not go with a metric that another library "
            "computes: XLA cannot leave its compiled step on TensorFlow. Pass "
            "jit_compile=False to model.compile (Keras chooses True by itself where "
            "the model supports it)."
        )
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        raise ArgumentError(
            "A metric that another library computes holds one state and cannot serve "
            f"{tf.distribute.get_strategy().num_replicas_in_sync} replicas of a "
            "tf.distribute strategy. Use a metric of multiback.metrics."
        )

    def call(count: Any, *arrays: Any) -> list[Any]:
        # Copies: the buffers are TensorFlow's and live only during this call.
        results = function(int(count), *(np.array(each) for each in arrays))
        return [
            np.array(each, of.as_numpy_dtype)
            for each, of in zip(results, dtypes, strict=True)
        ]

    dtypes = [tf.int32] if width is None else [tf.int32, tf.float32]
    results = tf.numpy_function(call, [count, *arrays], dtypes, stateful=True)
    shapes = [()] if width is None else [(), (width,)]
    # It returns a single tensor without its list.
    return tuple(map(tf.ensure_shape, tf.nest.flatten(results), shapes))


def in_step(count: Any) -> bool:  # noqa: ARG001 - one signature for every backend
    """Return whether a step is being traced."""
    return bool(tf.inside_function())
