"""Bring Keras's labels and predictions to what torchmetrics takes.

Keras puts classes and labels last and gives a column where numbers are wanted, and
targets as floats; torchmetrics wants classes in the second axis, plain numbers, and
integers to classify.
"""

from typing import Any, Literal

from multiback.errors import ArgumentError

Tensor = Any
Task = Literal["binary", "multiclass", "multilabel", "other"]


def task_of(metric: Any) -> Task:
    """Tell what a torchmetrics metric, or the one that it wraps, classifies."""
    found = {_task_of_class(type(module)) for module in metric.modules()}
    found.discard("other")
    task: Task = found.pop() if len(found) == 1 else "other"
    return task


def _task_of_class(cls: type) -> Task:
    tasks: tuple[Task, ...] = ("binary", "multiclass", "multilabel")
    for base in cls.__mro__:
        if base.__module__.startswith("torchmetrics.classification."):
            for task in tasks:
                if base.__name__.lower().startswith(task):
                    return task
    return "other"


def arrange(task: Task, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Return `(target, preds)` as torchmetrics wants them.

    Args:
        task: What is classified, if anything.
        y_true: Torch tensor. For "multiclass" class ids, or rows as long as those
            of the scores, of which the largest element is meant.
        y_pred: Torch tensor.

    Raises:
        ArgumentError: A label is not an integer.
    """
    if task == "multiclass" and y_pred.is_floating_point():
        return _class_ids(y_true, y_pred), _classes_second(y_pred)
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    elif y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        y_pred = y_pred[..., 0]
    elif y_true.ndim == y_pred.ndim > 1 and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
        if y_pred.shape[-1] == 1:  # Else several predictions of one number.
            y_pred = y_pred[..., 0]
    if task == "multilabel":
        y_true, y_pred = _classes_second(y_true), _classes_second(y_pred)
    return (y_true if task == "other" else _integers(y_true)), y_pred


def _class_ids(y_true: Tensor, y_pred: Tensor) -> Tensor:
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == y_pred.shape[-1]:
        return y_true.argmax(-1)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    return _integers(y_true)


def _classes_second(tensor: Tensor) -> Tensor:
    return tensor.movedim(-1, 1) if tensor.ndim > 2 else tensor  # noqa: PLR2004


def _integers(labels: Tensor) -> Tensor:
    if not labels.is_floating_point():
        return labels.long()
    ids = labels.long()
    if not bool((ids == labels).all()):
        wrong = labels[ids != labels].flatten()[0].item()
        raise ArgumentError(
            f"y_true wants class ids or 0 and 1, but holds {wrong}: metrics of "
            "torchmetrics.classification know no soft labels."
        )
    return ids
