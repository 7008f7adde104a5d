"""Write a metric as the line of code that makes it."""

import inspect
from typing import Any

import keras

from multiback import keras_private
from multiback.adapters.bridge import HostMetric

_HOMES = {"keras": "keras.metrics.", "multiback": "multiback.metrics."}


def source_of(metric: Any, **changes: Any) -> str:
    """Write the call that makes a metric, with other arguments.

    Arguments with their default value are left out.

    >>> source_of(keras.metrics.AUC(curve="PR"), from_logits=True)
    "keras.metrics.AUC(curve='PR', from_logits=True)"
    """
    if is_function(metric):
        function, _ = keras_private.wrapped_function(metric)
        if function.__module__.startswith("keras."):
            return f"keras.metrics.{function.__name__}"
        return str(getattr(function, "__name__", metric.name))
    kind = type(metric)
    if isinstance(metric, HostMetric):
        return f"as_keras({metric.written()})"
    parameters = inspect.signature(kind).parameters
    config = {
        key: value
        for key, value in metric.get_config().items()
        if key in parameters
        and key not in ("name", "dtype")
        and value != parameters[key].default
    }
    written = ", ".join(f"{k}={v!r}" for k, v in {**config, **changes}.items())
    home = _HOMES.get(kind.__module__.split(".")[0], "")
    return f"{home}{kind.__name__}({written})"


def is_function(metric: Any) -> bool:
    """Return whether a metric is a function that Keras averages."""
    return type(metric) is keras.metrics.MeanMetricWrapper


def kind_of(metric: Any) -> str:
    """Return the name of a Keras class, also for the equivalent function.

    >>> kind_of(keras.metrics.AUC()), kind_of(keras.metrics.MeanMetricWrapper(
    ...     keras.metrics.binary_accuracy))
    ('AUC', 'BinaryAccuracy')
    """
    if is_function(metric):
        function, _ = keras_private.wrapped_function(metric)
        if function.__module__.startswith("keras."):
            return "".join(part.capitalize() for part in function.__name__.split("_"))
        return ""
    kind = type(metric)
    return kind.__name__ if kind.__module__.startswith("keras.") else ""


def ungrouped(metric: Any) -> Any:
    """Return the inner metric of a member of `multiback.metrics.group`."""
    # By its module: the members of group() other than owners have no public class.
    if type(metric).__module__ == "multiback.metrics.grouping":
        return keras.saving.deserialize_keras_object(metric.get_config()["metric"])
    return metric
