"""The private names of Keras that multiback needs, all of them, each with its reason.

A public name is used wherever Keras has one. `tests/checkpoint/test_keras_private.py`
and `tests/state/test_private.py` fail when one of these changes. What is used and why:

- masks (`get_keras_mask`, `set_keras_mask`): Keras attaches a mask to a tensor under a
  private name and has no public way to read it;
- scopes (`in_stateless_scope`): nothing public says that Keras tries a metric on
  made-up data;
- values (`held_value`): on PyTorch the public way to a variable's tensor takes longer
  than counting a small batch;
- `fit` (`set_first_epoch`, `fit_arguments`): no callback can move the first epoch, or
  learn how `fit` was called;
- what was compiled (`user_metrics`, `compile_loss`, `is_compile_metrics`): no public
  list says which metric object stands behind a name in the logs;
- generators (`is_seeded`, `global_seed_state`): the generator behind
  `keras.random.normal(shape)` is not public;
- the order of a `PyDataset` (`Length`, `keep_order`): Keras fixes the number of batches
  and the order before training begins;
- layers and configs (`layers_of`, `sharing`, `no_compile_config`): `Model.layers` stops
  at the first level, and no switch leaves the compile config out.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, Self

import keras
from keras.src.backend import get_keras_mask
from keras.src.backend.common import global_state
from keras.src.backend.common.stateless_scope import in_stateless_scope
from keras.src.random import seed_generator
from keras.src.saving.serialization_lib import ObjectSharingScope
from keras.src.trainers.compile_utils import CompileMetrics
from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter
from keras.src.utils import rng_utils

__all__ = [
    "KERAS_SOURCE",
    "Length",
    "compile_loss",
    "fit_arguments",
    "get_keras_mask",
    "global_seed_state",
    "has_output_mask",
    "held_value",
    "in_stateless_scope",
    "is_compile_metrics",
    "is_seeded",
    "keep_order",
    "layers_of",
    "no_compile_config",
    "set_first_epoch",
    "sharing",
    "steps_per_epoch",
    "user_metrics",
]

KERAS_SOURCE = "keras.src."
"""Where Keras's own classes live; `keras.layers.Dense.__module__` starts so."""


def held_value(variable: Any) -> Any:
    """Return the tensor of a variable, also inside a stateless scope."""
    return variable._value  # noqa: SLF001 - the only way, see above.


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


def user_metrics(model: keras.Model) -> tuple[list[Any], list[Any], bool]:
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


def compile_loss(model: keras.Model) -> Any | None:
    """Return the container of the compiled losses, or None."""
    return getattr(model, "_compile_loss", None)


def is_compile_metrics(metric: Any) -> bool:
    """Return whether a metric is Keras's container of the compiled metrics."""
    return isinstance(metric, CompileMetrics)


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


class Length(int):
    """A number of batches that knows when an epoch that was resumed is over.

    `EpochIterator` keeps the number from before training and asks `seen >= number`
    before each batch. Python lets the subclass answer that. An epoch that begins
    in its middle so ends without Keras's warning that the data ran out.
    """

    is_over: Callable[[int], bool]

    def __new__(cls, batches: int, is_over: Callable[[int], bool]) -> Self:
        """Make the number; `is_over` is told how many batches Keras has seen."""
        made = super().__new__(cls, batches)
        made.is_over = is_over
        return made

    def __le__(self, seen: int) -> bool:
        return self.is_over(seen)

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)


def keep_order(caller: FrameType | None) -> None:
    """Let the adapter whose method called visit the batches in their order."""
    adapter = caller.f_locals.get("self") if caller else None
    if isinstance(adapter, PyDatasetAdapter):
        adapter.shuffle = False


def layers_of(model: Any) -> list[Any]:
    """Return the model and every layer below it, each once.

    `Model.layers` is public but stops at the first level, and a plain layer
    that holds layers (`Bidirectional`, `TextVectorization`) has no such list.
    """
    layers: list[Any] = model._flatten_layers()  # noqa: SLF001 - see the docstring
    return layers


def sharing() -> contextlib.AbstractContextManager[None]:
    """Make (de)serialisation keep one object one object, as `.keras` files do.

    Without it a metric that is listed twice, or a layer that two parts of a
    subclassed model's config name, comes back as two.
    """
    scope: contextlib.AbstractContextManager[None] = ObjectSharingScope()
    return scope


@contextlib.contextmanager
def no_compile_config(model: keras.Model) -> Iterator[None]:
    """Serialise the model without how it, and each model inside, was compiled.

    Keras offers no switch, and one metric that does not serialise would take
    the architecture down with it. An instance attribute hides the method; it is
    written to the instance's dictionary, because Keras watches `setattr`.
    """
    models = [each for each in layers_of(model) if isinstance(each, keras.Model)]
    try:
        for each in models:
            vars(each)["get_compile_config"] = dict
        yield
    finally:
        for each in models:
            vars(each).pop("get_compile_config", None)
