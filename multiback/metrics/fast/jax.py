"""JAX kernels: operations that `keras.ops` lacks, or that XLA runs slowly from it."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from keras.ops import convert_to_tensor

from multiback.metrics.fast.areas import precision_areas, won_pairs
from multiback.metrics.inputs.batch import INT32, to_tensor
from multiback.metrics.numeric import exact
from multiback.metrics.numeric.jax import is_known
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
