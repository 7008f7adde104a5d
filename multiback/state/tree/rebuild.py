"""A saved tree again: as plain dictionaries and lists, or in a template's structure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from multiback.errors import RestoreWarning, StateError
from multiback.state.fitting import StateDict, cast_exactly, listing
from multiback.state.leaf import (
    BYTES,
    Parts,
    alike,
    branches_of,
    kind_of,
    put_together,
    stored_leaf,
)
from multiback.state.restore import Prepared, PreparedOptimizer
from multiback.state.tree.index import checked_index, parts_of
from multiback.state.tree.walk import (
    Position,
    empty_branches,
    is_keras_object,
    keras_objects,
    key_of,
    walk,
)
from multiback.warn import warn


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

    >>> from multiback.state.tree import leaves
    >>> arrays, index = leaves({"w": np.ones(2), "layers": [{"b": np.zeros(1)}]})
    >>> tree(arrays, index)
    {'w': array([1., 1.]), 'layers': [{'b': array([0.])}]}
    """
    rows = [
        (parts_of(one), stored_leaf(one, arrays, frameworks=False))
        for one in checked_index(arrays, index)
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

    >>> from multiback.state.tree import leaves
    >>> arrays, index = leaves({"pair": (np.ones(1), np.zeros(1))})
    >>> restore_tree({"pair": (np.zeros(1), np.zeros(1))}, arrays, index)
    {'pair': (array([1.]), array([0.]))}
    """
    checked = checked_index(arrays, index)
    objects = keras_objects(template)
    inner = {at: _inside(at, checked, arrays) for at, _ in objects}
    aside = {one["key"] for at, _ in objects for one in _under(at, checked)}
    template_leaves = [
        (parts, leaf) for parts, leaf in walk(template, ()) if not is_keras_object(leaf)
    ]
    words = {one["key"]: str(one.get("leaf", "")) for one in checked}
    wanted = {
        key_of(parts): kind_of(leaf, parts)
        for parts, leaf in template_leaves
        # Older checkpoints have no entry for None.
        if leaf is not None or key_of(parts) in words
    }
    empty = list(empty_branches(template, ()))
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
        at: _grown([(parts_of(e)[len(at) :], stored_leaf(e, arrays)) for e in entries])
        for at, entries in grown.items()
    }
    for each in prepared:
        for text in each.apply().left_out:
            warn(text, RestoreWarning)
    return _filled(template, _Saved(fitted, words, branches), ())


def _under(at: Parts, index: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the entries below a path."""
    return [one for one in index if parts_of(one)[: len(at)] == at]


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


def _with_lists(node: Any) -> Any:
    """Turn dictionaries whose names are positions back into lists."""
    if not isinstance(node, dict):
        return node
    branches = {name: _with_lists(branch) for name, branch in node.items()}
    if branches and all(isinstance(name, Position) for name in branches):
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
