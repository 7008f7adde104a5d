"""Several metrics over one state: `group`, and the views that it makes."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from multiback.errors import ArgumentError
from multiback.metrics.base import sharing
from multiback.metrics.base.curves import PrecisionRecallCurve, ROCCurve
from multiback.metrics.base.metric import (
    KERAS_DIRECTIONS,
    Bounded,
    Direction,
    Metric,
    PairMetric,
)
from multiback.metrics.base.score_metric import (
    Ranked,
    ScoreMetric,
    Thresholded,
    as_floats,
)
from multiback.metrics.intervals.interval import Interval
from multiback.metrics.statistics.statistic import State, Statistic, Tensor


class _Hidden:
    """Keep metrics where Keras, which tracks attributes, does not find them.

    Keras would save, reset and update the owner's variables once more for each view
    with a plain attribute.
    """

    def __init__(self, metric: Metric, owner: Metric) -> None:
        self.metric = metric
        self.owner = owner


@keras.saving.register_keras_serializable("multiback")
class View(keras.metrics.Metric):  # type: ignore[misc]  # Keras has no types
    """A metric that owns no variables and reads those of another one.

    A saved view is a metric of its own when it is loaded: sharing only saves time.

    `group` makes views; there is no need to call this.

    Args:
        metric: The metric whose formula this is.
        owner: The metric whose state is read; their statistics are equal.
    """

    def __init__(self, metric: Metric, owner: Metric) -> None:
        super().__init__(name=metric.name, dtype=metric.dtype)
        self._direction = KERAS_DIRECTIONS[metric.direction]
        self._hidden = _Hidden(metric, owner)
        self.seen = sharing.Seen()

    @property
    def direction(self) -> Direction | None:
        """Which way is better."""
        return self._hidden.metric.direction

    @property
    def wants_probabilities(self) -> bool:
        """Whether logits in place of probabilities would change the value."""
        return self._hidden.metric.wants_probabilities

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest value that the metric can take."""
        return self._hidden.metric.value_range

    @property
    def statistic(self) -> Statistic:
        """What the owner accumulates."""
        return self._hidden.owner.statistic

    @property
    def state(self) -> State:
        """The owner's state, as tensors."""
        return self._hidden.owner.state

    def compute(self, state: State) -> Tensor:
        """Return the metric's value for a state."""
        return self._hidden.metric.compute(state)

    def bounds(self) -> Any:
        """Return certain bounds of the value, if the metric has them."""
        metric = self._hidden.metric
        if not isinstance(metric, Bounded):
            raise ArgumentError(f"{self.name} is exact: it has no bounds().")
        if isinstance(metric, ScoreMetric):
            return metric.bounds_of(self.state)
        return as_floats(metric.compute_bounds(self.state))

    def has_interval(self) -> bool:
        """Return whether `interval()` can return one, whatever the data."""
        return self._hidden.metric.has_interval()

    def compute_interval(self, state: State, level: float = 0.95) -> Interval:
        """Return the interval of the value of a state; see `Metric.interval`."""
        return self._hidden.metric.compute_interval(state, level)

    def interval(self, level: float = 0.95) -> Interval:
        """Return an interval of the value; see `Metric.interval`."""
        return self._hidden.metric.interval_of(self._hidden.owner, level)

    def threshold(self) -> Any:
        """Return the threshold that the value was reached with, if there is one."""
        metric = self._hidden.metric
        if not isinstance(metric, Thresholded):
            raise ArgumentError(f"{self.name} chooses no threshold().")
        return metric.compute_threshold(self.state)

    def roc_curve(self, column: int | None = None) -> ROCCurve:
        """Return the receiver operating characteristic; see `AUROC.roc_curve`."""
        return self._ranked().compute_roc_curve(self.state, column)

    def precision_recall_curve(self, column: int | None = None) -> PrecisionRecallCurve:
        """Return precision against recall; see `AUROC.precision_recall_curve`."""
        return self._ranked().compute_precision_recall_curve(self.state, column)

    def plot(
        self,
        ax: Any = None,
        *,
        class_names: Sequence[str] | None = None,
        column: int | None = None,
    ) -> tuple[Any, Any]:
        """Draw what the owner has added; see `Metric.plot`."""
        state, metric = self.state, self._hidden.metric
        metric.warn_of_unusable({k: ops.convert_to_numpy(v) for k, v in state.items()})
        return metric.plot_state(state, ax, class_names=class_names, column=column)

    def _ranked(self) -> Ranked:
        metric = self._hidden.metric
        if not isinstance(metric, Ranked):
            raise ArgumentError(f"{self.name} has no curve: it does not rank scores.")
        return metric

    def unusable(self) -> dict[str, int]:
        """Return how many elements could not be used, by cause; see `Metric`."""
        return self._hidden.owner.unusable()

    def update_state(self, *values: Tensor, **named: Tensor) -> None:
        """Record the batch's shape only: the owner adds the batch."""
        metric = self._hidden.metric
        if isinstance(metric, PairMetric):
            metric.decide_task(named["y_pred"] if "y_pred" in named else values[1])
        self.seen.add(*values, *named.values())

    def result(self) -> Tensor:
        """Return the value of everything that the owner has added.

        Raises:
            ArgumentError: This metric got batches that its owner did not get.
        """
        owner = self._hidden.owner
        if owner.seen is not None and not owner.seen.covers(self.seen):
            raise ArgumentError(
                f'{self.name} reads the state of "{owner.name}", the first of its '
                "group, which was not given the same batches. Compile the whole list "
                "that group() returned, for one output and either all as metrics= "
                "or all as weighted_metrics=; in a compiled function give all of them "
                "the same tensors; or leave group() away."
            )
        return self._hidden.metric.result_of(owner)

    def reset_state(self) -> None:
        """Forget the recorded batches; the owner resets the state."""
        self.seen.forget()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the metric alone."""
        return {"metric": keras.saving.serialize_keras_object(self._hidden.metric)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Make the metric, with a state of its own."""
        metric: Metric = keras.saving.deserialize_keras_object(config["metric"])
        return metric


def group(*metrics: Metric) -> list[keras.metrics.Metric]:
    """Let metrics that count the same things count them once.

    Metrics whose declared statistics are equal share one state: the first of
    them keeps and updates it, the others only read. What is equal is decided by
    the arguments (`threshold`, `num_classes`, `ignore_index`, ...), never by
    comparing values. Metrics that share nothing come back as they are.

    Args:
        *metrics: Metrics that will be given the same batches: of one output, and
            all in `metrics=` or all in `weighted_metrics=`.

    Returns:
        Keras metrics, in the same order and with the same names and values.
        Compile all of them: a view whose owner is left out raises. A model that is
        loaded from a file has the metrics, each with a state of its own.

    Raises:
        ArgumentError: A metric is not multiback's, occurs twice or is in a group
            already.

    Examples:
        >>> from multiback.metrics import Precision, Recall
        >>> precision, recall = group(Precision(), Recall())
        >>> for metric in (precision, recall):
        ...     metric.update_state([0, 1, 1, 0], [0.1, 0.9, 0.3, 0.8])
        >>> float(precision.result()), float(recall.result())
        (0.5, 0.5)
        >>> len(precision.variables), len(recall.variables)
        (4, 0)
    """
    owners: dict[Statistic, Metric] = {}
    grouped: list[keras.metrics.Metric] = []
    for metric in metrics:
        if not isinstance(metric, Metric):
            raise ArgumentError(
                f"group() wants metrics of multiback, each by itself as in "
                f"group(Precision(), Recall()), not {metric!r}; compile others "
                "beside the list that it returns."
            )
        if metric.seen is not None or any(metric is other for other in grouped):
            raise ArgumentError(
                f"group() wants {metric.name!r} once, and in one group."
            )
        owner = owners.setdefault(metric.statistic, metric)
        if owner is metric:
            grouped.append(metric)
            continue
        if owner.seen is None:
            owner.seen = sharing.Seen()
        grouped.append(View(metric, owner))
    return grouped
