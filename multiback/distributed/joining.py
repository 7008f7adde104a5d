"""Find out whether this process is one of several; imports no framework by itself."""

import importlib
import sys
from collections.abc import Callable

from multiback.distributed.ranks import Ranks

# What says so, and who asks it. Nobody has started several processes with a library
# that is not even imported.
_STARTERS = {
    "torch.distributed": "multiback.distributed.torch",
    "jax": "multiback.distributed.jax",
}


def ranks_here() -> Ranks | None:
    """Return the processes that torch or JAX has started; None where this is alone."""
    for library, module in _STARTERS.items():
        if library in sys.modules:
            ask: Callable[[], Ranks | None] = importlib.import_module(module).ranks
            found = ask()
            if found is not None:
                return found
    return None
