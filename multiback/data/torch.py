"""Tensors in the state of a torch data loader: NumPy and back."""

from typing import Any

import numpy as np
import torch


def to_array(tensor: torch.Tensor) -> np.ndarray:
    """Copy a tensor from any device; a TypeError if NumPy has no such type."""
    return np.array(tensor.numpy(force=True))


def from_array(array: np.ndarray) -> Any:
    """Make a tensor on the CPU, where generators have their states."""
    return torch.from_numpy(np.array(array))
