"""Warnings that point at the user's line.

`stacklevel=` counts frames, and the number of frames between a line of `fit` and ours
depends on Keras, the backend and Python. So this module searches for the line: the
first frame, from the inside out, whose module does not belong to a library that calls
multiback.
"""

import sys
import warnings
from types import FrameType

from multiback.errors import MultibackWarning

_CALLERS = {
    "contextlib",
    "functools",
    "importlib",
    "jax",
    "keras",
    "lightning",
    "lightning_fabric",
    "multiback",
    "pytorch_lightning",
    "tensorflow",
    "threading",
    "torch",
    "torchmetrics",
}


def warn(message: str, category: type[MultibackWarning]) -> None:
    """Warn once per line of the user's code, in a sentence of up to 200 characters."""
    frame = _users_frame(sys._getframe(1))  # noqa: SLF001 - as warnings does
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__", "<unknown>"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _users_frame(frame: FrameType) -> FrameType:
    """Return the frame of the user's code, or the outermost one."""
    while frame.f_back is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] not in _CALLERS:
            break
        frame = frame.f_back
    return frame
