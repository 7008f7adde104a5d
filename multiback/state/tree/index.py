"""The leaves of a tree with an index of them: what is saved."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from multiback.errors import StateError
from multiback.state.fitting import StateDict, listing
from multiback.state.host import framework_of
from multiback.state.leaf import Parts, view_of
from multiback.state.tree.walk import Position, is_keras_object, key_of, walk
from multiback.state.variables import saved_entries


def leaves(
    source: Mapping[str, Any],
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Return a tree's leaves as host arrays, with their index.

    Args:
        source: Mappings, lists and tuples down to arrays, tensors or numbers.
            Names are strings, or whole numbers as in a torch optimizer's
            `state_dict`. `None` is an empty branch, as in a JAX pytree.

    Returns:
        The arrays by key, which may be the leaves' own memory, and the index.

    Raises:
        ArgumentError: A name is neither, or a leaf is not an array or a number.

    >>> arrays, index = leaves({"params": {"dense/0": [1.0, 2]}})
    >>> list(arrays)
    ['params/dense~10/0', 'params/dense~10/1']
    >>> index[0]["parts"]
    ['params', 'dense/0', 0]
    """
    arrays: dict[str, np.ndarray] = {}
    index: list[dict[str, Any]] = []
    for parts, leaf in walk(source, ()):
        if is_keras_object(leaf):
            for entry, variable in _inner(parts, leaf):
                arrays[entry["key"]] = view_of(variable, parts)[0]
                index.append(entry)
            continue
        array, word = view_of(leaf, parts)
        entry = _entry(parts, word, array.shape, array.dtype)
        arrays[entry["key"]] = array
        index.append(entry)
    return arrays, index


def live_leaves(
    source: Mapping[str, Any],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a tree's leaves as they are, and index them; see `leaves`.

    >>> live_leaves({"w": np.ones(2), "step": 3})[0]["step"]
    array(3)
    """
    found: dict[str, Any] = {}
    index: list[dict[str, Any]] = []
    for parts, leaf in walk(source, ()):
        if is_keras_object(leaf):
            for entry, variable in _inner(parts, leaf):
                found[entry["key"]] = variable.value
                index.append(entry)
            continue
        value = leaf.value if isinstance(leaf, keras.Variable) else leaf
        word = "torch" if framework_of(leaf) == "torch" else ""
        if framework_of(value) not in ("torch", "jax", "jaxlib") or _is_key(value):
            value, word = view_of(leaf, parts)
        dtype = str(value.dtype).removeprefix("torch.")
        entry = _entry(parts, word, value.shape, dtype)
        found[entry["key"]] = value
        index.append(entry)
    return found, index


def _inner(parts: Parts, source: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Index the variables of a model or an optimizer in a tree."""
    for one in saved_entries(source):
        inside = one.describe()
        entry = _entry((*parts, *one.key.split("/")), "", inside["shape"], "")
        yield {**entry, "dtype": inside["dtype"], "inside": inside}, one.variable


def _entry(parts: Parts, word: str, shape: Any, dtype: Any) -> dict[str, Any]:
    """Describe a leaf."""
    entry = {
        "key": key_of(parts),
        "group": "tree",
        "path": "/".join(str(part) for part in parts),
        "parts": list(parts),
        "shape": [int(size) for size in shape],
        "dtype": str(dtype),
    }
    numbered = [i for i, part in enumerate(parts) if type(part) is int]
    if numbered:
        # The numbers among the parts that are names, not positions in a list.
        entry["numbered"] = numbered
    if word:
        entry["leaf"] = word
    return entry


def _is_key(value: Any) -> bool:
    """Return whether a value of JAX is a typed key of a random generator."""
    return str(value.dtype).startswith("key<")


def parts_of(entry: Mapping[str, Any]) -> Parts:
    """Return an entry's path, with names and positions distinguished."""
    names = entry.get("numbered", ())
    return tuple(
        Position(part) if isinstance(part, int) and i not in names else part
        for i, part in enumerate(entry["parts"])
    )


def checked_index(
    arrays: StateDict, index: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    """Raise unless the index is a tree's and every key has its array."""
    if any(entry["group"] != "tree" for entry in index):
        raise StateError(
            "This is the snapshot of a model, not of a tree of arrays. "
            "Restore it with restore(model, arrays, index)."
        )
    absent = [entry["key"] for entry in index if entry["key"] not in arrays]
    if absent:
        raise StateError(f"The index names arrays that are missing:{listing(absent)}")
    return index
