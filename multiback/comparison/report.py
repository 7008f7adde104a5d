"""What a comparison found, in words that say no more than the data."""

import dataclasses
import math
from typing import Any, Literal

import numpy as np

from multiback.metrics.intervals.interval import Interval

Which = Literal["a", "b"]


@dataclasses.dataclass(frozen=True)
class MetricDifference:
    """How two checkpoints differ by one metric, on the same rows.

    Attributes:
        metric: The metric's name.
        a: The value of the first.
        b: The value of the second.
        difference: The interval of second less first.
        p_value: Of McNemar's or DeLong's test; None where the rows were drawn again.
        better: "a" or "b" where the interval leaves no doubt, None where it does.
    """

    metric: str
    a: float
    b: float
    difference: Interval
    p_value: float | None
    better: Which | None

    @property
    def name(self) -> str:
        """The metric's name."""
        return self.metric


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two checkpoints on the same rows; print it to read it.

    `found["f1_score"]` is the difference by that metric.

    Attributes:
        a: The name of the first checkpoint.
        b: The name of the second.
        rows: How many rows both predicted.
        groups: How many groups of rows there are; None where each row is its own.
        differences: One for each metric.
        predictions: What both predicted.
        left_out: The compiled metrics of several values, which are not compared.
    """

    a: str
    b: str
    rows: int
    groups: int | None
    differences: tuple[MetricDifference, ...]
    predictions: tuple[Any, Any] = dataclasses.field(repr=False, compare=False)
    left_out: tuple[str, ...] = ()

    def __getitem__(self, metric: str) -> MetricDifference:
        """Return the difference by one metric, by its name."""
        for one in self.differences:
            if one.metric == metric:
                return one
        names = ", ".join(one.metric for one in self.differences)
        raise KeyError(f"{metric!r} was not compared. There are {names}.")

    def sentence(self, one: MetricDifference) -> str:
        """Return what the data say by one metric."""
        if one.better is None:
            what = f"these {self.rows} rows" if self.rows > 1 else "one row"
            if self.groups is not None:
                what += f" of {self.groups} groups"
            if math.isnan(one.difference.value):
                return f"{one.metric} has no value by {what}."
            return f"{self.a} and {self.b} cannot be told apart by {what}."
        better, worse = (self.a, self.b) if one.better == "a" else (self.b, self.a)
        return f"{better} is better than {worse}."

    def __str__(self) -> str:
        """Return the report."""
        lines = []
        for one in self.differences:
            d = one.difference
            test = "" if one.p_value is None else f", p = {one.p_value:.2g}"
            ends = f"{100 * d.level:g}%: {d.lower:+.4f} to {d.upper:+.4f}"
            lines.append(
                f"{one.metric}: {one.a:.4f} and {one.b:.4f}, difference {d.value:+.4f} "
                f"({ends}; {d.method}{test})"
            )
            lines.append(f"  {self.sentence(one)}")
        if self.left_out:
            names = ", ".join(self.left_out)
            lines.append(f"not compared, as it has several values: {names}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON, without the predictions."""
        return {
            "a": self.a,
            "b": self.b,
            "rows": self.rows,
            "groups": self.groups,
            "differences": [
                {
                    "metric": one.metric,
                    "a": one.a,
                    "b": one.b,
                    "difference": one.difference.as_json(),
                    "p_value": one.p_value,
                    "better": one.better,
                    "verdict": self.sentence(one),
                }
                for one in self.differences
            ],
            "left_out": [*self.left_out],
        }

    def save_predictions(self, path: Any) -> None:
        """Write what both predicted as an `.npz` file with the arrays a and b."""
        np.savez(path, a=self.predictions[0], b=self.predictions[1])
