"""Accumulators that stay exact where one float32 or int32 would not.

A float32 counter stops at 2**24 and an int32 one wraps at 2**31. A *count* is
therefore two int32 words in base 2**24, and a *sum* two float32 words that
TwoSum keeps (Knuth, The Art of Computer Programming, vol. 2, 4.2.2). Both stack
the words on the first axis, high word first. Both are linear: adding the words
of two replicas merges them.
"""

import keras
import numpy as np
from keras import ops

from multiback.metrics.numeric import by_id as bins
from multiback.metrics.numeric.arithmetic import Tensor, cond, is_for_xla

COUNT_BITS = 24
COUNT_BASE = 1 << COUNT_BITS
_LOW_MASK = COUNT_BASE - 1


def carry(count: Tensor) -> Tensor:
    """Move the part of the low words above base 2**24 to the high words."""
    return _carry(count[0], count[1])


def _carry(high: Tensor, low: Tensor) -> Tensor:
    return ops.stack(
        [
            high + ops.right_shift(low, COUNT_BITS),
            ops.bitwise_and(low, _LOW_MASK),
        ]
    )


def add_to_count(count: Tensor, batch: Tensor) -> Tensor:
    """Add integers in [0, 2**31 - 2**25] to a count."""
    # With jax_enable_x64 a sum of int32 is int64, and so would be the state.
    return _carry(count[0], count[1] + ops.cast(batch, "int32"))


def add_ids_to_count(count: Tensor, ids: Tensor, numbers: Tensor) -> Tensor:
    """Add small int32 numbers to the cells of a count that ids name.

    The last cell counts what all others do, so it shows whether one of them may be
    full: to look at each cell of a batch takes longer than to count it. Until the last
    one is full again, another may hold up to twice 2**24 in its low word.
    """
    count = bins.add_at(count, ids, ops.cast(numbers, "int32"))
    full = count[1, -1] > _LOW_MASK
    if keras.backend.backend() == "tensorflow" and is_for_xla():
        # A loop of one step or none: TensorFlow's XLA copies what passes `cond`.
        count, _ = ops.while_loop(
            lambda _, full: full,
            lambda count, full: (carry(count), ops.zeros_like(full)),
            (count, full),
        )
        return count
    # Pass a single tensor through `cond`; XLA copies tuples.
    return cond(full, lambda: carry(count), lambda: count)


def merge_counts(a: Tensor, b: Tensor) -> Tensor:
    """Add two counts."""
    return _carry(a[0] + b[0], a[1] + b[1])


def count_to_float(count: Tensor) -> Tensor:
    """Round a count to float32; below 2**24 the result is exact.

    A NumPy array gives float64, exact below 2**53.
    """
    if isinstance(count, np.ndarray):
        return count[0] * float(COUNT_BASE) + count[1]
    count = carry(count)
    return ops.cast(count[0], "float32") * float(COUNT_BASE) + ops.cast(
        count[1], "float32"
    )


def _two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Give the rounded sum and the rounding error, which is exact."""
    total = a + b
    b_part = total - a
    return total, (a - (total - b_part)) + (b - b_part)


def add_to_sum(total: Tensor, batch: Tensor) -> Tensor:
    """Add float32 numbers to a sum."""
    high, error = _two_sum(total[0], batch)
    return ops.stack([high, total[1] + error])


def merge_sums(a: Tensor, b: Tensor) -> Tensor:
    """Add two sums."""
    high, error = _two_sum(a[0], b[0])
    return ops.stack([high, a[1] + b[1] + error])


def sum_to_float(total: Tensor) -> Tensor:
    """Round a sum to float32."""
    return total[0] + total[1]


BLOCK = 32


def batch_sum(values: Tensor) -> Tensor:
    """Add up the last axis as two float32 words, `(2, ...)`, in few roundings.

    float64 values, and float32 ones on TensorFlow, add up in float64. JAX has no
    float64 by default, but knows every shape: it adds blocks of 32, then blocks
    of these sums, an error of at most 32 roundings a level. PyTorch's own sum is
    a cascade already.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        values = ops.cast(values, "float64")
    if backend == "jax":
        *outer, size = values.shape
        while size > BLOCK:
            values = ops.pad(values, [(0, 0)] * len(outer) + [(0, -size % BLOCK)])
            values = ops.sum(ops.reshape(values, (*outer, -1, BLOCK)), axis=-1)
            size = values.shape[-1]
    return to_words(ops.sum(values, axis=-1))


def to_words(number: Tensor) -> Tensor:
    """Split a float or integer tensor into two float32 words."""
    high = ops.cast(number, "float32")
    low = ops.cast(number - ops.cast(high, number.dtype), "float32")
    return ops.stack([high, low])


def add_to_words(a: Tensor, b: Tensor) -> Tensor:
    """Add two float tensors of one dtype, rounding only below the second word."""
    high, error = _two_sum(a, b)
    if keras.backend.standardize_dtype(a.dtype) == "float64":
        return to_words(high)
    return ops.stack([high, error])
