"""Match a user's name with the names in the logs."""

import difflib
import re
from collections.abc import Collection

from multiback.checkpoint.choosing.direction import made_by_keras, without_number
from multiback.errors import MonitorError

_ELEMENT = re.compile(r"(.+)\[\s*(-?\d+(?:\s*,\s*-?\d+)*)\s*\]", re.DOTALL)
# A log name, and which element of its array; none for the whole.
Read = tuple[str, tuple[int, ...]]


def find_name(wanted: str, available: Collection[str]) -> str | None:
    """Return the available name that fits, or None.

    An exact match wins. Otherwise the number that Keras adds is ignored, if exactly one
    name fits then; several are an error. A number in the user's name is ignored only
    after a name that Keras itself generates: `precision_1` may have become
    `precision_3`, but `top_5` is not `top_1`.

    >>> find_name("val_auc", ["val_loss", "val_auc_3"])
    'val_auc_3'
    """
    if wanted in available:
        return wanted
    stem = without_number(wanted)
    if stem != wanted and not made_by_keras(stem):
        return None
    fitting = sorted(name for name in available if without_number(name) == stem)
    if len(fitting) > 1:
        raise MonitorError(
            f"{wanted!r} could mean any of {', '.join(map(repr, fitting))}. Give the "
            "metric a name= of its own and monitor that."
        )
    return fitting[0] if fitting else None


def canonical_name(name: str) -> str:
    """Drop a number that Keras added, so that two models' names can be compared.

    >>> canonical_name("val_auc_1"), canonical_name("top_5")
    ('val_auc', 'top_5')
    """
    stem = without_number(name)
    return stem if stem != name and made_by_keras(stem) else name


def split_element(wanted: str) -> Read:
    """Split a name from the index behind it.

    >>> split_element("val_recall[1]"), split_element("val_loss")
    (('val_recall', (1,)), ('val_loss', ()))
    """
    match = _ELEMENT.fullmatch(wanted)
    if match is None:
        return wanted, ()
    return match[1], tuple(int(part) for part in match[2].split(","))


def find_element(wanted: str, available: Collection[str]) -> Read | None:
    """Return the available name and the index that fit, or None; several raise."""
    found = find_name(wanted, available)
    index: tuple[int, ...] = ()
    if found is None:
        name, index = split_element(wanted)
        found = find_name(name, available) if index else None
    return None if found is None else (found, index)


def missing_name(wanted: str, available: Collection[str], hint: str = "") -> str:
    """Return the error for a missing name: near names, and all names."""
    near = difflib.get_close_matches(wanted, list(available), n=3, cutoff=0.6)
    lines = [f"There is nothing called {wanted!r} to monitor."]
    if near:
        lines.append(f"Did you mean {' or '.join(map(repr, near))}?")
    listed = ", ".join(sorted(available)) or "(nothing)"
    lines.append(f"Available: {listed}.")
    if hint:
        lines.append(hint)
    return " ".join(lines)
