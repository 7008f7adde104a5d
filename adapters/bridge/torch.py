"""PyTorch's step is plain Python: the function is called directly."""

from collections.abc import Callable
from typing import Any

import torch


def run(
    function: Callable[..., tuple[Any, ...]],
    count: Any,
    arrays: list[Any],
    width: int | None,  # noqa: ARG001 - one signature for every backend
    kept: list[Any],  # noqa: ARG001 - one signature for every backend
) -> tuple[Any, ...]:
    """Call a function of `(count, *arrays)`, which returns the new count and values."""
    batches, *values = function(int(count), *(each.detach() for each in arrays))
    return batches, *map(torch.from_numpy, values)


def in_step(count: Any) -> bool:  # noqa: ARG001 - one signature for every backend
    """Return False: PyTorch's step is not traced."""
    return False
