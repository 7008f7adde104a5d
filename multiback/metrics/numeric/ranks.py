"""Ranks of values in rows, and sums over equal, smaller and disordered ones.

Rows are outputs of a metric, or queries. An element of weight 0 has no part in a sum.
All of it takes sorts, and no table of pairs.
"""

from keras import ops

from multiback.metrics.numeric import exact
from multiback.metrics.numeric.arithmetic import Tensor
from multiback.metrics.numeric.by_id import sum_by_id


def take(values: Tensor, order: Tensor) -> Tensor:
    """Bring the elements of each row into an order."""
    return ops.take_along_axis(values, order, axis=-1)


def sums(*terms: Tensor) -> Tensor:
    """Add up the last axis of each of several tensors, rounding but a few times."""
    return exact.sum_to_float(exact.batch_sum(ops.stack(terms)))


def dense(values: Tensor) -> Tensor:
    """Return the place of each value among the distinct ones, int32 `(D, N)`."""
    # Sorting is stable on all three backends, also below.
    order = ops.argsort(values, axis=-1)
    ordered = take(values, order)
    new = ops.cast(ops.not_equal(ordered[:, 1:], ordered[:, :-1]), "int32")
    places = ops.cast(ops.cumsum(new, axis=-1), "int32")
    places = ops.pad(places, [(0, 0), (1, 0)])
    return take(places, ops.argsort(order, axis=-1))


def of_pairs(first: Tensor, second: Tensor) -> Tensor:
    """Return an id of each pair of ranks, which are in order, int32 `(D, N)`."""
    new = ops.logical_or(
        ops.not_equal(first[:, 1:], first[:, :-1]),
        ops.not_equal(second[:, 1:], second[:, :-1]),
    )
    ids = ops.cast(ops.cumsum(ops.cast(new, "int32"), axis=-1), "int32")
    return ops.pad(ids, [(0, 0), (1, 0)])


def sum_tied(places: Tensor, weights: Tensor) -> Tensor:
    """Return the weight of all elements with the same of N places, `(D, N)`."""
    return take(_by_rank(places, weights), places)


def sum_below(places: Tensor, weights: Tensor) -> Tensor:
    """Return the weight of all elements with a smaller rank; as `sum_tied`."""
    each = _by_rank(places, weights)
    return take(ops.cumsum(each, axis=-1) - each, places)


def sum_upto(places: Tensor, weights: Tensor) -> Tensor:
    """Return the weight of all elements with no larger rank; as `sum_tied`."""
    return take(ops.cumsum(_by_rank(places, weights), axis=-1), places)


def _by_rank(places: Tensor, weights: Tensor) -> Tensor:
    # TensorFlow traces batches whose sizes differ with unknown sizes.
    rows, size = ops.shape(weights)
    starts = ops.expand_dims(ops.arange(rows, dtype="int32") * size, -1)
    flat = ops.reshape(places + starts, (-1,))
    each = sum_by_id(flat, ops.reshape(weights, (-1,)), rows * size)
    return ops.reshape(each, ops.shape(weights))


def count(places: Tensor, weights: Tensor) -> Tensor:
    """Return how many distinct ranks have a weight, `(D,)` float32."""
    held = ops.where(ops.equal(weights, 0.0), -1, places)
    ordered = ops.sort(held, axis=-1)
    new = ops.not_equal(ordered[:, 1:], ordered[:, :-1])
    first = ops.cast(ordered[:, 0] >= 0, "float32")
    return first + ops.sum(ops.cast(new, "float32"), axis=-1)


def discordant(places: Tensor, weights: Tensor) -> Tensor:
    """Add up the products of weights of pairs in descending order, `(D,)` float32.

    One bit after another, from the highest: of the ranks that agree in all higher bits,
    those with the bit set count before those without it.
    """
    bits = max(places.shape[-1] - 1, 1).bit_length()

    def next_bit(
        done: Tensor, carried: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        places, weights, found = carried
        bit = ops.cast(bits - 1 - done, "int32")
        order = ops.argsort(ops.right_shift(places, bit + 1), axis=-1)
        places, weights = take(places, order), take(weights, order)
        is_set = ops.equal(ops.bitwise_and(ops.right_shift(places, bit), 1), 1)
        ones = ops.where(is_set, weights, 0.0)
        zeros = ops.where(is_set, 0.0, weights)
        # Less what stands in blocks before this one.
        before = ops.cumsum(ones, axis=-1) - sum_below(
            ops.right_shift(places, bit + 1), ones
        )
        return places, weights, found + sums(zeros * before)[0]

    none = ops.zeros((places.shape[0],), dtype="float32")
    # A loop of the backend: XLA takes long to compile a sort for each bit.
    return ops.fori_loop(0, bits, next_bit, (places, weights, none))[2]
