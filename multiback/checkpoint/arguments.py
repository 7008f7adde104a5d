"""Lightning's arguments, translated into slots."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from multiback.checkpoint.choosing.direction import Mode, check_mode
from multiback.checkpoint.choosing.monitor import Logs, Monitor
from multiback.checkpoint.choosing.slots import (
    All,
    Best,
    Last,
    Slot,
    as_monitor,
    check_number,
)
from multiback.errors import ArgumentError
from multiback.store import is_remote, is_run_directory
from multiback.store.format.names import without_secrets

Quantity = Monitor | str | Callable[[Logs], float | None] | None
# "never", "auto", "must" or a path.
Resume = str | os.PathLike[str]


def check_path(argument: str, path: Any) -> None:
    """Raise unless an argument can be a directory's path."""
    if (
        not isinstance(path, str | os.PathLike)
        or not os.fspath(path)
        or not os.fsdecode(path).strip()
        or "\0" in os.fsdecode(path)
    ):
        raise ArgumentError(f"{argument} wants a directory's path, not {path!r:.200}.")
    if Path(os.fsdecode(path)).is_file():
        raise ArgumentError(
            f"{argument} wants a directory, but {os.fspath(path)!r} is a file."
        )


_ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)(.*)")
_NO_SLASH = re.compile(r"(abfss?|adl|az|dbfs|file|gcs|gs|hdfs|s3a?):(?!/)(.*)")
_READ_ONLY = ("ftp://", "ftps://", "http://", "https://")
_KERAS_FILES = (".keras", ".h5", ".hdf5")


def expanded(argument: str, path: Any) -> str | os.PathLike[str]:
    """Return a directory's path, with `~` as the home folder, or raise."""
    if isinstance(path, str | os.PathLike) and os.fsdecode(path).startswith("~"):
        path = os.path.expanduser(os.fsdecode(path))  # noqa: PTH111 - text stays text
    text = os.fsdecode(path) if isinstance(path, str | os.PathLike) else ""
    if text.startswith("~"):
        raise ArgumentError(
            f"{argument} wants a home folder that is known, not {text!r}. Write the "
            "whole path; or './~...' for a folder of that name."
        )
    if match := _ONE_SLASH.fullmatch(text) or _NO_SLASH.fullmatch(text):
        scheme, rest = match.groups()
        wanted = {"dbfs": f"/dbfs/{rest}", "file": f"/{rest}"}
        raise ArgumentError(
            f"{argument} wants a path or a URL, and {text!r} is neither. Write "
            f"{wanted.get(scheme, f'{scheme}://{rest}')!r}."
        )
    if text.startswith(_READ_ONLY):
        raise ArgumentError(
            f"{argument} wants a place that can be listed and written, not "
            f"{without_secrets(text)!r}. Use a folder, or a bucket such as "
            "s3://bucket/runs/tumour."
        )
    if os.name != "nt" and re.match(r"[A-Za-z]:\\", text):
        raise ArgumentError(
            f"{argument} wants a path of this system, and {text!r} is one of Windows."
        )
    check_path(argument, path)
    found: str | os.PathLike[str] = path
    return found


def place_to_write(path: Any) -> str | os.PathLike[str]:
    """Return the run directory to write into; raise for the name of a file."""
    if path is None:
        raise ArgumentError(
            "dirpath= wants the directory of the run, which is created, and none was "
            'given. Write dirpath="runs/tumour".'
        )
    text = os.fsdecode(path) if isinstance(path, str | os.PathLike) else ""
    text = without_secrets(text)
    if text.endswith(_KERAS_FILES) or re.search(r"\{[^{}]*\}", text):
        folder, name = os.path.split(text)
        fields = re.sub("|".join(map(re.escape, _KERAS_FILES)), "", name)
        filename = f", filename={fields!r}" if "{" in fields else ""
        raise ArgumentError(
            f"dirpath= wants the directory of a run, not the file {text!r}. Write "
            f"ModelCheckpoint({folder or 'runs/tumour'!r}{filename}, ...); the best "
            "model is written to best.keras in it."
        )
    return expanded("dirpath=", path)


def check_flags(**flags: Any) -> None:
    """Raise unless arguments are True or False: "no" would count as True."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ArgumentError(f"{name}= wants True or False, not {value!r:.200}.")


def check_prefixes(prefixes: Any) -> None:
    """Raise unless it is several texts: one text would be read letter by letter."""
    if isinstance(prefixes, str) or not all(isinstance(p, str) and p for p in prefixes):
        raise ArgumentError(
            f"prefixes= wants a tuple of texts such as ('val_',), not {prefixes!r}."
        )


def checked_resume(resume: Any) -> Resume:
    """Return a known word, or a checkpoint's path with `~` expanded; or raise."""
    if resume in ("never", "auto", "must"):
        return str(resume)
    if not isinstance(resume, str | os.PathLike):
        raise ArgumentError(
            'resume= wants "never", "auto", "must" or the path of a checkpoint, not '
            f"{resume!r:.200}."
        )
    place = expanded("resume=", resume)
    if is_remote(place):
        return place
    if is_run_directory(place):
        raise ArgumentError(
            f"resume= got a run directory, {os.fspath(place)!r}. To continue its "
            'latest run, give it as dirpath= and say resume="auto"; to start a new run '
            "from a checkpoint, give that one's path, such as its `best`."
        )
    path = Path(os.fsdecode(place))
    if path.is_dir():
        return place
    missing = len(path.parts) > 1 and not path.exists()
    raise ArgumentError(
        'resume= wants "never", "auto", "must" or the directory of a checkpoint, '
        f"not {resume!r}{', which does not exist' * missing}. `multiback ls` lists the "
        "checkpoints of a run directory."
    )


def two_of_a_directory(dirpath: str) -> ArgumentError:
    """Return the error for two writers if one resumes: both would take one run."""
    return ArgumentError(
        "dirpath= wants a directory of its own for a ModelCheckpoint that resumes, and "
        f"two of one fit have {dirpath!r}. Give each its own; or use one of them, with "
        "keep=[Best(a), Best(b)]."
    )


def choose_slots(
    monitor: Quantity,
    mode: Mode | Literal["auto"],
    keep: Sequence[Slot] | None,
    save_top_k: int,
    *,
    save_last: bool | None,
) -> tuple[list[Slot], Best | None]:
    """Return the slots, and the slot that decides what is best, if any."""
    check_mode(mode)
    _refuse_metrics(monitor)
    if save_last is not None:
        check_flags(save_last=save_last)
    if monitor is not None:
        monitor = as_monitor(monitor, mode)
    if keep is not None:
        _check_keep(keep, monitor, mode, save_top_k, save_last)
    elif monitor is None and mode != "auto":
        raise ArgumentError(
            f"mode={mode!r} wants a monitor= to rank by, and there is none. Pass one, "
            "or leave mode= out."
        )
    else:
        keep = slots_for(monitor, save_top_k, save_last=save_last is not False)
    best = next((slot for slot in keep if isinstance(slot, Best)), None)
    if monitor is not None and (best is None or best.monitor != monitor):
        # With `keep=`, `monitor=` selects what `best_model_path` reports.
        best = Best(monitor)
    return list(keep), best


def _check_keep(
    keep: Any,
    monitor: Monitor | None,
    mode: Mode | Literal["auto"],
    save_top_k: int,
    save_last: bool | None,
) -> None:
    """Raise unless slots are given that the other arguments do not contradict."""
    if (
        not isinstance(keep, Sequence)
        or not keep
        or not all(isinstance(slot, Slot) for slot in keep)
    ):
        raise ArgumentError(
            f"keep= wants a list of slots such as [Best('val_f1'), Last()], not "
            f"{keep!r}."
        )
    if save_top_k != 1:
        raise ArgumentError(
            f"keep= takes the place of save_top_k={save_top_k!r}. Leave it out, and "
            "write keep=[Best(..., k=3), Last()]."
        )
    if save_last is True and not any(isinstance(slot, Last | All) for slot in keep):
        raise ArgumentError(
            "keep= takes the place of save_last=True, and has no slot for the newest. "
            "Add Last(1) to keep=, or leave save_last= out."
        )
    if save_last is False and any(isinstance(slot, Last) for slot in keep):
        raise ArgumentError(
            "keep= takes the place of save_last=False, and holds the newest by Last. "
            "Take Last out of keep=, or leave save_last= out."
        )
    others = [one for slot in keep for one in slot.monitors]
    if mode != "auto" and (
        monitor is None
        or any(one.label == monitor.label and one != monitor for one in others)
    ):
        raise ArgumentError(
            f"mode={mode!r} does not count for the slots of keep=. Write it there: "
            f"keep=[Best(..., mode={mode!r})]."
        )


def _refuse_metrics(monitor: object) -> None:
    """Raise for a metric: it is callable, but its value is in the logs by name."""
    of = monitor if isinstance(monitor, type) else type(monitor)
    if hasattr(of, "update_state") and hasattr(of, "result"):
        name = getattr(monitor, "name", None)
        shown = f"val_{name}" if isinstance(name, str) else "val_f1_score"
        raise ArgumentError(
            f"monitor= wants the metric's name in the logs, such as {shown!r}, not "
            f"the {'class' if monitor is of else 'metric'} {of.__name__}. Give the "
            "metric to compile(metrics=[...])."
        )


def slots_for(
    monitor: Monitor | None, save_top_k: int, *, save_last: bool
) -> list[Slot]:
    """Return the slots that Lightning's arguments mean."""
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
