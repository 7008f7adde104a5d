"""Right metrics and safe best-checkpoints for Keras 3, on every backend.

>>> import multiback as mb
>>> sorted(mb.__all__) == mb.__all__
True
"""

from multiback import errors, metrics

__all__ = ["errors", "metrics"]
