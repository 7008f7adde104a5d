"""Names for checkpoints, from a template and the logs."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from multiback.checkpoint.choosing.log_values import element, element_fault
from multiback.checkpoint.choosing.names import find_element, split_element
from multiback.errors import ArgumentError

_FIELD = re.compile(r"\{([^{}:]+)(?::([^{}]*))?\}")
# The store allows 200 bytes, and "-v2" may follow.
_LONGEST = 180
_WIDEST = 99
# The fields that every checkpoint has: whole numbers, no log names.
_COUNTED = ("epoch", "step", "batch")

Piece: TypeAlias = str | tuple[str, str]


def default_template(monitor: str | None) -> list[Piece]:
    """Return the template for a run with one monitored log name, or none."""
    template: list[Piece] = [("epoch", "03d"), "-", ("step", "")]
    # Built, not parsed: a metric's name may hold a brace or a colon.
    return template if monitor is None else [*template, "-", (monitor, ".4f")]


def parse_template(template: str) -> list[Piece]:
    """Split a template into text and fields `(name, format)`.

    Fields are such as `{epoch:03d}` and `{val/f1:.4f}`; a metric's name may hold any
    character but braces and a colon. A format that does not fit numbers raises.
    """
    if not isinstance(template, str) or not template:
        raise ArgumentError(
            f'filename= wants text such as "{{epoch:03d}}-{{val_f1:.4f}}", not '
            f"{template!r}."
        )
    pieces: list[Piece] = []
    end = 0
    for match in _FIELD.finditer(template):
        pieces.append(template[end : match.start()])
        end = match.end()
        name, form = match[1], match[2] or ""
        try:
            if any(int(number) > _WIDEST for number in re.findall(r"\d+", form)):
                raise ValueError(f"a width above {_WIDEST} makes no name")  # noqa: TRY301 - as format does
            format(1 if name in _COUNTED else 0.5, form)
        except ValueError as error:
            raise ArgumentError(
                f"filename= has {match[0]!r}, but {form!r} does not fit its number: "
                f"{error}."
            ) from error
        pieces.append((name, form))
    return [*pieces, template[end:]]


def fields_of(template: Sequence[Piece]) -> list[str]:
    """Return the log names that a template has fields for.

    >>> fields_of(parse_template("{epoch:03d}-{val_f1:.2f}"))
    ['val_f1']
    """
    names = [piece[0] for piece in template if not isinstance(piece, str)]
    return [name for name in names if name not in _COUNTED]


def safe(text: str) -> str:
    """Replace characters that a file system or a shell could misread.

    >>> safe("val/f1 score")
    'val_f1_score'
    """
    cleaned = "".join(c if c.isalnum() or c in "=+-._" else "_" for c in text)
    cut = cleaned.lstrip(".-").encode()[:_LONGEST].decode(errors="ignore")
    return cut.rstrip(".") or "_"


def format_name(
    template: Sequence[Piece],
    values: Mapping[str, Any],
    *,
    insert_names: bool = True,
) -> str:
    """Fill a template; the result is one safe path component.

    Values are numbers, and arrays as they are written. With `insert_names`,
    `{epoch:03d}` becomes `epoch=003`, as with Lightning.

    Examples:
        >>> template = parse_template("{epoch:03d}-{val_f1:.2f}")
        >>> format_name(template, {"epoch": 3, "val_f1": 0.913})
        'epoch=003-val_f1=0.91'
        >>> format_name(parse_template("{recall[1]:.2f}"), {"recall": [0.2, 0.8]})
        'recall-1=0.80'
    """

    def fill(piece: Piece) -> str:
        if isinstance(piece, str):
            return piece
        name, form = piece
        read = find_element(name, values)
        # Absent this time, as validation in some epochs.
        if read is None or element_fault(read[0], values[read[0]], read[1]):
            text = "none"
        else:
            text = format(_number(values[read[0]], read[1]), form)
        if not insert_names:
            return text
        # Brackets would need quotes in a shell.
        stem, index = split_element(name)
        return "-".join(map(str, (stem, *index))) + f"={text}"

    return safe("".join(map(fill, template)))


def _number(value: Any, index: tuple[int, ...]) -> int | float:
    """Return what a field shows; `epoch` and `step` stay integers."""
    return value if isinstance(value, int) else element(value, index)
