"""The bin of a score: the same one on every backend.

The bins are uniform in `asinh(logit / 4)`, so that they are fine around 1/2 and
reach far into both tails; |logit| is clipped at 1e4. Logarithms round differently
in NumPy and on each backend, which would part equal scores on an edge. The formula
therefore only proposes a bin, and comparing the score with a table of edges decides.
"""

import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

Tensor = Any
Array = npt.NDArray[Any]

LARGEST = 1e4
SCALE = 4.0
SPAN = math.asinh(LARGEST / SCALE)
# Some devices round smaller numbers to 0.
SMALLEST = float(np.finfo("float32").tiny)
# Searching the table for more scores takes longer than their logarithms.
SEARCHED = 512
# How far a proposed place in the histogram may be off, as a share of its length: some
# 30 roundings of float32. Only scores that close to an edge need the table.
NEAR = 2e-6


def per_unit(bins: int) -> float:
    """Return how many bins there are to one unit of `asinh(logit / 4)`."""
    return bins / (2.0 * SPAN)


@functools.cache
def lower_edges(bins: int, *, logits: bool) -> Array:
    """Return the lower edge of each bin in float64, `(bins,)`.

    Args:
        bins: Number of bins.
        logits: The scores are logits and not probabilities.
    """
    # A logit of 0 lies inside of a bin.
    places = np.arange(bins) - bins // 2 - 0.5
    edges: Array = SCALE * np.sinh(places / per_unit(bins))
    if not logits:
        with np.errstate(all="ignore"):
            edges = 1.0 / (1.0 + np.exp(-edges))
        edges[edges <= SMALLEST] = -math.inf
    edges[0] = -math.inf  # Clipped scores lie in the outer bins.
    edges.flags.writeable = False
    return edges


@functools.cache
def edge_table(bins: int, *, logits: bool) -> Array:
    """Return the smallest float32 of each bin, and infinity, `(bins + 1,)`."""
    edges = lower_edges(bins, logits=logits)
    with np.errstate(all="ignore"):
        table = edges.astype("float32")
        table = np.where(table < edges, np.nextafter(table, np.float32(np.inf)), table)
    table = np.append(table, np.float32(np.inf))
    table.flags.writeable = False
    return table


def bin_ids(scores: Tensor, bins: int, *, logits: bool) -> Tensor:
    """Return the bin of each score.

    Args:
        scores: Float tensor without NaN; probabilities lie in [0, 1].
        bins: Number of bins, up to some ten million: the proposed bin is at most
            one off.
        logits: The scores are logits and not probabilities.

    Returns:
        int32 tensor of the same shape, in [0, bins).
    """
    if logits:
        scores = logit = ops.clip(scores, -LARGEST, LARGEST)
    else:
        scores = ops.clip(scores, SMALLEST, 1.0)
        logit = ops.log(scores) - ops.log1p(-scores)
        logit = ops.clip(logit, -LARGEST, LARGEST)
    place = ops.arcsinh(logit / SCALE) * per_unit(bins) + 0.5
    ids = ops.cast(ops.floor(place), "int32") + bins // 2
    ids = ops.clip(ids, 0, bins - 1)
    # A copy: tensors of PyTorch share memory that other code may write to.
    table = ops.convert_to_tensor(edge_table(bins, logits=logits).copy())
    below = ops.less(scores, ops.take(table, ids))
    above = ops.greater_equal(scores, ops.take(table, ids + 1))
    return ids - ops.cast(below, "int32") + ops.cast(above, "int32")


def bin_ids_of_array(scores: Array, bins: int, *, logits: bool) -> Array:
    """Return the bin of each score of an array; as `bin_ids` otherwise."""
    table = edge_table(bins, logits=logits)
    if scores.size <= SEARCHED:
        # The first edge is minus infinity, and the last one infinity.
        ids: Array = table[1:-1].searchsorted(scores, "right")
        return ids
    if logits:
        scores = logit = np.clip(scores, -LARGEST, LARGEST)
    else:
        scores = np.maximum(scores, SMALLEST)
        with np.errstate(all="ignore"):  # 1 has an infinite logit.
            logit = np.minimum(np.log(scores) - np.log1p(-scores), LARGEST)
    place = np.arcsinh(logit / SCALE)
    place *= per_unit(bins)
    place += bins // 2 + 0.5
    whole = np.floor(place)
    ids = whole.astype(np.int64)
    np.clip(ids, 0, bins - 1, out=ids)
    place -= whole
    place -= 0.5
    near = np.flatnonzero(np.abs(place, out=place) >= 0.5 - NEAR * bins)
    proposed, scores = ids[near], scores[near]
    ids[near] += scores >= table[proposed + 1]
    ids[near] -= scores < table[proposed]
    return ids
