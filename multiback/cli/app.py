"""The command line: its commands in the order in which `--help` lists them.

A command imports the file of its work when it runs, so that the others start at once:
Keras alone takes seconds.
"""

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from multiback import __version__
from multiback.cli import changing, judging, reading
from multiback.cli.answers import FAILED
from multiback.errors import MultibackError


class _PlainFlags:
    """Show a flag as `--json`, not as `--json <bool>`."""

    def get_params(self, ctx: Any) -> Any:
        params = super().get_params(ctx)  # type: ignore[misc]  # Of typer
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


COMMANDS: dict[str, Callable[..., None]] = {
    "demo": changing.demo,
    "ls": reading.list_checkpoints,
    "history": reading.show_history,
    "show": reading.show,
    "best": reading.best,
    "verify": reading.verify_checkpoints,
    "diff": reading.diff,
    "prune": changing.prune_checkpoints,
    "export": changing.export_checkpoint,
    "crosscheck": judging.crosscheck,
    "compare": judging.compare,
    "audit": judging.audit,
    "gc": changing.collect_garbage,
    "report": reading.report_runs,
}
for _name, _function in COMMANDS.items():
    app.command(_name, cls=_Command)(_function)
app.command("predict", cls=_Command, hidden=True)(judging.predict)


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
