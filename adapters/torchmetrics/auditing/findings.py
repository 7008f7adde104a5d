"""The findings of an audit: the number, the right number, and the line to change."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.text import Text

from multiback.adapters.torchmetrics.checking.report import Printed, Value, plain, show
from multiback.errors import WrongMetricError

Kind = Literal[
    "averaged over batches",
    "broadcast labels",
    "compares scores with classes",
    "hidden by a name",
    "ignores rows of a class",
    "ignores the mask",
    "ignores weights",
    "labels of another form",
    "logits as probabilities",
    "monitor",
    "one column",
    "probabilities as logits",
    "too few thresholds",
    "unusable values",
]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One number that does not match its name.

    Attributes:
        kind: The fault, in a few words.
        name: The name in the logs, or what a callback monitors.
        gives: The logged number, or None.
        should: The right number; None if it is unknown.
        reason: Why, in a sentence.
        change: What to write instead, or what to do.
    """

    kind: Kind
    name: str
    gives: Value | None
    should: Value | None
    reason: str
    change: str


@dataclasses.dataclass(frozen=True)
class Audit(Printed):
    """The findings of `audit`; print them, or use `ok` and `raise_if_any()`.

    Attributes:
        findings: The findings, in the order of the logs.
        checked: The log names that were checked.

    Examples:
        >>> kind = "averaged over batches"
        >>> lie = Finding(kind, "f1", 0.11, 0.14, "a mean", "F1Score")
        >>> print(Audit((lie,), checked=("f1", "auc")))
        2 metrics checked, 1 finding
        f1: averaged over batches
          gives 0.11, should give 0.14: a mean
          change: F1Score
    """

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True if there are no findings."""
        return not self.findings

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def raise_if_any(self) -> None:
        """Raise if there is a finding.

        Raises:
            WrongMetricError: There are findings; the message lists them.
        """
        if self.findings:
            raise WrongMetricError(str(self))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for `json.dumps`; NaN and infinity become None."""
        return {
            "ok": self.ok,
            "checked": list(self.checked),
            "findings": [
                {key: plain(value) for key, value in dataclasses.asdict(one).items()}
                for one in self.findings
            ],
        }

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        count = f"{len(self)} finding{'' if len(self) == 1 else 's'}"
        yield Text(f"{len(self.checked)} metrics checked, {count}")
        for one in self.findings:
            yield Text(f"{one.name}: {one.kind}", style="bold red")
            numbers = ""
            if one.gives is not None:
                numbers = f"gives {show(one.gives)}"
                if one.should is not None:
                    numbers += f", should give {show(one.should)}"
                numbers += ": "
            yield Padding(Text(numbers + one.reason), (0, 0, 0, 2))
            yield Padding(Text(f"change: {one.change}"), (0, 0, 0, 2))
