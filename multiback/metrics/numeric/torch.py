"""Counting and summing by id in PyTorch, where `keras.ops` does it slowly."""

from typing import Any

import torch


def count_ids(ids: Any, length: int) -> Any:
    """Count how often each id in [0, length) occurs."""
    if ids.is_meta:
        # Keras traces shapes on the meta device, where bincount does not exist.
        return torch.zeros(length, dtype=torch.int32, device="meta")
    return torch.bincount(ids, minlength=length).to(torch.int32)


def sum_by_id(ids: Any, values: Any, length: int) -> Any:
    """Sum the values of each id in [0, length), in float64."""
    if ids.is_meta:
        return torch.zeros(length, dtype=values.dtype, device="meta")
    # Apple's GPUs have no float64.
    wide = values if ids.device.type == "mps" else values.double()
    return torch.bincount(ids, weights=wide, minlength=length).to(values.dtype)
