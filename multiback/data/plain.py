"""The state of third-party data as JSON values: a checkpoint never holds a pickle.

A value that JSON cannot hold is written as an object with one key that begins with `$`.
"""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from multiback.errors import ArgumentError, StateError

_TUPLE, _ITEMS, _BYTES, _ARRAY, _TENSOR = (
    "$tuple",
    "$items",
    "$bytes",
    "$array",
    "$tensor",
)

_KINDS = "biufcSUmM"  # NumPy's own: `dtype.str` names them.


def to_plain(value: Any, name: str = "state") -> Any:  # noqa: PLR0911 - by kind
    """Return JSON values from which `from_plain` makes the value again.

    It takes None, numbers, texts, bytes, arrays and torch tensors, in lists, tuples and
    dicts.

    Examples:
        >>> to_plain({"generator": b"ab", "place": (1, 2)})
        {'generator': {'$bytes': 'YWI='}, 'place': {'$tuple': [1, 2]}}
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    if type(value) in (list, tuple):
        values = [to_plain(each, f"{name}[{i}]") for i, each in enumerate(value)]
        return values if isinstance(value, list) else {_TUPLE: values}
    if isinstance(value, Mapping):
        items = [
            (to_plain(k, f"the keys of {name}"), to_plain(each, f"{name}[{k!r}]"))
            for k, each in value.items()
        ]
        if all(isinstance(k, str) and not k.startswith("$") for k, _ in items):
            return dict(items)
        return {_ITEMS: [list(each) for each in items]}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in _KINDS:
        return {_ARRAY: _array_to_plain(np.asarray(value))}
    if _is_tensor(value):
        from multiback.data.torch import to_array  # noqa: PLC0415 - it is there already

        return {_TENSOR: _array_to_plain(to_array(value))}
    raise ArgumentError(
        f"{name} is of type {type(value).__name__}, and a checkpoint can hold numbers, "
        "texts, bytes, arrays and tensors in lists, tuples and dicts. Let the state of "
        "your dataset, sampler or iterator be of these."
    )


def from_plain(value: Any) -> Any:  # noqa: PLR0911 - by kind
    """Return what `to_plain` was given."""
    if isinstance(value, list):
        return [from_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    mark: str
    content: Any
    mark, content = next(iter(value.items())) if len(value) == 1 else ("", None)
    if not mark.startswith("$"):
        return {k: from_plain(each) for k, each in value.items()}
    if mark == _TUPLE:
        return tuple(from_plain(each) for each in content)
    if mark == _ITEMS:
        return {from_plain(k): from_plain(each) for k, each in content}
    if mark == _BYTES:
        return base64.b64decode(content)
    if mark == _ARRAY:
        return _array_from_plain(content)
    if mark == _TENSOR:
        from multiback.data.torch import from_array  # noqa: PLC0415 - torch may be absent

        return from_array(_array_from_plain(content))
    raise StateError(
        f"The state of the data holds {mark!r}: a newer multiback wrote it."
    )


def _is_tensor(value: Any) -> bool:
    """Recognise a torch tensor without importing torch."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(
        value, "numpy"
    )


def _array_to_plain(array: np.ndarray) -> dict[str, Any]:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    content = base64.b64encode(little.tobytes()).decode()
    return {"dtype": little.dtype.str, "shape": list(array.shape), "base64": content}


def _array_from_plain(content: Mapping[str, Any]) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(content["base64"]), content["dtype"])
    return values.reshape(content["shape"]).astype(values.dtype.newbyteorder("="))
