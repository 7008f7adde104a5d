"""Stream arrays through metrics, cut into batches in more than one way.

A metric's value must not depend on batch size or row order. A single cut hides that if
the data fit into one batch.
"""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from multiback import keras_private
from multiback.adapters.bridge import HostMetric
from multiback.adapters.torchmetrics.arrays import Array, Samples
from multiback.adapters.torchmetrics.checking.report import Value
from multiback.errors import ArgumentError

# A shuffled cut has several batches, and a short last one: a mean of them is wrong.
LEAST_BATCHES = 2.1


@dataclasses.dataclass(frozen=True)
class Batching:
    """How rows become batches.

    Attributes:
        batch_size: Rows in a batch; the last may be shorter.
        shuffle: Seed of the order; None leaves the rows as they are.

    >>> str(Batching(32)), str(Batching(8, shuffle=0))
    ('batches of 32', 'shuffled batches of 8')
    >>> [rows.tolist() for rows in Batching(2).batches(3)]
    [[0, 1], [2]]
    """

    batch_size: int
    shuffle: int | None = None

    def batches(self, rows: int) -> Iterator[Array]:
        """Yield the row numbers of each batch."""
        order = np.arange(rows)
        if self.shuffle is not None:
            order = np.random.default_rng(self.shuffle).permutation(rows)
        for start in range(0, rows, self.batch_size):
            yield order[start : start + self.batch_size]

    def __str__(self) -> str:
        kind = "batches" if self.shuffle is None else "shuffled batches"
        return f"{kind} of {self.batch_size}"


def check_cuts(batch_size: Any, shuffles: Any) -> tuple[int, ...]:
    """Return the batch sizes, or raise for invalid arguments."""
    sizes = tuple(batch_size) if isinstance(batch_size, Sequence) else (batch_size,)
    if not sizes or any(
        isinstance(size, bool) or not isinstance(size, int) or size < 1
        for size in sizes
    ):
        raise ArgumentError(
            "batch_size= wants an integer of at least 1, or several in a list, not "
            f"{batch_size!r}."
        )
    if isinstance(shuffles, bool) or not isinstance(shuffles, int) or shuffles < 0:
        raise ArgumentError(
            f"shuffles= wants an integer of at least 0, not {shuffles!r}."
        )
    return sizes


def plan(sizes: Sequence[int], shuffles: int, rows: int) -> tuple[Batching, ...]:
    """List the cuts: each batch size in the rows' own order, then the shuffles.

    >>> [str(cut) for cut in plan((32, 100), 1, rows=50)]
    ['batches of 32', 'batches of 100', 'shuffled batches of 24']
    """
    small = math.ceil(rows / LEAST_BATCHES)
    shuffled = (
        Batching(min(sizes[seed % len(sizes)], small), seed) for seed in range(shuffles)
    )
    return (*map(Batching, sizes), *shuffled)


@dataclasses.dataclass(frozen=True)
class MetricInputs:
    """A metric with all of its data, one row a sample, and Keras's mask or None."""

    metric: Any
    samples: Samples
    mask: Array | None = None


class Streams:
    """The values of several metrics, for any cut of the same rows.

    They are updated side by side, with the same tensors: a member of
    `multiback.metrics.group` reads its owner's data. Each metric's state is left as it
    was.

    Args:
        fed: The metrics, all with as many rows.
        built: Each has its variables already.
    """

    def __init__(self, fed: Sequence[MetricInputs], *, built: bool = False) -> None:
        self._fed = fed
        self._built = built
        self.values = functools.cache(self._values)

    @property
    def rows(self) -> int:
        """Number of samples."""
        return len(self._fed[0].samples.y_true)

    def _values(self, cut: Batching) -> list[Value | dict[str, Value]]:
        with contextlib.ExitStack() as aside:
            for one in self._fed:
                if isinstance(one.metric, HostMetric):
                    aside.enter_context(one.metric.set_aside())
            return self._values_alone(cut)

    def _values_alone(self, cut: Batching) -> list[Value | dict[str, Value]]:
        metrics = [one.metric for one in self._fed]
        before = [(v, np.array(v.numpy())) for m in metrics for v in m.variables]
        for metric in metrics:
            metric.reset_state()
        # A compiled update would use the state objects of the first cut.
        compiles = keras.backend.backend() == "jax" and not any(
            isinstance(metric, HostMetric) for metric in metrics
        )
        for rows in cut.batches(self.rows):
            # The first batch makes variables, which a compiled update cannot do.
            update = self._compiled_update if self._built and compiles else self._update
            update(self._tensors(rows))
            self._built = True
        values = [to_values(_result(metric)) for metric in metrics]
        for metric in metrics:
            # Variables that the first update made have no earlier value.
            metric.reset_state()
        for variable, value in before:
            variable.assign(value)
        return values

    def _arrays(self) -> dict[int, Array]:
        """Return each array once: equal arrays become the same tensor."""
        arrays = [
            array
            for one in self._fed
            for array in (
                one.samples.y_true,
                one.samples.y_pred,
                one.samples.sample_weight,
                one.mask,
            )
            if array is not None
        ]
        return {id(array): array for array in arrays}

    def _tensors(self, rows: Array) -> list[Any]:
        return [ops.convert_to_tensor(array[rows]) for array in self._arrays().values()]

    def _update(self, tensors: list[Any]) -> None:
        of = dict(zip(self._arrays(), tensors, strict=True))
        for one in self._fed:
            samples = one.samples
            batch = [of[id(samples.y_true)]]
            if not samples.numbers:
                batch.append(of[id(samples.y_pred)])
                if one.mask is not None:
                    keras_private.set_keras_mask(batch[-1], of[id(one.mask)])
            if samples.sample_weight is not None:
                batch.append(of[id(samples.sample_weight)])
            one.metric.update_state(*batch)

    @functools.cached_property
    def _compiled_update(self) -> Callable[[list[Any]], None]:
        """Return `_update` with the state handed through a compiled function."""
        from multiback.adapters.torchmetrics.checking import jax

        variables = [v for one in self._fed for v in one.metric.variables]

        def pure(state: list[Any], tensors: list[Any]) -> list[Any]:
            mapping = list(zip(variables, state, strict=True))
            with keras.StatelessScope(state_mapping=mapping) as scope:
                self._update(tensors)
            return [scope.get_current_value(v) for v in variables]

        compiled = jax.compiled(pure)

        def update(tensors: list[Any]) -> None:
            state = [ops.convert_to_tensor(v) for v in variables]
            for variable, value in zip(
                variables, compiled(state, tensors), strict=True
            ):
                variable.assign(value)

        return update


def _result(metric: Any) -> Any:
    """Compute the value outside a step."""
    return metric.computed() if isinstance(metric, HostMetric) else metric.result()


def to_value(result: Any) -> Value:
    """Copy a scalar or vector to Python floats."""
    array = np.asarray(ops.convert_to_numpy(result), "float64")
    return float(array) if array.ndim == 0 else tuple(array.ravel().tolist())


def to_values(result: Any) -> Value | dict[str, Value]:
    """Copy a result, or each entry of one that is a dictionary."""
    if isinstance(result, Mapping):
        return {str(key): to_value(value) for key, value in result.items()}
    return to_value(result)
