"""The Keras class of a metric: variables around a statistic and a formula."""

import abc
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import keras
import numpy as np
from keras import ops

from multiback.errors import ArgumentError, FewRowsWarning, UnusableValuesWarning
from multiback.keras_private import get_keras_mask, in_stateless_scope
from multiback.metrics import plots
from multiback.metrics.base import sharing
from multiback.metrics.base.bootstrap_states import (
    BootstrapStates,
    Intervals,
    bootstrap_of,
    compiled_mapped,
)
from multiback.metrics.base.replicas import Replicas
from multiback.metrics.base.signature import checked
from multiback.metrics.inputs.task import Task
from multiback.metrics.intervals.bootstrap import percentile_interval
from multiback.metrics.intervals.interval import (
    ENOUGH_ROWS,
    Interval,
    check_level,
    rare_classes,
)
from multiback.metrics.plots.axes import choose_columns
from multiback.metrics.statistics.statistic import (
    STATE_VERSION,
    CountsCauses,
    State,
    Statistic,
)
from multiback.warn import warn

kernels: Any = None
compiled: Any = None
in_step: Any = None
if keras.backend.backend() == "torch":
    from multiback.metrics.fast import torch as kernels
elif keras.backend.backend() == "jax":
    from multiback.metrics.fast import jax as compiled
    from multiback.metrics.fast.results import jax as in_step
elif keras.backend.backend() == "tensorflow":
    from multiback.metrics.fast import tensorflow as compiled
    from multiback.metrics.fast.results import tensorflow as in_step

Tensor = Any
Direction = Literal["max", "min"]

# The threshold of each metric that has one, unless the user sets it.
_DEFAULT = 0.5
# Keras's own callbacks resolve mode="auto" by a private attribute.
KERAS_DIRECTIONS = {"max": "up", "min": "down", None: None}


@runtime_checkable
class Bounded(Protocol):
    """A metric that approximates, with a bound of its error."""

    def compute_bounds(self, state: State) -> Tensor:
        """Return the smallest and the largest value that the data could have."""


# Of a group: ids and the whole config of the metric that counts.
_NOT_SHOWN = ("dtype", "group", "owner")


class Metric(keras.metrics.Metric, abc.ABC):  # type: ignore[misc]  # Keras has no types
    """A streaming metric: what to accumulate, and the formula over it.

    It works wherever a Keras metric does. In a custom loop, or to add up what
    several devices, processes or files have seen, use its two pure parts:
    `metric.statistic` (`init`, `update`, `merge`) and `metric.compute(state)`.

    Subclasses set `direction` and `value_range` and write `compute`.

    Args:
        statistic: What is accumulated.
        name: Name of the metric in Keras's logs.
        dtype: Accepted as Keras's metrics do; the state stays exact and the
            result float32.
        intervals: How `interval()` is computed. None takes the metric's formula, if it
            has one. "bootstrap" keeps 200 more states while the data come, each of rows
            drawn again, which takes as many updates a batch: any metric that takes
            weights has it. `{"replicates": 1000, "seed": 1}` sets both numbers;
            processes whose states are merged want a seed each.

    Attributes:
        direction: Which way is better, "max" or "min"; None where neither is.
            Checkpointing reads it.
        value_range: Smallest and largest value that the metric can take.
        statistic: What is accumulated.
    """

    direction: ClassVar[Direction | None]
    value_range: ClassVar[tuple[float, float]]
    # Advice for other libraries' arguments that this metric does not have.
    instead: ClassVar[Mapping[str, str]] = {}
    # The task and the number of classes, or None if the metric does not classify.
    record: Task | None = None
    # Why the metric has no bootstrap interval, or None if it has.
    never_drawn: str | None = None
    _arguments: dict[str, Any]  # Set by `checked`.

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check the arguments of a subclass's constructor, and keep them as config."""
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = checked(cls.__init__)  # type: ignore[method-assign]
        for name in ("compute_on_arrays", "compute_in_step"):
            # A faster way to the value of a parent is none to that of this formula.
            first = next(c for c in cls.__mro__ if {name, "compute"} & {*vars(c)})
            if name not in vars(first):
                setattr(cls, name, getattr(Metric, name))

    @checked
    def __init__(
        self,
        statistic: Statistic,
        name: str,
        dtype: str | None = None,
        intervals: Intervals = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"name= wants the name for Keras's logs, not {name!r}.")
        super().__init__(name=name, dtype=dtype)
        self._direction = KERAS_DIRECTIONS[self.direction]
        self._bootstrap = bootstrap_of(statistic, intervals, self.never_drawn)
        self._of_states: Any = None
        if self._bootstrap is not None:
            statistic = self._bootstrap
        self.statistic = statistic
        # Set by `group` for an owner: the other members compare their batches with it.
        self.seen: sharing.Seen | None = None
        self._replicas = Replicas(statistic)
        self._state = {
            key: self.add_variable(
                shape=self._replicas.shape(value.shape),
                initializer="zeros",
                dtype=value.dtype,
                name=f"{key}_v{STATE_VERSION}",
            )
            for key, value in statistic.init().items()
        }
        self._told: list[str] = []
        self._views = None if kernels is None else kernels.HostViews(self._state)

    @property
    def wants_probabilities(self) -> bool:
        """Whether logits in place of probabilities would change the value in silence.

        False where `from_logits=True` says what they are, where only the order of
        classes counts, and where `threshold=` was set to something else than 0.5.
        """
        config = self.get_config()
        if config.get("from_logits") is not False:
            return False
        if "threshold" not in config:
            return True
        return config.get("task") != "multiclass" and config["threshold"] == _DEFAULT

    @abc.abstractmethod
    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""

    def compute_on_arrays(self, _state: State) -> Any | None:
        """Return the value for a state of NumPy arrays; None leaves it to `compute`."""
        return None

    def compute_in_step(self, _state: State, _kernels: Any) -> Tensor | None:
        """Return the value within a compiled step; None leaves it to `compute`.

        Keras wants it after each batch, even if it is not shown.

        Args:
            _state: The state, as tensors.
            _kernels: The backend's file of `fast.results`.
        """
        return None

    @property
    def state(self) -> State:
        """The accumulated state, as tensors."""
        return self._replicas.merge(self._tensors())

    def _tensors(self) -> State:
        if compiled is not None:
            found: State = compiled.read(self._state)
            return found
        return {key: ops.convert_to_tensor(v) for key, v in self._state.items()}

    def add_batch(
        self, *batch: Tensor, sample_weight: Tensor | None, mask: Tensor | None
    ) -> None:
        """Add one batch, given as the statistic wants it.

        Raises:
            ArgumentError: The shapes, dtypes or ranks do not fit together. Values
                never raise: see `unusable`.
        """
        if self.seen is not None:
            self.seen.add(*batch, sample_weight)
        if (
            kernels is not None
            and sample_weight is None
            and mask is None
            and kernels.add_batch(self, self._views, batch)
        ):
            return
        plain = compiled is not None and sample_weight is None and mask is None
        if plain and compiled.add_in_xla(self.statistic, self._add, self._state, batch):
            return
        self._add(*batch, sample_weight=sample_weight, mask=mask)

    def _add(
        self,
        *batch: Tensor,
        sample_weight: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> None:
        """Add one batch by assigning the state after it."""
        held = self._tensors()
        before = self._replicas.own(held)
        try:
            after = self._after(before, batch, sample_weight, mask)
        except ArgumentError as error:
            # A model may have many metrics, and outputs of several shapes.
            raise ArgumentError(f"{self.name}: {error}") from error
        for key, variable in self._state.items():
            if after[key] is not before[key]:
                variable.assign(self._replicas.put(held[key], after[key]))

    def _after(
        self,
        before: State,
        batch: tuple[Tensor, ...],
        sample_weight: Tensor | None,
        mask: Tensor | None,
    ) -> State:
        """Return the state with one more batch in it."""
        weights = {"sample_weight": sample_weight, "mask": mask}
        if compiled is not None:
            after: State | None = compiled.update(
                self.statistic, before, *batch, **weights
            )
            if after is not None:
                return after
        return self.statistic.update(before, *batch, **weights)

    def result(self) -> Tensor:
        """Return the value of everything added since the last reset."""
        return self.result_of(self)

    def result_of(self, owner: "Metric") -> Tensor:
        """Return the value of another metric's data."""
        if kernels is not None:
            kernels.same_batch.forget()
            value = kernels.result(self._on_arrays, owner._views)  # noqa: SLF001 - of this class
            if value is not None:
                return value
        state = owner.state
        value = None
        if compiled is not None:
            value = self._fast_result(state)
        elif not in_stateless_scope():
            # Keras tries metrics on made-up data in such a scope.
            self.warn_of_unusable(kernels.to_host(state))
        return self.compute(state) if value is None else value

    def _fast_result(self, state: State) -> Tensor | None:
        """Compute the value by the kernels of a backend that compiles."""
        arrays = compiled.as_arrays(state)
        if arrays is None:
            return self.compute_in_step(state, in_step)
        value = self._on_arrays(arrays)
        return None if value is None else ops.convert_to_tensor(value, "float32")

    def _on_arrays(self, state: State) -> Any | None:
        """Compute the value of a state of NumPy arrays, and warn."""
        self.warn_of_unusable(state)
        return self.compute_on_arrays(state)

    def warn_of_unusable(self, state: State) -> None:
        """Warn once per cause of unusable values, for a state of NumPy arrays."""
        if not isinstance(self.statistic, CountsCauses):
            return
        for cause, count in self.statistic.unusable(state).items():
            if cause not in self._told:
                self._told.append(cause)
                warn(
                    self.statistic.explain(self.name, cause, count),
                    UnusableValuesWarning,
                )

    def interval(self, level: float = 0.95) -> Interval:
        """Return an interval of the value: how sure these data make it.

        It says where the value of endless data like these would lie, from the state
        that the metric has: see the page "How sure is a value?" for the method of each
        metric and its coverage in simulations. Rows are taken as independent: several
        of one patient are not, and `multiback.compare` has `groups=` for these. Weights
        count as in the value, and by their squares in its variance.

        Args:
            level: How often such an interval contains the true value.

        Returns:
            A record with `value`, `lower`, `upper` and `standard_error`: floats, or
            arrays where the metric has several values. NaN where there is no value.

        Raises:
            ArgumentError: The state does not determine an interval; or the level is not
                between 0 and 1.

        Examples:
            >>> import multiback as mb
            >>> metric = mb.metrics.Accuracy()
            >>> metric.update_state([0, 1] * 50, [0.2, 0.9] * 45 + [0.7, 0.1] * 5)
            >>> found = metric.interval()
            >>> round(found.value, 4), round(found.lower, 4), round(found.upper, 4)
            (0.9, 0.8256, 0.9448)
        """
        return self.interval_of(self, level)

    def interval_of(self, owner: "Metric", level: float = 0.95) -> Interval:
        """Return an interval of the value of another metric's data, and warn."""
        state = on_host(owner.state)
        self.warn_of_unusable(state)
        found = self.compute_interval(state, level)
        if self._bootstrap is not None:
            state = self._bootstrap.apart(state)[0]
        rare = rare_classes(self.class_rows(state))
        if rare:
            which = f"class {rare[0]}" + (
                f" and {len(rare) - 1} more" * (len(rare) > 1)
            )
            warn(
                f"{self.name}: {which} {'have' if rare[1:] else 'has'} fewer than "
                f"{ENOUGH_ROWS} rows, so that the interval contains the true value "
                "less often than it says. Use more data.",
                FewRowsWarning,
            )
        return found

    def has_interval(self) -> bool:
        """Return whether `interval()` can return one, whatever the data."""
        if self._bootstrap is not None:
            return True
        state = self.statistic.init()
        try:
            with np.errstate(all="ignore"):
                self.compute_interval(state)
        except ArgumentError:
            return False
        return True

    def compute_interval(self, state: State, level: float = 0.95) -> Interval:
        """Return the interval of the value of a state; see `interval`."""
        level = check_level(level)
        host = on_host(state)
        if self._bootstrap is not None:
            return self._drawn_interval(self._bootstrap, host, level)
        return self.interval_on_arrays(host, level)

    def _drawn_interval(
        self, bootstrap: BootstrapStates, state: State, level: float
    ) -> Interval:
        states = bootstrap.all_states(state)
        first = {key: part[0] for key, part in states.items()}
        if self.compute_on_arrays(first) is not None:
            values = [
                self.compute_on_arrays({key: part[k] for key, part in states.items()})
                for k in range(1 + bootstrap.replicates)
            ]
        else:
            if self._of_states is None:
                self._of_states = compiled_mapped(self.compute)
            values = ops.convert_to_numpy(self._of_states(states))
        return percentile_interval(values[0], values[1:], level)

    def interval_on_arrays(self, _state: State, _level: float) -> Interval:
        """Return the interval of a state of NumPy arrays; metrics write it.

        Raises:
            ArgumentError: The state does not determine one.
        """
        raise ArgumentError(
            f"{self.name} has no interval(): what it adds up does not tell how it "
            'varies. Make it with intervals="bootstrap", or use multiback.metrics.'
            "bootstrap(metric, y_true, y_pred): both draw the rows again."
        )

    def class_rows(self, _state: State) -> Any:
        """Return how many rows each class has, for a state of NumPy arrays."""
        return np.zeros(0)

    def unusable(self) -> dict[str, int]:
        """Return how many elements could not be used since the last reset, by cause.

        The causes are "unknown_label", "nan_label", "soft_label" (not a whole number),
        "nan_score", "outside_score" (not in [0, 1], where probabilities are wanted),
        "unknown_prediction", "unusable_weight" (NaN, infinite or, of a ranking,
        negative), "infinite" and "beyond_capacity".
        Labels that cannot be used make the value NaN.

        Returns:
            The number of each cause that there is; empty if all is well.

        Examples:
            >>> import multiback as mb
            >>> metric = mb.metrics.F1Score()
            >>> metric.update_state([0, 1, 2, 3], [0.1, 0.9, 0.8, 0.7])
            >>> metric.unusable()
            {'unknown_label': 2}
        """
        if not isinstance(self.statistic, CountsCauses):
            return {}
        state = {k: ops.convert_to_numpy(v) for k, v in self.state.items()}
        return self.statistic.unusable(state)

    def explain_unusable(self) -> dict[str, str]:
        """Return the cause and its cure as a sentence, for each key of `unusable()`."""
        if not isinstance(self.statistic, CountsCauses):
            return {}
        return {
            cause: self.statistic.explain(self.name, cause, count)
            for cause, count in self.unusable().items()
        }

    def plot(
        self,
        ax: Any = None,
        *,
        class_names: Sequence[str] | None = None,
        column: int | None = None,
    ) -> tuple[Any, Any]:
        """Draw what was added since the last reset, with matplotlib.

        Metrics that rank scores draw their curve with the operating point, the
        confusion matrix a heat map, the calibration error a reliability diagram; others
        a bar a class, or one value within its range.

        Args:
            ax: Axes of matplotlib to draw on; None makes a figure.
            class_names: A name for each class or label, in place of the ids. It is not
                read where there is one value for all.
            column: The one class or label to draw; None draws all.

        Returns:
            `(figure, axes)` of matplotlib.

        Raises:
            ArgumentError: The names or the column do not fit.
            MissingPackageError: matplotlib is not installed.

        Examples:
            >>> import multiback as mb
            >>> metric = mb.metrics.AUROC()
            >>> metric.update_state([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
            >>> figure, axes = metric.plot()
            >>> axes.get_ylabel()
            'true positive rate'
        """
        state = self.state
        self.warn_of_unusable({k: ops.convert_to_numpy(v) for k, v in state.items()})
        return self.plot_state(state, ax, class_names=class_names, column=column)

    def plot_state(
        self,
        state: State,
        ax: Any = None,
        *,
        class_names: Sequence[str] | None = None,
        column: int | None = None,
    ) -> tuple[Any, Any]:
        """Draw a state; see `plot`."""
        values = ops.convert_to_numpy(self.compute(state))
        if values.ndim == 0:
            if column is not None:
                raise ArgumentError(
                    f"column= wants one value a class, but {self.name} is one number. "
                    "Leave it out."
                )
            return plots.point(
                float(values), self.name, value_range=self.value_range, ax=ax
            )
        if values.ndim > 1:
            raise ArgumentError(
                f"plot() wants one value, or one a class, but {self.name} has shape "
                f"{values.shape}. Write plot_state for it."
            )
        chosen = self.record.chosen if self.record else None
        columns = len(values)
        ids: Sequence[int] = range(columns)
        if self.record is not None and chosen is not None:
            ids, columns = chosen, self.record.columns
        rows = choose_columns(ids, columns, class_names, column)
        return plots.bars(
            values[list(rows)],
            list(rows.values()),
            value_range=self.value_range,
            title=self.name,
            ax=ax,
        )

    def reset_state(self) -> None:
        """Forget all batches."""
        if kernels is not None:
            kernels.same_batch.forget()
        if self.seen is not None:
            self.seen.forget()
        # Keras takes ten times as long to assign zeros.
        if kernels is None or not kernels.reset(self._views):
            super().reset_state()

    def __repr__(self) -> str:
        """Show the arguments that differ from their defaults."""
        defaults: dict[str, Any] = {}
        for base in reversed(type(self).__mro__):
            if "__init__" in vars(base) and base is not object:
                parameters = inspect.signature(vars(base)["__init__"]).parameters
                defaults |= {name: one.default for name, one in parameters.items()}
        shown = []
        for name, value in self.get_config().items():
            is_default = repr(value) == repr(defaults.get(name))
            if name not in _NOT_SHOWN and not is_default:
                shown.append(f"{name}={value!r:.60}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this metric again."""
        return {**super().get_config(), **self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make the metric again."""
        # Up to 0.1 a group's owner wrote an id for its views.
        return cls(**{key: value for key, value in config.items() if key != "group"})


def on_host(state: State) -> State:
    """Return a state as NumPy arrays, viewed where `convert_to_numpy` would copy."""
    found = {}
    for key, value in state.items():
        array = value if isinstance(value, np.ndarray) else None
        if array is None and kernels is not None:
            array = kernels.as_array(value)
        found[key] = ops.convert_to_numpy(value) if array is None else array
    return found


class PairMetric(Metric):
    """A metric of labels or targets against predictions, as `compile` wants it."""

    # The task was taken from the shape of a batch: each other batch must allow it too.
    _is_taken = False

    def decide_task(self, y_pred: Tensor) -> None:
        """Take task=None for "binary" if the shape of `y_pred` leaves no doubt.

        Raises:
            ArgumentError: There may be several classes or labels.
        """
        if self.record is None or (self.record.task is not None and not self._is_taken):
            return
        try:
            self.record = self.record.decided(y_pred, again=self._is_taken)
        except ArgumentError as error:
            raise ArgumentError(f"{self.name}: {error}") from error
        self._is_taken = True
        if "task" in self._arguments:
            self._arguments["task"] = self.record.task

    def update_state(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Add one batch.

        Args:
            y_true: Labels; the class docstring says which shapes.
            y_pred: Predictions; the class docstring says which shapes.
            sample_weight: One number a sample or an element, or None. Keras
                gives weights to `weighted_metrics=` only, never to `metrics=`.

        Raises:
            ArgumentError: The shapes, dtypes or ranks do not fit together. Values
                never raise: see `unusable`.
        """
        self.decide_task(y_pred)
        mask = get_keras_mask(y_pred)
        self.add_batch(y_true, y_pred, sample_weight=sample_weight, mask=mask)
