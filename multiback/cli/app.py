"""The commands and their options; each command's work is in its own file.

A command imports its file when it runs, so that the others start at once: Keras alone
takes seconds.
"""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from multiback import __version__
from multiback.checkpoint.choosing.direction import Mode
from multiback.errors import MultibackError, cleaned

if TYPE_CHECKING:
    from rich.console import Console

FAILED = 1
DAMAGED = 2
DIFFERENT = 3
WRONG = 4


class _PlainFlags:
    """Show a flag as `--json`, not as `--json <bool>`."""

    def get_params(self, ctx: Any) -> Any:
        params = super().get_params(ctx)  # type: ignore[misc]  # See below
        for one in params:
            if getattr(one, "is_flag", False):
                one.metavar = ""
        return params


class _Command(_PlainFlags, TyperCommand):
    pass


class _Group(_PlainFlags, TyperGroup):
    pass


app = typer.Typer(
    cls=_Group,
    help="Right metrics and safe best-checkpoints for Keras 3, on every backend.",
    epilog="Exit codes: 0 done; 1 an error, written to stderr; 2 a wrong command "
    "line, or `verify` found damage; 3 `diff --exit-code` found a difference; "
    "4 `crosscheck` or `audit` found a wrong metric.",
    no_args_is_help=True,
    add_completion=True,
)

command = functools.partial(app.command, cls=_Command)

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


def _print_json(document: Any) -> None:
    from multiback.cli.output import print_json

    print_json(document)


def _console() -> "Console":
    """Print text as it is: names may hold brackets, which are not markup."""
    from multiback.cli.output import CleanConsole

    return CleanConsole(markup=False, highlight=False, emoji=False)


def _show(found: Any, view: Callable[[Any], Any], *, as_json: bool) -> None:
    """Print what a command found: as JSON, or as its view shows it."""
    if as_json:
        _print_json(found)
    else:
        _console().print(view(found))


def _judge(report: Any, *, as_json: bool) -> None:
    """Print a report of metrics; exit with 4 if one is wrong."""
    if as_json:
        _print_json(report.to_dict())
    else:
        _console().print(report)
    if not report.ok:
        raise typer.Exit(WRONG)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"multiback {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print it."
        ),
    ] = False,
) -> None:
    """Declare the options before a command."""
    del version


@command()
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


@command("ls")
def list_checkpoints(
    directory: RunPath, run: OfAnyRun = None, *, as_json: AsJson = False
) -> None:
    """List the checkpoints of a run directory; of one checkpoint, show it.

    Exits with 0, or with 1 if there is none.
    """
    from multiback.cli.commands.ls import checkpoint_table, listing
    from multiback.cli.records import is_checkpoint

    if is_checkpoint(directory):
        show(directory, variables=False, as_json=as_json)
    elif as_json:
        _print_json(listing(directory, run))
    else:
        _console().print(checkpoint_table(directory, run))


@command("history")
def show_history(
    directory: RunPath,
    run: OfRun = None,
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on stdout.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every metric of every epoch of a run, saved or not.

    Exits with 0, or with 1 if nothing was measured.
    """
    from multiback.cli.commands.history import HistoryTable, history_csv, history_rows

    rows = history_rows(directory, run)
    if as_json:
        _print_json(rows)
    elif as_csv:
        typer.echo(cleaned(history_csv(rows)), nl=False)
    else:
        _console().print(HistoryTable(rows))


@command()
def show(
    checkpoint: CheckpointPath,
    *,
    variables: Annotated[
        bool, typer.Option("--variables", help="List every variable.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one checkpoint: metrics, versions, files and variables.

    Exits with 0, or with 1 if it is not a checkpoint or cannot be read.
    """
    from multiback.cli.commands.show import details, details_view
    from multiback.cli.records import one_listed

    shown = details(one_listed(checkpoint))
    view = functools.partial(details_view, with_variables=variables)
    _show(shown, view, as_json=as_json)


@command()
def best(
    directory: RunPath,
    by: Annotated[
        str | None,
        typer.Option(
            help="A recorded metric or an expression of some; by default what the "
            "run was judged by."
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help='A condition: "val_precision >= 0.9".')
    ] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="Which way is better, where nothing says so.")
    ] = None,
    run: OfRun = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print the path of the best checkpoint of a run.

    Exits with 0, or with 1 if no checkpoint qualifies.
    """
    from multiback.cli.commands.best import best_record, best_view

    found = best_record(directory, by, where=where, mode=mode or "auto", run=run)
    if as_json:
        _print_json(found)
    else:
        typer.echo(found["path"])
        for sentence in best_view(found):
            typer.echo(sentence, err=True)


@command("verify")
def verify_checkpoints(
    path: Annotated[
        str,
        typer.Argument(
            help="A run directory, a checkpoint, or the URL of one.",
            metavar="RUN|CKPT",
        ),
    ],
    run: OfAnyRun = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Read every byte and compare it with its checksum.

    Exits with 0 if all is intact, with 2 if anything is damaged, with 1 if there is
    nothing to verify.
    """
    from multiback.cli.commands.verify import find, verify, verify_view
    from multiback.progress import progress_bar

    found = find(path, run)
    with progress_bar("Verifying", sum(one.size for one in found[0])) as advance:
        done = verify(found, advance)
    _show(done, verify_view, as_json=as_json)
    if not done["ok"]:
        raise typer.Exit(DAMAGED)


@command()
def diff(
    a: CheckpointPath,
    b: CheckpointPath,
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 3 if they differ.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the variables, metrics and architectures of two checkpoints.

    They may come from different runs, directories and backends. Exits with 0, or
    with 1 if one of them cannot be read; see also --exit-code.
    """
    from multiback.cli.commands.diff import difference, difference_view
    from multiback.cli.records import one_checkpoint
    from multiback.progress import progress_bar

    pair = one_checkpoint(a), one_checkpoint(b)
    with progress_bar("Comparing", None):
        found = difference(*pair)
    _show(found, difference_view, as_json=as_json)
    if exit_code and not found["same"]:
        raise typer.Exit(DIFFERENT)


@command("prune")
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
    _show(done, prune_view, as_json=as_json)


@command("export")
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
        _print_json({"path": str(path), "size": path.stat().st_size})
    else:
        typer.echo(path)


@command()
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
    from multiback.cli.commands.crosscheck import compiled_model, crosscheck_report
    from multiback.cli.npz import read_data
    from multiback.cli.records import one_checkpoint
    from multiback.progress import progress_bar

    arrays = read_data(data)
    model = compiled_model(one_checkpoint(checkpoint), modules or ())
    with progress_bar("Checking", None):
        report = crosscheck_report(model, arrays, batch_size or [32], shuffles)
    _judge(report, as_json=as_json)


@command()
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
    from multiback.cli.commands.compare import compared
    from multiback.cli.npz import read_data, read_groups
    from multiback.cli.records import one_checkpoint
    from multiback.progress import progress_bar

    arrays, groups = read_data(data, ("groups",)), read_groups(data)
    pair = one_checkpoint(a), one_checkpoint(b)
    with progress_bar("Comparing", None):
        found = compared(
            *pair,
            arrays,
            groups,
            level=level,
            replicates=replicates,
            modules=modules or (),
            predictions=predictions,
        )
    if as_json:
        _print_json(found.to_dict())
    else:
        _console().print(str(found), highlight=False)


@command()
def audit(
    checkpoint: CheckpointPath,
    data: DataPath,
    modules: Modules = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Find metrics that are wrong by construction, and the line to change.

    Exits with 0 if none does, with 4 if one does, with 1 if they cannot be checked.
    """
    from multiback.cli.commands.audit import audit_report
    from multiback.cli.commands.crosscheck import compiled_model
    from multiback.cli.npz import read_data
    from multiback.cli.records import one_checkpoint
    from multiback.progress import progress_bar

    arrays = read_data(data)
    model = compiled_model(one_checkpoint(checkpoint), modules or ())
    with progress_bar("Auditing", None):
        found = audit_report(model, arrays)
    _judge(found, as_json=as_json)


@command("gc")
def collect_garbage(
    directory: RunPath, *, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Delete what killed writers left, and architectures that nothing names.

    Exits with 0, or with 1 if a writer is at work there.
    """
    from multiback.cli.commands.garbage import collect, collect_view

    done = collect(directory, dry_run=dry_run)
    _show(done, collect_view, as_json=as_json)


@command("report")
def report_runs(
    directories: Annotated[
        list[str],
        typer.Argument(help="Run directories, or their URLs.", metavar="RUN..."),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The file.", metavar="FILE.html")
    ] = Path("report.html"),
    run: OfAnyRun = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Arrays x, y and perhaps sample_weight: cross-check and audit the "
            "first directory's best with them, and show the tables.",
            metavar="FILE.npz",
        ),
    ] = None,
    modules: Modules = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write one HTML file that shows the curves and says why a checkpoint is best.

    It opens in any browser, without a network. Exits with 0, or with 1 if a directory
    holds no run.
    """
    from multiback.cli.commands.report import check_tables, write_report
    from multiback.progress import progress_bar

    checks = []
    if data is not None:
        with progress_bar("Checking", None):
            checks = check_tables(directories[0], run, data, modules or ())
    done = write_report(directories, out, run, checks=checks)
    if as_json:
        _print_json(done)
    else:
        typer.echo(done["path"])


@command(hidden=True)
def predict(checkpoint: Path, inputs: Path, outputs: Path) -> None:
    """Predict with a checkpoint, in a process of its own; the demo calls it."""
    from multiback.cli.predict import predict_to_file

    predict_to_file(checkpoint, inputs, outputs)


def main() -> None:
    """Run the command line; an error of multiback is one message, not a traceback."""
    try:
        app()
    except MultibackError as error:
        from multiback.cli.output import CleanConsole

        # Not wrapped: a path that is broken in two cannot be copied.
        CleanConsole(stderr=True, highlight=False).print(
            f"{type(error).__name__}: {error}",
            style="red",
            markup=False,
            soft_wrap=True,
        )
        sys.exit(FAILED)
