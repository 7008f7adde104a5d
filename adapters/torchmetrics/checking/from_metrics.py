"""Stream data through metrics and collect each value with the metric's data."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

import multiback.metrics
from multiback.adapters.torchmetrics.arrays import Array, Samples
from multiback.adapters.torchmetrics.checking.report import Value
from multiback.adapters.torchmetrics.checking.streaming import (
    Batching,
    MetricInputs,
    Streams,
    plan,
)
from multiback.errors import ArgumentError

# Metrics of plain numbers: `update_state(values, sample_weight)`.
NUMBERS = (
    multiback.metrics.Max,
    multiback.metrics.Mean,
    multiback.metrics.Min,
    multiback.metrics.Sum,
)


@dataclasses.dataclass(frozen=True)
class CheckedMetric:
    """One named number to check.

    Attributes:
        name: Its name in the logs.
        metric: The metric object.
        value: The value that Keras streamed.
        samples: The metric's data.
        stream: Computes the metric's value for a cut into batches.
        cuts: Ways to cut the rows; the first one gave the value.
        unmasked: The samples including masked elements, if there is a mask.
        weighted: It is one of `weighted_metrics=`.
        output: Index of the metric's output of the model.
    """

    name: str
    metric: Any
    value: Value
    samples: Samples
    stream: Callable[[Batching], Value]
    cuts: tuple[Batching, ...]
    unmasked: Samples | None = None
    weighted: bool = False
    output: int = 0

    def at_once(self) -> Value:
        """Compute the metric's value on the whole set in one batch."""
        return self.stream(Batching(len((self.unmasked or self.samples).y_true)))


def to_array(value: Any, name: str) -> Array:
    """Copy an array or tensor to NumPy; floats as float32, as Keras passes them."""
    array = np.asarray(ops.convert_to_numpy(value) if ops.is_tensor(value) else value)
    # By its name: bfloat16 is not one of NumPy's own kinds.
    if "float" in array.dtype.name:
        array = array.astype("float32")
        if np.isnan(array).any():
            raise ArgumentError(
                f"data: {name} wants numbers, but {int(np.isnan(array).sum())} of its "
                f"{array.size} values are NaN; remove those rows, or look for what "
                "made the model diverge."
            )
    if array.dtype.kind not in "fiub" or array.ndim == 0:
        raise ArgumentError(
            f"data: {name} wants an array of numbers with one row a sample, not "
            f"shape {array.shape} and dtype {array.dtype}; pass NumPy arrays."
        )
    return array


def make_samples(
    y_true: Any, y_pred: Any, sample_weight: Any, batch_size: int
) -> Samples:
    """Check arrays that must have one row a sample each."""
    arrays = {
        "y_true": to_array(y_true, "y_true"),
        "y_pred": to_array(y_pred, "y_pred"),
    }
    if sample_weight is not None:
        arrays["sample_weight"] = to_array(sample_weight, "sample_weight")
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or not lengths["y_true"]:
        raise ArgumentError(
            "data: wants the same number of rows, at least one, in each array, not "
            + ", ".join(f"{n} in {name}" for name, n in lengths.items())
            + "; pass one label and one weight a prediction."
        )
    return Samples(
        arrays["y_true"], arrays["y_pred"], arrays.get("sample_weight"), batch_size
    )


@dataclasses.dataclass(frozen=True)
class Cuts:
    """The ways to cut the rows, before their number is known."""

    sizes: tuple[int, ...]
    shuffles: int = 0


def from_metrics(metrics: Any, data: Sequence[Any], cuts: Cuts) -> list[CheckedMetric]:
    """Stream arrays through metrics.

    Args:
        metrics: A metric, a list of metrics, or a dictionary of them by name.
            A function is wrapped as `compile` would.
        data: `(y_true, y_pred)` or `(y_true, y_pred, sample_weight)`; `(values,)`
            or `(values, sample_weight)` for a metric of plain numbers.
        cuts: How to cut them into batches.
    """
    named = _named(metrics)
    cache: dict[bool, Samples] = {}
    fed = [
        MetricInputs(m, _samples_for(m, data, cuts.sizes[0], cache))
        for m in named.values()
    ]
    streams = Streams(fed)
    planned = plan(cuts.sizes, cuts.shuffles, streams.rows)
    first = streams.values(planned[0])
    checked_metrics: list[CheckedMetric] = []
    for index, (name, value) in enumerate(zip(named, first, strict=True)):
        common = {
            "metric": fed[index].metric,
            "samples": fed[index].samples,
            "cuts": planned,
        }
        checked_metrics += split_result(streams, index, name, value, common)
    return checked_metrics


def split_result(
    streams: Streams,
    index: int,
    name: str,
    value: Value | dict[str, Value],
    common: dict[str, Any],
) -> Iterable[CheckedMetric]:
    """Split a result that is a dictionary into its entries, as Keras's logs do."""
    if not isinstance(value, dict):
        yield CheckedMetric(
            name=name,
            value=value,
            stream=lambda cut: streams.values(cut)[index],  # type: ignore[arg-type,return-value]  # no dictionary here
            **common,
        )
        return
    for key, each in value.items():
        yield CheckedMetric(
            name=key,
            value=each,
            stream=lambda cut, key=key: streams.values(cut)[index][key],  # type: ignore[misc,index]  # a default argument binds the key
            **common,
        )


def _samples_for(
    metric: Any, data: Sequence[Any], batch_size: int, cache: dict[bool, Samples]
) -> Samples:
    """Read the data as the metric's `update_state` does."""
    numbers = isinstance(metric, NUMBERS)
    arrays = 1 if numbers else 2
    if len(data) not in (arrays, arrays + 1):
        wanted = "values" if numbers else "y_true, y_pred"
        raise ArgumentError(
            f"data= wants ({wanted}{',' if numbers else ''}) or ({wanted}, "
            f"sample_weight) for {metric.name}, not a {type(data).__name__} of "
            f"{len(data)}; check it apart from metrics of another kind."
        )
    if numbers not in cache:
        weight = data[arrays] if len(data) > arrays else None
        samples = make_samples(data[0], data[arrays - 1], weight, batch_size)
        cache[numbers] = dataclasses.replace(samples, numbers=numbers)
    return cache[numbers]


def _named(metrics: Any) -> dict[str, Any]:
    """Give each metric the name that Keras would log."""
    if isinstance(metrics, Mapping):
        return {str(name): _as_metric(metric) for name, metric in metrics.items()}
    if not isinstance(metrics, list | tuple):
        metrics = [metrics]
    if not metrics:
        raise ArgumentError(
            "model_or_metrics= wants at least one metric, not an empty list."
        )
    named: dict[str, Any] = {}
    for metric in map(_as_metric, metrics):
        name, index = metric.name, 0
        while name in named:
            index += 1
            name = f"{metric.name}_{index}"
        named[name] = metric
    return named


def _as_metric(metric: Any) -> Any:
    if isinstance(metric, keras.metrics.Metric):
        return metric
    if type(metric).__module__.startswith("torchmetrics."):
        raise ArgumentError(
            f"model_or_metrics= wants Keras's order of arguments, and {metric!r} takes "
            "predictions first; pass as_keras(...) of it."
        )
    if callable(metric) and not isinstance(metric, type | keras.Model):
        name = getattr(metric, "__name__", type(metric).__name__)
        return keras.metrics.MeanMetricWrapper(metric, name=name)
    raise ArgumentError(
        "model_or_metrics= wants a compiled Keras model, a Keras or multiback metric "
        f"object, a function, or a list or dictionary of these, not {metric!r}; make "
        "an object, as in keras.metrics.BinaryAccuracy()."
    )
