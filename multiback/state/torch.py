"""Host arrays as torch tensors, for `tree.py`; import only where torch is."""

import numpy as np
import torch


def tensor(array: np.ndarray) -> torch.Tensor:
    """Copy a host array to a tensor of the same kind of number."""
    if array.dtype.name == "bfloat16":
        # torch takes none from NumPy; float32 holds each of its values.
        return torch.tensor(array.astype("float32"), dtype=torch.bfloat16)
    return torch.tensor(array)
