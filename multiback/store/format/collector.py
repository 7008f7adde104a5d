"""Pause Python's garbage collector where many objects are made."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collector() -> Iterator[None]:
    """Pause the garbage collector: reading makes many objects and no cycles.

    Repeated collections took half of the time to read 100,000 arrays, and a quarter of
    that to list 10,000 checkpoints. Several threads may do this at once: the first to
    pause the collector is the one to resume it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
