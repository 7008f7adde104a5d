"""The bin of a score: the same one on every backend, from the bits of the score.

The bits of a positive float, read as an integer, grow like its logarithm and are
linear between powers of two. Used once, they give the logarithm of the odds, in
octaves; used again, with an offset of 4, they make bins that are even around 1/2 and
grow with the distance from it, as `asinh` would. Comparing, subtracting, shifting,
converting and rounding a sum are the same everywhere and keep the order, which
logarithms are not.

    q = min(p, 1 - p), at least 2**-30         (1 - p is exact above 1/2)
    v = (bits(1/2) - bits(q)) * 2**-23 + 4     (octaves below 1/2, 0 to 29)
    k = (bits(v) - bits(4)) >> (23 - bits)     (the bin, counted from 1/2)

A logit x is a logarithm of odds already: `v = |x| + 4`. Up to |x| = 28 its bins are
those of the formula; from there to 16,380 they are 16 times as wide, which keeps their
number near that of probabilities.
"""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from multiback.metrics.numeric.arithmetic import Tensor
from multiback.metrics.numeric.arithmetic import bits as bits_of

Array = npt.NDArray[Any]

# Bits of the mantissa of v that tell bins apart: each more doubles the number of bins.
BITS = 10
FEWEST_BITS = -2  # Two bins.

OFFSET = 4.0
SMALLEST = 2.0**-30
FARTHEST = 2.0**14
# Denormals are 0 to some devices.
POSITIVE_LOGIT = float(np.finfo("float32").tiny)
MANTISSA = 23
# From here on, in octaves of v, bins of logits are wider by this many bits.
KNEE = 3 << MANTISSA
WIDER = 4
# Searching the table for more scores takes longer than the formula.
SEARCHED = 512


def _bits_of(value: float) -> int:
    return int(np.float32(value).view(np.int32))


HALF_BITS = _bits_of(0.5)
OFFSET_BITS = _bits_of(OFFSET)


@functools.cache
def half_of_bins(bits: int, *, logits: bool) -> int:
    """Return how many bins there are on each side of 1/2, or of a logit of 0."""
    if logits:
        last = KNEE + ((_bits_of(FARTHEST) - OFFSET_BITS - KNEE) >> WIDER)
    else:
        octaves = (HALF_BITS - _bits_of(SMALLEST)) >> MANTISSA
        last = _bits_of(octaves + OFFSET) - OFFSET_BITS
    return (last >> (MANTISSA - bits)) + 1


def number_of_bins(bits: int, *, logits: bool) -> int:
    """Return how many bins there are."""
    return 2 * half_of_bins(bits, logits=logits)


def most_bits(num_bins: float, *, logits: bool) -> int:
    """Return the bits that make the most bins of at most `num_bins`, or two."""
    bits = FEWEST_BITS
    while bits < MANTISSA and number_of_bins(bits + 1, logits=logits) <= num_bins:
        bits += 1
    return bits


@functools.cache
def edge_table(bits: int, *, logits: bool) -> Array:
    """Return the smallest float32 of each bin, and infinity, `(bins + 1,)`.

    The first is minus infinity. Where no float32 lies in a bin, it has the edge of the
    next one.
    """
    bins = number_of_bins(bits, logits=logits)
    ids = np.arange(1, bins)
    # Integers in the order of the floats: from all below to all above.
    top = _bits_of(np.inf if logits else 1.0)
    below = np.full(bins - 1, -top - 1 if logits else -1, np.int64)
    above = np.full(bins - 1, top, np.int64)
    while (above - below).max() > 1:
        middle = (below + above) // 2
        reached = _formula(_float_at(middle), bits, logits=logits) >= ids
        above, below = (
            np.where(reached, middle, above),
            np.where(reached, below, middle),
        )
    edges = _float_at(above)
    table: Array = np.concatenate([[-np.inf], edges, [np.inf]]).astype("float32")
    table.flags.writeable = False
    return table


def _float_at(places: Array) -> Array:
    """Return the float32 at each place of their order; 0 has the place 0."""
    sizes = np.abs(places).astype(np.int32).view(np.float32)
    return np.where(places < 0, -sizes, sizes)


def bin_ids(scores: Tensor, bits: int, *, logits: bool) -> Tensor:
    """Return the bin of each score.

    Args:
        scores: Float tensor without NaN; probabilities lie in [0, 1].
        bits: Bits of the mantissa that tell bins apart, from -2 to 23.
        logits: The scores are logits and not probabilities.

    Returns:
        int32 tensor of the same shape, from 0 for the lowest scores.
    """
    scores = ops.cast(scores, "float32")
    if logits:
        upper = scores >= POSITIVE_LOGIT
        distance = ops.minimum(ops.abs(scores) + OFFSET, FARTHEST)
    else:
        upper = scores > 0.5  # noqa: PLR2004 - of a probability
        rarer = ops.maximum(ops.minimum(scores, 1.0 - scores), SMALLEST)
        octaves = ops.cast(HALF_BITS - bits_of(rarer), "float32")
        distance = octaves * 2.0**-MANTISSA + OFFSET
    place = bits_of(distance) - OFFSET_BITS
    if logits:
        far = ops.right_shift(ops.maximum(place - KNEE, 0), WIDER)
        place = ops.minimum(place, KNEE) + far
    place = ops.right_shift(place, MANTISSA - bits)
    half = half_of_bins(bits, logits=logits)
    return ops.where(upper, half + place, half - 1 - place)


def bin_ids_of_array(scores: Array, bits: int, *, logits: bool) -> Array:
    """Return the bin of each score of an array; as `bin_ids` otherwise."""
    with np.errstate(over="ignore"):
        scores = scores.astype(np.float32, copy=False)
    if scores.size <= SEARCHED:
        table = edge_table(bits, logits=logits)
        # The first edge is minus infinity, and the last one infinity.
        ids: Array = table[1:-1].searchsorted(scores, "right")
        return ids
    return _formula(scores, bits, logits=logits)


def _formula(scores: Array, bits: int, *, logits: bool) -> Array:
    """Return the bin of each float32 score; this is the specification."""
    if logits:
        upper = scores >= POSITIVE_LOGIT
        distance = np.abs(scores)
        distance += np.float32(OFFSET)
        np.minimum(distance, np.float32(FARTHEST), out=distance)
    else:
        upper = scores > 0.5  # noqa: PLR2004 - of a probability
        rarer = np.subtract(np.float32(1.0), scores)
        np.minimum(rarer, scores, out=rarer)
        np.maximum(rarer, np.float32(SMALLEST), out=rarer)
        octaves = rarer.view(np.int32)
        np.subtract(HALF_BITS, octaves, out=octaves)
        distance = octaves.astype(np.float32)
        distance *= np.float32(2.0**-MANTISSA)
        distance += np.float32(OFFSET)
    place = distance.view(np.int32)
    place -= OFFSET_BITS
    if logits:
        far = np.maximum(place - KNEE, 0)
        far >>= WIDER
        np.minimum(place, KNEE, out=place)
        place += far
    place >>= MANTISSA - bits
    # The complement of k is -1 - k: the bins below mirror those above.
    place ^= upper.astype(np.int32) - 1
    ids: Array = place.astype(np.int64)
    ids += half_of_bins(bits, logits=logits)
    return ids
