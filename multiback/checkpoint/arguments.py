"""What Lightning's arguments mean, in slots."""

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal

from multiback.checkpoint.direction import Mode
from multiback.checkpoint.monitor import Logs, Monitor
from multiback.checkpoint.retention import All, Best, Last, Slot, check_number
from multiback.errors import ArgumentError
from multiback.store import is_remote

Quantity = Monitor | str | Callable[[Logs], float | None] | None
# "never", "auto", "must" or a path.
Resume = str | os.PathLike[str]


def check_path(argument: str, path: Any) -> None:
    """Raise unless an argument can be a path."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ArgumentError(f"{argument} wants a path, not {path!r}.")


def check_resume(resume: Any) -> None:
    """Raise unless it is a word that is known, or a path that is there."""
    check_path("resume=", resume)
    words = ("never", "auto", "must")
    if resume not in words and not (is_remote(resume) or os.path.isdir(resume)):  # noqa: PTH112 - str or path
        raise ArgumentError(
            'resume= wants "never", "auto", "must" or the directory of a checkpoint, '
            f"not {resume!r}."
        )


def choose_slots(
    monitor: Quantity,
    mode: Mode | Literal["auto"],
    keep: Sequence[Slot] | None,
    save_top_k: int,
    *,
    save_last: bool,
) -> tuple[list[Slot], Best | None]:
    """Return the slots, and the one that says what is best, if one does.

    Raises:
        ArgumentError: An argument is not usable.
    """
    if monitor is not None and not isinstance(monitor, Monitor):
        monitor = Monitor(monitor, mode)
    if keep is None:
        keep = slots_for(monitor, save_top_k, save_last=save_last)
    elif not keep or not all(isinstance(slot, Slot) for slot in keep):
        raise ArgumentError(
            f"keep= wants a list of slots such as [Best('val_f1'), Last()], not "
            f"{keep!r}."
        )
    best = next((slot for slot in keep if isinstance(slot, Best)), None)
    if monitor is not None and (best is None or best.monitor != monitor):
        # `monitor=` beside `keep=` says what `best_model_path` speaks of.
        best = Best(monitor)
    return list(keep), best


def slots_for(
    monitor: Monitor | None, save_top_k: int, *, save_last: bool
) -> list[Slot]:
    """Return the slots that Lightning's arguments mean.

    Raises:
        ArgumentError: `save_top_k` needs a monitor.
    """
    check_number("save_top_k=", save_top_k, -1)
    if save_top_k == 0 and not save_last:
        raise ArgumentError(
            "Nothing would ever be saved: save_top_k=0, save_last=False and no keep=."
        )
    slots: list[Slot] = []
    if save_top_k == -1:
        slots.append(All())
    if monitor is not None:
        slots.append(Best(monitor, save_top_k))
    elif save_top_k not in (-1, 0, 1):
        raise ArgumentError(
            f"save_top_k={save_top_k!r} wants a monitor= to rank by; without one only "
            "-1 (all), 0 and 1 have a meaning."
        )
    if save_last or (monitor is None and save_top_k == 1):
        slots.append(Last())
    return slots
