"""The commands that write, export or remove checkpoints."""

from pathlib import Path
from typing import Annotated

import typer

from multiback.cli.answers import print_document, show_found
from multiback.cli.arguments import (
    AsJson,
    CheckpointPath,
    DryRun,
    Modules,
    OfRun,
    RunPath,
)


def demo(
    directory: Annotated[
        Path, typer.Argument(help="Run directory to write into.")
    ] = Path("runs/tumour"),
    epochs: Annotated[int, typer.Option(min=1, help="How long to train.")] = 15,
) -> None:
    """Train, keep the best, reload it everywhere and check its numbers."""
    from rich.console import Console

    from multiback.cli.commands.demo import run_demo

    run_demo(directory, epochs=epochs, console=Console())


def prune_checkpoints(
    directory: RunPath,
    keep: Annotated[
        list[str],
        typer.Option(
            metavar="SLOT",
            help='What to keep, as often as needed: "Best(val_f1, 3)", "Last(2)", '
            '"Every(epochs=10)", "Pareto(val_precision, val_recall)".',
        ),
    ],
    run: OfRun = None,
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Remove the checkpoints of one run that no slot keeps.

    Other runs are not touched. Exits with 0, or with 1 if a slot cannot be read, a
    metric was never recorded, or nothing would be left.
    """
    from multiback.cli.commands.prune import prune, prune_view

    done = prune(directory, keep, run=run, dry_run=dry_run)
    show_found(done, prune_view, as_json=as_json)


def export_checkpoint(
    checkpoint: CheckpointPath,
    out: Annotated[
        Path,
        typer.Argument(
            help="NAME.keras, NAME.weights.h5 or NAME.safetensors.", metavar="OUT"
        ),
    ],
    modules: Modules = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that is there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a checkpoint as one file that needs no multiback to read.

    A .keras file holds no compile config: `keras.saving.load_model` reads it under
    any backend. Exits with 0, or with 1 if it cannot be written.
    """
    from multiback.cli.commands.export import export
    from multiback.cli.records import one_checkpoint
    from multiback.progress import progress_bar

    with progress_bar("Exporting", None):
        path = export(
            one_checkpoint(checkpoint), out, modules=modules or (), force=force
        )
    if as_json:
        print_document({"path": str(path), "size": path.stat().st_size})
    else:
        typer.echo(path)


def collect_garbage(
    directory: RunPath, *, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Delete what killed writers left, and architectures that nothing names.

    Exits with 0, or with 1 if a writer is at work there.
    """
    from multiback.cli.commands.garbage import collect, collect_view

    done = collect(directory, dry_run=dry_run)
    show_found(done, collect_view, as_json=as_json)
