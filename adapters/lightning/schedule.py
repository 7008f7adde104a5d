"""When a trainer's state is scored, and by which of the values that it logged."""

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any

from multiback.adapters.lightning.facts import has_validation
from multiback.checkpoint.arguments import check_flags
from multiback.checkpoint.choosing.slots import check_number
from multiback.checkpoint.choosing.triggers import Triggers


class Schedule:
    """Decide when to score: after epochs, validations, steps or time.

    Attributes:
        waits: A step or a time was due, and its score waits for a validation.
        validated: The current epoch has been validated.
    """

    def __init__(
        self,
        every_n_epochs: int | None,
        every_n_train_steps: int | None,
        train_time_interval: dt.timedelta | None,
        save_on_train_epoch_end: bool | None,
    ) -> None:
        if every_n_train_steps is not None:
            check_number("every_n_train_steps=", every_n_train_steps, 0)
        within = bool(every_n_train_steps) or train_time_interval is not None
        if every_n_epochs is None:
            every_n_epochs = 0 if within else 1
        check_number("every_n_epochs=", every_n_epochs, 0)
        if save_on_train_epoch_end is not None:
            check_flags(save_on_train_epoch_end=save_on_train_epoch_end)
        self._every_n_epochs = every_n_epochs
        self._at_epoch_end = save_on_train_epoch_end
        self._triggers = (
            Triggers(every_n_train_steps or None, train_time_interval)
            if within
            else None
        )
        self._by_time = train_time_interval is not None
        self.begin(0)

    def begin(self, step: int) -> None:
        """Begin a `fit` at a step."""
        self.waits = self.validated = False
        self._names: set[str] = set()
        self._before: Mapping[str, Any] = {}
        if self._triggers is not None:
            self._triggers.start(step, time.monotonic())

    def is_due_after_a_batch(self, trainer: Any) -> bool:
        """Return whether a step or a time is due, on all ranks alike."""
        if self._triggers is None:
            return False
        due = self._triggers.due(trainer.global_step, time.monotonic())
        if self._by_time:
            due = bool(trainer.strategy.broadcast(due))
        if due:
            self._triggers.saved(time.monotonic())
        return due

    def is_due_in_epoch(self, epoch: int) -> bool:
        """Return whether the epoch with this number, from 1, is scored."""
        return self.waits or bool(
            self._every_n_epochs and epoch % self._every_n_epochs == 0
        )

    def scores_validations(self, trainer: Any) -> bool:
        """Return whether to score when a validation ends, not when its epoch ends."""
        if self._at_epoch_end is None:
            return bool(trainer.val_check_interval != 1.0)
        return not self._at_epoch_end

    def scores_epoch_end(self, trainer: Any) -> bool:
        """Return whether to score at the end of this epoch."""
        if self._at_epoch_end or not has_validation(trainer):
            return True
        return self.validated and not self.scores_validations(trainer)

    def begin_validation(self, trainer: Any) -> None:
        """Note what was logged before."""
        self._before = dict(trainer.callback_metrics)

    def end_validation(self, trainer: Any) -> None:
        """Note the names that this validation logged: their values are new objects."""
        before, self._before = self._before, {}
        self._names |= {
            name
            for name, value in trainer.callback_metrics.items()
            if value is not before.get(name)
        }
        self.validated = not trainer.sanity_checking

    def logs_of(self, trainer: Any, *, validated: bool) -> dict[str, float]:
        """Return what was logged; what an earlier validation logged is left out."""
        old = set() if validated else self._names
        return {
            name: float(x)
            for name, x in trainer.callback_metrics.items()
            if name not in old
        }
