"""State that layers keep outside of Keras's variables, from Keras's own file.

Vocabularies, lookup tables, the buffers of torch modules: everything that a layer's
`save_own_variables` and `save_assets` write. Also values that layers compute from their
variables and store.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from multiback.errors import StateError
from multiback.keras_private import KERAS_SOURCE, Part, layers_of, stores_of
from multiback.state.variables import walk
from multiback.store.disk.temporary import make_temporary, remove_temporary

# Keras's own layers with state outside of variables. The others that override
# `save_own_variables` (Dense, EinsumDense, Embedding, convolutions) do it to merge LoRA
# into the kernel, and their state is in variables.
_VOCABULARIES = (
    keras.layers.StringLookup,
    keras.layers.IntegerLookup,
    keras.layers.TextVectorization,
)
# What a layer learned from data and keeps in its config alone.
_IN_CONFIG = {
    **dict.fromkeys(_VOCABULARIES, ("vocabulary", "idf_weights")),
    keras.layers.Discretization: ("bin_boundaries",),
    keras.layers.Normalization: ("mean", "variance"),
}
_STATE_METHODS = (
    "save_own_variables",
    "load_own_variables",
    "save_assets",
    "load_assets",
)


def has_own_state(layer: Any) -> bool:
    """Return whether a layer has state outside of variables now."""
    if isinstance(layer, _VOCABULARIES):
        return (
            can_have_own_state(layer)
            and len(layer.get_vocabulary(include_special_tokens=False)) > 0
        )
    return can_have_own_state(layer)


def can_have_own_state(layer: Any) -> bool:
    """Return whether a layer writes and reads state outside of variables."""
    if isinstance(layer, _VOCABULARIES):
        # A vocabulary that the user gave, not adapted, is in the config.
        return layer.get_config().get("vocabulary") is None
    wrapper = getattr(keras.layers, "TorchModuleWrapper", None)
    if wrapper is not None and isinstance(layer, wrapper):
        return True
    return any(
        not _definer(type(layer), name).__module__.startswith(KERAS_SOURCE)
        for name in _STATE_METHODS
    )


def _definer(kind: type, name: str) -> type:
    """Return the class that defines the method in use."""
    return next((each for each in kind.__mro__ if name in vars(each)), keras.Layer)


def ways_of_own_state(model: keras.Model) -> list[str]:
    """Return the way to each layer that has state outside of variables now."""
    return [
        part.way
        for part in walk(model)
        if isinstance(part.value, keras.Layer) and has_own_state(part.value)
    ]


def state_in_config(model: keras.Model) -> dict[str, str]:
    """Return a digest of what each layer keeps in its config alone, by its way.

    Such as a vocabulary that the user gave: no file of Keras's has it, and `load_best`
    reads it from the architecture.
    """
    found = {}
    for part in walk(model):
        names = [n for kind, n in _IN_CONFIG.items() if isinstance(part.value, kind)]
        if names and (plain := _given(part.value.get_config(), names[0])):
            digest = hashlib.sha256(repr(plain).encode()).hexdigest()
            found[part.way] = digest[:16]
    return found


def _given(config: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return what a config has of some names, as plain values."""
    return {
        name: np.asarray(config[name]).tolist()
        for name in names
        if config.get(name) is not None
    }


def different_in_config(model: keras.Model, saved: Mapping[str, str]) -> list[str]:
    """Return the layers whose config has other values than the saved, in sentences."""
    own = state_in_config(model)
    return [
        f"The layer {way!r} was saved with another vocabulary, mean or boundaries in "
        "its config, which restoring does not change. Build it with those, or use "
        "load_best."
        for way, digest in saved.items()
        # A layer may be in another place now.
        if own.get(way, None if digest not in own.values() else digest) != digest
    ]


def stateful_layers(model: keras.Model) -> list[str]:
    """Return the names of recurrent layers that keep their state between batches."""
    return [
        layer.name
        for layer in layers_of(model)
        if isinstance(layer, keras.layers.RNN) and layer.stateful
    ]


def losses_with_state(model: keras.Model) -> list[str]:
    """Return the names of the compiled losses that hold variables, which Keras omits.

    It follows the attributes of a model to layers and metrics, and not to a loss.
    """
    found = []
    known = {id(variable) for variable in model.variables}
    for loss in keras.tree.flatten(getattr(model, "loss", None)):
        # A function of an object may use what the object holds.
        owner = getattr(loss, "__self__", loss)
        held = list(getattr(owner, "__dict__", {}).values())
        held += [part for parts in held if isinstance(parts, list) for part in parts]
        metrics = [part for part in held if isinstance(part, keras.Metric)]
        held += [variable for metric in metrics for variable in metric.variables]
        if any(isinstance(v, keras.Variable) and id(v) not in known for v in held):
            found.append(getattr(owner, "name", type(owner).__name__))
    return found


def lost_buffers(model: keras.Model) -> list[str]:
    """Return the way to each torch buffer that nothing saves.

    On torch a layer is a module and can have buffers, which Keras does not know. A
    layer that writes its own state takes care of them.
    """
    if keras.backend.backend() != "torch":
        return []
    found = []
    for part in walk(model):
        layer = part.value
        if isinstance(layer, keras.Layer) and not can_have_own_state(layer):
            names = [name for name, _ in layer.named_buffers(recurse=False)]
            # Without those that are not persistent.
            kept = layer.state_dict() if names else {}
            found += ["/".join(filter(None, (part.way, n))) for n in names if n in kept]
    return found


def restore_own_state(
    model: keras.Model, file: Path | None, saved: Sequence[str] | None
) -> list[str]:
    """Restore the state that layers keep outside of their variables.

    `saved` are the ways to the layers that had such state; None if unknown. Return the
    state that could not be restored, in sentences; where a layer refuses its state,
    raise, and the model is as it was.
    """
    parts = {
        part.way: part
        for part in walk(model)
        if isinstance(part.value, keras.Layer) and can_have_own_state(part.value)
    }
    wanted = parts if saved is None else {k: v for k, v in parts.items() if k in saved}
    problems = [
        f"The checkpoint has state of the layer at {way!r} outside of its variables, "
        "which the model does not have: it was left out."
        for way in saved or ()
        if way not in parts
    ]
    if file is not None and wanted:
        with stores_of(file) as (variables, assets), _undone_on_error(wanted.values()):
            problems += [
                _not_there(part)
                for part in wanted.values()
                if not _load(part, variables, assets)
            ]
        forget_compiled(model)
    elif file is None:
        problems += [_not_there(part) for part in wanted.values()]
    problems += [
        f"The layer {part.way!r} has state outside of its variables, which the "
        "checkpoint does not have: it was left as it is."
        for way, part in parts.items()
        if way not in wanted and has_own_state(part.value)
    ]
    problems += [
        f"The states of the stateful layer {name!r} are in no variable of Keras and no "
        "checkpoint: they were left as they are. Call reset_states()."
        for name in stateful_layers(model)
    ]
    return problems


def _not_there(part: Part) -> str:
    return (
        f"The state of the layer {part.way!r} outside of its variables is not in the "
        "checkpoint: it was left as it is."
    )


def _load(part: Part, variables: Any, assets: Any) -> bool:
    """Give one layer its state; return whether there was any."""
    folder = assets.get(part.path) if assets is not None else None
    in_file = variables.get(part.path)
    has_assets = _overrides(part.value, "load_assets")
    if not len(in_file.keys()) and (folder is None or not has_assets):
        return False
    try:
        part.value.load_own_variables(in_file)
        if has_assets and folder is not None:
            part.value.load_assets(folder)
    except Exception as error:
        raise StateError(
            f"The layer {part.way!r} did not take its state from the checkpoint, and "
            f"nothing was restored: {type(error).__name__}: {str(error)[:300]}. Build "
            "the layer as it was when it was saved."
        ) from error
    return True


def _overrides(layer: Any, name: str) -> bool:
    return getattr(type(layer), name, None) is not getattr(keras.Layer, name, None)


@contextlib.contextmanager
def _undone_on_error(parts: Any) -> Iterator[None]:
    """Restore the layers' previous state if one of them raises."""
    scratch = make_temporary()
    try:
        before = []
        for number, part in enumerate(parts):
            store: dict[str, Any] = {}
            folder = Path(scratch, str(number))
            folder.mkdir()
            # A layer without state may not be able to write it.
            with contextlib.suppress(Exception):
                part.value.save_own_variables(store)
                if _overrides(part.value, "save_assets"):
                    part.value.save_assets(str(folder))
                plain = {
                    k: np.array(keras.ops.convert_to_numpy(v)) for k, v in store.items()
                }
                before.append((part.value, plain, folder))
        try:
            yield
        except StateError:
            for layer, plain, folder in before:
                with contextlib.suppress(Exception):
                    layer.load_own_variables(plain)
                    if any(folder.iterdir()):
                        layer.load_assets(str(folder))
            raise
    finally:
        remove_temporary(scratch)


def follow_variables(model: keras.Model) -> None:
    """Recompute values cached from variables.

    An adapted `Normalization` keeps constants, which Keras computes again when it loads
    a file, and compiled functions hold the old ones.
    """
    adapted = [
        layer
        for layer in layers_of(model)
        if isinstance(layer, keras.layers.Normalization)
    ]
    for layer in adapted:
        layer.finalize_state()
    if adapted:
        forget_compiled(model)


def forget_compiled(model: keras.Model) -> None:
    """Drop compiled functions, which hold old constants; a running `fit` keeps its."""
    model.test_function = model.predict_function = None
    if getattr(model, "train_function", None) is not None:
        model.make_train_function(force=True)
