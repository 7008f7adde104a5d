"""How commands print what they found, and the codes with which they exit."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
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


@contextlib.contextmanager
def arrays_from(path: Path) -> Iterator[None]:
    """Turn Keras's error about arrays that a model does not take into one sentence."""
    from multiback.errors import ArgumentError, MultibackError

    try:
        yield
    except MultibackError:
        raise
    except ValueError as error:
        end = error.__traceback__
        while end is not None and end.tb_next is not None:
            end = end.tb_next
        module = "" if end is None else end.tb_frame.f_globals.get("__name__", "")
        if module.partition(".")[0] != "keras":
            raise
        plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
        lines = [line for line in plain.splitlines() if line.strip()]
        # The first one says where, the second what.
        said = lines[1] if len(lines) > 1 and "calling" in lines[0] else lines[0]
        raise ArgumentError(
            f"--data wants arrays that the model takes, and those of {path} do not "
            f"fit: {said}"
        ) from None


def show_report(report: Any, *, as_json: bool) -> None:
    """Print a report of metrics; exit with 4 if one is wrong."""
    if as_json:
        print_document(report.to_dict())
    else:
        console().print(report)
    if not report.ok:
        raise typer.Exit(WRONG)
