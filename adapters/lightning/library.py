"""Lightning itself, under the installed name.

Lightning has two names, `lightning` and `pytorch_lightning`, whose classes are
unrelated. If both are installed, the one that was imported before this file is used.
"""

import importlib
import sys
from typing import Any

from multiback.errors import MissingPackageError


def library() -> Any:
    """Import Lightning under the installed name."""
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
