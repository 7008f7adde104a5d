"""What stands where in a tree: its branches, its leaves and their paths."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import keras

from multiback.errors import ArgumentError
from multiback.state.host import framework_of
from multiback.state.leaf import Parts, branches_of

# safetensors reserves this name and drops a tensor of that name.
_RESERVED = "__metadata__"


class Position(int):
    """A place in a list, where a plain number is a name in a mapping."""


def walk(node: Any, parts: Parts = ()) -> Iterator[tuple[Parts, Any]]:
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
            yield from walk(branch, (*parts, name))
    elif isinstance(node, list | tuple):
        for position, branch in enumerate(node):
            yield from walk(branch, (*parts, Position(position)))
    else:
        yield parts, node


def empty_branches(node: Any, parts: Parts) -> Iterator[Parts]:
    """Find the empty mappings of a tree."""
    if isinstance(node, Mapping):
        if not node:
            yield parts
        for name, branch in node.items():
            yield from empty_branches(branch, (*parts, name))
    elif isinstance(node, list | tuple):
        for position, branch in enumerate(node):
            yield from empty_branches(branch, (*parts, Position(position)))


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
    return [(at, leaf) for at, leaf in walk(source, ()) if is_keras_object(leaf)]


def changes_in_place(source: Any) -> bool:
    """Return whether training changes a tree in place: objects and tensors."""
    return any(
        is_keras_object(leaf)
        or isinstance(leaf, keras.Variable)
        or framework_of(leaf) in ("torch", "tensorflow")
        for _, leaf in walk(source, ())
    )


def key_of(parts: Parts) -> str:
    """Join names so that two different paths never give one key.

    `~` and `/` inside a name are written `~0` and `~1` (RFC 6901).

    >>> key_of(("a/b", "c")), key_of(("a", "b", "c"))
    ('a~1b/c', 'a/b/c')
    """
    key = "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "~2" + key if key == _RESERVED else key
