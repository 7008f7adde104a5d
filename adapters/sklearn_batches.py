"""The batches of an epoch, until a function of scikit-learn gets all of them."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import numpy as np

from multiback.adapters.bridge import Accumulator, Spec
from multiback.errors import ArgumentError

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]
Needs = Literal["scores", "labels"]
LastAxis = Literal["elements", "classes", "outputs"]
# So many rows of independent labels are not all one-hot by chance.
FEWEST_ROWS = 8


class SklearnAccumulator(Accumulator):
    """Collect all batches and call a function of scikit-learn on them.

    Args:
        function: Takes `(y_true, y_pred)` and returns a number.
        needs: "scores" for unchanged predictions, "labels" for decided classes.
        threshold: A score above it is class 1.
        last_axis: What the last axis of the predictions holds; None reads the shapes.
        arguments: More keyword arguments of the function.
    """

    # How many one-hot rows there were without another row; None after another one.
    _one_hot_rows: int | None

    def __init__(
        self,
        function: Function,
        needs: Needs,
        threshold: float,
        last_axis: LastAxis | None,
        arguments: dict[str, Any],
    ) -> None:
        self.function = function
        self.needs = needs
        self.threshold = threshold
        self.last_axis = last_axis
        self.arguments = arguments
        self.what = getattr(function, "__name__", repr(function))
        self.takes_weights = "sample_weight" in inspect.signature(function).parameters
        self.reset()

    def layout(self, y_true: Spec, y_pred: Spec) -> tuple[str, ...]:
        """Name the single number, and check the shapes as far as they are known."""
        labels, scores = _known(y_true.shape), _known(y_pred.shape)
        if labels is not None and scores is not None:
            self._read((0, *labels), (0, *scores), y_pred)
        return ("",)

    def update(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> None:
        """Keep one batch: one row a label, `(M,)`, or `(M, columns)`."""
        y_true, y_pred = map(keras.ops.convert_to_numpy, (y_true, y_pred))
        axis = self._read(y_true.shape, y_pred.shape, y_pred)
        if axis == "elements":
            self._count_one_hot(y_true, y_pred)
            y_true, y_pred = _elements(y_true, y_pred)
            rows = y_pred.shape
        else:
            rows = y_pred.shape[:-1]
            if axis == "classes" and y_true.shape == y_pred.shape:
                y_true = y_true.argmax(-1)
            elif axis == "classes":
                y_true = y_true.reshape(rows)
        if self.needs == "labels" and axis == "classes":
            y_pred = y_pred.argmax(-1)
        elif self.needs == "labels" and y_pred.dtype.kind == "f":
            y_pred = (y_pred > self.threshold).astype("int64")
        batch = [
            each.reshape(-1, *each.shape[len(rows) :]) for each in (y_true, y_pred)
        ]
        if sample_weight is not None:
            batch.append(_spread(sample_weight, rows, "sample_weight"))
        if mask is not None:
            keep = _spread(mask, rows, "the mask").astype(bool)
            batch = [each[keep] for each in batch]
        # Copies: PyTorch's arrays share the memory of tensors.
        self._batches.append([np.array(each) for each in batch])

    def _read(
        self, true: tuple[int, ...], predicted: tuple[int, ...], of: Any
    ) -> LastAxis:
        """Return what the last axis of the predictions holds."""
        call = f'as_keras({self.what}, needs="{self.needs}")'
        shapes = f"y_true of shape {_shown(true)} and y_pred of {_shown(predicted)}"
        axis = self.last_axis or _by_shapes(true, predicted)
        if axis is None and self.needs == "labels" and "int" in str(of.dtype):
            axis = "elements"
        if axis is None and self.needs == "scores" and len(predicted) == 2:  # noqa: PLR2004 - scikit-learn's rows and columns
            axis = "outputs"
        if axis is None:
            raise ArgumentError(
                f"{call} cannot know what the last axis of {shapes} is. Pass "
                'last_axis="elements" (one label a number), "classes" (one-hot rows '
                'and a score a class) or "outputs" (several labels at once).'
            )
        if not _fits(axis, true, predicted):
            raise ArgumentError(
                f"{call} wants one label a prediction, not {shapes}. Give both one "
                "shape, or class ids and scores with the classes last."
            )
        return axis

    def compute(self) -> Array:
        """Call the function on all batches since the last reset; NaN without any."""
        y_true, y_pred, *weights = map(np.concatenate, zip(*self._batches, strict=True))
        if not y_true.size:
            return np.full(1, np.nan)
        self._check_one_hot()
        arguments = dict(self.arguments)
        if weights:
            arguments["sample_weight"] = weights[0]
        value = np.asarray(self.function(y_true, y_pred, **arguments), "float64")
        if value.size != 1:
            raise ArgumentError(
                f"{self.what} returned an array of shape {value.shape}; as_keras() "
                "wants a function that returns one number. Give it average=, or pass "
                "a function that picks one."
            )
        return value.reshape(1)

    def _count_one_hot(self, y_true: Array, y_pred: Array) -> None:
        """Count rows that may be classes, where the shapes leave it open."""
        if self.last_axis is None and _by_shapes(y_true.shape, y_pred.shape) is None:
            if not (_is_one_hot(y_true) and _is_one_hot(y_pred)):
                self._one_hot_rows = None
            elif self._one_hot_rows is not None:
                self._one_hot_rows += y_true[..., 0].size

    def _check_one_hot(self) -> None:
        """Raise where labels and predictions read as elements are one-hot rows."""
        if self._one_hot_rows is not None and self._one_hot_rows >= FEWEST_ROWS:
            raise ArgumentError(
                f"as_keras({self.what}) got one-hot rows of integers for y_true and "
                'y_pred. Pass last_axis="classes" if each row is one class, or '
                '"elements" if each number is a label.'
            )

    def reset(self) -> None:
        """Forget all batches."""
        self._one_hot_rows = 0
        self._batches: list[list[Array]] = []


def _known(shape: Sequence[int | None] | None) -> tuple[int, ...] | None:
    """Return a fully known shape, or None."""
    sizes = [size for size in shape or () if size is not None]
    return tuple(sizes) if shape is not None and len(sizes) == len(shape) else None


def _by_shapes(true: tuple[int, ...], predicted: tuple[int, ...]) -> LastAxis | None:
    """Return the meaning of the last axis by the shapes; None if unclear."""
    one, ranks = predicted[-1:] in ((), (1,)), len(predicted) - len(true)
    if ranks == 0 and true == predicted and len(true) > 1 and not one:
        return None
    if ranks < 0 or one or (ranks == 0 and len(true) == 1):
        return "elements"
    return "classes"


def _is_one_hot(rows: Array) -> bool:
    """Return whether each row holds one 1 and else 0."""
    ones = rows == 1
    return bool((ones | (rows == 0)).all() and (ones.sum(-1) == 1).all())


def _fits(axis: LastAxis, true: tuple[int, ...], predicted: tuple[int, ...]) -> bool:
    """Return whether labels and predictions have one shape under this reading."""
    if axis == "elements":
        return true in (predicted, (*predicted, 1)) or predicted == (*true, 1)
    if axis == "outputs":
        return true == predicted and len(true) > 1
    return true in (predicted, predicted[:-1], (*predicted[:-1], 1))


def _elements(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Drop a last axis of length 1 that only one of them has."""
    if y_true.ndim > y_pred.ndim:
        return y_true[..., 0], y_pred
    return y_true, y_pred[..., 0] if y_pred.ndim > y_true.ndim else y_pred


def _spread(values: Any, rows: tuple[int, ...], name: str) -> Array:
    """Return one value a row, `(M,)`, from one a sample or one a row."""
    values = keras.ops.convert_to_numpy(values)
    shape = values.shape
    if values.ndim > len(rows) and shape[-1] == 1:
        values = values[..., 0]
    values = values.reshape(values.shape + (1,) * (len(rows) - values.ndim))
    try:
        return np.broadcast_to(values, rows).reshape(-1)
    except ValueError:
        raise ArgumentError(
            f"as_keras(): {name} has shape {shape}, but there are predictions for "
            f"{rows}. Give one number a sample or one a label."
        ) from None


def _shown(shape: tuple[int, ...]) -> str:
    """Return a shape as text; 0 is the batch."""
    return f"({', '.join(str(size or 'N') for size in shape)})"
