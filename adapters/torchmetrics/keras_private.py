"""The names of Keras that are not public and have no public twin.

Only the compiled container knows which metric belongs to which output, whether
it is weighted and under which name it is logged, only the wrapper knows its
function, only the tensor its mask, and only the metric which way `mode="auto"` takes
for better.
"""

from collections.abc import Callable
from typing import Any, Literal

from keras.src.backend import get_keras_mask, set_keras_mask


def compile_metrics(model: Any) -> Any | None:
    """Return the container of a compiled model's metrics, or None."""
    for metric in model.metrics:
        if hasattr(metric, "_flat_metrics") and hasattr(metric, "_flatten_y"):
            return metric
    return None


def compiled_metrics(container: Any) -> list[tuple[Any, int, bool]]:
    """Return (metric, index of its output, weighted) in the order of the logs."""
    return [
        (metric, output, weighted)
        for weighted, per_output in (
            (False, container._flat_metrics),  # noqa: SLF001 - the module's purpose
            (True, container._flat_weighted_metrics),  # noqa: SLF001 - as above
        )
        for output, metrics in enumerate(per_output)
        if metrics
        for metric in metrics.metrics
    ]


def names_asked_for(container: Any) -> list[str]:
    """Return the log name of each metric, numbered as Keras numbers equal ones."""
    names: list[str] = []
    counts: dict[str, int] = {}
    for weighted, per_output in (
        (False, container._flat_metrics),  # noqa: SLF001 - the module's purpose
        (True, container._flat_weighted_metrics),  # noqa: SLF001 - as above
    ):
        for metrics in filter(None, per_output):
            prefix = f"{metrics.output_name}_" if metrics.output_name else ""
            for metric in metrics.metrics:
                name = prefix + metric.name
                if weighted and name in counts:
                    name = f"{prefix}weighted_{metric.name}"
                number = counts.get(name, 0)
                counts[name] = number + 1
                names.append(f"{name}_{number}" if number else name)
    return names


def flatten_outputs(container: Any, tree: Any) -> list[Any]:
    """List one value an output, in Keras's order."""
    return list(container._flatten_y(tree))  # noqa: SLF001 - the module's purpose


def wrapped_function(metric: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Return the function of a `MeanMetricWrapper` and its keyword arguments."""
    return metric._fn, metric._fn_kwargs  # noqa: SLF001 - the module's purpose


def mask_of(output: Any) -> Any | None:
    """Return the mask that a layer left on its output, or None."""
    return get_keras_mask(output)


def set_mask(output: Any, mask: Any) -> None:
    """Put a mask on a tensor, as a layer would."""
    set_keras_mask(output, mask)


def automatic_mode(metric: Any) -> Literal["max", "min"] | None:
    """Return what Keras's callbacks take for better of a metric, if they can tell."""
    said = getattr(metric, "_direction", None)
    return None if said is None else "max" if said == "up" else "min"
