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
from .streaming import Cut, Fed, Streams, plan, to_value

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
        stream: Computes the metric's value for a cut into batches.
        cuts: Ways to cut the rows, the first of which gave the value.
        unmasked: The samples with what a Keras mask leaves out, if there is one.
        weighted: It is one of `weighted_metrics=`.
        output: Index of the model's output that it is about.
    """

    name: str
    metric: Any
    value: Value
    samples: Samples
    stream: Callable[[Cut], Value]
    cuts: tuple[Cut, ...]
    unmasked: Samples | None = None
    weighted: bool = False
    output: int = 0

    def at_once(self) -> Value:
        """Compute the metric's value on the whole set in one batch."""
        return self.stream(Cut(len((self.unmasked or self.samples).y_true)))


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


@dataclasses.dataclass(frozen=True)
class Cuts:
    """How the rows are to be cut, before their number is known."""

    sizes: tuple[int, ...]
    shuffles: int = 0


def from_metrics(metrics: Any, data: Sequence[Any], cuts: Cuts) -> list[Subject]:
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
    fed = [Fed(m, _samples_for(m, data, cuts.sizes[0], cache)) for m in named.values()]
    streams = Streams(fed)
    planned = plan(cuts.sizes, cuts.shuffles, streams.rows)
    first = streams.values(planned[0])
    subjects: list[Subject] = []
    for index, (name, value) in enumerate(zip(named, first, strict=True)):
        common = {
            "metric": fed[index].metric,
            "samples": fed[index].samples,
            "cuts": planned,
        }
        subjects += _subjects(streams, index, name, value, common)
    return subjects


def _subjects(
    streams: Streams,
    index: int,
    name: str,
    value: Value | dict[str, Value],
    common: dict[str, Any],
) -> Iterable[Subject]:
    """Split a result that is a dictionary into its entries, as Keras's logs do."""
    if not isinstance(value, dict):
        yield Subject(
            name=name,
            value=value,
            stream=lambda cut: streams.values(cut)[index],  # type: ignore[arg-type,return-value]  # no dictionary here
            **common,
        )
        return
    for key, each in value.items():
        yield Subject(
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
    if callable(metric) and not isinstance(metric, type):
        name = getattr(metric, "__name__", type(metric).__name__)
        return keras.metrics.MeanMetricWrapper(metric, name=name)
    raise ArgumentError(
        "model_or_metrics= wants a compiled Keras model, a Keras or multiback metric "
        f"object, a function, or a list or dictionary of these, not {metric!r}; make "
        "an object, as in keras.metrics.BinaryAccuracy()."
    )


def from_model(
    model: Any,
    data: Sequence[Any],
    cuts: Cuts,
    *,
    evaluate: bool = True,
    numbered: bool = False,
) -> list[Subject]:
    """Collect the value of each of a compiled model's metrics.

    Args:
        model: A compiled model.
        data: `(x, y)` or `(x, y, sample_weight)`, as for `model.evaluate`.
        cuts: How to cut them into batches.
        evaluate: Take the values from `model.evaluate`. It resets the metrics, so
            that inside of `fit` the predictions are streamed instead.
        numbered: Give each metric the name that it asks for, even if another one
            replaces it in the logs; otherwise that is an error.
    """
    if not model.compiled:
        raise ArgumentError(
            "model_or_metrics= wants a compiled model, not one without compile(); call "
            "model.compile(loss=..., metrics=[...]) first."
        )
    x, y, weight = (*data, None)[:3]
    size = cuts.sizes[0]
    logs = None
    if evaluate:
        logs = model.evaluate(
            x, y, sample_weight=weight, batch_size=size, verbose=0, return_dict=True
        )
    container = keras_private.compile_metrics(model)
    named = [] if container is None else keras_private.compiled_metrics(container)
    if container is None or not named:
        raise ArgumentError(
            "model_or_metrics= wants a model compiled with metrics, not with a loss "
            "alone; pass metrics=[...] to compile()."
        )
    names = list(container.result())
    if numbered:
        names = keras_private.names_asked_for(container)
    elif len(names) != len(named):
        raise ArgumentError(
            "model_or_metrics= wants one log name a metric, but "
            f"{len(named)} metrics share the names {', '.join(names)}; give each "
            "its own name=."
        )
    y_true = keras_private.flatten_outputs(container, y)
    predictions = _predict(model, x, size)
    y_pred = keras_private.flatten_outputs(container, predictions)
    weights = _weight_an_output(container, weight, len(y_pred))
    masks = output_masks(model, container, x, size)

    # One object an output: metrics of a group are to be given the same tensors.
    weighted = [
        make_samples(true, predicted, one, size)
        for true, predicted, one in zip(y_true, y_pred, weights, strict=True)
    ]
    plain = [dataclasses.replace(each, sample_weight=None) for each in weighted]
    streams = Streams(
        [
            Fed(metric, (weighted if heavy else plain)[output], masks[output])
            for metric, output, heavy in named
        ],
        built=True,
    )
    planned = plan(cuts.sizes, cuts.shuffles, streams.rows)
    values = streams.values(planned[0]) if logs is None else None

    subjects: list[Subject] = []
    for index, (name, (metric, output, heavy)) in enumerate(
        zip(names, named, strict=True)
    ):
        if values is None:
            value = _logged(logs, name, container.result()[name])
        else:
            value = values[index]
        samples = (weighted if heavy else plain)[output]
        mask = masks[output]
        common = {
            "metric": metric,
            "samples": samples if mask is None else without_masked(samples, mask),
            "cuts": planned,
            "unmasked": None if mask is None else samples,
            "weighted": heavy,
            "output": output,
        }
        subjects += _subjects(streams, index, name, value, common)
    return subjects


def _predict(model: Any, x: Any, batch_size: int) -> Any:
    """Predict as `model.predict` does, and draw no random number.

    torch's data loader, which `predict` makes, takes a seed from the global generator:
    inside of `fit` the next epoch would be shuffled in another order.
    """
    rows = len(keras.tree.flatten(x)[0])
    batches = [
        model.predict_on_batch(
            keras.tree.map_structure(
                lambda array: array[start : start + batch_size],  # noqa: B023 - called at once
                x,
            )
        )
        for start in range(0, rows, batch_size)
    ]
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)


def _logged(logs: Any, name: str, result: Any) -> Value | dict[str, Value]:
    """Return what `evaluate` reported under a name, or under a result's own keys."""
    wanted = list(result) if isinstance(result, Mapping) else [name]
    for key in wanted:
        if key not in logs:
            raise ArgumentError(
                f"model_or_metrics= wants a model whose evaluate() reports {key!r}, "
                f"but it reports {', '.join(logs)}; a test_step of its own may leave "
                "it out: pass the metric and (y_true, y_pred) instead."
            )
    if isinstance(result, Mapping):
        return {key: to_value(logs[key]) for key in wanted}
    return to_value(logs[name])


def _weight_an_output(container: Any, weight: Any, outputs: int) -> list[Any]:
    """Give each output its weights; one array serves them all, as in Keras."""
    if weight is None:
        return [None] * outputs
    weights = keras_private.flatten_outputs(container, weight)
    return weights if len(weights) == outputs else [weights[0]] * outputs
