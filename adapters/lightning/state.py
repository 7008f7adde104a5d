"""What a checkpoint of a Lightning trainer holds."""

from collections.abc import Callable, Mapping
from typing import Any

from multiback.adapters.lightning.library import pl
from multiback.adapters.lightning.resuming import loops_of
from multiback.adapters.lightning.storable import is_complete, storable

# Takes sentences, and warns of each once.
Tell = Callable[[list[str]], None]


def state_of(
    trainer: Any,
    plateaus: Mapping[str, float] | None,
    tell: Tell,
    *,
    weights_only: bool,
) -> dict[str, Any]:
    """Return a trainer's state as a tree of arrays; `tell` takes what cannot be kept.

    `plateaus` are the next values for schedulers such as ReduceLROnPlateau. Without
    `weights_only` it has optimizers, schedulers and callbacks.
    """
    checkpoint = _weights_of(trainer, tell)
    state = {
        "state_dict": checkpoint.pop("state_dict"),
        "loops": storable(loops_of(trainer)),
        "hooks": storable(checkpoint),
    }
    if not weights_only:
        state["optimizer_states"] = {
            str(i): storable(one.state_dict())
            for i, one in enumerate(trainer.strategy.optimizers)
        }
        state["lr_schedulers"] = {
            str(i): storable(config.scheduler.state_dict())
            for i, config in enumerate(trainer.lr_scheduler_configs)
        }
        state["plateaus"] = dict(plateaus or {})
        state["callbacks"] = _callbacks_of(trainer, tell)
    return state


def _weights_of(trainer: Any, tell: Tell) -> dict[str, Any]:
    """Return the weights, and the values that hooks of module and callbacks add.

    Hooks may change the weights too: averaged weights, which are scored, are the
    ones that are saved.
    """
    module = trainer.lightning_module
    facts = {"epoch": trainer.current_epoch, "global_step": trainer.global_step}
    checkpoint = {**facts, "state_dict": module.state_dict()}
    for callback in trainer.callbacks:
        callback.on_save_checkpoint(trainer, module, checkpoint)
    module.on_save_checkpoint(checkpoint)
    added = {key: x for key, x in checkpoint.items() if key not in facts}
    for key, value in added.items():
        if key != "state_dict" and not is_complete(value):
            problem = (
                f"on_save_checkpoint added {key!r}, which holds more than "
                "numbers, texts and tensors, so checkpoints hold it in part."
            )
            tell([problem])
    return added


def _callbacks_of(trainer: Any, tell: Tell) -> dict[str, Any]:
    """Return the state of other callbacks, where all of it can be stored."""
    kept = {}
    for callback in trainer.callbacks:
        if isinstance(callback, pl.callbacks.Checkpoint):
            continue
        state = callback.state_dict()
        if is_complete(state):
            kept[callback.state_key] = storable(state)
        else:
            problem = (
                f"The state of {type(callback).__name__} holds more than numbers, "
                "texts and tensors, so checkpoints do not hold it."
            )
            tell([problem])
    return {key: state for key, state in kept.items() if state}
