"""Why a training ended without a best checkpoint, in a sentence."""

from collections.abc import Collection

from multiback.checkpoint.choosing.monitor import Monitor


def no_best(
    monitor: Monitor,
    scored: Collection[str],
    epoch: int,
    *,
    was_judged: bool,
    is_saved: bool,
    every: int,
) -> str | None:
    """Return the warning with cause and cure; None where the cause was said before.

    Args:
        monitor: What decides.
        scored: The labels that had a value in some epoch.
        epoch: The last one.
        was_judged: Whether any epoch was to be scored.
        is_saved: Whether there is a checkpoint.
        every: How many epochs there are from one score to the next; 0 if unknown.

    Examples:
        >>> no_best(Monitor("f1"), ["f1"], 3, was_judged=True, is_saved=True, every=1)
    """
    label = repr(monitor.label)
    lost = "There is no best checkpoint" if is_saved else "Nothing was saved"
    if not was_judged:
        if not every:
            return f"{lost}: no epoch was scored. Call step() to score one."
        or_last = "" if is_saved else ", or save_last=True"
        return (
            f"{lost}: every_n_epochs={every} scored no epoch, as training ended after "
            f"epoch {epoch}. Give a smaller every_n_epochs={or_last}."
        )
    if monitor.label in scored:
        # It was NaN, as another warning says.
        return None
    if every > 1 and not monitor.where and isinstance(monitor.quantity, str):
        return (
            f"{lost}: every_n_epochs={every} scored no epoch with a value of {label}. "
            "Let validation_freq= and every_n_epochs= meet in one epoch."
        )
    if monitor.where:
        cure = "Change where="
    elif callable(monitor.quantity):
        cure = "Let the function return a number"
    else:
        cure = "Let its names be logged in one epoch"
    return (
        f"No epoch had a value of {label}, so there is no best checkpoint. {cure}, or "
        "use load_last."
    )
