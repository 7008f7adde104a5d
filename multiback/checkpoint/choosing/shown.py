"""Show an object by its constructor's arguments."""

import reprlib
from typing import Any, Self

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


class Shown:
    """Store the text of a constructor call; text survives copies and pickles.

    >>> class Last(Shown):
    ...     def __init__(self, n=1, *, name=""): pass
    >>> Last(2, name="x")
    Last(2, name='x')
    """

    _call = ""

    def __new__(cls, *args: Any, **arguments: Any) -> Self:
        """Store the call's text."""
        made = super().__new__(cls)
        words = [_text(one) for one in args]
        words += [f"{name}={_text(one)}" for name, one in arguments.items()]
        # Bypass a subclass's own `__setattr__`.
        object.__setattr__(made, "_call", f"({', '.join(words)})")
        return made

    def __repr__(self) -> str:
        """Show the call."""
        return f"{type(self).__name__}{self._call or '(...)'}"


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, Shown) else _SHORT.repr(value)
