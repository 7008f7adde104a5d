"""Any scikit-learn metric as a Keras metric, computed over the whole set."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any, Literal, Self

import keras
import numpy as np

from multiback.adapters.bridge import Accumulator, HostMetric, Spec
from multiback.errors import ArgumentError, MissingPackageError

__all__ = ["as_keras"]

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]
Needs = Literal["scores", "labels"]


class SklearnAccumulator(Accumulator):
    """Collect everything and call a function of scikit-learn on it.

    Args:
        function: Takes `(y_true, y_pred)` and returns a number.
        needs: "scores" for predictions as they are, "labels" for decided classes.
        threshold: A score above it is class 1.
        arguments: Further keyword arguments of the function.
    """

    def __init__(
        self,
        function: Function,
        needs: Needs,
        threshold: float,
        arguments: dict[str, Any],
    ) -> None:
        self.function = function
        self.needs = needs
        self.threshold = threshold
        self.arguments = arguments
        self.what = getattr(function, "__name__", repr(function))
        self.takes_weights = "sample_weight" in inspect.signature(function).parameters
        self.reset()

    def layout(self, y_true: Spec, y_pred: Spec) -> tuple[str, ...]:
        """Say that there is one number, and that classes can be decided."""
        if (
            self.needs == "labels"
            and y_pred.shape[-1:] not in ((), (1,))
            and y_true.shape == y_pred.shape
        ):
            raise ArgumentError(
                f'as_keras({self.what}, needs="labels") cannot know whether rows of '
                f"{y_pred.shape[-1]} labels are one-hot or several at once: give Keras "
                "class ids for the one, or pass a function that decides for the other."
            )
        return ("",)

    def update(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, mask: Any = None
    ) -> None:
        """Keep one batch."""
        batch = [keras.ops.convert_to_numpy(each) for each in (y_true, y_pred)]
        if sample_weight is not None:
            batch.append(keras.ops.convert_to_numpy(sample_weight))
        if mask is not None:
            keep = keras.ops.convert_to_numpy(mask).astype(bool)
            batch = [each[keep] for each in batch]
        # Copies: PyTorch's arrays share the memory of tensors.
        self._batches.append([np.array(_squeeze(each)) for each in batch])

    def compute(self) -> Array:
        """Call the function on everything since the last reset."""
        y_true, y_pred, *weights = map(np.concatenate, zip(*self._batches, strict=True))
        if self.needs == "labels":
            if y_pred.ndim > y_true.ndim:
                y_pred = y_pred.argmax(-1)
            else:
                y_pred = (y_pred > self.threshold).astype("int64")
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

    def reset(self) -> None:
        """Forget everything."""
        self._batches: list[list[Array]] = []


def _squeeze(array: Array) -> Array:
    """Make `(N,)` of a column."""
    return array[..., 0] if array.ndim > 1 and array.shape[-1] == 1 else array


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
    ) -> None:
        super().__init__(
            SklearnAccumulator(function, needs, threshold, arguments),
            name=name,
            direction=direction,
            compute_every=compute_every,
        )
        self._function = function
        self._needs = needs
        self._threshold = threshold
        self._arguments = arguments

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
    compute_every: int | None = None,
    **arguments: Any,
) -> Any:
    """Make a scikit-learn metric one that Keras can compile, on any backend.

    All labels and predictions of an epoch are kept, and the function is called once
    on the whole set, at the end: nothing is averaged over batches. Within an epoch
    the logs show NaN, or with `compute_every=` what was computed last. Columns
    `(N, 1)` become numbers `(N,)`. Elements that a Keras mask leaves out do not
    count. Under `weighted_metrics=` the weights become the function's
    `sample_weight`; a function that has none is an error as soon as there are any.

    On TensorFlow the step must not be compiled by XLA: `jit_compile=False`.

    Args:
        function: A function of `sklearn.metrics` or its name there, or any function
            of `(y_true, y_pred)` that returns a number. Only the former, and
            functions registered with Keras, can be saved with a model.
        needs: "scores" gives the function the predictions as they are:
            probabilities, logits, or numbers. "labels" gives it class ids: of
            several columns the index of the largest, of one column 1 where it is
            above the threshold.
        name: Name in Keras's logs; by default the function's.
        direction: Which way is better, "max" or "min"; checkpoints read it.
        threshold: For "labels" of one column.
        compute_every: Compute after every so many batches too.
        **arguments: Further arguments of the function, such as `average="macro"`.

    Returns:
        A Keras metric.

    Raises:
        ArgumentError: An argument is not usable.
        MissingPackageError: `function` is a name, and scikit-learn is not installed.

    Example:
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
    )


def _sklearn_metrics() -> Any:
    try:
        return importlib.import_module("sklearn.metrics")
    except ImportError as error:
        raise MissingPackageError(
            f"as_keras() needs scikit-learn, which cannot be imported ({error}). "
            'Install it with:\npip install "multiback[sklearn]"'
        ) from error


def _name_of(function: Function) -> str:
    """Write a function as a name that `_find` finds."""
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
        # A config may come from anybody's file: the public list, nothing else.
        if attribute in library.__all__:
            found = getattr(library, attribute)
    if found is None or not callable(found):
        raise ArgumentError(
            f"There is no function {name!r}: as_keras() wants the name of one in "
            "sklearn.metrics, or one registered with Keras."
        )
    function: Function = found
    return function
