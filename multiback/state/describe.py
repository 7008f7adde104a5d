"""Serialise how to build a model again, under any backend."""

import warnings
from dataclasses import dataclass, field

import keras

from multiback.keras_private import layers_of, no_compile_config, sharing
from multiback.state.own_state import (
    losses_with_state,
    lost_buffers,
    state_in_config,
    stateful_layers,
    ways_of_own_state,
)
from multiback.state.portable import Config, objects_in, portable, without_learning_rate
from multiback.state.variables import check_model, optimizer_of


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
        own_state: The ways to the layers that keep state outside their variables.
        state_in_config: A digest of what layers keep in their config alone, by way.
    """

    config: Config | None
    problems: list[str] = field(default_factory=list)
    needs_keras_file: bool = False
    learning_rate: float | None = None
    own_state: list[str] = field(default_factory=list)
    state_in_config: dict[str, str] = field(default_factory=dict)


def describe(model: keras.Model) -> Description:
    """Describe a model's architecture and how it was compiled.

    Classes are named by their public Keras name, so a description from torch trains
    under JAX; the jit flag is left to `"auto"`. How inner models were compiled is left
    out, because it has no effect there.

    Args:
        model: A built `keras.Model`.

    Returns:
        The description; `problems` lists what could not be described.

    Raises:
        ArgumentError: `model` is not a Keras model.
        StateError: The model is not built.

    Examples:
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
        # Reported below, in our words, and only where it matters.
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
    problems += [
        f"The states of the stateful layer {name!r} are in no variable of Keras and "
        "are not saved: they start from zero after a resume."
        for name in stateful_layers(model)
    ]
    problems += [
        f"The torch buffer {way!r} is no variable of Keras and is not saved. Make it "
        "one with add_weight(trainable=False), or write save_own_variables."
        for way in lost_buffers(model)
    ]
    problems += [
        f"The loss {name!r} holds variables, which Keras does not know and so nothing "
        "saves. Hold them in a layer of the model, or in a metric of compile."
        for name in losses_with_state(model)
    ]
    own = ways_of_own_state(model)
    return Description(config, problems, bool(own), rate, own, state_in_config(model))


def _architecture(model: keras.Model, problems: list[str]) -> Config | None:
    """Serialise the model without its compilation; None if it cannot be done."""
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
    """Serialise the arguments of `compile`; None if it cannot be done."""
    if not model.compiled:
        return None
    try:
        config: Config = dict(model.get_compile_config() or {})
        if not config:
            return None
        # The live optimizer: with mixed_float16 Keras has wrapped it for loss scaling,
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
    """Return whether a config holds pickled code."""
    return any(node["class_name"] == "__lambda__" for node in objects_in(config))


def brief(error: BaseException) -> str:
    """Return an error's class and first line."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
