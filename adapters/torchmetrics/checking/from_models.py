"""Collect the values of a model's compiled metrics with the metrics' data."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from multiback import keras_private
from multiback.adapters.torchmetrics.checking.from_metrics import (
    CheckedMetric,
    Cuts,
    make_samples,
    split_result,
)
from multiback.adapters.torchmetrics.checking.masks import without_masked
from multiback.adapters.torchmetrics.checking.report import Value
from multiback.adapters.torchmetrics.checking.streaming import (
    MetricInputs,
    Streams,
    plan,
    to_value,
)
from multiback.comparison.masks import output_masks
from multiback.errors import ArgumentError


def from_model(
    model: Any,
    data: Sequence[Any],
    cuts: Cuts,
    *,
    evaluate: bool = True,
    numbered: bool = False,
) -> list[CheckedMetric]:
    """Collect the value of each of a compiled model's metrics.

    Args:
        model: A compiled model.
        data: `(x, y)` or `(x, y, sample_weight)`, as for `model.evaluate`.
        cuts: How to cut them into batches.
        evaluate: Take the values from `model.evaluate`. It resets the metrics, so
            inside `fit` the predictions are streamed instead.
        numbered: Give each metric its original name, even if another metric replaces it
            in the logs; otherwise that is an error.
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
    outputs_of = functools.partial(keras_private.flatten_outputs, container)
    masks = output_masks(model, outputs_of, x, size)

    # One object an output: metrics of a group must get the same tensors.
    weighted = [
        make_samples(true, predicted, one, size)
        for true, predicted, one in zip(y_true, y_pred, weights, strict=True)
    ]
    plain = [dataclasses.replace(each, sample_weight=None) for each in weighted]
    streams = Streams(
        [
            MetricInputs(metric, (weighted if heavy else plain)[output], masks[output])
            for metric, output, heavy in named
        ],
        built=True,
    )
    planned = plan(cuts.sizes, cuts.shuffles, streams.rows)
    values = streams.values(planned[0]) if logs is None else None

    checked_metrics: list[CheckedMetric] = []
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
        checked_metrics += split_result(streams, index, name, value, common)
    return checked_metrics


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
    """Return the result of `evaluate` under a name, or under a result's own keys."""
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
