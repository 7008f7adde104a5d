"""Compare what the loss and the metrics of each output take: logits or probabilities.

Keras does not compare them. A loss of logits beside metrics of probabilities is the
most common cause of a wrong number without an error.
"""

from typing import Any, Protocol, runtime_checkable

import keras

from multiback import keras_private
from multiback.checkpoint.fit.log_names import writes_own_logs
from multiback.errors import ArgumentError

_PROBABILITIES = ("hard_sigmoid", "sigmoid", "softmax", "sparse_sigmoid", "sparsemax")
_WITH_ACTIVATION = (
    "Activation",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Dense",
    "EinsumDense",
    "SeparableConv1D",
    "SeparableConv2D",
)


@runtime_checkable
class TakesProbabilities(Protocol):
    """A metric that says whether its value depends on scores being probabilities."""

    name: str
    wants_probabilities: bool


def check_logits(model: keras.Model) -> list[str]:
    """Raise where a loss takes logits that a metric takes for probabilities.

    Models with their own step or loss are skipped, and so are losses that are not Keras
    objects and outputs whose last operation cannot be read. Return losses that are
    wrong themselves, in sentences.
    """
    if writes_own_logs(model) or any(
        getattr(type(model), name) is not getattr(keras.Model, name)
        for name in ("compute_loss", "compute_metrics")
    ):
        return []
    problems = []
    for name, output, loss, metrics in keras_private.compiled_pairs(model):
        if not _takes_logits(loss):
            continue
        last = last_activation(output)
        if last in _PROBABILITIES:
            problems.append(
                f"The loss of the output {name!r} has from_logits=True, but the output "
                f"is a {last} already. Leave from_logits=True out, or the activation."
            )
        elif last is not None:
            _check_metrics(name, metrics)
    return problems


def _check_metrics(name: str, metrics: list[Any]) -> None:
    wrong = [
        repr(metric.name)
        for metric in metrics
        if isinstance(metric, TakesProbabilities) and metric.wants_probabilities
    ]
    if wrong:
        several = len(wrong) > 1
        raise ArgumentError(
            f"The loss of the output {name!r} has from_logits=True, but its "
            f"metric{'s' * several} {', '.join(wrong)} take{'s' * (not several)} "
            f"probabilities. Pass from_logits=True to the metric{'s' * several} too."
        )


def _takes_logits(loss: Any) -> bool:
    """Return whether a loss is a Keras object with from_logits=True."""
    is_keras = type(loss).__module__.startswith("keras.")
    return is_keras and getattr(loss, "from_logits", False) is True


def last_activation(output: Any) -> str | None:
    """Return the name of the activation that made an output; None if unreadable."""
    history = getattr(output, "_keras_history", None)
    operation = None if history is None else history.operation
    kind = type(operation).__name__
    found = None
    if not type(operation).__module__.startswith("keras."):
        return None
    if kind in ("Sigmoid", "Softmax"):
        # A layer, or the operation of a function of keras.ops.
        found = kind.lower()
    elif kind in _WITH_ACTIVATION and isinstance(operation, keras.layers.Layer):
        found = _name_of(operation.activation)
        if kind == "Activation" and found == "linear":
            # Such as a cast to float32 after a sigmoid.
            found = last_activation(operation.input)
    return found


def _name_of(activation: Any) -> str | None:
    """Return the name of one of Keras's activations; None for any other."""
    if activation is None:
        return "linear"
    if isinstance(activation, keras.layers.Softmax):
        return "softmax"
    module, name = (getattr(activation, x, "") for x in ("__module__", "__name__"))
    return name if str(module).startswith("keras.") and name else None
