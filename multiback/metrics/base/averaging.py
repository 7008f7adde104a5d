"""From counts to one number: ratios and their averages over columns.

The rules are scikit-learn's and torchmetrics': `micro` adds the counts of all
columns first; `macro` is the plain mean over columns; `weighted` weighs each by
its number of true elements. For exclusive classes a class with neither a label
nor a prediction leaves the mean, and so does an ignored one. A ratio without a
denominator is `zero_division`; where that is NaN, it leaves the mean.
"""

import math
import numbers

from multiback.errors import ArgumentError
from multiback.metrics.inputs.task import Average, Task
from multiback.metrics.numeric.arithmetic import Tensor, namespace, ratio
from multiback.metrics.statistics.counts import CountTable

AVERAGES = ("micro", "macro", "weighted", None)


def check_average(average: str | None) -> None:
    """Raise unless `average` is known."""
    if not isinstance(average, str | None) or average not in AVERAGES:
        raise ArgumentError(
            f'average= wants "micro", "macro", "weighted" or None, not {average!r}.'
        )


def check_zero_division(zero_division: float) -> None:
    """Raise unless `zero_division` is 0, 1 or NaN."""
    if not isinstance(zero_division, numbers.Real) or not (
        zero_division in (0.0, 1.0) or math.isnan(zero_division)
    ):
        raise ArgumentError(
            f"zero_division= wants 0, 1 or float('nan'), not {zero_division!r}."
        )


def check_has_classes(record: Task, average: Average) -> None:
    """Raise if `classes=` is given for an accuracy that is one number for them all."""
    plain = record.kind == "binary" or (
        record.kind == "multiclass" and average == "micro"
    )
    if plain and record.classes is not None:
        raise ArgumentError(
            "classes= wants a number a class, and plain accuracy is one for all "
            f"classes. Use Recall(classes={record.classes!r}, ...)"
            + (', or pass average="macro".' if record.kind == "multiclass" else ".")
        )


def average_ratio(
    numerator: Tensor,
    denominator: Tensor,
    table: CountTable,
    *,
    average: str | None,
    zero_division: float,
    exclusive: bool,
    ignored: tuple[int, ...] = (),
) -> Tensor:
    """Average one ratio a column: a float32 scalar, or `(columns,)` for `average=None`.

    Args:
        numerator: `(columns,)` float32.
        denominator: `(columns,)` float32.
        table: The counts that both came from.
        average: "micro", "macro", "weighted" or None.
        zero_division: Value of a ratio without a denominator.
        exclusive: The columns are classes: one that does not occur leaves the mean.
        ignored: Columns that leave the mean.
    """
    xp = namespace(denominator)
    if average == "micro":
        return ratio(xp.sum(numerator), xp.sum(denominator), zero_division)
    values = ratio(numerator, denominator, zero_division)
    if average is None:
        return values
    if average == "weighted":
        weights = table.tp + table.fn
    elif exclusive:
        occurs = (table.tp + table.fp + table.fn) > 0
        weights = xp.where(occurs, xp.ones_like(values), 0.0)
    else:
        weights = xp.ones_like(values)
    columns = values.shape[0]
    for column in ignored:
        if 0 <= column < columns:
            weights = xp.where(xp.equal(xp.arange(columns), column), 0.0, weights)
    if math.isnan(zero_division):
        undefined = xp.isnan(values)
        weights = xp.where(undefined, 0.0, weights)
        values = xp.where(undefined, 0.0, values)
    return ratio(xp.sum(weights * values), xp.sum(weights), zero_division)
