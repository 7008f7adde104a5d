"""HTML for notebooks: tables of escaped text.

A notebook asks an object for `_repr_html_`; names and numbers in it come from files of
unknown origin.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from multiback.errors import cleaned


def text(value: Any) -> str:
    """Return a value as escaped text, numbers in few digits.

    >>> text("<b>"), text(0.123456), text(None)
    ('&lt;b&gt;', '0.1235', '')
    """
    if value is None:
        return ""
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    return html.escape(cleaned(shown))


def facts(title: str, values: Mapping[str, Any]) -> str:
    """Return a title and a table of names and values; those of None are left out."""
    rows = "".join(
        f'<tr><th style="text-align: left">{text(name)}</th>'
        f'<td style="text-align: left">{text(value)}</td></tr>'
        for name, value in values.items()
        if value is not None
    )
    return f"<strong>{text(title)}</strong><table><tbody>{rows}</tbody></table>"


def table(heading: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table with a heading."""
    head = "".join(f"<th>{text(one)}</th>" for one in heading)
    body = "".join(
        f"<tr>{''.join(f'<td>{text(one)}</td>' for one in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def plain(lines: str) -> str:
    """Return lines of text in columns, as a terminal shows them."""
    return f"<pre>{text(lines)}</pre>"
