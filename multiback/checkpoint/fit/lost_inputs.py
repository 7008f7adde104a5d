"""What Keras does not pass to metrics: weights, and on JAX masks.

Keras passes weights to `weighted_metrics=` only, and JAX's `fit` passes no mask to
metrics. Neither a metric nor its result shows this; a callback sees it in the arguments
of `fit`, if the data are arrays or a `tf.data.Dataset`. Loaders and generators show
only in their batches whether they contain weights: `audit` checks those.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from multiback import keras_private

WEIGHTS = (
    "{where} brings {what}, which Keras hands to weighted_metrics= only: {names} "
    "{count} each sample once. Compile {them} as weighted_metrics=, or say with "
    "weighted_metrics=[] that this is what you want."
)
MASK = (
    "The model masks its output, and on JAX Keras hands metrics no mask in fit, though "
    "it does in evaluate: while training, {names} {count} padding too, and {differ} "
    "from the val_ {number} for that alone. {cure}"
)
WEIGHT_0 = "Pass sample_weight= of 0 there, and compile {them} as weighted_metrics=."
PADDED = "Mark padded labels with ignore_index=."


def lost_inputs(model: keras.Model) -> list[str]:
    """Return what the running `fit` will not pass to the model's metrics.

    A model with its own step may pass anything to its metrics: nothing is reported.
    """
    cls = type(model)
    plain_steps = all(
        getattr(cls, step) is getattr(keras.Model, step)
        for step in ("compute_metrics", "test_step", "train_step")
    )
    if not plain_steps:
        return []
    plain, weighted, knows = keras_private.user_metrics(model)
    problems = []
    if plain and not knows:
        problems += _lost_weights(keras_private.fit_arguments(), _names(plain))
    if keras.backend.backend() == "jax" and keras_private.has_output_mask(model):
        counting = [one for one in plain if not _ignores(one)]
        # Weights, where there are some, may mark the padding.
        if not _weights_of(keras_private.fit_arguments(), ("sample_weight",)):
            counting += [one for one in weighted if not _ignores(one)]
        if counting:
            names = _names(counting)
            cure = PADDED if all(map(_can_ignore, counting)) else _say(WEIGHT_0, names)
            problems.append(_say(MASK, names, cure=cure))
    return problems


def _lost_weights(fit: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    problems = []
    if in_training := _weights_of(fit, ("sample_weight", "class_weight")):
        what = " and ".join(in_training)
        problems.append(_say(WEIGHTS, names, where="fit", what=what))
    validation = fit.get("validation_data")
    third = 2
    if _brings_weights(validation) or (
        isinstance(validation, tuple)
        and len(validation) > third
        and validation[third] is not None
    ):
        what = "sample weights"
        problems.append(_say(WEIGHTS, names, where="validation_data", what=what))
    return problems


def _weights_of(fit: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Name the weights that the arguments of `fit` bring for training."""
    found = [name for name in names if fit.get(name) is not None]
    if _brings_weights(fit.get("x")):
        found.append("sample weights")
    return found


def _brings_weights(data: Any) -> bool:
    """Return whether a `tf.data.Dataset` yields `(x, y, sample_weight)`."""
    # Public in TensorFlow, which this file may not import.
    spec = getattr(data, "element_spec", None)
    return isinstance(spec, tuple) and len(spec) == 3  # noqa: PLR2004 - a triple


def _ignores(metric: Any) -> bool:
    """Return whether a metric skips labels that mark padding."""
    return _config(metric).get("ignore_index") is not None


def _can_ignore(metric: Any) -> bool:
    """Return whether a metric has an argument for labels that mark padding."""
    return "ignore_index" in _config(metric)


def _config(metric: Any) -> Mapping[str, Any]:
    if not isinstance(metric, keras.metrics.Metric):
        return {}
    config: Mapping[str, Any] = metric.get_config()
    # A member of a group holds its metric.
    held: Any = config.get("metric")
    return held["config"] if isinstance(held, dict) else config


def _names(metrics: Sequence[Any]) -> list[str]:
    """Name metrics as the user gave them: objects, functions and names."""
    return [
        one
        if isinstance(one, str)
        else str(getattr(one, "name", None) or getattr(one, "__name__", one))
        for one in metrics
    ]


def _say(text: str, names: Sequence[str], **words: str) -> str:
    one = len(names) == 1
    return text.format(
        names=", ".join(names),
        count="counts" if one else "count",
        differ="differs" if one else "differ",
        number="number" if one else "numbers",
        them="it" if one else "them",
        **words,
    )
