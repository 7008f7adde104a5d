"""Register the metrics when Keras is imported after multiback.

`import multiback` does not load Keras, so the command starts at once and a missing
backend does not end in a traceback of Keras. But a `.keras` file with one of our
metrics must load after `import multiback` and `import keras`, in either order, and
Keras knows only registered classes. It has no hook for that, so a finder stays in
`sys.meta_path` until Keras has been imported, and then imports the metrics.
"""

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from multiback.errors import MissingPackageError

BACKENDS = ("jax", "tensorflow", "torch")


def register_metrics() -> None:
    """Register the metrics with Keras: now if it is loaded, else when it is."""
    if "keras" in sys.modules:
        import multiback.metrics  # noqa: F401, PLC0415 - registers them
    else:
        sys.meta_path.insert(0, _KerasFinder())


class _KerasFinder(MetaPathFinder):
    """Find Keras as the other finders do, and wrap its loader."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        # Those behind this one: where multiback was imported twice, as by coverage.py,
        # two of these would ask each other for ever.
        place = sys.meta_path.index(self) + 1 if self in sys.meta_path else 0
        for finder in sys.meta_path[place:]:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _KerasLoader(self, spec.loader)
                return spec
        return None


class _KerasLoader(Loader):
    """Import Keras, and then register the metrics."""

    def __init__(self, finder: _KerasFinder, loader: Loader) -> None:
        self._finder = finder
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # Other code asks the loader for sources and resources.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        try:
            self._loader.exec_module(module)
        except (ImportError, ValueError) as error:
            reason = _missing_backend(error)
            if reason is None:
                raise
            raise MissingPackageError(reason) from None
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        import multiback.metrics  # noqa: F401, PLC0415 - registers them


def _missing_backend(error: Exception) -> str | None:
    """Return what to do about a backend that cannot be imported, or None.

    Args:
        error: What `import keras` raised.
    """
    chosen = os.environ.get("KERAS_BACKEND", "")
    if isinstance(error, ImportError):
        missing = (error.name or "").partition(".")[0]
    else:  # Keras knows no such backend.
        missing = chosen
    if not missing or (chosen in BACKENDS and missing != chosen):
        return None
    if importlib.util.find_spec(missing) is not None:
        return None
    if chosen and chosen not in BACKENDS:
        wanted = "jax"
        problem = (
            f"KERAS_BACKEND is {chosen!r}, and multiback wants one of "
            f"{', '.join(BACKENDS)}"
        )
    elif missing in BACKENDS:
        wanted = missing
        by = "KERAS_BACKEND" if chosen else "keras.json, or by default,"
        problem = f"Keras is set by {by} to {wanted!r}, which is not installed"
    else:
        return None
    install = f'pip install "multiback[{wanted}]"'
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if not installed:
        return f"{problem}, nor is another backend. Type {install}."
    return (
        f"{problem}; installed: {', '.join(installed)}. Set "
        f"KERAS_BACKEND={installed[0]} in the environment, or type {install}."
    )
