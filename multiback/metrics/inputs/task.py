"""The arguments of classification, and how labels and scores are read, in one record.

A metric's signature lists the arguments, the record checks them, and statistics are
made from it.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from multiback.errors import ArgumentError
from multiback.metrics.inputs.arguments import (
    as_ids,
    as_integer,
    check_from_logits,
    is_real,
)

Tensor = Any
TaskName = Literal["binary", "multiclass", "multilabel"]
ClassTask = Literal["binary", "multiclass"]
Average = Literal["micro", "macro", "weighted"] | None
# One class id or label, or several.
Ids = int | Sequence[int] | None

TASKS = ("binary", "multiclass", "multilabel")
# The argument that says how many columns a task has, and the smallest number.
SIZES = {"multiclass": ("num_classes", 2), "multilabel": ("num_labels", 1)}


@dataclasses.dataclass(frozen=True)
class Task:
    """The arguments of classification.

    Args:
        task: "binary", "multiclass" (each element has one class), "multilabel" (each
            of several labels may hold), or None: "binary", if the shape of the first
            `y_pred` allows nothing else.
        num_classes: Number of classes, for "multiclass" only.
        num_labels: Number of labels, for "multilabel" only.
        threshold: A probability above it is positive.
        from_logits: The scores are logits.
        ignore_index: A label, or several: elements with it are left out.
        classes: A class id or label, or several: the classes that the value describes.
        allowed: The tasks that the metric has.

    Raises:
        ArgumentError: An argument is not usable.

    Examples:
        >>> Task("multiclass", num_classes=3, classes=[1, 2]).chosen
        (1, 2)
    """

    task: TaskName | None = None
    num_classes: int | None = None
    num_labels: int | None = None
    threshold: float = 0.5
    from_logits: bool = False
    ignore_index: Ids = None
    classes: Ids = None
    allowed: dataclasses.InitVar[tuple[str, ...]] = TASKS

    def __post_init__(self, allowed: tuple[str, ...]) -> None:
        """Check all arguments, and replace NumPy's numbers and lists."""
        if not is_real(self.threshold) or not 0.0 <= self.threshold <= 1.0:
            raise ArgumentError(
                f"threshold= wants a probability in [0, 1], not {self.threshold!r}; "
                "with from_logits=True it stays a probability."
            )
        check_from_logits(self.from_logits)
        if self.task is not None and (
            not isinstance(self.task, str) or self.task not in allowed
        ):
            names = [f'"{name}"' for name in allowed]
            raise ArgumentError(
                f"task= wants {', '.join(names[:-1])} or {names[-1]}, not "
                f"{self.task!r}."
            )
        self._put("threshold", float(self.threshold))
        self._put("from_logits", bool(self.from_logits))
        self._check_size()
        self._check_ids()

    @classmethod
    def of_scores(
        cls,
        task: TaskName | None,
        num_classes: int | None,
        num_labels: int | None,
        from_logits: bool,
        ignore_index: Ids,
        classes: Ids,
    ) -> "Task":
        """Return the record of a metric that ranks scores, without a threshold."""
        return cls(
            task,
            num_classes,
            num_labels,
            from_logits=from_logits,
            ignore_index=ignore_index,
            classes=classes,
        )

    def _put(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_size(self) -> None:
        """Check num_classes and num_labels; a task has one of them or neither."""
        for task, (name, smallest) in SIZES.items():
            value = getattr(self, name)
            if task == self.task:
                size = as_integer(name, value, smallest, f'task="{task}" ')
                self._put(name, size)
            elif value is not None and self.task is None:
                raise ArgumentError(
                    f"{name}= wants task= beside it. Pass "
                    f'task="{task}", {name}={value!r}.'
                )
            elif value is not None:
                meant = SIZES.get(self.task or "")
                raise ArgumentError(
                    f'{name}= has no meaning for task="{self.task}". Leave it out'
                    + (f", or did you mean {meant[0]}=?" if meant else ".")
                )

    def _check_ids(self) -> None:
        """Check ignore_index and classes, and that they do not overlap."""
        # The smallest int32 represents every value that is not a label.
        ignored = as_ids("ignore_index", self.ignore_index, 1 - 2**31, 2**31 - 1)
        if isinstance(ignored, tuple):
            ignored = tuple(sorted(ignored)) if len(ignored) > 1 else ignored[0]
        self._put("ignore_index", ignored)
        if self.classes is None:
            return
        try:
            self._put("classes", as_ids("classes", self.classes, 0, self.columns - 1))
        except ArgumentError as error:
            if self.task is not None:
                raise
            raise ArgumentError(
                f"{error} Without task= there are the classes 0 and 1; for others pass "
                'task="multiclass", num_classes=N or task="multilabel", num_labels=N.'
            ) from error
        if self.kind != "multilabel" and (
            both := set(self.chosen or ()) & set(self.ignored)
        ):
            raise ArgumentError(
                f"classes= and ignore_index= both name {min(both)}. ignore_index= "
                "removes the elements with that label; leave it out of one of them."
            )

    @property
    def kind(self) -> TaskName:
        """The task, which is "binary" until it is decided."""
        return self.task or "binary"

    @property
    def columns(self) -> int:
        """Number of classes or labels; 2 for a binary task."""
        return self.num_classes or self.num_labels or 2

    @property
    def ignored(self) -> tuple[int, ...]:
        """All labels whose elements are left out."""
        return as_tuple(self.ignore_index) or ()

    @property
    def chosen(self) -> tuple[int, ...] | None:
        """The classes or labels that the value describes, in order; None for all."""
        return as_tuple(self.classes)

    @property
    def is_single(self) -> bool:
        """Whether the value describes one class, a scalar under `average=None`."""
        return isinstance(self.classes, int)

    def decided(self, y_pred: Tensor, *, again: bool = False) -> "Task":
        """Return the task of an unambiguous shape, "binary", or raise.

        Of later batches, `again`, only a size that is known can be wrong.
        """
        if self.task is not None and not again:
            return self
        shape = static_shape(y_pred)
        is_vector = shape is not None and len(shape) < 2  # noqa: PLR2004 - it holds one score an element
        size = None if not shape else shape[-1]
        if not is_vector and size != 1 and not (again and size is None):
            raise _undecided(shape)
        return self if again else dataclasses.replace(self, task="binary")


def as_tuple(ids: Ids) -> tuple[int, ...] | None:
    """Return ids as a tuple; None stays None."""
    if ids is None:
        return None
    return (ids,) if isinstance(ids, int) else tuple(ids)


def as_classes(size: int | str) -> str:
    """Return the arguments for scores of so many classes, for an error."""
    of_second = " (with classes=1 for the value of the second alone)"
    return f'task="multiclass", num_classes={size}{of_second * (str(size) == "2")}'


def _undecided(shape: tuple[int | None, ...] | None) -> ArgumentError:
    size = "N" if shape is None or shape[-1] is None else str(shape[-1])
    return ArgumentError(
        "task= wants a choice where y_pred may hold several scores an element, and "
        f"y_pred has {'an unknown shape' if shape is None else f'shape {shape}'}. Pass "
        f'{as_classes(size)} for classes; task="multilabel", '
        f'num_labels={size} for labels that may hold at once; task="binary" where each '
        "number is a score of its own, as in a mask without a channel axis."
    )


def static_shape(values: Tensor) -> tuple[int | None, ...] | None:
    """Return a shape as far as it is known while tracing; None for unknown ranks."""
    shape = getattr(values, "shape", None)
    try:
        return tuple(np.shape(values) if shape is None else shape)
    except (TypeError, ValueError):
        # A rank that TensorFlow does not know. Lists of unequal lengths have an error
        # of their own.
        return () if shape is None else None
