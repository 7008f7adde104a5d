"""Arguments and options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

# Text, because a URL is not a Path.
RunPath = Annotated[
    str,
    typer.Argument(help="A run directory, or its URL.", metavar="RUN"),
]
CheckpointPath = Annotated[
    str,
    typer.Argument(
        help="A checkpoint: its path or URL, RUN/best, or RUN/START-OF-NAME.",
        metavar="CKPT",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
OfRun = Annotated[
    str | None,
    typer.Option("--run", help="A run's id, latest or all; latest by default."),
]
OfAnyRun = Annotated[
    str | None, typer.Option("--run", help="A run's id, latest or all; all by default.")
]
Modules = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="MODULE",
        help="A module of yours with your own layers and metrics; it is run.",
    ),
]
DataPath = Annotated[
    Path,
    typer.Option(
        "--data", help="Arrays x, y and perhaps sample_weight.", metavar="FILE.npz"
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be removed.")]
