"""States as trees of arrays: what a checkpoint holds, and how to restore it."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

_torch = importlib.import_module("torch")

# Marks the bytes of a text within a tree of arrays.
_TEXT = "utf-8"


def storable(node: Any) -> Any:
    """Write a state as a tree of arrays, without functions and objects.

    >>> storable({"best": 0.5, "lr": (0.1, 1), "f": [abs, 2], "g": None})
    {'best': 0.5, 'lr': [0.1, 1], 'f': {'1': 2}}
    >>> storable({"mode": "min"})
    {'mode': {'utf-8': array([109, 105, 110], dtype=uint8)}}
    """
    if isinstance(node, Mapping):
        kept = {name: storable(branch) for name, branch in node.items()}
        return {name: branch for name, branch in kept.items() if branch is not None}
    if isinstance(node, list | tuple):
        items = [storable(item) for item in node]
        if all(item is not None for item in items):
            return items
        return {str(i): item for i, item in enumerate(items) if item is not None}
    if isinstance(node, str):
        return {_TEXT: np.frombuffer(node.encode(), "uint8")}
    plain = int | float | np.generic | np.ndarray
    return node if isinstance(node, plain | _torch.Tensor) else None


def filled(now: Any, saved: Any) -> Any:
    """Put stored values into a current state, which has the functions.

    >>> saved = storable({"best": 5, "f": [abs, 2], "mode": "min"})
    >>> filled({"best": 9.0, "f": (abs, 1), "mode": "max"}, saved)
    {'best': 5, 'f': [<built-in function abs>, 2], 'mode': 'min'}
    """
    if isinstance(saved, Mapping) and set(saved) == {_TEXT}:
        return bytes(saved[_TEXT]).decode()
    if isinstance(saved, Mapping) and isinstance(now, list | tuple):
        rows = enumerate(now)
        return [
            filled(old, saved[str(i)]) if str(i) in saved else old for i, old in rows
        ]
    if isinstance(saved, Mapping):
        before = now if isinstance(now, Mapping) else {}
        fresh = {name: filled(before.get(name), saved[name]) for name in saved}
        return {**before, **fresh}
    if isinstance(saved, list):
        same = isinstance(now, list | tuple) and len(now) == len(saved)
        pairs = zip(now if same else [None] * len(saved), saved, strict=True)
        return [filled(one, other) for one, other in pairs]
    return saved.item() if isinstance(saved, np.ndarray) and not saved.ndim else saved


def is_complete(state: Any) -> bool:
    """Return whether a state can be stored with nothing left out.

    >>> is_complete({"best": 0.5, "g": None}), is_complete([abs])
    (True, False)
    """
    if isinstance(state, Mapping):
        return all(map(is_complete, state.values()))
    if isinstance(state, list | tuple):
        return all(map(is_complete, state))
    return state is None or storable(state) is not None
