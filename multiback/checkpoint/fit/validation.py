"""Raise before the first batch if a monitored validation will not happen."""

from collections.abc import Collection, Mapping
from typing import Any

from multiback.checkpoint.choosing.names import find_name

PREFIX = "val_"


def validation_fault(
    monitored: Collection[str], logged: Collection[str], fit: Mapping[str, Any]
) -> str | None:
    """Return why `fit` will never log a monitored name; None if it may.

    `logged` is what training logs without a validation.
    """
    wanted = awaited(monitored, logged)
    if not wanted or not fit:
        return None
    if fit.get("validation_data") is None and not fit.get("validation_split"):
        return (
            f"{wanted[0]!r} is monitored, but fit() was given no validation_data= and "
            "no validation_split=. Pass one, or monitor "
            f"{wanted[0].removeprefix(PREFIX)!r}. If another callback adds the name to "
            "the logs, pass monitor=multiback.Monitor(name, mode=..., early=False)."
        )
    first, epochs = fit.get("initial_epoch") or 0, fit.get("epochs") or 0
    every = fit.get("validation_freq") or 1
    numbers = range(first + 1, epochs + 1)
    if numbers and not any(
        number % every == 0 if isinstance(every, int) else number in every
        for number in numbers
    ):
        return (
            f"{wanted[0]!r} is monitored, but validation_freq={every!r} means no "
            f"validation in the epochs {first + 1} to {epochs}. Pass a smaller "
            "validation_freq= or a larger epochs=."
        )
    return None


def awaited(monitored: Collection[str], logged: Collection[str]) -> list[str]:
    """Return the monitored names that only a validation can log.

    >>> awaited(["val_loss", "loss", "val_mine"], ["loss", "val_mine"])
    ['val_loss']
    """
    return sorted(
        name
        for name in monitored
        if name.startswith(PREFIX) and find_name(name, logged) is None
    )
