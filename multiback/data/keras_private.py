"""What the data needs to know of how `fit` reads a `PyDataset`, in one place.

Keras settles two things before training begins, and offers no public way to change
them: how many batches each epoch has, and that it visits a `PyDataset`'s batches in an
order of its own, drawn from Python's global generator, unless `fit(shuffle=False)`.
`tests/data/test_resumable.py` notices when that changes.
"""

from collections.abc import Callable
from types import FrameType
from typing import Self

from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter


class Length(int):
    """A number of batches that knows when an epoch that was resumed is over.

    `EpochIterator` keeps the number from before training and asks `seen >= number`
    before each batch. Python lets the subclass answer that. An epoch that begins
    in its middle so ends without Keras's warning that the data ran out.
    """

    is_over: Callable[[int], bool]

    def __new__(cls, batches: int, is_over: Callable[[int], bool]) -> Self:
        """Make the number; `is_over` is told how many batches Keras has seen."""
        made = super().__new__(cls, batches)
        made.is_over = is_over
        return made

    def __le__(self, seen: int) -> bool:
        return self.is_over(seen)

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)


def keep_order(caller: FrameType | None) -> None:
    """Let the adapter whose method called visit the batches in their order."""
    adapter = caller.f_locals.get("self") if caller else None
    if isinstance(adapter, PyDatasetAdapter):
        adapter.shuffle = False
