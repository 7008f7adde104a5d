"""JAX kernels: operations that `keras.ops` lacks, or that XLA runs slowly from it."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from keras.ops import convert_to_tensor

from multiback.metrics.inputs.batch import INT32, to_tensor
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
    (high, low), weighted = state["counts"], state["weighted"][0]
    table = low[:-1].reshape(-1, 2 * bins + 1)
    carried = high[-1] != 0
    if len(table) > 1:  # An epoch of a thousand classes has more than 2**24 scores.
        carried = carried & jnp.any(high[:-1])
    odd = carried | jnp.any(table[:, -1]) | jnp.any(state["unusable"])

    def plain() -> Array:
        counts = table.astype(jnp.float32)
        return value(counts[:, :bins], counts[:, bins:-1])

    return jax.lax.cond(odd | (weighted[-1] != 0.0), otherwise, plain)


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
