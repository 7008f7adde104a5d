"""Whether the saved weights are the scored weights.

`SwapEMAWeights` puts an optimizer's averages into the model for the validation, and by
default takes them out again before anything is saved. A callback does not see other
callbacks, but it sees the weights.
"""

from typing import Any

import keras
import numpy as np

_SWAPPED = (
    "The weights that validation scored are not those that are saved: something, such "
    "as SwapEMAWeights, had put averages into the model and has taken them out again. "
    "Use SwapEMAWeights(swap_on_epoch=True), in front of ModelCheckpoint in "
    "callbacks=[...]; then the averages are scored, saved and restored. Without it, "
    "all three are of the raw weights."
)


class EmaCheck:
    """Compare the weights in a run's first validation with those at the epoch's end.

    One variable is enough, because averages replace all of them. Nothing is compared
    unless the optimizer keeps averages.
    """

    def __init__(self) -> None:
        self._wanted = False
        self._scored: np.ndarray | None = None

    def begin(self, model: keras.Model) -> None:
        """Begin a run."""
        optimizer = getattr(model, "optimizer", None)
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        self._wanted = bool(getattr(inner, "use_ema", False))
        self._scored = None

    @property
    def wanted(self) -> bool:
        """Whether to call `note` at the next batch of a validation."""
        return self._wanted

    def note(self, model: keras.Model) -> None:
        """Copy a weight as it is in the validation."""
        self._wanted = False
        self._scored = _witness(model)

    def problems(self, model: keras.Model) -> list[str]:
        """Warn if the weights changed between validation and the end of the epoch."""
        scored, self._scored = self._scored, None
        if scored is None or np.array_equal(scored, _witness(model), equal_nan=True):
            return []
        return [_SWAPPED]


def _witness(model: keras.Model) -> np.ndarray:
    """Copy the last trainable variable: the output's, which every step changes."""
    variables: list[Any] = model.trainable_variables
    return np.asarray(variables[-1].numpy())
