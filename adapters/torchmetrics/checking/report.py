"""The result of a cross-check: rows, a table, and an error for tests."""

import dataclasses
import io
import math
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from multiback import markup
from multiback.adapters.torchmetrics.checking.verdict import Verdict
from multiback.errors import ArgumentError, WrongMetricError

Value = float | tuple[float, ...]

STYLES: dict[Verdict, str] = {
    "agrees": "green",
    "differs by convention": "yellow",
    "wrong": "bold red",
    "no equivalent": "dim",
}
# So that a row fits on one line of 80 columns.
SHORT: dict[Verdict, str] = {"differs by convention": "convention"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One metric.

    Attributes:
        name: Its name in the logs.
        metric: Its library and class, or its function.
        value: The value that Keras streamed; a tuple of several elements.
        torchmetrics: torchmetrics' value, or None.
        sklearn: scikit-learn's value in float64, or None.
        difference: The largest absolute difference; for a metric without
            equivalent, from its own value on the whole set at once.
        verdict: "agrees", "differs by convention", "wrong" or "no equivalent".
        reason: The reason, if one is needed; else empty.
        spread: How far the value moves when the same rows come in other batches or in
            another order; None if that was not tried.
    """

    name: str
    metric: str
    value: Value
    torchmetrics: Value | None
    sklearn: Value | None
    difference: float | None
    verdict: Verdict
    reason: str = ""
    spread: float | None = None


class Printed:
    """What rich shows of an object, for `print` and for a notebook."""

    def _repr_html_(self) -> str:
        return markup.plain(str(self))

    def __str__(self) -> str:
        out = io.StringIO()
        Console(file=out, width=80, color_system=None, legacy_windows=False).print(self)
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


@dataclasses.dataclass(frozen=True)
class Report(Printed):
    """The result of `crosscheck`; print it, or use `ok` and `raise_if_wrong()`.

    Attributes:
        rows: One a metric, in the order of the logs.
        samples: Number of samples.
        batch_size: Rows in a batch.
        cuts: In what other batches the same rows were streamed.
        notes: Notes for all rows, such as a library that is not installed.

    Examples:
        >>> row = Row("f1", "function f1", 0.11, None, None, 0.03, "wrong", "averaged")
        >>> report = Report((row,), samples=100, batch_size=32)
        >>> report.ok, report["f1"].value
        (False, 0.11)
    """

    rows: tuple[Row, ...]
    samples: int
    batch_size: int
    cuts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Summarise in one line; `print` shows the table."""
        found = ", ".join(f"{one.name} {one.verdict}" for one in self.rows)
        return f"<Report of {self.samples} samples: {found or 'no metrics'}>"

    @property
    def ok(self) -> bool:
        """True if no metric is wrong."""
        return not self.wrong

    @property
    def wrong(self) -> tuple[Row, ...]:
        """The rows whose verdict is "wrong"."""
        return tuple(row for row in self.rows if row.verdict == "wrong")

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        known = ", ".join(row.name for row in self.rows)
        raise ArgumentError(f"name= wants one of {known}, not {name!r}.")

    def raise_if_wrong(self) -> None:
        """Raise if a metric is wrong.

        Raises:
            WrongMetricError: At least one metric is wrong; the message lists
                each with its reason.
        """
        if self.wrong:
            lines = [f"  {row.name} ({row.metric}): {row.reason}" for row in self.wrong]
            raise WrongMetricError(
                f"{len(lines)} of {len(self.rows)} metrics are wrong on "
                f"{self.samples} samples in batches of {self.batch_size}:\n"
                + "\n".join(lines)
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for `json.dumps`; NaN and infinity become None."""
        return {
            "ok": self.ok,
            "samples": self.samples,
            "batch_size": self.batch_size,
            "cuts": list(self.cuts),
            "rows": [
                {key: plain(value) for key, value in dataclasses.asdict(row).items()}
                for row in self.rows
            ],
            "notes": list(self.notes),
        }

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        yield Text(
            f"{self.samples} samples in batches of {self.batch_size}"
            + "".join(f", then {cut}" for cut in self.cuts)
        )
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
        table.add_column("metric", overflow="fold")
        for name in ("Keras", "torchmetrics", "scikit-learn", "difference"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("verdict")
        for row in self.rows:
            gap = "" if row.difference is None else f"{row.difference:.1e}"
            table.add_row(
                Text(row.name),
                *map(show, (row.value, row.torchmetrics, row.sklearn)),
                gap,
                Text(SHORT.get(row.verdict, row.verdict), style=STYLES[row.verdict]),
            )
        yield table
        for row in self.rows:
            if row.reason:
                yield Text(f"{row.name}:", style=STYLES[row.verdict])
                yield Padding(Text(row.reason), (0, 0, 0, 2))
        for note in self.notes:
            yield Text(note)


def show(value: Value | None) -> str:
    """Write a value to five digits: several as their range."""
    if value is None:
        return "-"
    if isinstance(value, tuple):
        known = [number for number in value if not math.isnan(number)]
        if not known:
            return "nan"
        largest = max(known) if len(known) == len(value) else math.nan
        return f"{min(known):.2g}..{largest:.2g}"
    return f"{value:.5g}"


def plain(value: Any) -> Any:
    """Return a value that strict JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return [plain(v) for v in value] if isinstance(value, tuple) else value
