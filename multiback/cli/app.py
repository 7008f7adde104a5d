"""The commands and their options; each command's work is in a file of its own."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from multiback.cli.demo import run_demo
from multiback.cli.predict import predict_to_file
from multiback.cli.tables import checkpoint_table
from multiback.errors import MultibackError

app = typer.Typer(
    help="Right metrics and safe best-checkpoints for Keras 3, on every backend.",
    no_args_is_help=True,
    add_completion=True,
)


@app.command()
def demo(
    directory: Annotated[
        Path, typer.Argument(help="Run directory to write into.")
    ] = Path("runs/tumour"),
    epochs: Annotated[int, typer.Option(min=1, help="How long to train.")] = 15,
) -> None:
    """Train, keep the best, reload it everywhere and check its numbers."""
    run_demo(directory, epochs=epochs, console=Console())


@app.command("ls")
def list_checkpoints(
    directory: Annotated[Path, typer.Argument(help="A run directory.")],
    run: Annotated[
        str | None, typer.Option(help="A run's id; all runs by default.")
    ] = None,
) -> None:
    """List the committed checkpoints of a run directory."""
    Console().print(checkpoint_table(directory, run))


@app.command(hidden=True)
def predict(checkpoint: Path, inputs: Path, outputs: Path) -> None:
    """Predict with a checkpoint, in a process of its own; the demo calls it."""
    predict_to_file(checkpoint, inputs, outputs)


def main() -> None:
    """Run the command line; an error of ours is one message, not a traceback."""
    try:
        app()
    except MultibackError as error:
        Console(stderr=True).print(
            f"{type(error).__name__}: {error}", style="red", markup=False
        )
        sys.exit(1)
