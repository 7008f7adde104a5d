"""Names for checkpoints, from a template and the logs."""

import re
from collections.abc import Mapping

from multiback.errors import ArgumentError

_FIELD = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")
_LONGEST = 150


def default_template(monitor: str | None) -> str:
    """Return the template for a run that is judged by one log name, or none."""
    template = "{epoch:03d}-{step}"
    return template if monitor is None else f"{template}-{{{monitor}:.4f}}"


def safe(text: str) -> str:
    """Replace what a file system or a shell could read as something else.

    >>> safe("val/f1 score")
    'val_f1_score'
    """
    cleaned = "".join(c if c.isalnum() or c in "=+-._" else "_" for c in text)
    return cleaned.lstrip(".-")[:_LONGEST] or "_"


def format_name(
    template: str, values: Mapping[str, float], *, insert_names: bool = True
) -> str:
    """Fill a template; the result is one safe path component.

    Args:
        template: Text with fields such as `{epoch:03d}` and `{val/f1:.4f}`; a
            metric's name may hold any character but braces and a colon.
        values: Numbers by name.
        insert_names: Write `epoch=003` for `{epoch:03d}`, as Lightning does.

    Raises:
        ArgumentError: A format does not fit its number.

    Example:
    >>> format_name("{epoch:03d}-{val_f1:.2f}", {"epoch": 3, "val_f1": 0.913})
    'epoch=003-val_f1=0.91'
    """

    def fill(match: re.Match[str]) -> str:
        name, form = match[1], match[2] or ""
        # Absent this time, as validation is in some epochs.
        text = "none"
        if name in values:
            try:
                text = format(values[name], form)
            except (ValueError, TypeError) as error:
                raise ArgumentError(
                    f"filename= has {match[0]!r}, but {form!r} does not fit "
                    f"{values[name]!r}: {error}."
                ) from error
        return f"{name}={text}" if insert_names else text

    return safe(_FIELD.sub(fill, template))
