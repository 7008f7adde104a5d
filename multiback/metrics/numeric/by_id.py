"""Counting and summing by id, jittable on every backend.

The `keras.ops` versions are the specification. A backend that needs another function
has a file named after it; `tests/metrics/test_large_batches.py` compares them.
"""

from typing import Any

import keras
from keras import ops

Tensor = Any

# Six bits count a block of 32, and five of them fit into an int32.
_BLOCK, _BITS = 32, 6


def count_cases(case: Tensor, counted: Tensor, odd: Tensor) -> Tensor:
    """Count each of four cases where it counts, and the odd elements, int32 `(5,)`.

    Five sums are five passes to XLA, nine times as slow as adding up five fields of
    one integer: the elements of a block first, then all blocks. The cases are int32
    `(N,)` in [0, 4); the others boolean.
    """
    ones = ops.left_shift(ops.ones_like(case), case * _BITS)
    ones = ops.where(counted, ones, ops.zeros_like(ones))
    ones = ones + ops.where(odd, 1 << 4 * _BITS, 0)
    whole = ops.shape(ones)[0] // _BLOCK * _BLOCK
    blocks = ops.sum(ops.reshape(ones[:whole], (-1, _BLOCK)), axis=1)
    rest = ops.reshape(ops.sum(ones[whole:]), (1,))
    words = ops.concatenate([blocks, rest])
    field = (1 << _BITS) - 1
    return ops.stack(
        [
            ops.sum(ops.bitwise_and(ops.right_shift(words, k * _BITS), field))
            for k in range(5)
        ]
    )


def add_at(count: Tensor, ids: Tensor, numbers: Tensor) -> Tensor:
    """Add int32 numbers to the low words of `exact`'s count at ids in `[0, length)`."""
    if keras.backend.backend() == "jax":
        from multiback.metrics.numeric import jax  # noqa: PLC0415 - only here

        return jax.add_at(count, ids, numbers)
    if keras.backend.backend() == "tensorflow":
        from multiback.metrics.numeric import tensorflow  # noqa: PLC0415 - only here

        return tensorflow.add_at(count, ids, numbers)
    added = ops.cast(sum_by_id(ids, numbers, count.shape[1]), "int32")
    return ops.stack([count[0], count[1] + added])


def count_ids(ids: Tensor, length: int) -> Tensor:
    """Count how often each id in `[0, length)` occurs, int32."""
    if keras.backend.backend() == "torch":
        from multiback.metrics.numeric import torch  # noqa: PLC0415 - only here

        return torch.count_ids(ids, length)
    return ops.segment_sum(ops.ones_like(ids), ids, num_segments=length)


def sum_by_id(ids: Tensor, values: Tensor, length: int) -> Tensor:
    """Sum the values `(N,)` of each id in `[0, length)`, in their dtype.

    One float32 sum an id stops growing at 2**24 ones, and 3 million weights in it were
    off by 1e-5. PyTorch and TensorFlow add up in float64; JAX adds up block by block.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        from multiback.metrics.numeric import torch  # noqa: PLC0415 - only here

        return torch.sum_by_id(ids, values, length)
    if backend == "tensorflow":
        wide = ops.cast(values, "float64")
        sums = ops.segment_sum(wide, ids, num_segments=length)
        return ops.cast(sums, values.dtype)
    size = ids.shape[0]
    blocks = _blocks_to_sum(size, length)
    if blocks == 1:
        return ops.segment_sum(values, ids, num_segments=length)
    block = ops.arange(size, dtype="int32") // -(-size // blocks)
    sums = ops.segment_sum(values, ids + length * block, num_segments=length * blocks)
    while blocks > 1:
        sums = ops.pad(
            ops.reshape(sums, (blocks, length)), [(0, -blocks % _BLOCK), (0, 0)]
        )
        sums = ops.sum(ops.reshape(sums, (-1, _BLOCK, length)), axis=1)
        blocks = sums.shape[0]
    return sums[0]


def _blocks_to_sum(size: int, length: int) -> int:
    """Return the number of blocks: more take more memory, fewer round more."""
    few_roundings = min(size // max(length, 256), 1024)
    return max(few_roundings, -(-size // 2**22), 1)


def places_in_buffer(
    used: Tensor, keep: Tensor, capacity: int
) -> tuple[Tensor, Tensor]:
    """Return where a batch goes in the rows of a buffer, and how much is used then.

    The place of each element `(rows, N)`, and the new int32 `used`, `(rows,)`. What is
    not kept, or beyond the capacity, goes to one place more, which is dropped.
    """
    kept = ops.cast(keep, "int32")
    upto = ops.cast(ops.cumsum(kept, axis=-1), "int32")
    place = ops.expand_dims(used, -1) + upto - kept
    # Keras tries metrics on a state without contents, whose `used` is arbitrary.
    place = ops.where(keep, ops.clip(place, 0, capacity), capacity)
    # With jax_enable_x64 a sum of int32 is int64.
    return place, used + ops.cast(ops.sum(kept, axis=-1), "int32")
