"""Hide installed libraries, as if they were not there, from this and child processes.

One environment serves every session of nox that needs a framework; a session's own
promise is that it works without the others. nox puts this folder on `PYTHONPATH`, so
that each interpreter runs this file when it starts, and names in
`MULTIBACK_TEST_HIDDEN` what it shall not find.
"""

import os
import sys
from importlib.machinery import PathFinder

HIDDEN = frozenset(os.environ.get("MULTIBACK_TEST_HIDDEN", "").split(","))


class Seen(PathFinder):
    """Find what is not hidden."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        """Find a module as Python does, unless it is hidden."""
        if fullname.partition(".")[0] in HIDDEN:
            return None
        return PathFinder.find_spec(fullname, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Seen
