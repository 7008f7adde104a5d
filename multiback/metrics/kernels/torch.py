"""PyTorch kernels for what `keras.ops` does slowly or wrongly there.

`keras.ops.segment_sum` accumulates int32 in float32 (off by 1024 past 2**24)
and takes 9 to 15 times as long as `bincount`. An operation of `keras.ops` takes 5
to 20 microseconds to start, so that a batch in the host's memory is counted in
NumPy, on views that share the tensors' memory.
"""

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from multiback.metrics.keras_private import in_stateless_scope
from multiback.metrics.kernels.arrays import KERNELS
from multiback.metrics.statistic import Statistic

Array = Any

_TENSORS = (torch.Tensor, torch.nn.Parameter)
_KINDS = frozenset("fiub")


def count_ids(ids: Any, length: int) -> Any:
    """Count how often each id in [0, length) occurs."""
    if ids.is_meta:
        # Keras traces shapes on the meta device, where bincount does not exist.
        return torch.zeros(length, dtype=torch.int32, device="meta")
    return torch.bincount(ids, minlength=length).to(torch.int32)


def sum_by_id(ids: Any, values: Any, length: int) -> Any:
    """Sum the values of each id in [0, length), in float64."""
    if ids.is_meta:
        return torch.zeros(length, dtype=values.dtype, device="meta")
    # Apple's GPUs have no float64.
    wide = values if ids.device.type == "mps" else values.double()
    return torch.bincount(ids, weights=wide, minlength=length).to(values.dtype)


def as_array(values: Any) -> Array | None:
    """View a tensor in the host's memory as an array, if there is a plain way."""
    if isinstance(values, np.ndarray):
        return values if values.dtype.kind in _KINDS else None
    # A subclass may be anything.
    if type(values) not in _TENSORS:
        return None
    if values.requires_grad:
        values = values.detach()
    if values.dtype is torch.bfloat16:
        values = values.float()
    try:
        # Neither another device's memory nor a tensor's within `torch.func`.
        return values.numpy()
    except (RuntimeError, TypeError):
        return None


class SameBatch:
    """What was counted in the last batch, for other metrics that are given it too.

    Keras hands the very same tensors to every metric of an output. A tensor is the
    same if it is that object (held weakly: its graph may be large) and was not
    written to. NumPy may write to memory that it shares with a tensor unseen, so an
    entry serves each metric once, and none after a result or a reset.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Take nothing for the same any more."""
        self._tensors: tuple[Any, ...] = ()
        self._versions: list[int] = []
        # A list: one comparison takes less time than a hash.
        self._tallies: list[tuple[Statistic, Any]] = []
        self._served: set[int] = set()

    def tally(
        self,
        metric: Any,
        statistic: Statistic,
        tensors: tuple[Any, ...],
        count: Callable[[], Any],
    ) -> Any:
        """Return what `count()` gives for a batch, or gave for another metric.

        Args:
            metric: Who asks.
            statistic: What is counted.
            tensors: The batch.
            count: Counts it.
        """
        try:
            versions = [tensor._version for tensor in tensors]  # noqa: SLF001 - PyTorch's own notion of "written to".
        except (AttributeError, RuntimeError):  # An array, or an inference tensor.
            return count()
        # One that was collected under the same id is served anew: that is safe.
        if (
            id(metric) in self._served
            or versions != self._versions
            or not all(map(_refers_to, self._tensors, tensors))
        ):
            self._tensors = tuple(weakref.ref(tensor) for tensor in tensors)
            self._versions = versions
            self._tallies = []
            self._served = set()
        self._served.add(id(metric))
        for counted, tally in self._tallies:
            if counted == statistic:
                return tally
        tally = count()
        self._tallies.append((statistic, tally))
        return tally


def _refers_to(reference: Any, tensor: Any) -> bool:
    return reference() is tensor


same_batch = SameBatch()


def _is_plain_step() -> bool:
    """Tell whether variables and tensors are what they seem.

    They are not while Keras tries a metric on made-up data or takes the state for
    an argument, nor while PyTorch compiles a step.
    """
    return not (in_stateless_scope() or torch.compiler.is_compiling())


def add_batch(
    metric: Any, statistic: Statistic, variables: dict[str, Any], batch: tuple[Any, ...]
) -> bool:
    """Add a batch without weights to a state in the host's memory, if it is plain.

    Args:
        metric: Whose state it is.
        statistic: What it accumulates.
        variables: Its variables, which change in place.
        batch: `y_true, y_pred`.

    Returns:
        Whether it was added; otherwise the specification is to do it.
    """
    kernel = KERNELS.get(type(statistic))
    if kernel is None or not _is_plain_step():
        return False
    counts = as_array(variables["counts"].value)
    if counts is None:
        return False

    def count() -> Array | None:
        y_true, y_pred = map(as_array, batch)
        if y_true is None or y_pred is None:
            return None
        return kernel.tally(statistic, y_true, y_pred)

    tally = same_batch.tally(metric, statistic, batch, count)
    if tally is None:
        return False
    kernel.add(counts, tally)
    return True


def result(
    compute: Callable[[dict[str, Any]], Any | None], variables: dict[str, Any]
) -> Any | None:
    """Compute a result from a state in the host's memory, if that is where it is.

    Args:
        compute: The formula on arrays; None where it has none.
        variables: The metric's variables.
    """
    if not _is_plain_step():
        return None
    state = {key: as_array(variable.value) for key, variable in variables.items()}
    if any(array is None for array in state.values()):
        return None
    value = compute(state)
    if isinstance(value, float):
        return torch.scalar_tensor(value, dtype=torch.float32)
    return None if value is None else torch.tensor(value, dtype=torch.float32)
