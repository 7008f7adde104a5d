"""A checkpoint's tree, and how to restore a module's part of it."""

import os
from collections.abc import Callable
from typing import Any, Literal

import multiback
from multiback.adapters.lightning.hyperparameters import made
from multiback.adapters.lightning.storable import filled
from multiback.checkpoint.loading.documents import trainer_facts
from multiback.checkpoint.loading.find import first_intact
from multiback.checkpoint.loading.load import candidates
from multiback.store import Checkpoint

# The other parts of a checkpoint beside the module's state; any may be absent.
_GROUPS = (
    "optimizer_states",
    "lr_schedulers",
    "plateaus",
    "callbacks",
    "loops",
    "hooks",
)


def restore(
    module: Any,
    path: str | os.PathLike[str],
    *,
    which: Literal["best", "last"] = "best",
    run: str | None = None,
) -> Any:
    """Put a checkpoint's weights into a LightningModule that you built.

    Args:
        module: The module, or any `torch.nn.Module` with the same state.
        path: A checkpoint's directory, or a run directory.
        which: Which checkpoint of a run directory: "best" or "last".
        run: Which run of a run directory; the latest by default.

    Returns:
        The module.

    Raises:
        StateError: A value is missing, extra or of another shape; the module is
            unchanged.

    Examples:
        >>> import tempfile, torch
        >>> from multiback import Checkpointer
        >>> module = torch.nn.Linear(2, 1)
        >>> folder = tempfile.TemporaryDirectory()
        >>> with Checkpointer(folder.name) as checkpointer:
        ...     state = {"state_dict": module.state_dict()}
        ...     saved = checkpointer.step(state, {}, step=1)
        >>> restore(torch.nn.Linear(2, 1), folder.name, which="last").weight.equal(
        ...     module.weight
        ... )
        True
        >>> folder.cleanup()
    """
    saved = multiback.restore(template_of(module), path, which=which, run=run)
    if hasattr(module, "on_load_checkpoint"):
        checkpoint = {"state_dict": saved["state_dict"], **filled({}, saved["hooks"])}
        module.on_load_checkpoint(checkpoint)
    load_weights(module, saved["state_dict"])
    return module


def load_from_checkpoint(
    kind: Callable[..., Any],
    path: str | os.PathLike[str],
    *,
    which: Literal["best", "last"] = "best",
    run: str | None = None,
    **hyperparameters: Any,
) -> Any:
    """Make a LightningModule with its saved hyperparameters and weights.

    It takes the place of `Module.load_from_checkpoint(path)`, which reads Lightning's
    own files.

    Args:
        kind: The module's class, whose `__init__` called `save_hyperparameters()`.
        path: A checkpoint's directory, such as `checkpoint.best_model_path`, or a run
            directory.
        which: Which checkpoint of a run directory: "best" or "last".
        run: Which run of a run directory; the latest by default.
        **hyperparameters: Arguments of the class: those that were not saved, or other
            values for those that were.

    Returns:
        The module.

    Raises:
        ArgumentError: The class needs an argument that was not saved.
        StateError: The saved weights do not fit the module.

    Examples:
        >>> from multiback import Checkpointer
        >>> import tempfile, torch
        >>> module = torch.nn.Linear(2, 1)
        >>> folder = tempfile.TemporaryDirectory()
        >>> with Checkpointer(folder.name) as checkpointer:
        ...     state = {"state_dict": module.state_dict()}
        ...     saved = checkpointer.step(state, {}, step=1)
        >>> given = {"in_features": 2, "out_features": 1}
        >>> load_from_checkpoint(torch.nn.Linear, folder.name, which="last", **given)
        Linear(in_features=2, out_features=1, bias=True)
        >>> folder.cleanup()
    """

    def load(checkpoint: Checkpoint) -> Any:
        saved = trainer_facts(checkpoint).get("hyperparameters", {})
        return restore(made(kind, saved, hyperparameters), checkpoint.location)

    return first_intact(candidates(path, which, run), load)


def load_weights(module: Any, state: Any) -> None:
    """Load a state, strictly unless a LightningModule says strict_loading=False."""
    module.load_state_dict(state, strict=getattr(module, "strict_loading", True))


def template_of(module: Any) -> dict[str, Any]:
    """Describe a checkpoint's tree; other parts are taken as they were saved."""
    return {"state_dict": module.state_dict(), **{group: {} for group in _GROUPS}}
