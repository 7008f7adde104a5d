"""The private names of Keras that metrics need, in one place.

Keras attaches a mask to a tensor under a private name and offers no public way
to read it; and nothing public tells that Keras is trying a metric on made-up
data. On PyTorch the public way to a variable's tensor takes longer than counting a
small batch. `tests/metrics/test_bad_input.py` and `test_kernels.py` notice when one of
these changes.
"""

from typing import Any

from keras.src.backend import get_keras_mask
from keras.src.backend.common.stateless_scope import in_stateless_scope

__all__ = ["get_keras_mask", "held_value", "in_stateless_scope"]


def held_value(variable: Any) -> Any:
    """Return the tensor that a variable holds, whatever scope this is in."""
    return variable._value  # noqa: SLF001 - see above.
