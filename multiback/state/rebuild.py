"""Build the described model again: compiled, with its optimizer built."""

import contextlib
import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from multiback.errors import ArgumentError, StateError
from multiback.keras_private import KERAS_SOURCE, layers_of, no_compile_config, sharing
from multiback.state.bounds import MAX_METRICS, Room
from multiback.state.describe import brief
from multiback.state.portable import Config, objects_in, with_learning_rate
from multiback.state.variables import check_model, optimizer_of

# Where Keras may define a function of this bare name, which is all that a config holds.
_KERAS_FUNCTIONS = (
    keras.activations,
    keras.constraints,
    keras.initializers,
    keras.losses,
    keras.metrics,
    keras.ops,
    keras.regularizers,
)

# Keras's own default, for an optimizer without a recorded learning rate.
_LEARNING_RATE = 0.001


def rebuild(
    config: Mapping[str, Any],
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    learning_rate: float | None = None,
    room: Room | None = None,
) -> keras.Model:
    """Build a model from `describe(model).config`, ready for `restore`.

    Weights get new random values; the random generators of Python and NumPy stay as
    they were.

    Args:
        config: The description's config.
        custom_objects: Your own classes and functions, by the name that they
            were serialised under.
        compile: Compile it as it was compiled, and build its optimizer.
        safe_mode: Refuse lambdas, which are code inside the file.
        learning_rate: The optimizer's learning rate until `restore` brings the
            saved one; give `Description.learning_rate` where the optimizer's
            variables were not saved. Has no effect on a schedule.
        room: What the model may allocate; it gets `MAX_METRICS` more to compile.

    Returns:
        The model.

    Raises:
        ArgumentError: `config` is not a description's config.
        StateError: A class or function is unknown, or the model cannot be built.
            The error that Keras raised is its cause.

    Examples:
        >>> import keras
        >>> from multiback.state import describe
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> model.compile("adam", loss="mse")
        >>> again = rebuild(describe(model).config)
        >>> again.compiled, again.optimizer.built
        (True, True)
    """
    prepared: Config = {}

    def make() -> Any:
        prepared.update(_prepared(config, compile=compile, learning_rate=learning_rate))
        known = dict(custom_objects or {})
        architecture = {**prepared}
        compilation = architecture.pop("compile_config", None)
        trainable = architecture.pop("trainable", None)
        with sharing(), keras.saving.custom_object_scope(known):
            model = keras.saving.deserialize_keras_object(
                architecture, custom_objects=known, safe_mode=safe_mode
            )
            _set_trainable(model, trainable)
            if compilation:
                if room is not None:
                    room.add(MAX_METRICS)
                model.compile_from_config(compilation)
        return _built(model)

    return _guarded(make, prepared, custom_objects, room)


def write_keras_file(model: keras.Model, path: str | Path) -> None:
    """Write Keras's own `.keras` file, without how the model was compiled.

    For layers with state outside of variables (`Description.needs_keras_file`), and for
    readers that have Keras only. A metric that does not serialise cannot make it fail.

    Args:
        model: The model.
        path: A local path that ends in `.keras`. It is written in place: give a
            temporary name and rename.
    """
    check_model(model)
    with no_compile_config(model):
        model.save(str(path))


def custom_classes(model: keras.Model) -> dict[str, type]:
    """Return a model's own class and its layers', but Keras's, by name.

    As `custom_objects`, to rebuild unregistered classes in the same process.
    """
    classes = [type(layer) for layer in layers_of(model)]
    return {
        kind.__name__: kind
        for kind in classes
        if not kind.__module__.startswith(KERAS_SOURCE)
    }


def rebuild_from_keras_file(
    path: str | Path,
    config: Mapping[str, Any] | None = None,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    learning_rate: float | None = None,
    room: Room | None = None,
) -> keras.Model:
    """Load a file of `write_keras_file` and compile the model as described.

    It has the file's weights, vocabularies and tables. `config` says how to compile;
    without it, or with `compile=False`, the model is not compiled. The other arguments
    are as for `rebuild`.
    """
    prepared: Config = {}

    def make() -> Any:
        prepared.update(
            _prepared(
                config or {"class_name": ""},
                compile=compile,
                learning_rate=learning_rate,
            )
        )
        model = keras.saving.load_model(
            path,
            custom_objects=dict(custom_objects or {}),
            compile=False,
            safe_mode=safe_mode,
        )
        _set_trainable(model, prepared.get("trainable"))
        if prepared.get("compile_config"):
            if room is not None:
                room.add(MAX_METRICS)
            with keras.saving.custom_object_scope(dict(custom_objects or {})):
                model.compile_from_config(prepared["compile_config"])
        return _built(model)

    return _guarded(make, prepared, custom_objects, room)


def _prepared(
    config: Mapping[str, Any], *, compile: bool, learning_rate: float | None
) -> Config:
    """Adapt a description's config to this backend and this call."""
    if not isinstance(config, Mapping) or "class_name" not in config:
        raise ArgumentError(
            "config must be the config of a description, describe(model).config, "
            f"but it is {type(config).__name__}: {str(config)[:80]}. Where a "
            "description has no config (None), build the model yourself."
        )
    prepared = copy.deepcopy(dict(config))
    compilation = prepared.pop("compile_config", None)
    if not compile or not compilation:
        return prepared
    compilation["optimizer"] = with_learning_rate(
        compilation.get("optimizer"),
        _LEARNING_RATE if learning_rate is None else float(learning_rate),
    )
    if keras.config.backend() == "torch" and "steps_per_execution" in compilation:
        # It only concerns speed, and Keras refuses more than one under torch.
        compilation["steps_per_execution"] = 1
    return {**prepared, "compile_config": compilation}


def _guarded(
    make: Callable[[], Any],
    config: Config,
    custom_objects: Mapping[str, Any] | None,
    room: Room | None,
) -> Any:
    """Build the model; raise an error that names what is missing."""
    try:
        with _random_state_kept(), room or contextlib.nullcontext():
            return make()
    except ArgumentError:
        raise
    except Exception as error:
        if isinstance(_root(error), StateError):
            raise _root(error) from None
        compilation = config.get("compile_config")
        rest = {name: part for name, part in config.items() if name != "compile_config"}
        needed: list[str] = []
        optional: list[str] = []
        # A config that could not be built may be invalid.
        with contextlib.suppress(Exception):
            needed = _unknown(rest, custom_objects)
            optional = _unknown(compilation, custom_objects)
        optional = [name for name in optional if name not in needed]
        if not needed and "safe_mode=False" in str(_root(error)):
            raise StateError(
                "The model holds a lambda, which is code in the file. Pass "
                "safe_mode=False if you trust the file; or build the model yourself, "
                "then multiback.restore(model, path)."
            ) from error
        if not needed and not optional:
            raise StateError(
                f"The model could not be rebuilt ({brief(_root(error))}). If a newer "
                f"Keras than this {keras.__version__} saved it, update Keras. Keras "
                "gives a class what its get_config returned: for later runs, let its "
                "__init__ take that, with **kwargs for super().__init__. Now build the "
                "model yourself, call it on a batch, then multiback.restore(model, "
                "path)."
            ) from error
        names = ", ".join(f"{name!r}: ..." for name in (*needed, *optional))
        also = "" if needed else ", or compile=False to leave it out"
        raise StateError(
            "The model could not be rebuilt because it uses "
            f"{', '.join(map(repr, (*needed, *optional)))}, which Keras does not know. "
            f"Pass custom_objects={{{names}}}{also}; in a shell, --import the module "
            "that has them."
        ) from error


def _root(error: BaseException) -> BaseException:
    """Return the first cause of an error: Keras wraps it several times."""
    below = error.__cause__ or error.__context__
    return error if below is None else _root(below)


def _set_trainable(model: Any, trainable: Sequence[bool] | None) -> None:
    """Freeze the layers that were frozen; a subclass's config lacks this.

    Before compiling, because the optimizer has slots for trainable weights.
    """
    layers = layers_of(model)
    if trainable is None or len(trainable) != len(layers):
        return
    # Parents come before their children, and setting one sets all below it.
    for layer, flag in zip(layers, trainable, strict=True):
        layer.trainable = flag


def _built(model: Any) -> keras.Model:
    """Build the optimizer too, if Keras has not built it."""
    optimizer = optimizer_of(model)
    if optimizer is not None and model.built and not optimizer.built:
        optimizer.build(model.trainable_variables)
    return model


def _unknown(config: Any, custom_objects: Mapping[str, Any] | None) -> list[str]:
    """Name the classes and functions of a config that Keras cannot find."""
    known = dict(custom_objects or {})
    names: dict[str, None] = {}
    for node in objects_in(config):
        module = node.get("module")
        kind, registered = node["class_name"], node.get("registered_name")
        if kind == "function":
            name = str(node.get("config"))
            ours = not any(hasattr(place, name) for place in _KERAS_FUNCTIONS)
        else:
            name = str(registered or kind)
            ours = "module" in node and not str(module or "").startswith("keras")
        if ours and keras.saving.get_registered_object(name, known) is None:
            names[name] = None
    return list(names)


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    """Undo draws: an unseeded random layer takes its seed from Python's generator."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global one
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002 - as above
