"""Formulas that work on NumPy arrays as they do on tensors.

Eager PyTorch keeps the state of a metric in the host's memory, where NumPy computes
a formula in less time than `keras.ops` takes for its first operation.
"""

from typing import Any

import numpy as np
from keras import ops


def namespace(values: Any) -> Any:
    """Return the module with the functions for some values: NumPy or `keras.ops`."""
    return np if isinstance(values, np.ndarray | np.generic) else ops
