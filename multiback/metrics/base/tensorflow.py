"""What Keras does not tell of TensorFlow's replicas."""

from typing import Any

import tensorflow as tf


def replicas() -> int:
    """Return how many replicas the strategy in whose scope this is has."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def replica() -> Any:
    """Return which replica this runs on; 0 outside of all."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group
