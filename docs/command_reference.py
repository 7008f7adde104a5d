"""Write docs/reference/command_line.md from the commands themselves."""

import inspect

import typer
from metric_cases import cell

from multiback.cli.app import app

HEAD = """<!-- docs/generate.py writes it: change multiback/cli/. -->
# The command line

`multiback COMMAND --help` shows the same in a terminal. A RUN is a run directory or its
URL; a CKPT is the path or the URL of a checkpoint, `RUN/best`, `RUN/last`, or RUN/ and
the beginning of a checkpoint's name, such as `RUN/epoch=012`. What `--json` prints is
one document, for scripts.
"""


def shown(parameter):
    """Return how a user writes an argument or an option."""
    if parameter.param_type_name == "option":
        value = "" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}"
        return ", ".join(parameter.opts) + value
    name = parameter.metavar or parameter.name.upper()
    return name if parameter.required else f"[{name}]"


def row(parameter):
    """Return a row of a command's table."""
    default = parameter.default
    has_default = default is not None and default is not False and default != ()
    more = f" Default: `{default}`." if has_default else ""
    return f"| `{cell(shown(parameter))}` | {cell(parameter.help or '')}{more} |"


def page():
    """Return the page."""
    group = typer.main.get_command(app)
    parts = [HEAD, cell(group.epilog), ""]
    for name, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        known = [one for one in command.params if one.name != "help"]
        arguments = [shown(one) for one in known if one.param_type_name == "argument"]
        usage = " ".join(["multiback", name, *arguments, "[OPTIONS]"])
        parts += [
            f"## {name}",
            "",
            "```text",
            usage,
            "```",
            "",
            inspect.cleandoc(command.help),
            "",
            "| argument | meaning |",
            "|---|---|",
            *map(row, known),
            "",
        ]
    return "\n".join(parts)
