"""The private names of Keras that the callback needs, in one place.

Keras offers a callback no public way to move the epoch at which `fit` starts, to
learn which metric object stands behind a name in the logs, to know how `fit` was
called and what was compiled, to see a mask, or to reach the generator behind
`keras.random.normal(shape)`.
`tests/checkpoint/test_keras_private.py` notices when that changes.
"""

import inspect
import re
from collections.abc import Mapping
from typing import Any

import keras
from keras.src.backend import get_keras_mask
from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from keras.src.trainers.compile_utils import CompileMetrics
from keras.src.utils import rng_utils

from multiback.checkpoint.choosing.direction import Mode, direction_of


def set_first_epoch(model: keras.Model, epoch: int | None) -> None:
    """Let the `fit` that is about to start begin at an epoch; None lets it be."""
    model._initial_epoch = epoch  # noqa: SLF001 - the only way, see above


def is_seeded() -> bool:
    """Tell whether `keras.utils.set_random_seed` was called."""
    return rng_utils.get_random_seed() is not None


def steps_per_epoch() -> int | None:
    """Return the `steps_per_epoch` of the `fit` that runs; no callback is told."""
    given: int | None = fit_arguments().get("steps_per_epoch")
    return given


def fit_arguments() -> Mapping[str, Any]:
    """Return the local names of the `fit` that runs, its arguments among them.

    Empty outside of one.
    """
    frame = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        if code.co_name == "fit" and "steps_per_epoch" in code.co_varnames:
            return frame.f_locals
        frame = frame.f_back
    return {}


def compiled_metrics(model: keras.Model) -> tuple[list[Any], list[Any], bool]:
    """Return what `metrics=` and `weighted_metrics=` hold, as they were given.

    Returns:
        Both lists flattened, without None, and whether `weighted_metrics=` was given at
        all, were it empty.
    """
    compiled = [one for one in model.metrics if isinstance(one, CompileMetrics)]
    if not compiled:
        return [], [], False
    given = compiled[0]._user_metrics, compiled[0]._user_weighted_metrics  # noqa: SLF001 - the only way, see above
    plain, weighted = (
        [one for one in keras.tree.flatten(each or []) if one is not None]
        for each in given
    )
    return plain, weighted, given[1] is not None


def has_output_mask(model: keras.Model) -> bool:
    """Tell whether an output that Keras knows symbolically carries a mask."""
    outputs = getattr(model, "outputs", None) or []
    return any(get_keras_mask(one) is not None for one in keras.tree.flatten(outputs))


def global_seed_state(*, create: bool = False) -> Any:
    """Return the variable of the generator that Keras uses where no seed is given.

    None where there is no such generator yet and it is not to be made.
    """
    name = seed_generator.GLOBAL_SEED_GENERATOR
    if not create and global_state.get_global_attribute(name) is None:
        return None
    return seed_generator.global_seed_generator().state


def logged_metrics(model: keras.Model) -> list[tuple[str, Any, Mode | None]]:
    """Return `(name in the logs, value, which way is better)`, as Keras will log.

    Raises:
        ValueError: The metrics are not built yet, as before TensorFlow's first
            batch.
    """
    losses = getattr(model, "_compile_loss", None)
    if losses is not None and not losses.built:
        raise ValueError("The losses, and with them their names, are not built yet.")
    of_outputs = {id(metric) for metric in (losses.metrics if losses else ())}
    found: list[tuple[str, Any, Mode | None]] = []
    for metric in model.metrics:
        result = metric.result()
        if isinstance(metric, CompileMetrics):
            # The same order; fewer names than metrics where one hides another.
            modes = [direction_of(owner) for owner in metric.metrics]
            hidden = len(modes) - len(result)
            if hidden:
                modes = [None] * len(result)
                found += _hiding(result, hidden)
            for (name, value), mode in zip(result.items(), modes, strict=True):
                found += _flat(name, value, mode)
        else:
            mode = "min" if id(metric) in of_outputs else direction_of(metric)
            found += _flat(str(metric.name), result, mode)
    return found


def _hiding(
    result: Mapping[str, Any], hidden: int
) -> list[tuple[str, Any, Mode | None]]:
    """Repeat the names that Keras's numbering has given twice: `a, a, a_1`."""
    numbered = [name for name in result if re.search(r"_\d+$", name)]
    return [(name, result[name], None) for name in numbered[-hidden:]]


def _flat(
    name: str, value: Any, mode: Mode | None
) -> list[tuple[str, Any, Mode | None]]:
    """Drop the name of a metric whose result is a dictionary, as Keras does."""
    if not isinstance(value, dict):
        return [(name, value, mode)]
    # One object cannot say which way is better for each of its results.
    return [row for key, each in value.items() for row in _flat(str(key), each, None)]
