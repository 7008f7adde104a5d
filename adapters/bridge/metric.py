"""A Keras metric for state that another library accumulates on the host."""

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

    Two variables represent it in the step: the number of batches, which keeps updates
    in order, and the last computed values. Keras asks for the result after every batch;
    to compute it each time would take longer than the training, so inside of a step the
    last computed values are returned, NaN before the first. They are computed when the
    caller is outside of a step, as Keras is at the end of an epoch, and every
    `compute_every` batches.

    Args:
        accumulator: The accumulator.
        name: Name of the metric in Keras's logs.
        direction: Which way is better, "max" or "min"; None if unknown.
        compute_every: Compute after every so many batches too.

    Raises:
        ArgumentError: `compute_every` is not a number of batches.
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
        # True once Keras tried it on made-up data: then it is compiled into a model.
        self._compiled = False
        self._warned = False
        self._batches = self.add_variable((), "zeros", dtype="int32", name="batches")
        self._values: Any = None
        # What compiled steps call.
        self._traced: list[Any] = []
        # The tally's values, and the result that was made of them.
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
            ArgumentError: Weights were given, but the library does not support them.
        """
        arrays = self._arrays(y_true, y_pred, sample_weight)
        if self._values is None:
            self._build(arrays["y_true"], arrays["y_pred"])
        if in_symbolic_scope():
            self._compiled = True
            return
        names, tally = tuple(arrays), self._tally
        if _in_plain_python():
            # The variables are assigned when the values are computed.
            tally.update(tally.batches or int(self._batches), **arrays)
            return

        traced = self._is_traced()
        # Inside of a step the values change only where they are computed there.
        changes = self.compute_every is not None

        def update(count: Any, *values: Any) -> tuple[Any, ...]:
            arrays = dict(zip(names, values, strict=True))
            batches = tally.update(int(count), may_wait=traced, **arrays)
            return (batches, tally.values) if changes else (batches,)

        count, *computed = _backend().run(
            update,
            ops.convert_to_tensor(self._batches),
            list(arrays.values()),
            tally.width if changes else None,
            self._traced,
        )
        self._batches.assign(count)
        if computed:
            self._values.assign(computed[0])

    def _arrays(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None
    ) -> dict[str, Tensor]:
        """Name the arrays for the host."""
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
        """Find the layout of the result."""
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
        """Return the value of all batches since the last reset.

        Returns:
            A number, or a dictionary of several. Inside a step it is the last computed
            value, or NaN before the first one.
        """
        if self._values is None:
            return ops.convert_to_tensor(math.nan, dtype="float32")
        if not self._is_asked_in_step():
            self._compute()
        if not (_in_plain_python() and self._tally.batches):
            # Copy: PyTorch assigns in place, and Keras keeps an epoch's logs.
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
        """Return the result, computed now even inside a step."""
        self._tally.asked = True
        return self.result()

    def written(self) -> str:
        """Return the metric's source text, for messages."""
        return self._tally.accumulator.what

    @contextlib.contextmanager
    def set_aside(self) -> Iterator[None]:
        """Set the accumulated state aside, and accumulate other data in the block.

        The caller keeps the variables.
        """
        kept = self._tally
        self._tally = copy.deepcopy(kept)
        try:
            yield
        finally:
            if kept.width != self._tally.width:  # The layout is known now.
                kept.width = self._tally.width
                kept.reset()
            self._tally = kept

    def _named(self, values: Tensor) -> Tensor | dict[str, Tensor]:
        """Return the number, or a dictionary of several."""
        if self._elements == self._SINGLE:
            return values[0]
        # A single operation: a slice for each element would compile slowly.
        numbers = ops.unstack(values, num=len(self._elements))
        return {
            f"{self.name}{element}": number
            for element, number in zip(self._elements, numbers, strict=True)
        }

    def _is_asked_in_step(self) -> bool:
        """Return whether Keras asks for the result after a batch, and not a user.

        In a traced step the trace shows it. PyTorch's step is not traced: there Keras
        asks once after each update, and once more at the end of the epoch. For a metric
        that was never compiled, every caller wants the value.
        """
        tally = self._tally
        asked, tally.asked = tally.asked, True
        if in_symbolic_scope():
            return True
        if _in_plain_python():
            return self._compiled and not asked
        return self._is_traced()

    def _is_traced(self) -> bool:
        """Return whether a step is traced."""
        return bool(_backend().in_step(ops.convert_to_tensor(self._batches)))

    def _compute(self) -> None:
        """Compute the values, if their batches are in this process.

        They are not in a metric whose variables come from a checkpoint.
        """
        tally = self._tally
        if _in_plain_python() and tally.batches:
            self._batches.assign(tally.batches)
        # Waits for pending steps.
        batches = int(ops.convert_to_numpy(self._batches))
        tally.check()
        if batches and batches == tally.batches:
            self._values.assign(tally.compute())
            doubt = tally.accumulator.doubt()
            if doubt and not self._warned:
                self._warned = True
                warn(f"{self.name}: {doubt}", GuessedLogitsWarning)

    def reset_state(self) -> None:
        """Forget all batches."""
        if not in_stateless_scope():
            # Waits for pending steps.
            ops.convert_to_numpy(self._batches)
            self._tally.reset()
        self._batches.assign(0)
        if self._values is not None:
            self._values.assign(ops.full((self._tally.width,), math.nan, "float32"))


def _in_plain_python() -> bool:
    """Return whether no code is compiled or pure, so that variables are not needed."""
    return keras.backend.backend() == "torch" and not in_stateless_scope()


@functools.cache
def _backend() -> Any:
    """Import the file named after Keras's backend."""
    return importlib.import_module(f".{keras.backend.backend()}", __package__)


def _widen(tensor: Tensor) -> Tensor:
    """Widen narrower floats to float32; NumPy lacks them."""
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
