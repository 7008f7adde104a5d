"""The commands that show what is there and change nothing."""

import functools
from pathlib import Path
from typing import Annotated

import typer

from multiback.checkpoint.choosing.direction import Mode
from multiback.cli.answers import (
    DAMAGED,
    DIFFERENT,
    console,
    print_document,
    show_found,
)
from multiback.cli.arguments import (
    AsJson,
    CheckpointPath,
    Modules,
    OfAnyRun,
    OfRun,
    RunPath,
)
from multiback.errors import cleaned


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
        print_document(listing(directory, run))
    else:
        console().print(checkpoint_table(directory, run))


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
        print_document(rows)
    elif as_csv:
        typer.echo(cleaned(history_csv(rows)), nl=False)
    else:
        console().print(HistoryTable(rows))


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
    show_found(shown, view, as_json=as_json)


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
        print_document(found)
    else:
        typer.echo(found["path"])
        for sentence in best_view(found):
            typer.echo(sentence, err=True)


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
    show_found(done, verify_view, as_json=as_json)
    if not done["ok"]:
        raise typer.Exit(DAMAGED)


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
    show_found(found, difference_view, as_json=as_json)
    if exit_code and not found["same"]:
        raise typer.Exit(DIFFERENT)


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
        print_document(done)
    else:
        typer.echo(done["path"])
