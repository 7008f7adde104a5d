"""Host arrays and torch tensors, for `tree.py`; import only where torch is."""

from typing import Any

import numpy as np
import torch


def tensor(array: np.ndarray) -> torch.Tensor:
    """Copy a host array to a tensor of the same kind of number."""
    if array.dtype.name == "bfloat16":
        # torch takes none from NumPy; float32 holds each of its values.
        return torch.tensor(array.astype("float32"), dtype=torch.bfloat16)
    return torch.tensor(array)


def sharded(array: np.ndarray, like: Any) -> Any:
    """Divide a host array, which every process has, as a DTensor is divided."""
    return torch.distributed.tensor.distribute_tensor(
        tensor(array).to(like.dtype),
        like.device_mesh,
        like.placements,
        # Nothing is sent: each process takes its own shard.
        src_data_rank=None,
    )
