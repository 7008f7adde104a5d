"""Every error that multiback raises on purpose.

::

    MultibackError
    ├── ArgumentError (ValueError)         an argument is not usable
    ├── MonitorError (ValueError)          a monitored name is missing or unrankable
    ├── MissingPackageError (ImportError)  an optional library is not installed
    ├── StateError (ValueError)            a model and a checkpoint do not fit
    ├── WrongMetricError (AssertionError)  other libraries contradict a number
    └── StoreError (OSError)               a run directory cannot be used as asked
        ├── NoCheckpointError              no committed checkpoint there
        └── CorruptCheckpointError         a file differs from its manifest

    UserWarning
    ├── NoDirectorySyncWarning             a mount cannot fsync directories
    ├── NoLocksWarning                     a mount has no file locks
    ├── RunLeftWarning                     a run is taken over from another process
    ├── UnusableValuesWarning              a metric counted what it cannot use
    └── WaitingForRunWarning               another process may still write a run

Each message names the argument or file, what was wanted, what came and what to
do next.
"""


class MultibackError(Exception):
    """Catch this to catch everything that multiback raises on purpose."""


class ArgumentError(MultibackError, ValueError):
    """An argument's type, shape or value is not usable."""


class MonitorError(MultibackError, ValueError):
    """A monitored name is missing, ambiguous or cannot be ranked."""


class MissingPackageError(MultibackError, ImportError):
    """An optional library is not installed; the message says how to install it."""


class StateError(MultibackError, ValueError):
    """A model and a checkpoint do not fit together."""


class WrongMetricError(MultibackError, AssertionError):
    """A metric gives a number that torchmetrics or scikit-learn contradicts."""


class StoreError(MultibackError, OSError):
    """A run directory cannot be used as asked."""


class NoCheckpointError(StoreError):
    """A run directory holds no committed checkpoint."""


class CorruptCheckpointError(StoreError):
    """A checkpoint's file differs from what its manifest says."""


class NoDirectorySyncWarning(UserWarning):
    """A run directory is on a mount that cannot wait for a directory's entries."""


class NoLocksWarning(UserWarning):
    """A run directory is on a mount without file locks."""


class RunLeftWarning(UserWarning):
    """A run is taken over from a process that has not renewed its claim."""


class UnusableValuesWarning(UserWarning):
    """A metric was given labels or scores that it cannot use, and counted them."""


class WaitingForRunWarning(UserWarning):
    """A start waits to learn whether another process still writes the run."""


class GuessedLogitsWarning(UserWarning):
    """A wrapped metric guesses whether scores are logits, or was given logits."""
