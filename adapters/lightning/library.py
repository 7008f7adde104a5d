"""Lightning itself, under the name that is in use.

Lightning goes by two names, `lightning` and `pytorch_lightning`, whose classes are
strangers to each other. Of two that are installed, the one that was imported before
this file is taken.
"""

import importlib
import sys
from typing import Any

from multiback.errors import MissingPackageError


def library() -> Any:
    """Import Lightning under the name that is in use."""
    names = ["lightning.pytorch", "pytorch_lightning"]
    names.sort(key=lambda name: name not in sys.modules)
    problems = []
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            problems.append(str(error))
    raise MissingPackageError(
        "multiback.adapters.lightning needs Lightning, which cannot be imported "
        f'({"; ".join(problems)}). Install it with:\npip install "multiback[lightning]"'
    )


pl = library()
