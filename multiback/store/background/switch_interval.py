"""Shorten the GIL switch interval while a checkpoint is written.

A call that releases the GIL gets it back from a thread that runs Python only after the
interpreter's switch interval, which is 5 ms. A commit makes about 75 such calls, nearly
all of them tiny, so beside a loop in Python it took up to 0.4 s longer than alone.
During a commit the interval is a tenth of that: a computing thread yields ten times as
often, and each time costs microseconds. Nothing else is slower, because the interval
counts only while a thread waits.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 0.0005

_turn = threading.Lock()
_inside = 0
_before = _ours = 0.0


@contextmanager
def short_switch_interval() -> Iterator[None]:
    """Shorten the switch interval while the block runs, for any number of threads.

    If other code sets the interval in the block, that value stays.
    """
    global _inside, _before, _ours  # noqa: PLW0603 - the interval is the process's too
    with _turn:
        if _inside == 0:
            _before = sys.getswitchinterval()
            if _before > SECONDS:
                sys.setswitchinterval(SECONDS)
            _ours = sys.getswitchinterval()
        _inside += 1
    try:
        yield
    finally:
        with _turn:
            _inside -= 1
            if _inside == 0 and sys.getswitchinterval() == _ours != _before:
                sys.setswitchinterval(_before)
