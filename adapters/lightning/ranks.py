"""The processes of a trainer: which strategies can be served, and rank zero's word."""

from collections.abc import Callable
from typing import Any

from multiback.adapters.lightning.library import pl
from multiback.errors import ArgumentError, MultibackError


def check_trainer(trainer: Any) -> None:
    """Raise for a trainer of the other library, and for a model in pieces."""
    if not isinstance(trainer, pl.Trainer):
        raise ArgumentError(
            f"This callback was made for {pl.__name__}, and the trainer is "
            f"{type(trainer).__module__}'s. Import the trainer's library before "
            "multiback.adapters.lightning."
        )
    kinds = pl.strategies
    whole = (kinds.SingleDeviceStrategy, kinds.DDPStrategy)
    if not isinstance(trainer.strategy, whole) or isinstance(
        trainer.strategy, kinds.DeepSpeedStrategy
    ):
        raise ArgumentError(
            "multiback's ModelCheckpoint wants a strategy that holds the whole "
            "model in each process, such as one device or DDP, not "
            f"{type(trainer.strategy).__name__}. Use Lightning's ModelCheckpoint."
        )


def on_rank_zero(trainer: Any, action: Callable[[], Any]) -> Any:
    """Run a function on global rank zero; raise its error on every rank."""
    answer = error = None
    if trainer.is_global_zero:
        try:
            answer = action()
        except Exception as problem:  # noqa: BLE001 - raised below, everywhere
            error = problem
    told = trainer.strategy.broadcast(error and f"{type(error).__name__}: {error}")
    if error is not None:
        raise error
    if told is not None:
        raise MultibackError(f"Global rank zero raised {told}")
    return answer
