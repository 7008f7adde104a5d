"""A module's hyperparameters, as JSON in each checkpoint."""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from multiback.errors import ArgumentError


def plain(hparams: Mapping[str, Any], tell: Callable[[list[str]], None]) -> Any:
    """Return the hyperparameters that JSON can hold; warn about the others.

    >>> plain({"width": 3, "rates": (0.1, 1), "net": print}, lambda texts: None)
    {'width': 3, 'rates': [0.1, 1]}
    """
    kept: dict[str, Any] = {}
    lost: list[str] = []
    for name, value in hparams.items():
        try:
            kept[str(name)] = _plain(value)
        except TypeError:
            lost.append(str(name))
    if lost:
        problem = (
            f"Checkpoints hold no hyperparameter {', '.join(map(repr, lost))}, which "
            "is more than numbers, texts, lists and mappings; pass it to "
            "load_from_checkpoint() again."
        )
        tell([problem])
    return kept


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _plain(one) for name, one in value.items()}
    raise TypeError


class Attributes(dict[str, Any]):
    """Hyperparameters by name, as items and as attributes.

    >>> Attributes(width=3).width
    3
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


def made(kind: Callable[..., Any], saved: Any, given: Mapping[str, Any]) -> Any:
    """Call a module's class with saved hyperparameters and given ones."""
    parameters = inspect.signature(kind).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    known = saved if isinstance(saved, Mapping) else {}
    fitting = {n: x for n, x in known.items() if takes_any or n in parameters}
    arguments = {**fitting, **given}
    wanted = [
        name
        for name, one in parameters.items()
        if one.default is one.empty
        and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
        and name not in arguments
    ]
    if len(wanted) == 1 and known and not fitting:
        # The class takes all of them as one argument, as in save_hyperparameters(args).
        return kind(**arguments, **{wanted[0]: Attributes(known)})
    if wanted:
        name = getattr(kind, "__name__", "The class")
        raise ArgumentError(
            f"{name} wants {', '.join(f'{one}=' for one in wanted)}, which the "
            f"checkpoint does not hold; it has {', '.join(known) or 'none'}. Pass it "
            f"to load_from_checkpoint({name}, path, {wanted[0]}=...), or call "
            "self.save_hyperparameters() in __init__ before training."
        )
    return kind(**arguments)
