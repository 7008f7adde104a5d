"""Facts about TensorFlow's replicas that Keras does not offer."""

from typing import Any

import tensorflow as tf


def replicas() -> int:
    """Return the number of replicas of the current strategy's scope."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def replica() -> Any:
    """Return which replica this runs on; 0 outside of a replica."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group
