"""JAX kernels: operations that `keras.ops` lacks, or that XLA runs slowly from it."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from keras.ops import convert_to_tensor

from multiback.metrics.inputs.batch import INT32, to_tensor
from multiback.metrics.numeric.jax import is_known
from multiback.metrics.statistics.score_histogram import sums_by_fours
from multiback.metrics.statistics.statistic import Statistic

Array = Any


def as_arrays(state: dict[str, Array]) -> dict[str, Any] | None:
    """View a state as NumPy arrays; None while a compiled step is being written.

    Outside of one, JAX compiles each operation separately the first time, and takes
    long to start it every time.
    """
    if not all(is_known(value) for value in state.values()):
        return None
    return {key: np.asarray(value) for key, value in state.items()}


def read(variables: Mapping[str, Any]) -> dict[str, Array]:
    """Return the values of Keras's variables."""
    return {key: convert_to_tensor(value) for key, value in variables.items()}


def add_in_xla(*_: Any) -> bool:
    """Leave it to `update`: XLA compiles all that is compiled."""
    return False


def update(
    statistic: Statistic,
    before: dict[str, Array],
    *batch: Any,
    sample_weight: Any = None,
    mask: Any = None,
) -> dict[str, Array] | None:
    """Add a batch in one compiled call; None leaves it to the specification.

    Within a compiled step XLA fuses the specification with the rest. Outside of one,
    JAX would compile each of its operations by itself: 30 ms each the first time, for
    each shape, which made 3 seconds for the first batch of an `AUROC`.
    """
    if not all(is_known(value) for value in before.values()):
        return None
    weights = {"sample_weight": sample_weight, "mask": mask}
    weights = {name: values for name, values in weights.items() if values is not None}
    if not all(_is_plain(values) for values in (*batch, *weights.values())):
        return None
    tensors = [to_tensor(values, "") for values in batch]
    for name, values in weights.items():
        weights[name] = to_tensor(values, name, labels=False)
    after: dict[str, Array] = _update(statistic, before, tensors, weights)
    return after


def _is_plain(values: Any) -> bool:
    """Return whether these are plain number arrays, without values to refuse."""
    if isinstance(values, np.ndarray):
        # What int32 cannot hold is one thing as a label and another as a number.
        wide = values.dtype.kind in "iu" and values.dtype.itemsize > 4 and values.size  # noqa: PLR2004 - bytes of an int32
        fits = not wide or (values.min() >= INT32[0] and values.max() <= INT32[1])
        return bool(fits) and values.dtype.kind in "biuf"
    return isinstance(values, jax.Array) and is_known(values)


def _specified(
    statistic: Statistic,
    before: dict[str, Array],
    batch: list[Array],
    weights: dict[str, Array],
) -> dict[str, Array]:
    return statistic.update(before, *batch, **weights)


_update: Any = jax.jit(_specified, static_argnums=0)


def ratio_of_two_classes(*_: Any) -> None:
    """Leave it to the specification, which XLA fuses."""


def of_cells(
    state: dict[str, Array],
    bins: int,
    value: Callable[[Array, Array], Array],
    otherwise: Callable[[], Array],
) -> Array:
    """Return a value of the counts of one ranking, or of several.

    Args:
        state: That of a `ScoreHistogram`.
        bins: Number of bins.
        value: Gives it from float32 negatives and positives, `(columns, bins)`.
        otherwise: Computes the value of other states than those of fewer than 2**24
            scores in a cell and without weights, in a separate branch.
    """
    counts, weighted = state["counts"], state["weighted"]

    def table(counts: Array) -> Array:
        return counts[1, :-1].reshape(-1, 2 * bins + 1)

    carried = counts[0, -1] != 0
    if len(table(counts)) > 1:
        # An epoch of a thousand classes has more than 2**24 scores. Looking at all
        # cells in each step took a fifth of its time.
        carried = jax.lax.cond(
            carried, lambda: jnp.any(counts[0, :-1]), lambda: carried
        )
    odd = carried | jnp.any(table(counts)[:, -1]) | jnp.any(state["unusable"])

    def plain() -> Array:
        # In this branch, as what it gets from outside of it would be copied.
        cells = table(counts).astype(jnp.float32)
        return value(cells[:, :bins], cells[:, bins:-1])

    return jax.lax.cond(odd | (weighted[0, -1] != 0.0), otherwise, plain)


def roc_area(
    state: dict[str, Array],
    bins: int,
    average: Callable[[Array, Array, Array], Array],
    otherwise: Callable[[], Array],
) -> Array:
    """Return the area under the ROC curve of one ranking, or the average of several.

    Args:
        state: That of a `ScoreHistogram`.
        bins: Number of bins.
        average: Gives the value of areas, positives and negatives, each `(columns,)`.
        otherwise: Computes the area of other states than those of fewer than 2**24
            scores without weights, in a separate branch.
    """

    def area(negatives: Array, positives: Array) -> Array:
        negatives, positives, won = _won_pairs(negatives, positives)
        # One class makes this 0 / 0.
        return average(won / (negatives * positives), positives, negatives)

    return of_cells(state, bins, area, otherwise)


def _won_pairs(negatives: Array, positives: Array) -> tuple[Array, Array, Array]:
    """Return the numbers of negatives, positives and pairs that the positive wins.

    Each row is a ranking, `(columns, bins)`. A tie counts half. Four neighbouring bins
    become one, and the pairs between them are counted, until one is left: passes that
    XLA vectorises, over 4/3 of the bins, with 3 roundings of a sum each. A prefix sum
    took ten times as long.
    """
    won = None
    while won is None or negatives.shape[-1] > 1:
        low, high = _fours(negatives), _fours(positives)
        if won is None:
            won = sum(p * n for p, n in zip(high, low, strict=True)) / 2.0
        else:
            won = sum(_fours(won))
        below = low[0]
        for p, n in zip(high[1:], low[1:], strict=True):
            won = won + p * below
            below = below + n
        negatives, positives = below, sum(high)
    return negatives[:, 0], positives[:, 0], won[:, 0]


def _fours(values: Array) -> list[Array]:
    """Return the first, second, third and fourth of each four values of a row."""
    table = jnp.pad(values, [(0, 0), (0, -values.shape[1] % 4)])
    table = table.reshape(len(values), -1, 4)
    return [table[:, :, k] for k in range(4)]


def areas_of_bins(
    positives: Array, negatives: Array, _area: Callable[..., Array]
) -> tuple[Array, Array, Array]:
    """Return the areas under precision-recall curves, positives and negatives.

    Sums are written above every fourth bin only: between those of three other bins XLA
    writes them number by number. The rest is written so that XLA vectorises it, which
    makes it twice as fast: no logarithm of XLA's, and a product with ones for the sum.

    Args:
        positives: Of each bin, `(columns, bins)`.
        negatives: The same.
    """
    lanes = [_fours(each) for each in (positives, negatives)]
    of_fours = [sum(each) for each in lanes]
    above = [sums_by_fours(each, above=True) for each in of_fours]
    all_positives, all_negatives = (
        each[:, 0] + more[:, 0] for each, more in zip(of_fours, above, strict=True)
    )
    hits, seen = above[0], above[0] + above[1]
    areas = jnp.zeros_like(hits)
    for p, n in reversed(list(zip(*lanes, strict=True))):
        areas = areas + _area_of_counts(p, n, hits, seen)
        hits, seen = hits + p, seen + p + n
    ones = jnp.ones(areas.shape[1], areas.dtype)
    whole = jnp.matmul(areas, ones, precision=jax.lax.Precision.HIGHEST)
    return whole, all_positives, all_negatives


def _area_of_counts(p: Array, n: Array, hits: Array, seen: Array) -> Array:
    """Return `AveragePrecision._middle` of whole numbers, in few operations.

    With `q = p / (p + n)`, the share of positives in the bin, and `u = seen q`, the
    integral from its first positive to its last is `q (p - 1 + (hits - u) log1p((p - 1)
    / (u + 1)))`.
    """
    both = p + n
    # 1 where there is nothing to divide.
    share = p / jnp.maximum(both, 1.0)
    start = seen * share
    inverse = 1.0 / (start + 1.0)
    first = (hits + 1.0) * share * inverse
    last = (hits + p) / jnp.maximum(seen + both, 1.0)
    rest = jnp.maximum(p - 1.0, 0.0)
    curved = (hits - start) * _log1p(rest * inverse)
    area = (first + last) / 2.0 + share * (rest + curved)
    return jnp.where(p > 0.0, area, 0.0)


# log(1 + f) is f - f^2 / 2 + f^3 times this polynomial, of 1 + f within a root of 2 of
# 1; from the Cephes library's logf.
_LOG = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
_ROOT_OF_HALF = np.float32(np.sqrt(0.5)).view(np.int32)


def _log1p(values: Array) -> Array:
    """Return `log(1 + x)` of finite numbers of at least 0, in half of XLA's time."""
    grown = jax.lax.bitcast_convert_type(values + 1.0, jnp.int32)
    power = (grown - _ROOT_OF_HALF) >> 23
    inverse = jax.lax.bitcast_convert_type((127 - power) << 23, jnp.float32)
    f = values * inverse + (inverse - 1.0)
    square, sums = f * f, jnp.zeros_like(f)
    for factor in _LOG:
        sums = sums * f + factor
    return f * square * sums - square / 2.0 + f + power * np.float32(np.log(2.0))
