"""The Keras face of what another library accumulates on the host."""

import contextlib
import copy
import functools
import importlib
import math
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import keras
from keras import ops

from multiback.adapters.bridge.accumulator import Accumulator, Spec, Tally
from multiback.errors import ArgumentError, GuessedLogitsWarning
from multiback.keras_private import (
    get_keras_mask,
    in_stateless_scope,
    in_symbolic_scope,
)
from multiback.warn import warn

Tensor = Any
Direction = Literal["max", "min"]

# Keras's own callbacks resolve mode="auto" by a private attribute.
KERAS_DIRECTIONS = {"max": "up", "min": "down", None: None}


class HostMetric(keras.metrics.Metric):  # type: ignore[misc]  # Keras has no types
    """A Keras metric whose state an accumulator keeps on the host.

    Two variables stand for it in the step: how many batches there were, which keeps
    updates in order, and the values that were computed last. Keras asks for the
    result after every batch; to compute it each time would take longer than the
    training, so inside of a step the last computed values are returned, NaN before
    the first. They are computed when somebody asks outside of a step, as Keras does
    at the end of an epoch, and every `compute_every` batches.

    Args:
        accumulator: What does the work.
        name: Name of the metric in Keras's logs.
        direction: Which way is better, "max" or "min"; None where nothing says so.
        compute_every: Compute after every so many batches too.

    Raises:
        ArgumentError: `compute_every` is no number of batches.
    """

    _SINGLE: ClassVar[tuple[str, ...]] = ("",)

    def __init__(
        self,
        accumulator: Accumulator,
        name: str,
        direction: Direction | None,
        compute_every: int | None = None,
    ) -> None:
        if compute_every is not None and (
            isinstance(compute_every, bool)
            or not isinstance(compute_every, int)
            or compute_every < 1
        ):
            raise ArgumentError(
                "compute_every= wants a number of batches, at least 1, or None for "
                f"the end of an epoch, not {compute_every!r}."
            )
        super().__init__(name=name)
        self._direction = KERAS_DIRECTIONS[direction]
        self.direction = direction
        self.compute_every = compute_every
        self._tally = Tally(accumulator, compute_every)
        self._elements: tuple[str, ...] = self._SINGLE
        # Keras tried it on made-up data, so it is compiled into a model.
        self._compiled = False
        self._warned = False
        self._batches = self.add_variable((), "zeros", dtype="int32", name="batches")
        self._values: Any = None
        # The tally's values, and what `result` made of them.
        self._shown: tuple[Any, Any] = (None, None)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Add one batch.

        Args:
            y_true: Labels or targets.
            y_pred: Predictions.
            sample_weight: One number a sample or an element, or None.

        Raises:
            ArgumentError: Weights came where the library knows none.
        """
        arrays = self._arrays(y_true, y_pred, sample_weight)
        if self._values is None:
            self._build(arrays["y_true"], arrays["y_pred"])
        if in_symbolic_scope():
            self._compiled = True
            return
        names, tally = tuple(arrays), self._tally
        if _in_plain_python():
            # The variables follow when the values are computed.
            tally.update(tally.batches or int(self._batches), **arrays)
            return

        def update(count: int, *values: Any) -> tuple[int, Any]:
            batches = tally.update(count, **dict(zip(names, values, strict=True)))
            return batches, tally.values

        count, computed = _backend().run(
            update,
            ops.convert_to_tensor(self._batches),
            list(arrays.values()),
            tally.width,
        )
        self._batches.assign(count)
        self._values.assign(computed)

    def _arrays(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None
    ) -> dict[str, Tensor]:
        """Name what goes to the host."""
        accumulator = self._tally.accumulator
        if sample_weight is not None and not accumulator.takes_weights:
            raise ArgumentError(
                f"{self.name} was given sample weights, which {accumulator.what} does "
                "not know: compile it under metrics=, not weighted_metrics=. Metrics "
                "of multiback.metrics take weights."
            )
        given = {
            "y_true": y_true,
            "y_pred": y_pred,
            "sample_weight": sample_weight,
            "mask": get_keras_mask(y_pred),
        }
        return {
            key: _widen(value if ops.is_tensor(value) else ops.convert_to_tensor(value))
            for key, value in given.items()
            if value is not None
        }

    def _build(self, y_true: Tensor, y_pred: Tensor) -> None:
        """Learn what the result looks like."""
        tally = self._tally
        self._elements = tally.accumulator.layout(_spec(y_true), _spec(y_pred))
        tally.width = len(self._elements)
        tally.reset()
        self._values = self.add_variable(
            (tally.width,),
            keras.initializers.Constant(math.nan),
            dtype="float32",
            name="values",
        )

    def result(self) -> Tensor | dict[str, Tensor]:
        """Return the value of everything added since the last reset.

        Returns:
            A number; a dictionary of numbers where there are several. Inside of a
            step what was computed last, and NaN where nothing was.
        """
        if self._values is None:
            return ops.convert_to_tensor(math.nan, dtype="float32")
        if not self._is_asked_in_step():
            self._compute()
        if not (_in_plain_python() and self._tally.batches):
            # Copy: PyTorch assigns in place, and Keras keeps the logs of an epoch.
            return self._named(ops.copy(ops.convert_to_tensor(self._values)))
        of, shown = self._shown
        if of is not self._tally.values:
            of = self._tally.values
            shown = self._named(ops.convert_to_tensor(of))
            self._shown = of, shown
        return shown

    @property
    def several(self) -> bool:
        """Whether the result is a dictionary; known after the first batch."""
        return self._elements != self._SINGLE

    def computed(self) -> Tensor | dict[str, Tensor]:
        """Return what `result` does, computed now whoever asks."""
        self._tally.asked = True
        return self.result()

    def written(self) -> str:
        """Write what it was made from, for messages."""
        return self._tally.accumulator.what

    @contextlib.contextmanager
    def set_aside(self) -> Iterator[None]:
        """Keep what was accumulated, and accumulate something else in the meantime.

        The variables are the caller's to keep.
        """
        kept = self._tally
        self._tally = copy.deepcopy(kept)
        try:
            yield
        finally:
            if kept.width != self._tally.width:  # What it looks like is known now.
                kept.width = self._tally.width
                kept.reset()
            self._tally = kept

    def _named(self, values: Tensor) -> Tensor | dict[str, Tensor]:
        """Return the number, or a dictionary of several."""
        if self._elements == self._SINGLE:
            return values[0]
        # One operation: a slice for each of many elements would be slow to compile.
        numbers = ops.unstack(values, num=len(self._elements))
        return {
            f"{self.name}{element}": number
            for element, number in zip(self._elements, numbers, strict=True)
        }

    def _is_asked_in_step(self) -> bool:
        """Tell Keras's question after each batch from any other one.

        Where a step is traced the trace tells. PyTorch's is not: there Keras asks
        once after each update, and once more at the end of the epoch. A metric that
        was never compiled is asked by somebody who wants to know.
        """
        tally = self._tally
        asked, tally.asked = tally.asked, True
        if in_symbolic_scope():
            return True
        if _in_plain_python():
            return self._compiled and not asked
        return bool(_backend().in_step(ops.convert_to_tensor(self._batches)))

    def _compute(self) -> None:
        """Bring the values up to date, if their batches are here.

        They are elsewhere in a metric whose variables come from a checkpoint.
        """
        tally = self._tally
        if _in_plain_python() and tally.batches:
            self._batches.assign(tally.batches)
        # Waits for the steps that are under way.
        batches = int(ops.convert_to_numpy(self._batches))
        if batches and batches == tally.batches:
            self._values.assign(tally.compute())
            doubt = tally.accumulator.doubt()
            if doubt and not self._warned:
                self._warned = True
                warn(f"{self.name}: {doubt}", GuessedLogitsWarning)

    def reset_state(self) -> None:
        """Forget everything."""
        if not in_stateless_scope():
            # Waits for the steps that are under way.
            ops.convert_to_numpy(self._batches)
            self._tally.reset()
        self._batches.assign(0)
        if self._values is not None:
            self._values.assign(ops.full((self._tally.width,), math.nan, "float32"))


def _in_plain_python() -> bool:
    """Return whether nothing is compiled or pure, so that variables are not needed."""
    return keras.backend.backend() == "torch" and not in_stateless_scope()


@functools.cache
def _backend() -> Any:
    """Import the file that is named after Keras's backend."""
    return importlib.import_module(f".{keras.backend.backend()}", __package__)


def _widen(tensor: Tensor) -> Tensor:
    """Make float32 of narrower floats, which NumPy lacks."""
    return ops.cast(tensor, "float32") if _is_narrow(tensor.dtype) else tensor


@functools.cache
def _is_narrow(dtype: Any) -> bool:
    name = keras.backend.standardize_dtype(dtype)
    return name in ("bfloat16", "float16") or name.startswith("float8")


def _spec(tensor: Tensor) -> Spec:
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    try:
        sizes = tuple(tensor.shape)[1:]
    except ValueError:  # TensorFlow knows no rank.
        return Spec(None, dtype)
    return Spec(tuple(None if size is None else int(size) for size in sizes), dtype)
