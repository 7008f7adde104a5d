"""Run a function of one state over many states at once."""

import warnings
from collections.abc import Callable
from typing import Any

import torch

# Of each intermediate tensor.
_ELEMENTS = 2**22


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function itself: PyTorch runs each operation anyway."""
    return function


def mapped(function: Callable[[Any], Any], states: Any, rows: Any) -> Any:
    """Return what the function makes of many states, by their first axis.

    The rows of a batch say how many states fit at once.
    """
    at_once = max(1, _ELEMENTS // max(int(rows), 1))
    with warnings.catch_warnings():
        # To count ids PyTorch takes one state after the other, and says so.
        warnings.filterwarnings("ignore", "There is a performance drop")
        return torch.func.vmap(function, chunk_size=at_once)(states)
