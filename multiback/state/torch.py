"""Host arrays and torch tensors, for `tree.py` and `host.py`; imports torch."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from multiback.errors import SlowDiskWarning
from multiback.warn import warn


def tensor(array: np.ndarray) -> torch.Tensor:
    """Copy a host array to a tensor of the same kind of number."""
    name = array.dtype.name
    if name == "bfloat16" or name.startswith("float8"):
        # torch cannot read these from NumPy; float32 holds each of their values.
        return torch.tensor(array.astype("float32")).to(getattr(torch, name))
    return torch.tensor(array)


def sparse(like: torch.Tensor, parts: Mapping[str, Any]) -> torch.Tensor:
    """Make a sparse tensor of the same layout from its parts."""
    shape = [int(size) for size in parts["shape"]]
    if like.layout == torch.sparse_csr:
        rows, columns = parts["crow_indices"], parts["col_indices"]
        return torch.sparse_csr_tensor(
            rows, columns, parts["values"], shape, check_invariants=True
        )
    indices, values = parts["indices"], parts["values"]
    return torch.sparse_coo_tensor(
        indices, values, shape, check_invariants=True, is_coalesced=True
    )


def sharded(array: np.ndarray, like: Any) -> Any:
    """Shard a host array, which every process has, like a DTensor."""
    return torch.distributed.tensor.distribute_tensor(
        tensor(array).to(like.dtype),
        like.device_mesh,
        like.placements,
        # Nothing is sent: each process takes its own shard.
        src_data_rank=None,
    )


def page_locked(size: int) -> np.ndarray:
    """Return page-locked memory, to which a GPU writes several times as fast.

    Without such memory on this system, return plain memory, with a warning.
    """
    try:
        return np.asarray(torch.empty(size, dtype=torch.uint8, pin_memory=True).numpy())
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        warn(
            f"{size} bytes could not be page-locked, so each save copies longer from "
            f"the GPU: raise `ulimit -l`, or say buffers=1 for half ({reason:.60}).",
            SlowDiskWarning,
        )
        return np.empty(size, np.uint8)


def copy_to_host(pairs: Iterable[tuple[torch.Tensor, np.ndarray]]) -> None:
    """Copy tensors into host arrays of the same bytes, all at once, and wait."""
    devices = set()
    for value, target in pairs:
        if target.nbytes:
            # By bytes: torch does not accept NumPy's bfloat16 and float8.
            raw = torch.from_numpy(target.reshape(-1).view(np.uint8))
            plain = value.detach()
            raw.view(plain.dtype).reshape(plain.shape).copy_(plain, non_blocking=True)
        devices.add(value.device)
    for device in devices:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
