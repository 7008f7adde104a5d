"""Values in the logs: numbers, arrays of numbers, and everything else.

Metrics and callbacks log Python and NumPy numbers, arrays and tensors of any backend,
on any device. All decisions and all writing use these functions, so no value in the
logs makes saving fail.
"""

import math
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

# Larger arrays are written by their shape: a confusion matrix of 1,000 classes each
# epoch would make the history larger than the model.
LARGEST = 4096
_NUMBERS = "biufV"  # V: bfloat16 and float8, of ml_dtypes

# A number, nested lists, {"shape": [...]} or the name of a type.
Written: TypeAlias = "float | list[Any] | dict[str, list[int]] | str"


@runtime_checkable
class _TorchTensor(Protocol):
    """A tensor that may need gradients, be on a device or have a dtype of torch."""

    def detach(self) -> Any:
        """Return it without gradients."""

    def cpu(self) -> Any:
        """Return it on the host."""

    def double(self) -> Any:
        """Return it as float64."""

    def is_complex(self) -> bool:
        """Return whether it is complex."""


@runtime_checkable
class _HostCopy(Protocol):
    """A tensor whose scalars NumPy cannot always convert, such as TensorFlow's."""

    def numpy(self) -> Any:
        """Return it as NumPy's array or scalar."""


def readable(value: Any) -> Any:
    """Return a number, in any shape, as a float and numbers as an array.

    >>> readable(np.ones((1, 1), "float16")), readable([1, 2]), readable("0.5")
    (1.0, array([1., 2.]), '0.5')
    """
    if type(value) is float:
        return value
    try:
        array = _array(value)
    except Exception:  # noqa: BLE001 - of any library: the value is not an array then
        return value
    if array is None:
        return value
    return float(array.item()) if array.size == 1 else array


def _array(value: Any) -> np.ndarray | None:
    """Return numbers as float64; None or an error for anything else."""
    if isinstance(value, _TorchTensor):
        if value.is_complex():
            return None
        value = value.detach().cpu().double()
    elif isinstance(value, _HostCopy):
        value = value.numpy()
    array = np.asarray(value)
    if array.dtype.kind == "O" and array.ndim == 0:
        # Such as a Decimal or a large integer, unlike a string tensor of TensorFlow.
        single = array.item()
        return None if isinstance(single, str | bytes) else np.asarray(float(single))
    if array.dtype.kind not in _NUMBERS:
        return None
    return array.astype(np.float64)


def written(value: Any) -> Written:
    """Return a value of the logs as JSON.

    >>> written(np.float32(0.5)), written(np.eye(2)), written(np.ones((70, 70)))
    (0.5, [[1.0, 0.0], [0.0, 1.0]], {'shape': [70, 70]})
    >>> written("0.5"), written(None)
    ('str', 'NoneType')
    """
    value = readable(value)
    if isinstance(value, float):
        return value
    if not isinstance(value, np.ndarray) or value.dtype != np.float64:
        return type(value).__name__
    if value.size > LARGEST:
        return {"shape": list(value.shape)}
    plain: list[Any] = value.tolist()
    return plain


def written_logs(logs: Mapping[str, Any]) -> dict[str, Written]:
    """Return logs as JSON, under their names."""
    return {str(name): written(value) for name, value in logs.items()}


def numbers_of(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers among written values.

    >>> numbers_of({"loss": 0.5, "recall": [0.1, 0.9], "note": "str"})
    {'loss': 0.5}
    """
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, float | int) and not isinstance(value, bool)
    }


def other_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest fields for values that `metrics`, numbers only, lacks."""
    numbers = numbers_of(values)
    other = {name: value for name, value in values.items() if name not in numbers}
    return {"values": other} if other else {}


def element_fault(name: str, value: Any, index: tuple[int, ...]) -> str | None:
    """Return why a value, or one element of it, is not a number; None if it is.

    An empty index is that of the value itself.

    >>> element_fault("recall", [0.1, 0.9], (1,))
    """
    shape = _shape(value)
    if shape is None:
        kind = value if isinstance(value, str) else type(value).__name__
        return f"{name!r} is not a number in the logs, but a {kind}."
    if not index and shape:
        example = f"{name}[{', '.join('0' * len(shape))}]"
        return (
            f"{name!r} is not one number: its shape is {list(shape)}. Monitor one "
            f"value as {example!r}, or pass a function of the logs such as "
            f"lambda logs: logs[{name!r}].min(); or give the metric "
            'average="macro".'
        )
    fits = len(index) == len(shape) and all(
        -size <= at < size for at, size in zip(index, shape, strict=True)
    )
    if not fits:
        return (
            f"{element_name(name, index)!r} does not exist: the shape of {name!r} is "
            f"{list(shape)}, and indices begin at 0."
        )
    if isinstance(value, Mapping):
        return (
            f"{name!r} has {math.prod(shape)} numbers, and only its shape was "
            f"recorded: more than {LARGEST} are not. Monitor it while training."
        )
    return None


def _shape(value: Any) -> tuple[int, ...] | None:
    """Return the shape of a written value or an array; None for anything else."""
    if isinstance(value, Mapping) and set(value) == {"shape"}:
        return tuple(value["shape"])
    found = readable(value)
    if isinstance(found, float):
        return ()
    return found.shape if isinstance(found, np.ndarray) else None


def element(value: Any, index: tuple[int, ...]) -> float:
    """Return a value, or one element of it, as a number; see `element_fault`."""
    return float(np.asarray(readable(value))[index])


def element_name(name: str, index: tuple[int, ...]) -> str:
    """Return how a monitor spells an element.

    >>> element_name("recall", (1,)), element_name("loss", ())
    ('recall[1]', 'loss')
    """
    return f"{name}[{', '.join(map(str, index))}]" if index else name
