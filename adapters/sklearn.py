"""Any scikit-learn metric as a Keras metric, computed over the whole set."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import keras
import numpy as np

from multiback.adapters.bridge import Accumulator, HostMetric, Spec
from multiback.errors import ArgumentError, MissingPackageError

__all__ = ["as_keras"]

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]
Needs = Literal["scores", "labels"]
LastAxis = Literal["elements", "classes", "outputs"]
# So many rows of labels of their own are not all one-hot by chance.
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


@keras.saving.register_keras_serializable("multiback")
class SklearnMetric(HostMetric):
    """A Keras metric that scikit-learn computes; `as_keras` makes it."""

    def __init__(
        self,
        function: Function,
        needs: Needs,
        *,
        name: str,
        direction: Literal["max", "min"] | None,
        threshold: float,
        compute_every: int | None,
        arguments: dict[str, Any],
        last_axis: LastAxis | None = None,
    ) -> None:
        super().__init__(
            SklearnAccumulator(function, needs, threshold, last_axis, arguments),
            name=name,
            direction=direction,
            compute_every=compute_every,
        )
        self._function = function
        self._needs = needs
        self._threshold = threshold
        self._last_axis = last_axis
        self._arguments = arguments

    def written(self) -> str:
        """Return the metric's source text, for messages."""
        name = getattr(self._function, "__name__", "function")
        return f'{name}, needs="{self._needs}"'

    def changed(self, **arguments: Any) -> "SklearnMetric":
        """Make the metric again with another threshold or last axis."""
        return SklearnMetric(
            self._function,
            self._needs,
            name=self.name,
            direction=self.direction,
            threshold=arguments.get("threshold", self._threshold),
            last_axis=arguments.get("last_axis", self._last_axis),
            compute_every=self.compute_every,
            arguments=self._arguments,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again.

        Raises:
            ArgumentError: The function is neither scikit-learn's nor registered.
        """
        return {
            "function": _name_of(self._function),
            "needs": self._needs,
            "name": self.name,
            "direction": self.direction,
            "threshold": self._threshold,
            "compute_every": self.compute_every,
            "arguments": dict(self._arguments),
            "last_axis": self._last_axis,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make the metric."""
        return cls(**{**config, "function": _find(config["function"])})


def as_keras(
    function: Function | str,
    needs: Needs,
    name: str | None = None,
    direction: Literal["max", "min"] | None = None,
    *,
    threshold: float = 0.5,
    last_axis: LastAxis | None = None,
    compute_every: int | None = None,
    **arguments: Any,
) -> Any:
    """Make a scikit-learn metric one that Keras can compile, on any backend.

    All labels and predictions of an epoch are kept, and the function is called once on
    the whole set, at the end: nothing is averaged over batches. Within an epoch the
    logs show NaN, or with `compute_every=` what was computed last. Masked elements do
    not count. Under `weighted_metrics=` the weights become the function's
    `sample_weight`; a function without this argument raises if there are weights.

    On TensorFlow the step must not be compiled by XLA: `jit_compile=False`.

    Args:
        function: A function of `sklearn.metrics` or its name there, or any function
            of `(y_true, y_pred)` that returns a number. Only the former, and
            functions registered with Keras, can be saved with a model.
        needs: "scores" gives the function the predictions as they are:
            probabilities, logits, or numbers. "labels" gives it class ids: of
            several scores the index of the largest, of one score 1 where it is
            above the threshold; integers are class ids already.
        name: Name in Keras's logs; by default the function's.
        direction: Which way is better, "max" or "min"; checkpoints read it.
        threshold: For "labels" of one score.
        last_axis: What the last axis of `y_pred` holds. None reads it from the shapes
            and raises if they are ambiguous. "elements": no meaning; each number is one
            prediction, as in `(N, 1)`, `(N, T)` or `(N, T, 1)`. "classes": one score a
            class, as in `(N, T, C)`, for class ids `(N, T)` or one-hot rows. "outputs":
            several labels or targets at once, as scikit-learn takes `(N, C)`. The axes
            before it become one, so that batches may have sequences of other lengths.
        compute_every: Compute after every so many batches too.
        **arguments: More arguments of the function, such as `average="macro"`.

    Returns:
        A Keras metric.

    Raises:
        ArgumentError: An argument is not usable.
        MissingPackageError: `function` is a name, and scikit-learn is not installed.

    Examples:
        >>> metric = as_keras("f1_score", needs="labels", direction="max")
        >>> metric.update_state([0, 1, 1], [0.3, 0.2, 0.9])
        >>> metric.update_state([0, 1], [0.8, 0.7])
        >>> round(float(metric.result()), 6)
        0.666667
    """
    if needs not in ("scores", "labels"):
        raise ArgumentError(f'needs= wants "scores" or "labels", not {needs!r}.')
    if direction not in ("max", "min", None):
        raise ArgumentError(f'direction= wants "max" or "min", not {direction!r}.')
    if last_axis not in ("elements", "classes", "outputs", None):
        raise ArgumentError(
            'last_axis= wants "elements", "classes", "outputs" or None, not '
            f"{last_axis!r}."
        )
    if isinstance(function, str):
        function = _find(f"sklearn.metrics.{function}")
    if not callable(function):
        raise ArgumentError(
            f"as_keras() wants a function of (y_true, y_pred), not {function!r}."
        )
    return SklearnMetric(
        function,
        needs,
        name=name or str(getattr(function, "__name__", type(function).__name__)),
        direction=direction,
        threshold=threshold,
        compute_every=compute_every,
        arguments=arguments,
        last_axis=last_axis,
    )


def _sklearn_metrics() -> Any:
    try:
        import sklearn.metrics as library
    except ImportError as error:
        raise MissingPackageError(
            f"as_keras() needs scikit-learn, which cannot be imported ({error}). "
            'Install it with:\npip install "multiback[sklearn]"'
        ) from error
    return library


def _name_of(function: Function) -> str:
    """Return a function's name, as `_find` takes it."""
    name: str = getattr(function, "__name__", "")
    if getattr(function, "__module__", "").startswith("sklearn.metrics"):
        return f"sklearn.metrics.{name}"
    registered = keras.saving.get_registered_name(function)
    if registered == name or not name:
        raise ArgumentError(
            f"{function!r} is no function of sklearn.metrics, so a model compiled "
            "with it cannot be saved whole. Register it with "
            "keras.saving.register_keras_serializable()."
        )
    return str(registered)


def _find(name: str) -> Function:
    """Find a function by name: a registered one, or one of `sklearn.metrics`."""
    found = keras.saving.get_registered_object(name)
    module, _, attribute = name.rpartition(".")
    if found is None and module == "sklearn.metrics":
        library = _sklearn_metrics()
        # A config may come from any file: only the public list is allowed.
        if attribute in library.__all__:
            found = getattr(library, attribute)
    if found is None or not callable(found):
        raise ArgumentError(
            f"There is no function {name!r}: as_keras() wants the name of one in "
            "sklearn.metrics, or one registered with Keras."
        )
    function: Function = found
    return function
