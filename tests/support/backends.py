"""What the tests need to know of the backend and the Keras that they run under."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

BACKEND = keras.backend.backend()
# Of a test beside others that run under each backend.
once = pytest.mark.skipif(BACKEND != "torch", reason="no backend changes it")
# Keras 3.15 writes arguments of this initializer that 3.13 does not take.
READS_NEWER = (
    "input_axes" in inspect.signature(keras.initializers.GlorotUniform).parameters
)
of_newer_keras = pytest.mark.skipif(
    not READS_NEWER, reason="this Keras cannot read a model that a newer one saved"
)


def compiled(function):
    """Compile a function of tensors, on TensorFlow with `jit_compile=True`."""
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    # PyTorch's `fit` is eager; torch.compile needs a C++ compiler that a user
    # may not have.
    return function


def traced(function):
    """Compile a function of tensors as `fit` does: on TensorFlow into a graph."""
    if BACKEND != "tensorflow":
        return compiled(function)
    import tensorflow as tf

    # Keras writes its graphs without AutoGraph too.
    return tf.function(function, autograph=False)


def to_numpy(tree):
    """Copy a dictionary of tensors to the host."""
    return {key: np.array(ops.convert_to_numpy(value)) for key, value in tree.items()}
