"""Nested mappings of arrays (a torch `state_dict`, a JAX pytree) as flat keys."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import ml_dtypes
import numpy as np

from multiback.errors import ArgumentError, StateError
from multiback.state.fitting import StateDict, cast_exactly, listing
from multiback.state.host import framework_of, host_view, is_sharded

Parts = tuple[str | int, ...]

# safetensors keeps this name for itself and drops a tensor that is called so.
_RESERVED = "__metadata__"


def leaves(
    source: Mapping[str, Any],
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """See a tree's leaves from the host, and index them.

    Args:
        source: Mappings, lists and tuples down to arrays, tensors or numbers.
            Names are strings, or whole numbers as in a torch optimizer's
            `state_dict`. `None` is an empty branch, as in a JAX pytree.

    Returns:
        The arrays by key, which may be the leaves' own memory, and the index.

    Raises:
        ArgumentError: A name is neither, or a leaf is no array or number.

    >>> arrays, index = leaves({"params": {"dense/0": [1.0, 2]}})
    >>> list(arrays)
    ['params/dense~10/0', 'params/dense~10/1']
    >>> index[0]["parts"]
    ['params', 'dense/0', 0]
    """
    arrays: dict[str, np.ndarray] = {}
    index: list[dict[str, Any]] = []
    for parts, leaf in _leaves(source, ()):
        array = _view(leaf, parts)
        entry = _entry(parts, leaf, array.shape, array.dtype)
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
    for parts, leaf in _leaves(source, ()):
        value = leaf.value if isinstance(leaf, keras.Variable) else leaf
        if framework_of(value) not in ("torch", "jax", "jaxlib"):
            value = _view(leaf, parts)
        dtype = str(value.dtype).removeprefix("torch.")
        entry = _entry(parts, leaf, value.shape, dtype)
        found[entry["key"]] = value
        index.append(entry)
    return found, index


def _entry(parts: Parts, leaf: Any, shape: Any, dtype: Any) -> dict[str, Any]:
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
        # Which numbers among the parts are names, not positions in a list.
        entry["numbered"] = numbered
    if _is_torch(leaf):
        entry["leaf"] = "torch"
    return entry


def key_of(parts: Parts) -> str:
    """Join names so that two different paths never give one key.

    `~` and `/` inside a name are written `~0` and `~1` (RFC 6901).

    >>> key_of(("a/b", "c")), key_of(("a", "b", "c"))
    ('a~1b/c', 'a/b/c')
    """
    key = "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "~2" + key if key == _RESERVED else key


def tree(arrays: StateDict, index: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rebuild the nested dictionaries and lists that a tree's snapshot was of.

    Tuples come back as lists, and branches without a leaf do not come back:
    use `restore_tree` with a template where that matters.

    Args:
        arrays: The host arrays by key.
        index: The snapshot's index.

    Returns:
        Nested dictionaries and lists of the arrays, not copied.

    Raises:
        StateError: The index is a model's, or a key has no array.

    >>> arrays, index = leaves({"w": np.ones(2), "layers": [{"b": np.zeros(1)}]})
    >>> tree(arrays, index)
    {'w': array([1., 1.]), 'layers': [{'b': array([0.])}]}
    """
    rows = [(_parts(one), arrays[one["key"]]) for one in _checked(arrays, index)]
    return _grown(rows)


def restore_tree(
    template: Mapping[str, Any], arrays: StateDict, index: Sequence[Mapping[str, Any]]
) -> Any:
    """Return the stored arrays in the template's structure.

    Args:
        template: A tree of the same structure, shapes and dtypes; its values
            are not used, and it is not changed. An empty mapping in it takes
            whatever was saved there, for a torch optimizer has no slots before
            its first step.
        arrays: The host arrays by key.
        index: The snapshot's index.

    Returns:
        The template with every leaf replaced: a Python number by a number, a torch
        tensor by a new one on the same device, all else by a new host array. Tuples
        and named tuples stay what they were.

    Raises:
        StateError: A leaf is missing, extra or of another shape, or a value does
            not fit the leaf's dtype. All of them are listed.

    >>> arrays, index = leaves({"pair": (np.ones(1), np.zeros(1))})
    >>> restore_tree({"pair": (np.zeros(1), np.zeros(1))}, arrays, index)
    {'pair': (array([1.]), array([0.]))}
    """
    checked = _checked(arrays, index)
    wanted = {key_of(parts): _kind(leaf, parts) for parts, leaf in _leaves(template)}
    empty = list(_empty(template, ()))
    grown = {at: [e for e in checked if _parts(e)[: len(at)] == at] for at in empty}
    free = {entry["key"] for entries in grown.values() for entry in entries}
    stored = {entry["key"] for entry in checked} - free
    problems = [f"{key}: missing in the checkpoint" for key in wanted.keys() - stored]
    problems += [f"{key}: not in the template" for key in stored - wanted.keys()]
    fitted: dict[str, np.ndarray] = {}
    for key in sorted(wanted.keys() & stored):
        array, like = arrays[key], wanted[key]
        cast = cast_exactly(array, like.dtype) if array.shape == like.shape else None
        if cast is None:
            problems.append(
                f"{key}: stored as {array.dtype}{list(array.shape)}, "
                f"but the template has {like.dtype}{list(like.shape)}"
            )
        else:
            fitted[key] = cast
    if problems:
        raise StateError(
            "The template and the checkpoint do not fit together:"
            f"{listing(sorted(problems))}\nGive a template of the tree that was saved."
        )
    branches = {
        at: _grown([(_parts(e)[len(at) :], _as_saved(e, arrays)) for e in entries])
        for at, entries in grown.items()
    }
    return _filled(template, fitted, branches, ())


class _Kind(NamedTuple):
    """What an array's values are of."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class _Position(int):
    """A place in a list, where a plain number is a name in a mapping."""


def _parts(entry: Mapping[str, Any]) -> Parts:
    """Return an entry's path, names and positions told apart."""
    names = entry.get("numbered", ())
    return tuple(
        _Position(part) if isinstance(part, int) and i not in names else part
        for i, part in enumerate(entry["parts"])
    )


def _as_saved(entry: Mapping[str, Any], arrays: StateDict) -> Any:
    """Return an entry's array, as a tensor where it was torch's."""
    array = np.array(arrays[entry["key"]])
    if entry.get("leaf") == "torch" and "torch" in sys.modules:
        from multiback.state.torch import tensor  # noqa: PLC0415 - optional

        return tensor(array)
    return array


def _grown(rows: Sequence[tuple[Parts, Any]]) -> dict[Any, Any]:
    """Build nested mappings and lists from paths and leaves."""
    root: dict[str | int, Any] = {}
    for (*above, last), leaf in rows:
        node = root
        for part in above:
            node = node.setdefault(part, {})
        node[last] = leaf
    return {name: _with_lists(branch) for name, branch in root.items()}


def _empty(node: Any, parts: Parts) -> Iterator[Parts]:
    """Find the empty mappings of a tree."""
    if isinstance(node, Mapping):
        if not node:
            yield parts
        for name, branch in node.items():
            yield from _empty(branch, (*parts, name))
    elif isinstance(node, list | tuple):
        for position, branch in enumerate(node):
            yield from _empty(branch, (*parts, _Position(position)))


def _leaves(node: Any, parts: Parts = ()) -> Iterator[tuple[Parts, Any]]:
    """Walk a tree in order."""
    if node is None:
        return
    if isinstance(node, Mapping):
        for name, branch in node.items():
            numbered = isinstance(name, int) and not isinstance(name, bool)
            if not (isinstance(name, str) or numbered) or (
                numbered and str(name) in node
            ):
                raise ArgumentError(
                    "A tree's names must be strings or whole numbers, each once, but "
                    f"under {'/'.join(map(str, parts)) or 'the top'} one is {name!r}. "
                    "Convert the names with str() before saving."
                )
            yield from _leaves(branch, (*parts, name))
    elif isinstance(node, list | tuple):
        for position, branch in enumerate(node):
            yield from _leaves(branch, (*parts, _Position(position)))
    else:
        yield parts, node


def _view(leaf: Any, parts: Parts) -> np.ndarray:
    """See one leaf as a host array of its own dtype."""
    try:
        array = host_view(leaf.value if isinstance(leaf, keras.Variable) else leaf)
    except (TypeError, ValueError, RuntimeError) as error:
        raise _no_array(leaf, parts) from error
    if array.dtype.kind in "OUSMm":
        raise _no_array(leaf, parts)
    return array


def _kind(leaf: Any, parts: Parts) -> "np.ndarray | _Kind":
    """Return what has a template's leaf's dtype and shape."""
    if is_sharded(leaf):
        name = str(leaf.dtype).removeprefix("torch.")
        dtype = np.dtype(getattr(ml_dtypes, name, name))
        return _Kind(dtype, tuple(map(int, leaf.shape)))
    return _view(leaf, parts)


def _is_torch(leaf: Any) -> bool:
    """Tell whether a leaf is a torch tensor, without importing torch."""
    return framework_of(leaf) == "torch"


def _no_array(leaf: Any, parts: Parts) -> ArgumentError:
    """Say which leaf cannot be stored."""
    return ArgumentError(
        f"The leaf {'/'.join(map(str, parts))!r} must be an array, a tensor or a "
        f"number, but it is {type(leaf).__name__}. Take it out of the tree."
    )


def _checked(
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


def _with_lists(node: Any) -> Any:
    """Turn dictionaries with positions for names back into lists."""
    if not isinstance(node, dict):
        return node
    branches = {name: _with_lists(branch) for name, branch in node.items()}
    if all(isinstance(name, _Position) for name in branches):
        return [branches[position] for position in sorted(branches)]
    return branches


def _filled(
    node: Any,
    arrays: Mapping[str, np.ndarray],
    branches: Mapping[Parts, Any],
    parts: Parts,
) -> Any:
    """Copy a template with stored arrays for leaves and branches for empty ones."""
    if node is None:
        return None
    if parts in branches:
        return branches[parts]
    if isinstance(node, Mapping):
        return {
            name: _filled(node[name], arrays, branches, (*parts, name)) for name in node
        }
    if isinstance(node, list | tuple):
        items = [
            _filled(item, arrays, branches, (*parts, i)) for i, item in enumerate(node)
        ]
        if isinstance(node, list):
            return items
        # A named tuple takes its fields one by one, a plain tuple takes one iterable.
        named = type(node) is not tuple
        return type(node)(*items) if named else tuple(items)
    return _alike(node, arrays[key_of(parts)])


def _alike(leaf: Any, array: np.ndarray) -> Any:
    """Turn a host array into what a leaf of the template is."""
    if isinstance(leaf, bool | int | float):
        return array.item()
    if is_sharded(leaf):
        from multiback.state.torch import sharded  # noqa: PLC0415 - optional

        return sharded(array, leaf)
    if _is_torch(leaf):
        # torch takes no bfloat16 from NumPy; float32 holds each of its values.
        plain = array.astype("float32") if array.dtype.name == "bfloat16" else array
        return leaf.new_tensor(plain)
    return array
