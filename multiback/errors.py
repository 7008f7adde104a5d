"""Every error and warning that multiback raises on purpose.

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

    MultibackWarning (UserWarning)
    ├── CheckpointWarning                  nothing was saved, or another one is used
    ├── SlowDiskWarning                    training waits for the disk
    ├── OwnerWarning                       another process left, or holds, a run
    ├── RunLeftWarning                     a run is taken over from another process
    ├── UnusableValuesWarning              a metric counted what it cannot use
    ├── WaitingForRunWarning               another process may still write a run
    ├── NoLocksWarning                     a mount has no file locks
    ├── NoDirectorySyncWarning             a mount cannot fsync directories
    ├── RestoreWarning                     a state came back otherwise than it was saved
    ├── RankWarning                        other processes of the training are missing
    ├── WideBoundsWarning                  a metric's bins cannot tell scores apart
    ├── FewRowsWarning                     an interval is of too few rows of a class
    ├── GuessedLogitsWarning               a wrapped metric guesses about logits
    └── DisagreementWarning                another library contradicts a number

Each message names the argument or file, what was wanted, what came and what to
do next.
"""


def cleaned(text: str) -> str:
    r"""Replace what a terminal would obey: control characters, and half characters.

    Names and ids come from files of unknown origin.

    >>> cleaned("run \x1b[2J\u202eb") == "run \ufffd[2J\ufffdb"
    True
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


class MultibackError(Exception):
    """Catch this to catch everything that multiback raises on purpose."""

    def __str__(self) -> str:
        """Return the message; quoted control characters are replaced."""
        return cleaned(super().__str__())


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


class MultibackWarning(UserWarning):
    """Filter by this to filter every warning of multiback."""


class NoDirectorySyncWarning(MultibackWarning):
    """A run directory is on a mount that cannot wait for a directory's entries."""


class NoLocksWarning(MultibackWarning):
    """A run directory is on a mount without file locks."""


class RunLeftWarning(MultibackWarning):
    """A run is taken over from a process that has not renewed its claim."""


class UnusableValuesWarning(MultibackWarning):
    """A metric was given labels or scores that it cannot use, and counted them."""


class WaitingForRunWarning(MultibackWarning):
    """A start waits to learn whether another process still writes the run."""


class GuessedLogitsWarning(MultibackWarning):
    """A wrapped metric guesses whether scores are logits, or was given logits."""


class CheckpointWarning(MultibackWarning):
    """A checkpoint was not saved as asked, was passed over or lacks something."""


class RestoreWarning(MultibackWarning):
    """A way back left something out, or brought back what the model has otherwise."""


class SlowDiskWarning(MultibackWarning):
    """Training waits for checkpoints to be written."""


class OwnerWarning(MultibackWarning):
    """A process that wrote a run died, or left something in its directory."""


class RankWarning(MultibackWarning):
    """A process of a distributed training waits for another one."""


class WideBoundsWarning(MultibackWarning):
    """The error of a binned metric is larger than a user would expect."""


class FewRowsWarning(MultibackWarning):
    """A class has too few rows for an interval to contain the true value as it says."""


class DisagreementWarning(MultibackWarning):
    """During training another library contradicts a metric's number."""
