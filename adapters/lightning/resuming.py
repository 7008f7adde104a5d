"""A trainer's own state: its progress, and how to continue from there."""

from collections.abc import Mapping
from typing import Any

from multiback.adapters.lightning.restoring import load_weights
from multiback.adapters.lightning.storable import filled
from multiback.errors import StateError


def loops_of(trainer: Any) -> dict[str, Any]:
    """Return a trainer's progress, in Lightning's format."""
    state = dict(trainer.fit_loop.state_dict())
    # A stateful loader's state may hold anything.
    state["state_dict"] = {}
    return state


def plateaus_of(trainer: Any) -> dict[str, float]:
    """Return the next values for schedulers such as ReduceLROnPlateau.

    Lightning steps them after the hooks of an epoch's end, and not at all in a run that
    it resumes from there, so the caller that resumes has to.
    """
    return {
        str(i): float(trainer.callback_metrics[config.monitor])
        for i, config in enumerate(trainer.lr_scheduler_configs)
        if config.reduce_on_plateau
        and config.interval == "epoch"
        and (trainer.current_epoch + 1) % config.frequency == 0
        and config.monitor in trainer.callback_metrics
    }


def put_back(trainer: Any, module: Any, saved: Mapping[str, Any]) -> None:
    """Restore everything; the module's part was checked already."""
    optimizers = dict(enumerate(trainer.strategy.optimizers))
    schedulers = {i: c.scheduler for i, c in enumerate(trainer.lr_scheduler_configs)}
    for group, live in (
        ("optimizer_states", optimizers),
        ("lr_schedulers", schedulers),
    ):
        known = saved[group]
        if len(known) not in (0, len(live)):
            raise StateError(
                f"The checkpoint holds {len(known)} {group}, and "
                f"configure_optimizers() made {len(live)}. Resume with those that "
                "were saved, or restore(module, path) for the weights alone."
            )
    # As in Lightning: hooks of the module and of callbacks get back what they added.
    checkpoint = {
        "epoch": trainer.current_epoch,
        "global_step": trainer.global_step,
        "state_dict": saved["state_dict"],
        **filled({}, saved["hooks"]),
    }
    module.on_load_checkpoint(checkpoint)
    load_weights(module, checkpoint["state_dict"])
    states = {
        i: filled(one.state_dict(), saved["optimizer_states"][str(i)])
        for i, one in optimizers.items()
        if saved["optimizer_states"]
    }
    if states:
        trainer.strategy.load_optimizer_state_dict(
            {"optimizer_states": list(states.values())}
        )
    for i, scheduler in schedulers.items():
        if saved["lr_schedulers"]:
            state = saved["lr_schedulers"][str(i)]
            scheduler.load_state_dict(filled(scheduler.state_dict(), state))
    for i, score in saved["plateaus"].items():
        schedulers[int(i)].step(float(score))
    for callback in trainer.callbacks:
        callback.on_load_checkpoint(trainer, module, checkpoint)
        if callback.state_key in saved["callbacks"]:
            state = saved["callbacks"][callback.state_key]
            callback.load_state_dict(filled(callback.state_dict(), state))
    loop = trainer.fit_loop
    loop.load_state_dict(filled(loop.state_dict(), saved["loops"]))
