"""Any scikit-learn metric as a Keras metric, computed over the whole set."""

from typing import Any, Literal, Self

import keras

from multiback.adapters.bridge import HostMetric
from multiback.adapters.sklearn_batches import (
    Function,
    LastAxis,
    Needs,
    SklearnAccumulator,
)
from multiback.errors import ArgumentError, MissingPackageError

__all__ = ["as_keras"]


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
        """Return the arguments that make this metric again."""
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
