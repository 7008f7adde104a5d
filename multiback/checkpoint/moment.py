"""When something is saved, and what else is saved then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from multiback.state.variables import optimizers_of

# JSON and arrays, for whoever resumes.
Parts = tuple[Mapping[str, Any], Mapping[str, np.ndarray]]
NOTHING: Parts = ({}, {})


@dataclass(frozen=True)
class Moment:
    """When something is saved.

    Attributes:
        epoch: Epochs completed.
        step: Batches trained on; in a loop of the user's own, what the loop says.
        batch: Batches completed in the epoch that is under way; None at its end.
        asked: Somebody asked for it.
    """

    epoch: int
    step: int
    batch: int | None = None
    asked: bool = False


def steps_of(source: Any) -> int:
    """Return how many steps a model's optimizer has made.

    Where the compiled one makes none, or there are several models and optimizers in a
    tree, the most that one has made; 0 where there is none.
    """
    made = iterations_of(source)
    return made.get("optimizer") or max(made.values(), default=0)


def iterations_of(source: Any) -> dict[str, int]:
    """Return how many steps each optimizer of a model or a tree has made."""
    if isinstance(source, keras.Model):
        found = optimizers_of(source)
        return {way or "optimizer": _iterations(each) for way, each in found}
    if isinstance(source, keras.optimizers.Optimizer):
        return {"": _iterations(source)}
    if isinstance(source, Mapping):
        branches = list(source.items())
    elif isinstance(source, list | tuple):
        branches = list(enumerate(source))
    else:
        return {}
    return {
        f"{name}/{way}".rstrip("/"): made
        for name, branch in branches
        for way, made in iterations_of(branch).items()
    }


def _iterations(optimizer: Any) -> int:
    # With gradient accumulation it is computed, and no variable.
    return int(keras.ops.convert_to_numpy(optimizer.iterations))
