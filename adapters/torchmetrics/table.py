"""Which torchmetrics and scikit-learn metric a Keras metric is.

One line a class, and the arguments that the class was made with.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import multiback.metrics

from .areas import area
from .arrays import Elements, Samples, as_floats, classes, pair
from .counts import (
    decide,
    decided_elements,
    labels_f1,
    multiback_counts,
    plain_accuracy,
)
from .equivalent import NO_WEIGHTS, Equivalent, NoEquivalent
from .keras_private import wrapped_function
from .libraries import load_sklearn_metrics, load_torchmetrics, run_torchmetrics

Translation = Callable[[dict[str, Any], Samples], Equivalent | NoEquivalent]

# Keras's F1Score counts no score below this as the largest.
KERAS_ZERO = 1e-9
NOT_LISTED = "the table of equivalents does not know it"


def equivalent(metric: Any, samples: Samples) -> Equivalent | NoEquivalent:
    """Translate a metric object, or say why it cannot be translated.

    Args:
        metric: A Keras or multiback metric. A subclass of a known one is
            compared as that one: it bears its name in the logs.
        samples: Everything that the metric was given.
    """
    if type(metric) is keras.metrics.MeanMetricWrapper:
        function, arguments = wrapped_function(metric)
        for known, (name, translate) in _functions().items():
            if function is known:
                return translate(_DEFAULTS.get(name, {}) | arguments, samples)
        return NoEquivalent("a plain function")
    cls: Any = _known_class(metric)
    if cls is not None:
        return TABLE[cls](cls.get_config(metric), samples)
    return NoEquivalent(NOT_LISTED)


def known_base(metric: Any) -> type | None:
    """Return the known class that a subclass is compared as, if it is a subclass."""
    known = _known_class(metric)
    return None if known is type(metric) else known


def _known_class(metric: Any) -> type | None:
    return next((cls for cls in type(metric).__mro__ if cls in TABLE), None)


def _keras_accuracy(_: dict[str, Any], samples: Samples) -> Equivalent:
    elements = pair(samples)
    n = elements.labels.size
    values, ids = np.unique(
        np.concatenate([elements.labels, elements.predictions]), return_inverse=True
    )
    return plain_accuracy(
        Elements(ids[:n], ids[n:], elements.weights), len(values), samples
    )


def _binary_accuracy(config: dict[str, Any], samples: Samples) -> Equivalent:
    elements = pair(samples)
    decided = decide(elements.predictions, config["threshold"])
    return decided_elements(
        "Accuracy", Elements(elements.labels, decided, elements.weights), samples
    )


def _class_accuracy(_: dict[str, Any], samples: Samples) -> Equivalent:
    return plain_accuracy(classes(samples), samples.y_pred.shape[-1], samples)


def _keras_ratio(kind: str) -> Translation:
    def translate(
        config: dict[str, Any], samples: Samples
    ) -> Equivalent | NoEquivalent:
        if config["top_k"] is not None:
            return NoEquivalent("neither library limits precision or recall to top_k=")
        elements = pair(samples, None)
        if config["class_id"] is not None:
            column = config["class_id"]
            wide = pair(samples, samples.y_pred.shape[-1])
            weights = wide.weights
            elements = Elements(
                wide.labels[:, column],
                wide.predictions[:, column],
                None if weights is None else weights[:, column],
            )
        thresholds = config["thresholds"]
        if thresholds is None:
            thresholds = 0.5
        parts = [
            decided_elements(
                kind,
                Elements(
                    elements.labels.astype(bool),
                    decide(elements.predictions, threshold),
                    elements.weights,
                ),
                samples,
            )
            for threshold in np.ravel(thresholds).tolist()
        ]
        return Equivalent(
            None
            if parts[0].torchmetrics is None
            else lambda: [p.torchmetrics() for p in parts if p.torchmetrics],
            lambda: [p.sklearn() for p in parts if p.sklearn],
            additions=parts[0].additions,
            note=parts[0].note,
        )

    return translate


def _keras_f1(config: dict[str, Any], samples: Samples) -> Equivalent:
    elements = pair(samples, samples.y_pred.shape[-1])
    scores = as_floats(elements.predictions)
    if config["threshold"] is None:
        largest = scores >= scores.max(axis=-1, keepdims=True)
        decided = largest & (abs(scores) > KERAS_ZERO)
    else:
        decided = decide(scores.astype("float32"), config["threshold"])
    labels = elements.labels.astype("int64")
    return labels_f1(
        Elements(labels, decided, elements.weights), config["average"], samples
    )


def _error(torchmetrics_name: str, sklearn_name: str, **arguments: Any) -> Translation:
    def translate(_: dict[str, Any], samples: Samples) -> Equivalent:
        elements = pair(samples)
        y_true = as_floats(elements.labels)
        y_pred = as_floats(elements.predictions)

        def theirs() -> Any:
            metric = getattr(load_torchmetrics(), torchmetrics_name)(**arguments)
            return run_torchmetrics(metric, y_true=y_true, y_pred=y_pred)

        def sklearn() -> Any:
            function = getattr(load_sklearn_metrics(), sklearn_name)
            return function(y_true, y_pred, sample_weight=elements.weights)

        weighted = elements.weights is not None
        return Equivalent(
            None if weighted else theirs,
            sklearn,
            additions=samples.additions,
            note=NO_WEIGHTS if weighted else "",
        )

    return translate


_squared = _error("MeanSquaredError", "mean_squared_error")
_absolute = _error("MeanAbsoluteError", "mean_absolute_error")

TABLE: dict[Any, Translation] = {
    multiback.metrics.Accuracy: multiback_counts("Accuracy"),
    multiback.metrics.F1Score: multiback_counts("F1Score"),
    multiback.metrics.Precision: multiback_counts("Precision"),
    multiback.metrics.Recall: multiback_counts("Recall"),
    keras.metrics.AUC: area,
    keras.metrics.Accuracy: _keras_accuracy,
    keras.metrics.BinaryAccuracy: _binary_accuracy,
    keras.metrics.CategoricalAccuracy: _class_accuracy,
    keras.metrics.F1Score: _keras_f1,
    keras.metrics.MeanAbsoluteError: _absolute,
    keras.metrics.MeanSquaredError: _squared,
    keras.metrics.Precision: _keras_ratio("Precision"),
    keras.metrics.Recall: _keras_ratio("Recall"),
    keras.metrics.RootMeanSquaredError: _error(
        "MeanSquaredError", "root_mean_squared_error", squared=False
    ),
    keras.metrics.SparseCategoricalAccuracy: _class_accuracy,
}

# Functions that are means over samples, so that Keras may average them.
_DEFAULTS: dict[str, dict[str, Any]] = {"binary_accuracy": {"threshold": 0.5}}


def _functions() -> dict[Any, tuple[str, Translation]]:
    named: dict[str, Translation] = {
        "binary_accuracy": _binary_accuracy,
        "categorical_accuracy": _class_accuracy,
        "mean_absolute_error": _absolute,
        "mean_squared_error": _squared,
        "sparse_categorical_accuracy": _class_accuracy,
    }
    return {
        getattr(keras.metrics, name): (name, translation)
        for name, translation in named.items()
    }
