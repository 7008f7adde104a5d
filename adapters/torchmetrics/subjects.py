"""Stream data through Keras and collect each metric's value with what it was given."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

import multiback.metrics
from multiback.errors import ArgumentError

from . import keras_private
from .arrays import Array, Samples
from .masks import output_masks, without_masked
from .report import Value

# Metrics of plain numbers: `update_state(values, sample_weight)`.
NUMBERS = (
    multiback.metrics.Max,
    multiback.metrics.Mean,
    multiback.metrics.Min,
    multiback.metrics.Sum,
)


@dataclasses.dataclass(frozen=True)
class Subject:
    """One named number to check.

    Attributes:
        name: Its name in the logs.
        metric: The metric object.
        value: As Keras streamed it.
        samples: What the metric was given.
        at_once: Computes the metric's value on the whole set in one batch.
        unmasked: The samples with what a Keras mask leaves out, if there is one.
    """

    name: str
    metric: Any
    value: Value
    samples: Samples
    at_once: Callable[[], Value]
    unmasked: Samples | None = None


def to_value(result: Any) -> Value:
    """Copy a scalar or vector to Python floats."""
    array = np.asarray(ops.convert_to_numpy(result), "float64")
    return float(array) if array.ndim == 0 else tuple(array.ravel().tolist())


def to_array(value: Any, name: str) -> Array:
    """Copy an array or tensor to NumPy; floats as float32, as Keras hands them on."""
    array = np.asarray(ops.convert_to_numpy(value) if ops.is_tensor(value) else value)
    # By its name: bfloat16 is no kind of NumPy's own.
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


def _update(metric: Any, samples: Samples, rows: slice) -> None:
    batch = [samples.y_true[rows]]
    if not samples.numbers:
        batch.append(samples.y_pred[rows])
    if samples.sample_weight is not None:
        batch.append(samples.sample_weight[rows])
    metric.update_state(*map(ops.convert_to_tensor, batch))


def stream(metric: Any, samples: Samples, batch_size: int) -> Any:
    """Return a metric's result on samples in batches, leaving its state as it was."""
    before = [(v, np.array(v.numpy())) for v in metric.variables]
    metric.reset_state()
    for start in range(0, len(samples.y_true), batch_size):
        _update(metric, samples, slice(start, start + batch_size))
    result = metric.result()
    # Variables that the first update made have no earlier value.
    metric.reset_state()
    for variable, value in before:
        variable.assign(value)
    return result


def _subjects(
    name: str, metric: Any, result: Any, samples: Samples, value: Callable[[str], Value]
) -> Iterable[Subject]:
    """Split a result that is a dictionary into its entries, as Keras's logs do."""
    everything = len(samples.y_true)
    if not isinstance(result, Mapping):
        yield Subject(
            name,
            metric,
            value(name),
            samples,
            lambda: to_value(stream(metric, samples, everything)),
        )
        return
    for key in result:
        yield Subject(
            key,
            metric,
            value(key),
            samples,
            lambda key=key: to_value(stream(metric, samples, everything)[key]),  # type: ignore[misc]  # a default argument binds the key
        )


def from_metrics(metrics: Any, data: Sequence[Any], batch_size: int) -> list[Subject]:
    """Stream arrays through metrics.

    Args:
        metrics: A metric, a list of metrics, or a dictionary of them by name.
            A function is wrapped as `compile` would.
        data: `(y_true, y_pred)` or `(y_true, y_pred, sample_weight)`; `(values,)`
            or `(values, sample_weight)` for a metric of plain numbers.
        batch_size: Rows in a batch.
    """
    subjects: list[Subject] = []
    for name, metric in _named(metrics).items():
        samples = _samples_for(metric, data, batch_size)
        result = stream(metric, samples, batch_size)

        def value(key: str, result: Any = result) -> Value:
            return to_value(result[key] if isinstance(result, Mapping) else result)

        subjects += _subjects(name, metric, result, samples, value)
    return subjects


def _samples_for(metric: Any, data: Sequence[Any], batch_size: int) -> Samples:
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
    weight = data[arrays] if len(data) > arrays else None
    samples = make_samples(data[0], data[arrays - 1], weight, batch_size)
    return dataclasses.replace(samples, numbers=numbers)


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
    if callable(metric) and not isinstance(metric, type):
        name = getattr(metric, "__name__", type(metric).__name__)
        return keras.metrics.MeanMetricWrapper(metric, name=name)
    raise ArgumentError(
        "model_or_metrics= wants a compiled Keras model, a Keras or multiback metric "
        f"object, a function, or a list or dictionary of these, not {metric!r}; make "
        "an object, as in keras.metrics.BinaryAccuracy()."
    )


def from_model(model: Any, data: Sequence[Any], batch_size: int) -> list[Subject]:
    """Evaluate a compiled model and collect each compiled metric's value.

    Args:
        model: A compiled model.
        data: `(x, y)` or `(x, y, sample_weight)`, as for `model.evaluate`.
        batch_size: Rows in a batch.
    """
    if not model.compiled:
        raise ArgumentError(
            "model_or_metrics= wants a compiled model, not one without compile(); call "
            "model.compile(loss=..., metrics=[...]) first."
        )
    x, y, weight = (*data, None)[:3]
    logs = model.evaluate(
        x, y, sample_weight=weight, batch_size=batch_size, verbose=0, return_dict=True
    )
    container = keras_private.compile_metrics(model)
    named = [] if container is None else keras_private.compiled_metrics(container)
    if container is None or not named:
        raise ArgumentError(
            "model_or_metrics= wants a model compiled with metrics, not with a loss "
            "alone; pass metrics=[...] to compile()."
        )
    results = container.result()
    if len(results) != len(named):
        raise ArgumentError(
            "model_or_metrics= wants one log name a metric, but "
            f"{len(named)} metrics share the names {', '.join(results)}; give each "
            "its own name=."
        )
    y_true = keras_private.flatten_outputs(container, y)
    predictions = model.predict(x, batch_size=batch_size, verbose=0)
    y_pred = keras_private.flatten_outputs(container, predictions)
    weights = _weight_an_output(container, weight, len(y_pred))
    masks = output_masks(model, container, x, batch_size)

    def value(name: str) -> Value:
        if name not in logs:
            raise ArgumentError(
                f"model_or_metrics= wants a model whose evaluate() reports {name!r}, "
                f"but it reports {', '.join(logs)}; a test_step of its own may leave "
                "it out: pass the metric and (y_true, y_pred) instead."
            )
        return to_value(logs[name])

    subjects: list[Subject] = []
    for (name, result), (metric, output, weighted) in zip(
        results.items(), named, strict=True
    ):
        samples = make_samples(
            y_true[output],
            y_pred[output],
            weights[output] if weighted else None,
            batch_size,
        )
        mask = masks[output]
        kept = samples if mask is None else without_masked(samples, mask)
        subjects += [
            dataclasses.replace(one, unmasked=None if mask is None else samples)
            for one in _subjects(name, metric, result, kept, value)
        ]
    return subjects


def _weight_an_output(container: Any, weight: Any, outputs: int) -> list[Any]:
    """Give each output its weights; one array serves them all, as in Keras."""
    if weight is None:
        return [None] * outputs
    weights = keras_private.flatten_outputs(container, weight)
    return weights if len(weights) == outputs else [weights[0]] * outputs
