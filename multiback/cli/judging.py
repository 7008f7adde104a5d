"""The commands that compute metrics on data."""

from pathlib import Path
from typing import Annotated

import typer

from multiback.cli.answers import arrays_from, console, print_document, show_report
from multiback.cli.arguments import AsJson, CheckpointPath, DataPath, Modules


def crosscheck(
    checkpoint: CheckpointPath,
    data: DataPath,
    batch_size: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Rows in a batch, as often as needed; 32."),
    ] = None,
    shuffles: Annotated[int, typer.Option(min=0, help="Other orders to try.")] = 1,
    modules: Modules = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Compare a model's metrics with torchmetrics and scikit-learn.

    Exits with 0 if none is wrong, with 4 if one is, with 1 if they cannot be checked.
    """
    from multiback.adapters.torchmetrics import crosscheck as checked
    from multiback.cli.commands.crosscheck import compiled_model
    from multiback.cli.npz import read_data
    from multiback.cli.records import one_checkpoint
    from multiback.progress import progress_bar

    arrays = read_data(data)
    model = compiled_model(one_checkpoint(checkpoint), modules or ())
    with arrays_from(data), progress_bar("Checking", None):
        report = checked(
            model, arrays, batch_size=batch_size or [32], shuffles=shuffles
        )
    show_report(report, as_json=as_json)


def compare(
    a: CheckpointPath,
    b: CheckpointPath,
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            help="Arrays x, y and perhaps sample_weight and groups.",
            metavar="FILE.npz",
        ),
    ],
    level: Annotated[
        float, typer.Option(help="How often an interval contains the truth.")
    ] = 0.95,
    *,
    replicates: Annotated[
        int, typer.Option(min=2, help="How often to draw, where rows are drawn.")
    ] = 1000,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Write what both predict here.", metavar="FILE.npz"),
    ] = None,
    modules: Modules = None,
    as_json: AsJson = False,
) -> None:
    """Compare two checkpoints on the same rows: what can these data tell?

    Rows with equal numbers in the array `groups`, such as those of one patient, count
    together.
    """
    from multiback.cli.commands.export import objects_in
    from multiback.cli.npz import read_data, read_groups
    from multiback.cli.records import one_checkpoint
    from multiback.comparison.compare import compare as compared
    from multiback.progress import progress_bar

    arrays, groups = read_data(data, ("groups",)), read_groups(data)
    pair = one_checkpoint(a).location, one_checkpoint(b).location
    with arrays_from(data), progress_bar("Comparing", None):
        found = compared(
            *pair,
            arrays,
            groups=groups,
            level=level,
            replicates=replicates,
            custom_objects=objects_in(modules or ()),
        )
    if predictions is not None:
        found.save_predictions(predictions)
    if as_json:
        print_document(found.to_dict())
    else:
        console().print(str(found), highlight=False)


def audit(
    checkpoint: CheckpointPath,
    data: DataPath,
    modules: Modules = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Find metrics that are wrong by construction, and the line to change.

    Exits with 0 if there is none, with 4 if there is one, with 1 if they cannot be
    checked.
    """
    from multiback.adapters.torchmetrics import audit as audited
    from multiback.cli.commands.crosscheck import compiled_model
    from multiback.cli.npz import read_data
    from multiback.cli.records import one_checkpoint
    from multiback.progress import progress_bar

    arrays = read_data(data)
    model = compiled_model(one_checkpoint(checkpoint), modules or ())
    with arrays_from(data), progress_bar("Auditing", None):
        found = audited(model, arrays)
    show_report(found, as_json=as_json)


def predict(checkpoint: Path, inputs: Path, outputs: Path) -> None:
    """Predict with a checkpoint, in a process of its own; the demo calls it."""
    from multiback.cli.predict import predict_to_file

    predict_to_file(checkpoint, inputs, outputs)
