"""Write down how to build a model again, under any backend."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import keras

from multiback.keras_private import (
    KERAS_SOURCE,
    layers_of,
    no_compile_config,
    sharing,
)
from multiback.state.portable import (
    Config,
    objects_in,
    portable,
    without_learning_rate,
)
from multiback.state.variables import check_model, optimizer_of

# Keras's own layers whose state is not all in variables. The others that
# override `save_own_variables` (Dense, EinsumDense, Embedding, convolutions)
# do it to merge LoRA into the kernel, and have their variables all the same.
_VOCABULARIES = (
    keras.layers.StringLookup,
    keras.layers.IntegerLookup,
    keras.layers.TextVectorization,
)
_STATE_METHODS = (
    "save_own_variables",
    "load_own_variables",
    "save_assets",
    "load_assets",
)


@dataclass(frozen=True)
class Description:
    """How to build a model again.

    Attributes:
        config: Plain JSON values, equal for equal models and the same in every
            epoch; None where the model has no usable `get_config`. Where the
            learning rate is a number it is `null`: it is state, that changes in
            training, and the optimizer's variables hold it.
        problems: What could not be described, in sentences.
        needs_keras_file: A layer keeps state outside its variables: add Keras's
            own file with `write_keras_file`.
        learning_rate: The number that `config` leaves out, for a checkpoint
            without optimizer variables; None where there is no such number.
    """

    config: Config | None
    problems: list[str] = field(default_factory=list)
    needs_keras_file: bool = False
    learning_rate: float | None = None


def describe(model: keras.Model) -> Description:
    """Describe a model's architecture and how it was compiled.

    Classes are named by their public Keras name, so that what was written under
    torch trains under JAX; the jit flag is left to `"auto"`. How models inside
    the model were compiled is left out, for it has no effect there.

    Args:
        model: A built `keras.Model`.

    Returns:
        The description; what could not be described is in `problems`, not raised.

    Raises:
        ArgumentError: `model` is no Keras model.
        StateError: The model is not built.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> model.compile("adam", loss="mse")
        >>> found = describe(model)
        >>> found.config["class_name"], found.problems, found.needs_keras_file
        ('Sequential', [], False)
    """
    check_model(model)
    problems: list[str] = []
    rate: float | None = None
    with sharing(), warnings.catch_warnings():
        # Said below, in our words, and only where it matters.
        warnings.filterwarnings("ignore", message=".*includes a `lambda`")
        config = _architecture(model, problems)
        compiled = _compilation(model, problems)
        if config is not None:
            config = {**config, **({"compile_config": compiled} if compiled else {})}
            config = portable(config)
    if config is not None and "compile_config" in config:
        optimizer, rate = without_learning_rate(config["compile_config"]["optimizer"])
        config["compile_config"]["optimizer"] = optimizer
    trainable = [bool(layer.trainable) for layer in layers_of(model)]
    if config is not None and not all(trainable):
        config["trainable"] = trainable
    stateful = [layer.name for layer in layers_of(model) if _keeps_other_state(layer)]
    others = _other_optimizers(model)
    problems += [
        f"The optimizer in model.{name} is not the compiled one; its state is not in "
        "the model's variables and is not saved."
        for name in others
    ]
    return Description(config, problems, bool(stateful), rate)


def _architecture(model: keras.Model, problems: list[str]) -> Config | None:
    """Serialise the model without its compilation; None if it cannot be."""
    try:
        with no_compile_config(model):
            config: Config = keras.saving.serialize_keras_object(model)
        config.pop("compile_config", None)
        portable(config)
    except Exception as error:  # noqa: BLE001 - a user's get_config may raise anything
        problems.append(
            f"The architecture of {model.name!r} could not be written "
            f"({brief(error)}). Give {type(model).__name__} a get_config, or build "
            "the model yourself before restoring."
        )
        return None
    if _has_lambda(config):
        problems.append(
            "The model holds a lambda: it can be rebuilt only with safe_mode=False, "
            "which runs code from the file. Use a named function instead."
        )
    return config


def _compilation(model: keras.Model, problems: list[str]) -> Config | None:
    """Serialise what `compile` was called with; None if it cannot be."""
    if not model.compiled:
        return None
    try:
        config: Config = dict(model.get_compile_config() or {})
        if not config:
            return None
        # The live one: with mixed_float16 Keras has wrapped it for loss scaling,
        # and a rebuilt model does not always wrap it again.
        config["optimizer"] = keras.saving.serialize_keras_object(optimizer_of(model))
        if "jit_compile" in config:
            # Resolved when compiled: True from JAX makes torch compile for minutes.
            config["jit_compile"] = "auto"
        portable(config)
    except Exception as error:  # noqa: BLE001 - any metric or loss may raise anything
        reason = brief(error)
    else:
        if not _has_lambda(config):
            return config
        reason = "it holds a lambda"
    problems.append(
        f"How {model.name!r} was compiled could not be written ({reason}). The "
        "architecture was; call compile() on the rebuilt model. Named functions and "
        "metric objects with a get_config can be written."
    )
    return None


def _has_lambda(config: Config) -> bool:
    """Say whether a config holds pickled code."""
    return any(node["class_name"] == "__lambda__" for node in objects_in(config))


def _keeps_other_state(layer: Any) -> bool:
    """Say whether a layer has state that is no variable."""
    if isinstance(layer, _VOCABULARIES):
        # A vocabulary that was given, not adapted, is in the config.
        return (
            layer.get_config().get("vocabulary") is None
            and len(layer.get_vocabulary(include_special_tokens=False)) > 0
        )
    wrapper = getattr(keras.layers, "TorchModuleWrapper", None)
    if wrapper is not None and isinstance(layer, wrapper):
        return True
    return any(
        not _definer(type(layer), name).__module__.startswith(KERAS_SOURCE)
        for name in _STATE_METHODS
    )


def _definer(kind: type, name: str) -> type:
    """Return the class whose definition of a method is in force."""
    return next((each for each in kind.__mro__ if name in vars(each)), keras.Layer)


def _other_optimizers(model: keras.Model) -> list[str]:
    """Name the attributes that hold an optimizer beside the compiled one."""
    own = optimizer_of(model)
    return [
        name
        for name, value in vars(model).items()
        if isinstance(value, keras.optimizers.Optimizer)
        and value is not own
        and not name.startswith("_")
    ]


def brief(error: BaseException) -> str:
    """Give an error's kind and first line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
