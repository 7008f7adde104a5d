"""Counting and summing by id, jittable on every backend.

The `keras.ops` versions are the specification. A backend that needs its own
kernel has a file named after it; `tests/metrics/test_bins.py` compares them.
"""

from typing import Any

import keras
from keras import ops

Tensor = Any


def count_ids(ids: Tensor, length: int) -> Tensor:
    """Count how often each id occurs.

    Args:
        ids: int32 tensor of shape `(N,)` with values in `[0, length)`.
        length: Number of ids.

    Returns:
        int32 tensor of shape `(length,)`.
    """
    if keras.backend.backend() == "torch":
        from multiback.metrics import torch as kernels  # noqa: PLC0415 - only here

        return kernels.count_ids(ids, length)
    return ops.segment_sum(ops.ones_like(ids), ids, num_segments=length)


def sum_by_id(ids: Tensor, values: Tensor, length: int) -> Tensor:
    """Sum the values of each id.

    Args:
        ids: int32 tensor of shape `(N,)` with values in `[0, length)`.
        values: Float tensor of shape `(N,)`.
        length: Number of ids.

    Returns:
        Tensor of shape `(length,)` and the dtype of `values`.
    """
    if keras.backend.backend() == "torch":
        from multiback.metrics import torch as kernels  # noqa: PLC0415 - only here

        return kernels.sum_by_id(ids, values, length)
    return ops.segment_sum(values, ids, num_segments=length)
