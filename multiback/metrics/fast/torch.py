"""PyTorch kernels for what `keras.ops` does slowly or wrongly there.

`keras.ops.segment_sum` accumulates int32 in float32 (off by 1024 past 2**24) and takes
9 to 15 times as long as `bincount`. An operation of `keras.ops` takes 5 to 20
microseconds to start, so a batch in the host's memory is counted in NumPy, on views
that share the tensors' memory.
"""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import torch

from multiback.keras_private import (
    KERAS_SOURCE,
    held_value,
    in_stateless_scope,
    updated_metrics,
    wrapped_function,
)
from multiback.metrics.fast.table import Kernel, kernel_of
from multiback.metrics.statistics.statistic import Statistic

Array = Any

_TENSORS = (torch.Tensor, torch.nn.Parameter)
_KINDS = frozenset("fiub")


def as_array(values: Any) -> Array | None:
    """View a tensor in the host's memory as an array, or return None."""
    # A subclass may be anything.
    if type(values) in _TENSORS:
        if values.requires_grad:
            values = values.detach()
        try:
            return values.numpy()
        except (RuntimeError, TypeError):
            # Another device's memory, a tensor within `torch.func`, or bfloat16.
            return _as_wider_array(values)
    plain = isinstance(values, np.ndarray) and values.dtype.kind in _KINDS
    return values if plain else None


def _as_wider_array(values: Any) -> Array | None:
    if values.dtype is not torch.bfloat16:
        return None
    try:
        return values.float().numpy()
    except (RuntimeError, TypeError):
        return None


class HostViews:
    """A metric's variables, which change in place, as arrays, viewed once."""

    def __init__(self, variables: dict[str, Any]) -> None:
        self._variables = variables
        self._views: dict[str, tuple[Any, int, Array]] = {}

    def arrays(self, names: Iterable[str] | None = None) -> dict[str, Array] | None:
        """View the variables of these names, or all; None if one is not on the host."""
        variables, views, found = self._variables, self._views, {}
        for name in variables if names is None else names:
            if name not in variables:
                continue
            tensor = held_value(variables[name])
            view = views.get(name)
            # A tensor may get other memory, for example when it is moved to a device.
            if view is None or view[0] is not tensor or view[1] != tensor.data_ptr():
                array = as_array(tensor)
                if array is None:
                    return None
                view = views[name] = tensor, tensor.data_ptr(), array
            found[name] = view[2]
        return found


# From the list to `SameBatch.tally`: `update_state`, `Metric.add_batch`, `add_batch`.
_CALLS = 4
_TRUSTED = ("multiback.metrics.", KERAS_SOURCE)


class SameBatch:
    """The counts of the last batch, for other metrics of one compiled list.

    Keras passes the same tensors to every metric of an output. That they were not
    written to is certain only within the loop of Keras's list, and only if it holds no
    metric of a user: `tensor.data` and NumPy write unnoticed. Everywhere else each
    metric counts. Tensors are held weakly: their graph may be large.
    """

    def __init__(self) -> None:
        self._list: Callable[[], Any] = _nothing
        self._writes_nothing = False
        self.forget()

    def forget(self) -> None:
        """Drop the last batch."""
        self._batch: tuple[Any, Any] | None = None
        self._versions = (0, 0)
        # A list: one comparison takes less time than a hash.
        self._tallies: list[tuple[Statistic, Any]] = []
        self._served: set[int] = set()

    def tally(self, metric: Any, kernel: Kernel, y_true: Any, y_pred: Any) -> Any:
        """Return a kernel's counts of a batch, perhaps counted for another metric."""
        statistic = metric.statistic
        if not self._is_shared(updated_metrics(_CALLS)):
            return _count(kernel, statistic, y_true, y_pred)
        try:
            versions = y_true._version, y_pred._version  # noqa: SLF001 - PyTorch's own notion of "written to".
        except (AttributeError, RuntimeError):  # An array, or an inference tensor.
            return _count(kernel, statistic, y_true, y_pred)
        last = self._batch
        # If the id was reused after garbage collection, recount; that is safe.
        if (
            last is None
            or versions != self._versions
            or last[0]() is not y_true
            or last[1]() is not y_pred
            or id(metric) in self._served
        ):
            tally = _count(kernel, statistic, y_true, y_pred)
            self._batch = weakref.ref(y_true), weakref.ref(y_pred)
            self._versions = versions
            self._tallies = [(statistic, tally)]
            self._served = {id(metric)}
            return tally
        self._served.add(id(metric))
        for counted, tally in self._tallies:
            if counted == statistic:
                return tally
        tally = _count(kernel, statistic, y_true, y_pred)
        self._tallies.append((statistic, tally))
        return tally

    def _is_shared(self, metrics: Any) -> bool:
        """Return whether a list's metrics may share; forget that of another list."""
        if metrics is None:
            return False
        if self._list() is not metrics:
            self.forget()
            self._list = weakref.ref(metrics)
            self._writes_nothing = all(map(_is_trusted, metrics.metrics))
        return self._writes_nothing


def _nothing() -> None:
    return None


def _is_trusted(metric: Any) -> bool:
    """Return whether a metric's code is ours or Keras's, so that it writes nothing."""
    parts: list[Any] = [type(metric)]
    if isinstance(metric, keras.metrics.MeanMetricWrapper):
        parts.append(wrapped_function(metric)[0])
    return all(getattr(x, "__module__", "").startswith(_TRUSTED) for x in parts)


def _count(kernel: Kernel, statistic: Statistic, y_true: Any, y_pred: Any) -> Any:
    labels, predictions = as_array(y_true), as_array(y_pred)
    if labels is None or predictions is None:
        return None
    return kernel.tally(statistic, labels, predictions)


same_batch = SameBatch()


def _is_plain_step() -> bool:
    """Return whether variables and tensors hold real values.

    They do not while Keras tries a metric on made-up data or takes the state for an
    argument, nor while PyTorch compiles a step.
    """
    return not (in_stateless_scope() or torch.compiler.is_compiling())


def add_batch(metric: Any, views: HostViews, batch: tuple[Any, ...]) -> bool:
    """Add a batch without weights to a state in the host's memory, if it is plain.

    Return whether it was added; otherwise the specification has to add it.
    """
    kind: Any = type(metric.statistic)
    kernel = kernel_of(kind)
    if kernel is None or not _is_plain_step():
        return False
    arrays = views.arrays(kernel.arrays)
    if arrays is None:
        return False
    tally = same_batch.tally(metric, kernel, *batch)
    if tally is None:
        return False
    kernel.add(*arrays.values(), tally)
    return True


def reset(views: HostViews) -> bool:
    """Set a state in the host's memory to 0; return whether it was."""
    arrays = views.arrays() if _is_plain_step() else None
    for array in (arrays or {}).values():
        array.fill(0)
    return arrays is not None


def result(
    compute: Callable[[dict[str, Any]], Any | None], views: HostViews
) -> Any | None:
    """Compute a result from a state in the host's memory, or return None."""
    if not _is_plain_step():
        return None
    state = views.arrays()
    value = None if state is None else compute(state)
    if isinstance(value, float):
        return torch.scalar_tensor(value, dtype=torch.float32)
    return None if value is None else torch.tensor(value, dtype=torch.float32)


def to_host(state: dict[str, Any]) -> dict[str, Any]:
    """Copy the small parts of a state, which count unusable values, to the host."""
    return {
        key: value.detach().cpu().numpy()
        for key, value in state.items()
        if key in ("unusable", "used") and not value.is_meta
    }
