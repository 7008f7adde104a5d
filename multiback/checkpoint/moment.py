"""When something is saved, and what else is saved then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

# JSON and arrays, for whoever resumes.
Parts = tuple[Mapping[str, Any], Mapping[str, np.ndarray]]
NOTHING: Parts = ({}, {})


@dataclass(frozen=True)
class Moment:
    """When something is saved.

    Attributes:
        epoch: Epochs completed.
        step: Optimizer steps completed.
        batch: Batches completed in the epoch that is under way; None at its end.
        asked: Somebody asked for it.
    """

    epoch: int
    step: int
    batch: int | None = None
    asked: bool = False


def steps_of(model: Any) -> int:
    """Return how many steps the model's optimizer has made, if it has one."""
    optimizer = getattr(model, "optimizer", None)
    if isinstance(model, keras.Model) and optimizer is not None:
        # With gradient accumulation it is computed, and no variable.
        return int(keras.ops.convert_to_numpy(optimizer.iterations))
    return 0
