"""The three private names of Keras that state/ cannot do without.

Each has no public counterpart in Keras 3.13 to 3.15; tests/state/test_private.py
fails when one of them moves.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras.src.saving.serialization_lib import ObjectSharingScope

KERAS_SOURCE = "keras.src."
"""Where Keras's own classes live; `keras.layers.Dense.__module__` starts so."""


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
