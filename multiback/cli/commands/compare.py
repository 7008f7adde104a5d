"""`multiback compare`: whether some rows tell two checkpoints apart."""

from collections.abc import Sequence
from pathlib import Path

from multiback.cli.commands.export import objects_in
from multiback.cli.npz import Data
from multiback.comparison.compare import compare_checkpoints
from multiback.comparison.report import Comparison
from multiback.store import Checkpoint


def compared(
    a: Checkpoint,
    b: Checkpoint,
    data: Data,
    groups: object,
    *,
    level: float,
    replicates: int,
    modules: Sequence[str],
    predictions: Path | None,
) -> Comparison:
    """Compare two checkpoints, and write what they predicted if asked to.

    Raises:
        ArgumentError: The data do not fit, or the models have no metrics.
        StateError: A checkpoint holds no model.
    """
    found = compare_checkpoints(
        a,
        b,
        data,
        groups=groups,
        level=level,
        replicates=replicates,
        custom_objects=objects_in(modules),
    )
    if predictions is not None:
        found.save_predictions(predictions)
    return found
