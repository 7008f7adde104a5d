"""Import this first, and `multiback.store` loads alone: Keras takes seconds."""

import importlib.util
import sys
import types

_package = types.ModuleType("multiback")
_package.__path__ = importlib.util.find_spec("multiback").submodule_search_locations
sys.modules["multiback"] = _package
