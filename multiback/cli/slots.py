"""Read retention slots as a user types them: `Best(val_f1, 3)`, `Last(2)`.

They look as in Python, but nothing is evaluated.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from multiback.checkpoint.choosing.monitor import Monitor
from multiback.checkpoint.choosing.slots import All, Best, Every, Last, Pareto, Slot
from multiback.errors import ArgumentError

_CALL = re.compile(r"\s*([A-Za-z]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_KEYWORD = re.compile(r"([a-z]+)\s*=(?!=)\s*(.*)", re.DOTALL)
_FORMS = (
    "Best(val_f1, 3), Best(val_loss, 1, mode=min, where=val_recall >= 0.9), Last(2), "
    "Every(epochs=10), Pareto(val_precision, val_recall), All()"
)
_CLOSING = {"(": ")", '"': '"', "'": "'", "`": "`"}


def parse_slot(text: str) -> Slot:
    """Read one slot: its name and its arguments, in parentheses.

    Examples:
        >>> slot = parse_slot("Best(2*p*r/(p+r), 3, mode=max)")
        >>> slot.monitor.label, slot.k
        ('2*p*r/(p+r)', 3)
    """
    match = _CALL.fullmatch(text)
    maker = _MAKERS.get(match[1].casefold()) if match else None
    if match is None or maker is None:
        raise _unreadable(text, "it is none of these")
    values: list[str] = []
    named: dict[str, str] = {}
    for part in _split(match[2] or ""):
        keyword = _KEYWORD.fullmatch(part)
        if keyword:
            named[keyword[1]] = _unquoted(keyword[2])
        else:
            values.append(_unquoted(part))
    try:
        return maker(values, named)
    except (TypeError, ValueError, KeyError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise _unreadable(text, f"its arguments do not fit ({error})") from error


def _unreadable(text: str, why: str) -> ArgumentError:
    return ArgumentError(
        f"--keep wants a slot such as {_FORMS}; not {text!r}: {why}. Quote it for "
        f"the shell."
    )


def _split(text: str) -> list[str]:
    """Split at the commas outside of parentheses and quotes.

    >>> _split("max(a, b), 3")
    ['max(a, b)', '3']
    """
    parts, waiting = [""], ""
    for character in text:
        if waiting and character == waiting[-1]:
            waiting = waiting[:-1]
        elif character in _CLOSING and waiting[-1:] in ("", ")"):
            waiting += _CLOSING[character]
        if character == "," and not waiting:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _unquoted(text: str) -> str:
    """Remove quotes that users add because Python needs them.

    >>> _unquoted("'val_f1'"), _unquoted("val_f1")
    ('val_f1', 'val_f1')
    """
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text


def _check_names(named: Mapping[str, str], *known: str) -> None:
    for name in named:
        if name not in known:
            raise ValueError(f"{name}= is not among {', '.join(known) or 'none'}")


def _mode(named: Mapping[str, str]) -> Any:
    return named.get("mode", "auto")


def _best(values: list[str], named: Mapping[str, str]) -> Slot:
    _check_names(named, "k", "mode", "where", "within", "then")
    if not values:
        raise ValueError("Best wants a metric's name")
    monitor, *rest = values
    k = rest.pop(0) if rest else named.get("k")
    if rest:
        raise ValueError(f"{rest[0]!r} is one too many")
    return Best(
        Monitor(monitor, _mode(named), named.get("where")),
        None if k is None else int(k),
        then=[named["then"]] if "then" in named else [],
        within=named.get("within"),
    )


def _last(values: list[str], named: Mapping[str, str]) -> Slot:
    _check_names(named, "n")
    [n] = values or [named.get("n", "1")]
    return Last(int(n))


def _every(values: list[str], named: Mapping[str, str]) -> Slot:
    _check_names(named, "epochs", "steps", "hours")
    if values:
        raise ValueError("Every wants epochs=, steps= or hours=")
    numbers: dict[str, Any] = {
        name: float(value) if name == "hours" else int(value)
        for name, value in named.items()
    }
    return Every(**numbers)


def _pareto(values: list[str], named: Mapping[str, str]) -> Slot:
    _check_names(named, "mode")
    return Pareto(*values, mode=_mode(named))


def _all(values: list[str], named: Mapping[str, str]) -> Slot:
    if values or named:
        raise ValueError("All wants no arguments")
    return All()


_MAKERS: Mapping[str, Callable[[list[str], Mapping[str, str]], Slot]] = {
    "all": _all,
    "best": _best,
    "every": _every,
    "last": _last,
    "pareto": _pareto,
}
