"""Nested mappings of arrays (a torch `state_dict`, a JAX pytree) as flat keys."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from multiback.errors import ArgumentError, RestoreWarning, StateError
from multiback.state.fitting import StateDict, cast_exactly, listing
from multiback.state.host import framework_of
from multiback.state.leaf import (
    BYTES,
    Parts,
    alike,
    branches_of,
    kind_of,
    put_together,
    stored_leaf,
    view_of,
)
from multiback.state.restore import Prepared, PreparedOptimizer
from multiback.state.variables import saved_entries
from multiback.warn import warn

# safetensors reserves this name and drops a tensor of that name.
_RESERVED = "__metadata__"


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
    for parts, leaf in _leaves(source, ()):
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


def is_tree(source: Any) -> bool:
    """Return whether a value is a mapping, a list, a tuple or a dataclass of others."""
    return isinstance(source, Mapping | list | tuple) or (
        dataclasses.is_dataclass(source) and not isinstance(source, type)
    )


def is_keras_object(leaf: Any) -> bool:
    """Return whether a leaf is a model or an optimizer, whose variables are leaves."""
    return isinstance(leaf, keras.Model | keras.optimizers.Optimizer)


def keras_objects(source: Any) -> list[tuple[Parts, Any]]:
    """Return the models and optimizers of a tree, with their paths."""
    return [(at, leaf) for at, leaf in _leaves(source, ()) if is_keras_object(leaf)]


def changes_in_place(source: Any) -> bool:
    """Return whether training changes a tree in place: objects and tensors."""
    return any(
        is_keras_object(leaf)
        or isinstance(leaf, keras.Variable)
        or framework_of(leaf) in ("torch", "tensorflow")
        for _, leaf in _leaves(source, ())
    )


def _inner(parts: Parts, source: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Index the variables of a model or an optimizer in a tree."""
    for one in saved_entries(source):
        inside = one.describe()
        entry = _entry((*parts, *one.key.split("/")), "", inside["shape"], "")
        yield {**entry, "dtype": inside["dtype"], "inside": inside}, one.variable


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


def _is_key(value: Any) -> bool:
    """Return whether a value of JAX is a typed key of a random generator."""
    return str(value.dtype).startswith("key<")


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


def key_of(parts: Parts) -> str:
    """Join names so that two different paths never give one key.

    `~` and `/` inside a name are written `~0` and `~1` (RFC 6901).

    >>> key_of(("a/b", "c")), key_of(("a", "b", "c"))
    ('a~1b/c', 'a/b/c')
    """
    key = "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "~2" + key if key == _RESERVED else key


def tree(arrays: StateDict, index: Sequence[Mapping[str, Any]]) -> Any:
    """Rebuild the nested dictionaries and lists of a tree's snapshot.

    Tuples become lists; dataclasses, sparse tensors, models and optimizers become
    dictionaries; branches without a leaf are lost: use `restore_tree` with a template
    if that matters.

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
    rows = [
        (_parts(one), stored_leaf(one, arrays, frameworks=False))
        for one in _checked(arrays, index)
    ]
    grown: dict[str, Any] = _with_lists(_grown(rows))
    return grown


def restore_tree(
    template: Mapping[str, Any], arrays: StateDict, index: Sequence[Mapping[str, Any]]
) -> Any:
    """Return the stored arrays in the template's structure.

    Args:
        template: A tree of the same structure, shapes and dtypes; its values are not
            used, and it is not changed. An empty mapping in it takes everything that
            was saved there, because a torch optimizer has no slots before its first
            step.
        arrays: The host arrays by key.
        index: The snapshot's index.

    Returns:
        The template with every leaf replaced: a Python number by a number, a torch
            tensor by a new one on the same device, and anything else by a new host
            array. Tuples and named tuples stay tuples.

    Raises:
        StateError: A leaf is missing, extra or of another shape, or a value does
            not fit the leaf's dtype. All of them are listed.

    >>> arrays, index = leaves({"pair": (np.ones(1), np.zeros(1))})
    >>> restore_tree({"pair": (np.zeros(1), np.zeros(1))}, arrays, index)
    {'pair': (array([1.]), array([0.]))}
    """
    checked = _checked(arrays, index)
    objects = keras_objects(template)
    inner = {at: _inside(at, checked, arrays) for at, _ in objects}
    aside = {one["key"] for at, _ in objects for one in _under(at, checked)}
    template_leaves = [
        (parts, leaf)
        for parts, leaf in _leaves(template, ())
        if not is_keras_object(leaf)
    ]
    words = {one["key"]: str(one.get("leaf", "")) for one in checked}
    wanted = {
        key_of(parts): kind_of(leaf, parts)
        for parts, leaf in template_leaves
        # Older checkpoints have no entry for None.
        if leaf is not None or key_of(parts) in words
    }
    empty = list(_empty(template, ()))
    grown = {at: _under(at, checked) for at in empty}
    free = {entry["key"] for entries in grown.values() for entry in entries}
    stored = words.keys() - free - aside
    problems = [f"{key}: missing in the checkpoint" for key in wanted.keys() - stored]
    problems += [f"{key}: not in the template" for key in stored - wanted.keys()]
    fitted: dict[str, np.ndarray] = {}
    for key in sorted(wanted.keys() & stored):
        array, like = arrays[key], wanted[key]
        if words[key] in BYTES or like.word in BYTES:
            cast = array if words[key] in BYTES and like.word in BYTES else None
        elif array.shape == like.shape:
            cast = cast_exactly(array, like.dtype)
        else:
            cast = None
        if cast is None:
            problems.append(
                f"{key}: stored as {words[key] or array.dtype}{list(array.shape)}, "
                f"but the template has {like.word or like.dtype}{list(like.shape)}"
            )
        else:
            fitted[key] = cast
    if problems:
        raise StateError(
            "The template and the checkpoint do not fit together:"
            f"{listing(sorted(problems))}\nGive a template of the tree that was saved."
        )
    prepared = [_prepared(one, *inner[at], at) for at, one in objects]
    branches = {
        at: _grown([(_parts(e)[len(at) :], stored_leaf(e, arrays)) for e in entries])
        for at, entries in grown.items()
    }
    for each in prepared:
        for text in each.apply().left_out:
            warn(text, RestoreWarning)
    return _filled(template, _Saved(fitted, words, branches), ())


def _under(at: Parts, index: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the entries below a path."""
    return [one for one in index if _parts(one)[: len(at)] == at]


def _inside(
    at: Parts, index: Sequence[Mapping[str, Any]], arrays: StateDict
) -> tuple[dict[str, np.ndarray], list[Mapping[str, Any]]]:
    """Return the saved entries of a model or an optimizer in a tree."""
    rows = [one for one in _under(at, index) if "inside" in one]
    inner = [one["inside"] for one in rows]
    values = {e["key"]: arrays[one["key"]] for one, e in zip(rows, inner, strict=True)}
    return values, inner


def _prepared(
    source: Any, arrays: StateDict, index: list[Mapping[str, Any]], at: Parts
) -> Any:
    """Check the saved values of a model or an optimizer of a template."""
    where = "/".join(map(str, at))
    if not index:
        raise StateError(
            f"The template has a {type(source).__name__} at {where!r}, which the "
            "checkpoint does not have. Give a template of the tree that was saved."
        )
    if isinstance(source, keras.Model):
        return Prepared(source, arrays, index)
    return PreparedOptimizer(source, arrays, index, where)


class _Saved(NamedTuple):
    """The saved values for a template: arrays and words by key, and whole branches."""

    arrays: Mapping[str, np.ndarray]
    words: Mapping[str, str]
    branches: Mapping[Parts, Any]


class _Position(int):
    """A place in a list, where a plain number is a name in a mapping."""


def _parts(entry: Mapping[str, Any]) -> Parts:
    """Return an entry's path, with names and positions distinguished."""
    names = entry.get("numbered", ())
    return tuple(
        _Position(part) if isinstance(part, int) and i not in names else part
        for i, part in enumerate(entry["parts"])
    )


def _grown(rows: Sequence[tuple[Parts, Any]]) -> dict[Any, Any]:
    """Build nested mappings and lists from paths and leaves."""
    root: dict[str | int, Any] = {}
    for path, leaf in rows:
        *above, last = path
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
    branches = branches_of(node)
    if branches is not None:
        node = branches
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
    """Turn dictionaries whose names are positions back into lists."""
    if not isinstance(node, dict):
        return node
    branches = {name: _with_lists(branch) for name, branch in node.items()}
    if branches and all(isinstance(name, _Position) for name in branches):
        return [branches[position] for position in sorted(branches)]
    return branches


def _filled(node: Any, saved: _Saved, parts: Parts) -> Any:  # noqa: PLR0911 - one a kind
    """Copy a template, with stored arrays for leaves and branches for empty ones."""
    if parts in saved.branches:
        return saved.branches[parts]
    if is_keras_object(node):
        return node
    branches = branches_of(node)
    if branches is not None:
        made = {k: _filled(v, saved, (*parts, k)) for k, v in branches.items()}
        return put_together(node, made)
    if isinstance(node, Mapping):
        return {name: _filled(node[name], saved, (*parts, name)) for name in node}
    if isinstance(node, list | tuple):
        items = [_filled(item, saved, (*parts, i)) for i, item in enumerate(node)]
        if isinstance(node, list):
            return items
        # A named tuple takes its fields as separate arguments, a plain tuple takes one
        # iterable.
        named = type(node) is not tuple
        return type(node)(*items) if named else tuple(items)
    key = key_of(parts)
    if key not in saved.arrays:
        return None
    return alike(node, saved.arrays[key], saved.words[key])
