"""Ask the metrics of a model what they could not use."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from multiback import keras_private
from multiback.errors import ArgumentError


@runtime_checkable
class CountsUnusable(Protocol):
    """A metric that counts labels and scores that it cannot use, by cause."""

    def explain_unusable(self) -> Mapping[str, str]:
        """Return a sentence a cause."""


def check_values(model: Any) -> None:
    """Raise if a metric of a model was given what it cannot use."""
    container = keras_private.compile_metrics(model)
    compiled = () if container is None else keras_private.compiled_metrics(container)
    metrics = [*model.metrics, *(metric for metric, _, _ in compiled)]
    found = [
        sentence
        for metric in metrics
        if isinstance(metric, CountsUnusable)
        for sentence in metric.explain_unusable().values()
    ]
    if found:
        cause = "batch= holds values that a metric cannot use. "
        raise ArgumentError(cause + " ".join(found))
