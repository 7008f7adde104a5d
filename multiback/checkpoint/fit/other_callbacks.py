"""The state of other callbacks, which Keras discards when `fit` begins.

A list names the fields to save: settings such as `min_delta` belong to the program, not
to the checkpoint.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import keras
import numpy as np

from multiback.checkpoint.choosing.log_values import readable
from multiback.checkpoint.choosing.names import canonical_name
from multiback.errors import ArgumentError, StateError

_FIELDS: Mapping[type, tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: (
        "wait",
        "stopped_epoch",
        "best",
        "best_epoch",
        "best_weights",
    ),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
    keras.callbacks.LearningRateScheduler: (),
}

_BY_MONITOR = (keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau)

Arrays: TypeAlias = Mapping[str, np.ndarray]


@runtime_checkable
class HasState(Protocol):
    """A user's callback that can be saved: JSON values and arrays."""

    def get_state(self) -> Mapping[str, Any]:
        """Return the state."""

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore the state."""


def check_callbacks(callbacks: Sequence[Any]) -> None:
    """Raise unless it is a list, and the state of each callback can be saved."""
    if not isinstance(callbacks, Sequence) or isinstance(callbacks, str):
        raise ArgumentError(
            f"callbacks= wants a list of callbacks, not {callbacks!r:.200}. Put it in "
            "brackets."
        )
    for callback in callbacks:
        if not isinstance(callback, HasState) and _fields(callback) is None:
            names = ", ".join(kind.__name__ for kind in _FIELDS)
            raise ArgumentError(
                f"callbacks= has a {type(callback).__name__}, whose state is not "
                f"known. Wanted: {names}, or an object with get_state() and "
                "set_state(state)."
            )


def check_order(callbacks: Sequence[Any], params: Any) -> None:
    """Raise unless `fit` has the callbacks, each in front of `ModelCheckpoint`.

    A callback behind it has not seen the epoch's end yet at the save. Keras passes the
    same `params` to one callback after the other.
    """
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.Callback) and (
            callback.params is not params
        ):
            raise ArgumentError(
                f"callbacks= names a {type(callback).__name__} that does not stand "
                "before ModelCheckpoint in fit(callbacks=[...]). Put it there: it "
                "must have seen the end of the epoch when its state is saved."
            )


def around(callbacks: Sequence[Any], ours: Any) -> tuple[list[Any], list[Any]]:
    """Return the callbacks in front of one, and those behind it; none without it."""
    for place, one in enumerate(callbacks):
        if one is ours:
            return list(callbacks[:place]), list(callbacks[place + 1 :])
    return [], []


def late_logs(callbacks: Sequence[Any], ours: Any) -> str:
    """Say which of the user's callbacks stand behind one; empty without any."""
    names = [
        type(one).__name__
        for one in around(callbacks, ours)[1]
        if not type(one).__module__.startswith(("keras.", "multiback."))
    ]
    if not names:
        return ""
    return (
        f"{' and '.join(names)} stands behind ModelCheckpoint in fit(callbacks="
        "[...]): what it adds to the logs comes too late. Put it in front."
    )


def known_callbacks(
    callbacks: Sequence[Any], ours: Any, named: Sequence[Any]
) -> tuple[list[Any], list[str]]:
    """Find the callbacks of `fit` whose state can be saved without being named.

    Return those in front of `ours`, and in sentences those behind it, which have not
    seen the epoch's end at the save.
    """
    in_front, behind = (
        [
            one
            for one in part
            if (isinstance(one, HasState) or _fields(one))
            and not any(one is other for other in named)
        ]
        for part in around(callbacks, ours)
    )
    return in_front, [
        f"{type(one).__name__} stands behind ModelCheckpoint in fit(callbacks=[...]), "
        "so its state is not saved for a resume. Put it in front."
        for one in behind
    ]


def callback_states(
    callbacks: Sequence[Any],
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Copy the callbacks' states: JSON values, and the arrays in them."""
    states: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for number, callback in enumerate(callbacks):
        if isinstance(callback, HasState):
            state = dict(callback.get_state())
        else:
            state = {
                name: _plain(getattr(callback, name))
                for name in _fields(callback) or ()
            }
        plain = {
            name: _without_arrays(value, f"callbacks/{number}/{name}", arrays)
            for name, value in state.items()
        }
        kind = {"class": type(callback).__name__}
        states.append({**kind, **_goal(callback), "state": plain})
    return states, arrays


def _goal(callback: Any) -> dict[str, str]:
    """Return what a callback watches, and which way is better, once that is known."""
    if not isinstance(callback, _BY_MONITOR):
        return {}
    # Keras answers "auto" at the end of the first epoch.
    found = {keras.ops.greater: "max", keras.ops.less: "min"}
    mode = found.get(callback.monitor_op, callback.mode)
    return {"monitor": str(callback.monitor), "mode": str(mode)}


def _is_of(saved: Mapping[str, Any], callback: Any) -> bool:
    """Return whether a state is of a callback of this class, monitor and mode.

    As far as both are known: earlier versions recorded the class alone.
    """
    goal = _goal(callback)
    modes = {saved.get("mode", "auto"), goal.get("mode", "auto")} - {"auto"}
    names = {one["monitor"] for one in (saved, goal) if "monitor" in one}
    return (
        saved["class"] == type(callback).__name__
        and len(modes) < 2  # noqa: PLR2004 - one each
        and (len(names) < 2 or len(set(map(canonical_name, names))) == 1)  # noqa: PLR2004
    )


def restore_callbacks(
    callbacks: Sequence[Any],
    states: Sequence[Mapping[str, Any]],
    arrays: Arrays,
    named: int,
    *,
    same_weights: bool = True,
) -> list[str]:
    """Restore the callbacks' states, by class, monitor and mode, in order among equals.

    Return the callbacks that begin as new, in sentences; one of the first `named`,
    which the user gave, raises where the checkpoint has no state of its class. Weights
    that a callback holds come back only to a model with the `same_weights`.
    """
    left = list(states)
    pairs, absent = [], []
    for number, callback in enumerate(callbacks):
        kind, goal = type(callback).__name__, _goal(callback)
        saved = next((one for one in left if _is_of(one, callback)), None)
        if saved is not None:
            left.remove(saved)
            if same_weights or not _puts_weights_back(callback, saved):
                pairs.append((callback, saved))
                continue
            absent.append(
                f"The best_weights of {kind} in the checkpoint are of another model: "
                "it begins as new."
            )
        elif number < named and not any(one["class"] == kind for one in states):
            raise StateError(
                f"callbacks= names {[type(one).__name__ for one in callbacks[:named]]}"
                ", but the checkpoint has the state of "
                f"{[one['class'] for one in states]}. Name the same callbacks."
            )
        else:
            of = " and ".join(f"{name}={value!r}" for name, value in goal.items())
            absent.append(
                f"The checkpoint has no state of {kind}{' with ' * bool(of)}{of}, "
                "which begins as new."
            )
    for callback, saved in pairs:
        state = {k: _with_arrays(v, arrays) for k, v in saved["state"].items()}
        if isinstance(callback, HasState):
            callback.set_state(state)
            continue
        for name in _fields(callback) or ():
            if name in state:
                setattr(callback, name, state[name])
    return absent


def way_to_train_on(callbacks: Sequence[Any]) -> str:
    """Say how a run trains on that one of these, with its state, stopped; or "".

    A stop by anything without a state, such as a limit of time, is of one process.
    """
    for one in callbacks:
        if isinstance(one, keras.callbacks.EarlyStopping):
            if one.wait > 0 and one.wait >= one.patience:
                return f"Give {type(one).__name__} a larger patience=, leave it out"
        elif isinstance(one, HasState):
            return f"Leave {type(one).__name__} out, which may have done it"
    return ""


def _puts_weights_back(callback: Any, saved: Mapping[str, Any]) -> bool:
    """Return whether a callback gives the model saved weights when training ends."""
    return (
        isinstance(callback, keras.callbacks.EarlyStopping)
        and not isinstance(callback, HasState)
        and callback.restore_best_weights
        and saved["state"].get("best_weights") is not None
    )


def _fields(callback: Any) -> tuple[str, ...] | None:
    """Return the fields to save; None for an unknown class."""
    for kind, fields in _FIELDS.items():
        if isinstance(callback, kind):
            return fields
    return None


def _plain(value: Any) -> Any:
    """Return any library's number as a float: a monitored log may be a tensor."""
    if value is None or isinstance(value, str | bool | int | float | list):
        return value
    return readable(value)


def _without_arrays(value: Any, key: str, arrays: dict[str, np.ndarray]) -> Any:
    """Move arrays out of a value; a mapping with their key takes their place."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        arrays[key] = np.array(value)
        return {"array": key}
    if isinstance(value, list | tuple):
        return [
            _without_arrays(v, f"{key}/{i:04d}", arrays) for i, v in enumerate(value)
        ]
    return value


def _with_arrays(value: Any, arrays: Arrays) -> Any:
    """Put the arrays back."""
    if isinstance(value, list):
        return [_with_arrays(each, arrays) for each in value]
    if isinstance(value, Mapping) and set(value) == {"array"}:
        return np.array(arrays[value["array"]])
    return value
