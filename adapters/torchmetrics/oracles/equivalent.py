"""How a metric maps to torchmetrics and scikit-learn."""

import dataclasses
from collections.abc import Callable
from typing import Any

from multiback.adapters.torchmetrics.arrays import Samples

Compute = Callable[[], Any]

BY_NUMPY = "scikit-learn's column is NumPy's"
NO_CLASSES = "torchmetrics has no classes="
NO_WEIGHTS = "torchmetrics has no sample weights here"


@dataclasses.dataclass(frozen=True)
class Convention:
    """A known difference between libraries under one name.

    Attributes:
        name: Its name.
        reason: Which library does what, in one sentence.
        expected: Computes in float64 the metric's value if this is the only difference;
            only then it is excused. None without scikit-learn, which is needed for it.
    """

    name: str
    reason: str
    expected: Compute | None


@dataclasses.dataclass(frozen=True)
class Equivalent:
    """The same number from torchmetrics and scikit-learn.

    Attributes:
        torchmetrics: Computes it, or None where torchmetrics cannot.
        sklearn: Computes it in float64, or None where scikit-learn cannot.
        convention: A known difference, or None.
        columns: Terms of a final average, each rounded.
        additions: Rounded additions on the way; 0 where the metric counts.
        scale: Size of the terms whose difference the value is: a rounding is
            relative to it even where the value is near 0.
        note: Why a library is left out, or another remark.
        bounds: Computes the smallest and the largest value that agree, if the metric
            approximates with a known bound.
    """

    torchmetrics: Compute | None
    sklearn: Compute | None
    convention: Convention | None = None
    columns: int = 1
    additions: int = 0
    scale: float = 0.0
    note: str = ""
    bounds: Compute | None = None


@dataclasses.dataclass(frozen=True)
class NoEquivalent:
    """Neither library has the metric, for this reason."""

    reason: str


# From a metric's arguments and data.
Translation = Callable[[dict[str, Any], Samples], Equivalent | NoEquivalent]
