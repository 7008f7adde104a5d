"""TensorFlow's random generators, for `leaf.py`; import only with TensorFlow."""

from typing import Any

import numpy as np
import tensorflow as tf


def generator(state: np.ndarray, algorithm: int) -> Any:
    """Make a generator that continues from a state."""
    return tf.random.Generator.from_state(state, algorithm)
