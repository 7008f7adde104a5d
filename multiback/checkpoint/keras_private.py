"""The private names of Keras that the callback needs, in one place.

Keras offers a callback no public way to move the epoch at which `fit` starts, nor
to learn which metric object stands behind a name in the logs.
`tests/checkpoint/test_keras_private.py` notices when that changes.
"""

from typing import Any

import keras
from keras.src.trainers.compile_utils import CompileMetrics


def set_first_epoch(model: keras.Model, epoch: int | None) -> None:
    """Let the `fit` that is about to start begin at an epoch; None lets it be."""
    model._initial_epoch = epoch  # noqa: SLF001 - the only way, see above


def logged_metrics(model: keras.Model) -> list[tuple[str, Any, Any]]:
    """Return `(name in the logs, value, metric object)`, as Keras will log them.

    Raises:
        ValueError: The metrics are not built yet, as before TensorFlow's first
            batch.
    """
    found: list[tuple[str, Any, Any]] = []
    for metric in model.metrics:
        result = metric.result()
        if isinstance(metric, CompileMetrics):
            # The same order; fewer names than metrics where one hides another.
            owners = metric.metrics
            if len(owners) != len(result):
                owners = [None] * len(result)
            for (name, value), owner in zip(result.items(), owners, strict=True):
                found += _flat(name, value, owner)
        else:
            found += _flat(str(metric.name), result, metric)
    return found


def _flat(name: str, value: Any, metric: Any) -> list[tuple[str, Any, Any]]:
    """Drop the name of a metric whose result is a dictionary, as Keras does."""
    if not isinstance(value, dict):
        return [(name, value, metric)]
    # One object cannot say which way is better for each of its results.
    return [row for key, each in value.items() for row in _flat(str(key), each, None)]
