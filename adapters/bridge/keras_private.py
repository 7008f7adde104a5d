"""The private names of Keras that adapters need to meet its compiled step.

Nothing public tells that Keras is trying a metric on made-up data, that variables
are being mapped to other values, or which mask a layer left on its output.
"""

from typing import Any

from keras.src.backend.common.stateless_scope import in_stateless_scope
from keras.src.backend.common.symbolic_scope import in_symbolic_scope

__all__ = ["in_stateless_scope", "in_symbolic_scope", "mask_of"]


def mask_of(output: Any) -> Any | None:
    """Return the mask that a layer left on its output, or None."""
    return getattr(output, "_keras_mask", None)
