"""A Keras or multiback metric as pure functions of its state."""

import abc
import inspect
import zlib
from typing import Any

import keras

import multiback.metrics as ours
from multiback.errors import ArgumentError
from multiback.metrics.base.metric import PairMetric

Tensor = Any
State = dict[str, Tensor]


class Functional(abc.ABC):
    """A metric's accumulated state, separate from its object.

    Attributes:
        metric: The metric.
        pairs: Whether it compares targets with predictions, rather than taking
            plain values.
        identity: Equal for metrics with the same accumulated state.
    """

    identity: str

    def __init__(self, metric: Any) -> None:
        self.metric = metric
        self.pairs = "y_pred" in inspect.signature(metric.update_state).parameters

    def __getstate__(self) -> dict[str, Any]:
        """Write the metric as its config; Keras would write a whole archive."""
        config = keras.saving.serialize_keras_object(self.metric)
        return {**vars(self), "metric": config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        metric = keras.saving.deserialize_keras_object(state["metric"])
        vars(self).update(state, metric=metric)

    @abc.abstractmethod
    def init(self) -> State:
        """Return the state of no data, all zeros."""

    @abc.abstractmethod
    def update(self, state: State, *batch: Tensor, sample_weight: Tensor) -> State:
        """Return the state with one more batch in it."""

    @abc.abstractmethod
    def merge(self, a: State, b: State) -> State:
        """Return the state of both states' data together."""

    @abc.abstractmethod
    def compute(self, state: State) -> Tensor:
        """Return the value."""


class StatisticFunctional(Functional):
    """A multiback metric: its statistic, and its formula."""

    def __init__(self, metric: ours.Metric) -> None:
        super().__init__(metric)
        self.identity = _digest(metric.statistic)

    def init(self) -> State:
        """Return the state of no data."""
        return self.metric.statistic.init()  # type: ignore[no-any-return]

    def update(self, state: State, *batch: Tensor, sample_weight: Tensor) -> State:
        """Return the state with one more batch in it."""
        if isinstance(self.metric, PairMetric):
            self.metric.decide_task(batch[1])
        after: State = self.metric.statistic.update(
            state, *batch, sample_weight=sample_weight
        )
        return after

    def merge(self, a: State, b: State) -> State:
        """Return the state of both states' data together."""
        return self.metric.statistic.merge(a, b)  # type: ignore[no-any-return]

    def compute(self, state: State) -> Tensor:
        """Return the value, and warn once per cause of unusable values."""
        self.metric.warn_of_unusable(
            {
                key: keras.ops.convert_to_numpy(state[key])
                for key in ("unusable", "used")
                if key in state
            }
        )
        return self.metric.compute(state)


class VariablesFunctional(Functional):
    """A Keras metric whose variables add up, as Keras adds those of replicas."""

    def __init__(self, metric: keras.metrics.Metric) -> None:
        super().__init__(metric)
        variables = metric.variables
        if not variables:
            raise self._not_built()
        for variable in variables:
            if variable.aggregation != "sum":
                raise ArgumentError(
                    f"as_torchmetric() wants variables that add up, but "
                    f"{variable.path!r} has aggregation={variable.aggregation!r}: two "
                    "processes could not be merged."
                )
        self._count = len(variables)
        # A copy, which Keras makes from the config, makes its variables from these
        # shapes.
        self._example: list[Any] | None = None
        config = {k: v for k, v in metric.get_config().items() if k != "name"}
        self.identity = _digest((type(metric).__qualname__, config))

    def init(self) -> State:
        """Return the state of no data."""
        ops = keras.ops
        return {
            str(index): ops.zeros(variable.shape, dtype=variable.dtype)
            for index, variable in enumerate(self.metric.variables)
        }

    def update(self, state: State, *batch: Tensor, sample_weight: Tensor) -> State:
        """Return the state with one more batch in it; a new variable raises."""
        if self._example is None:
            self._example = [keras.ops.zeros_like(each[:1]) for each in batch]
        self._make_variables()
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        after = self.metric.stateless_update_state(
            list(state.values()), *batch, **weights
        )
        if len(after) != len(state):
            raise self._not_built()
        return dict(zip(state, after, strict=True))

    def merge(self, a: State, b: State) -> State:
        """Return the state of both states' data together."""
        return {key: a[key] + b[key] for key in a}

    def compute(self, state: State) -> Tensor:
        """Return the value."""
        self._make_variables()
        return self.metric.stateless_result(list(state.values()))

    def _make_variables(self) -> None:
        """Let a copy make the variables of the metric's first update."""
        if len(self.metric.variables) < self._count and self._example is not None:
            self.metric.update_state(*self._example)
            self.metric.reset_state()

    def _not_built(self) -> ArgumentError:
        return ArgumentError(
            f"as_torchmetric() wants to know the variables of {self.metric.name!r}, "
            "which makes some in its first update: call its update_state on a batch, "
            "then its reset_state, and give it to as_torchmetric() after that."
        )


def functional(metric: Any) -> Functional:
    """Split a metric into pure functions and a state that can be merged."""
    if isinstance(metric, ours.Metric):
        return StatisticFunctional(metric)
    if isinstance(metric, keras.metrics.Metric):
        return VariablesFunctional(metric)
    raise ArgumentError(
        f"as_torchmetric() wants a multiback or Keras metric, not {metric!r}."
    )


def _digest(description: object) -> str:
    """Return a short name that is the same in every process."""
    return f"{zlib.crc32(repr(description).encode()):08x}"
