"""How commands print what they found, and the codes with which they exit."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

FAILED = 1
DAMAGED = 2
DIFFERENT = 3
WRONG = 4


def print_document(document: Any) -> None:
    """Print one JSON document."""
    from multiback.cli.output import print_json

    print_json(document)


def console() -> "Console":
    """Print text as it is: names may hold brackets, which are not markup."""
    from multiback.cli.output import CleanConsole

    return CleanConsole(markup=False, highlight=False, emoji=False)


def show_found(found: Any, view: Callable[[Any], Any], *, as_json: bool) -> None:
    """Print what a command found: as JSON, or as its view shows it."""
    if as_json:
        print_document(found)
    else:
        console().print(view(found))


def show_report(report: Any, *, as_json: bool) -> None:
    """Print a report of metrics; exit with 4 if one is wrong."""
    if as_json:
        print_document(report.to_dict())
    else:
        console().print(report)
    if not report.ok:
        raise typer.Exit(WRONG)
