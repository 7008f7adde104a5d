"""What a step of JAX computes from a state, as XLA runs it fastest."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from multiback.metrics.fast.results.areas import precision_areas, won_pairs
from multiback.metrics.numeric import exact

Array = Any


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
            carried, lambda: jnp.any(exact.carry(counts)[0, :-1]), lambda: carried
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
        negatives, positives, won = won_pairs(negatives, positives)
        # One class makes this 0 / 0.
        return average(won / (negatives * positives), positives, negatives)

    return of_cells(state, bins, area, otherwise)


def areas_of_bins(
    positives: Array, negatives: Array, _area: Callable[..., Array]
) -> tuple[Array, Array, Array]:
    """Return the areas under precision-recall curves, positives and negatives."""

    def total(areas: Array) -> Array:
        # A sum would keep XLA from vectorising the terms.
        ones = jnp.ones(areas.shape[1], areas.dtype)
        return jnp.matmul(areas, ones, precision=jax.lax.Precision.HIGHEST)

    return precision_areas(positives, negatives, total)
