"""The private names of Keras that metrics need, in one place.

Keras attaches a mask to a tensor under a private name and offers no public way
to read it; and nothing public tells that Keras is trying a metric on made-up
data. `tests/metrics/test_keras_private.py` notices when either one changes.
"""

from keras.src.backend import get_keras_mask
from keras.src.backend.common.stateless_scope import in_stateless_scope

__all__ = ["get_keras_mask", "in_stateless_scope"]
