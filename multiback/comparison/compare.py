"""`multiback.compare`: paired differences of two checkpoints."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from multiback import keras_private
from multiback.checkpoint.loading.find import PathLike, checkpoint_at
from multiback.checkpoint.loading.load import load
from multiback.comparison.masks import output_masks
from multiback.comparison.report import Comparison, MetricDifference, Which
from multiback.errors import ArgumentError, StateError
from multiback.metrics import AUROC, Accuracy, Metric
from multiback.metrics.base.metric import PairMetric
from multiback.metrics.inputs.arguments import as_integer
from multiback.metrics.intervals.bootstrap import bootstrapped, group_numbers
from multiback.metrics.intervals.interval import Interval, check_level
from multiback.metrics.intervals.paired import (
    area,
    difference_of_areas,
    difference_of_shares,
)
from multiback.metrics.resampling import value_of_rows
from multiback.metrics.statistics.counts import score_threshold

# Rows that are predicted at once for their masks, as `predict` takes.
_AT_ONCE = 32


class _Values(NamedTuple):
    """The values of one metric by two models.

    Attributes:
        metric: The metric.
        of_rows: A model's value, given how often each row is drawn.
        plain: A model's value, of each row once.
    """

    metric: Metric
    of_rows: Sequence[Callable[[Any], Any]]
    plain: Sequence[float]


def compare(
    a: PathLike,
    b: PathLike,
    data: tuple[Any, ...],
    *,
    metrics: Sequence[Metric] | None = None,
    groups: Any = None,
    level: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
    custom_objects: Mapping[str, Any] | None = None,
) -> Comparison:
    """Compare two checkpoints on the same rows.

    The difference on the same rows is much surer than two intervals side by side:
    what both get right or wrong together does not count. Accuracy has McNemar's test,
    AUROC of two classes DeLong's paired test, and any other metric, or any with weights
    or groups, is computed of both for the same drawn rows.

    Args:
        a: The path of the first checkpoint, such as "runs/tumour/best", "runs/tumour/
            last", or "runs/tumour/epoch=012": the beginning of a checkpoint's name is
            enough where no other has it.
        b: The path of the second.
        data: `(x, y)` or `(x, y, sample_weight)`, arrays that the model takes; neither
            checkpoint may have been chosen by them, or it is flattered. The model has
            one output; of several, `mb.metrics.bootstrap` gives each one's interval.
        metrics: The metrics to compare by; by default those of multiback that the
            model was compiled with and that have one value. Give `average=` for
            classes.
        groups: One id a row, such as a patient's: rows with equal ids count together.
        level: How often such an interval contains the true difference.
        replicates: How often to draw, where rows are drawn.
        seed: The seed of the draws.
        custom_objects: Your own classes and functions by name, as Keras takes them.

    Returns:
        The differences, second less first, in words: `print(found)`.

    Raises:
        ArgumentError: An argument is not usable, or there is no metric.
        NoCheckpointError: There is no such checkpoint.
        StateError: A checkpoint holds no model.
    """
    pair = checkpoint_at(a), checkpoint_at(b)
    if pair[0].location == pair[1].location:
        raise ArgumentError(
            f"b= wants another checkpoint than a=, and both are {pair[0].location}: "
            "there is nothing to compare."
        )
    level, replicates = check_level(level), as_integer("replicates", replicates, 2)
    seed = as_integer("seed", seed, 0)
    _check_metrics(metrics)
    compiled = metrics is None
    x, y, weights = _parts(data)
    rows = len(y)
    numbers = group_numbers(groups, rows)
    predictions, masks = [], []
    for one in pair:
        model = load(one.location, custom_objects=custom_objects)
        if not isinstance(model, keras.Model):
            raise StateError(f"{one.name} holds arrays and no model that predicts.")
        # Before the second model is loaded, so that memory holds one.
        predictions.append(_predicted(model, x))
        masks += output_masks(model, keras.tree.flatten, x, _AT_ONCE)
        metrics = _metrics(model) if metrics is None else list(metrics)
        del model
    if not metrics:
        raise ArgumentError(
            "metrics= wants at least one metric, and the model was compiled without "
            "one of multiback's. Pass metrics=[mb.metrics.F1Score()]."
        )
    # A test is of whole rows, each once.
    paired = (
        groups is None
        and weights is None
        and not any(mask is not None for mask in masks)
    )
    # All of them before the first is drawn again, which takes seconds.
    values, left_out = _values(
        metrics, y, predictions, weights, masks, compiled=compiled
    )
    differences = tuple(
        _difference(
            one,
            y,
            predictions,
            numbers if not paired else None,
            level=level,
            replicates=replicates,
            seed=seed,
        )
        for one in values
    )
    # Two runs number their epochs alike.
    first, second = pair
    names = (first.name, second.name)
    if first.name == second.name:
        names = (str(first.location), str(second.location))
    return Comparison(
        *names,
        rows,
        None if groups is None else int(numbers.max()) + 1,
        differences,
        (predictions[0], predictions[1]),
        left_out,
    )


def _predicted(model: Any, x: Any) -> Any:
    """Return what a model of one output predicts."""
    found = model.predict(x, verbose=0)
    if isinstance(found, Mapping | list | tuple):
        raise ArgumentError(
            f"a= and b= want models of one output, and there are {len(found)}. "
            "mb.metrics.bootstrap(metric, y, y_pred) gives each output's interval."
        )
    return np.asarray(found)


def _parts(data: Any) -> tuple[Any, Any, Any]:
    """Return inputs, labels and weights."""
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise ArgumentError(
            "data= wants a tuple (x, y) or (x, y, sample_weight) of arrays, not "
            f"{type(data).__name__}."
        )
    x, y, *rest = data
    if isinstance(y, Mapping | list):
        raise ArgumentError(
            "data= wants the labels of a model with one output, not of several. "
            "mb.metrics.bootstrap(metric, y, y_pred) gives each output's interval."
        )
    y = np.asarray(y)
    if not y.ndim or not len(y):
        raise ArgumentError("data= wants labels of at least one row, not none.")
    return x, y, rest[0] if rest else None


def _check_metrics(metrics: Any) -> None:
    """Raise unless it is None or several metrics of multiback."""
    one = isinstance(metrics, keras.metrics.Metric)
    if metrics is None or (not one and all(isinstance(m, PairMetric) for m in metrics)):
        return
    raise ArgumentError(
        "metrics= wants a list of multiback's metrics over labels and predictions, "
        f"not {metrics!r:.80}. Pass metrics=[mb.metrics.F1Score()]."
    )


def _metrics(model: keras.Model) -> list[Metric]:
    """Return the metrics of multiback that a model was compiled with."""
    plain, weighted, _ = keras_private.user_metrics(model)
    return [one for one in (*plain, *weighted) if isinstance(one, PairMetric)]


def _values(
    metrics: Sequence[Metric],
    y: Any,
    predictions: Sequence[Any],
    weights: Any,
    masks: Sequence[Any],
    *,
    compiled: bool,
) -> tuple[list[_Values], tuple[str, ...]]:
    """Return each metric with the values of both models, and the names left out.

    A metric of several values is left out if the model was compiled with it; if the
    user named it, that is an error.
    """
    found, left_out, once = [], [], np.ones(len(y))
    for metric in metrics:
        of_rows = [
            value_of_rows(metric, y, each, weights, mask)
            for each, mask in zip(predictions, masks, strict=True)
        ]
        first = np.asarray(of_rows[0](once))
        size = first.size
        if size == 1:
            plain = [float(each.reshape(())) for each in (first, of_rows[1](once))]
            found.append(_Values(metric, of_rows, plain))
            if any(map(math.isnan, plain)):
                _warn_of_causes(metric, y, predictions, weights)
            continue
        left_out.append(metric.name)
        if not compiled:
            raise ArgumentError(
                f"metrics= wants metrics of one value, and {metric.name} has {size}. "
                "Give it average= or classes= where it has these, or leave it out."
            )
    if not found:
        raise ArgumentError(
            f"metrics= wants at least one metric of one value, and the model was "
            f"compiled with {', '.join(left_out)}. Pass metrics=[mb.metrics.F1Score()]."
        )
    return found, tuple(left_out)


def _warn_of_causes(
    metric: Metric, y: Any, predictions: Sequence[Any], weights: Any
) -> None:
    """Let a metric of its own count the rows and warn of what it cannot use."""
    for each in predictions:
        fresh: Any = type(metric).from_config(metric.get_config())
        fresh.update_state(y, each, sample_weight=weights)
        fresh.result()


def _difference(
    values: _Values,
    y: Any,
    predictions: Sequence[Any],
    groups: Any,
    *,
    level: float,
    replicates: int,
    seed: int,
) -> MetricDifference:
    """Compare by one metric; rows are drawn again where `groups` are given."""
    metric, of_rows, (first, second) = values
    # What the metric cannot count, as NaN or an unknown label, has no test.
    known = not math.isnan(first + second)
    known = known and not any(np.isnan(each).any() for each in predictions)
    tested = None
    if known and groups is None:
        tested = _tested(metric, y, predictions, level)
    p_value = None
    if tested is not None:
        found, p_value = tested
        if isinstance(metric, AUROC):  # Without bins, as the difference is.
            first = area(y, predictions[0])
            second = first + float(found.value)
    else:
        numbers = np.arange(len(y)) if groups is None else groups
        found = bootstrapped(
            lambda times: of_rows[1](times) - of_rows[0](times),
            numbers,
            level=level,
            replicates=replicates,
            seed=seed,
        )
    better = _better(metric, found)
    return MetricDifference(metric.name, first, second, found, p_value, better)


def _tested(
    metric: Metric, y: Any, predictions: Sequence[Any], level: float
) -> tuple[Interval, float] | None:
    """Return what a test of its own says, for metrics that have one."""
    record = metric.record
    if record is None or record.ignored or record.classes is not None:
        return None
    is_area = type(metric) is AUROC and metric.max_fpr is None
    if is_area and record.kind == "binary":
        return difference_of_areas(y, predictions[0], predictions[1], level)
    if type(metric) is not Accuracy:
        return None
    if record.kind == "binary":
        threshold = score_threshold(record.threshold, from_logits=record.from_logits)
        label = y.reshape(-1) == 1
        hits = [(each.reshape(-1) > threshold) == label for each in predictions]
    elif record.kind == "multiclass" and metric.average == "micro":
        label = y.reshape(-1) if y.size == len(y) else np.argmax(y, axis=-1)
        hits = [np.argmax(each, axis=-1).reshape(-1) == label for each in predictions]
    else:
        return None
    if hits[0].size != len(y):
        return None  # Several elements of a row do not count as rows.
    return difference_of_shares(hits[0], hits[1], level)


def _better(metric: Metric, found: Interval) -> Which | None:
    """Return which one is better where the interval leaves no doubt."""
    if metric.direction is None or not found.lower * found.upper > 0.0:
        return None
    return "b" if (found.lower > 0.0) == (metric.direction == "max") else "a"
