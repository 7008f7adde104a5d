"""One line for a test: this metric is right on these data."""

from collections.abc import Collection, Sequence
from typing import Any

from multiback.adapters.torchmetrics.checking.check import crosscheck
from multiback.adapters.torchmetrics.checking.report import Report
from multiback.adapters.torchmetrics.checking.verdict import Verdict
from multiback.errors import WrongMetricError

CONVENTIONS: tuple[Verdict, ...] = ("differs by convention",)


def assert_agrees(
    model_or_metrics: Any,
    data: tuple[Any, ...],
    *,
    batch_size: int | Sequence[int] = (32, 7),
    shuffles: int = 2,
    allow: Collection[Verdict] = CONVENTIONS,
) -> Report:
    """Fail unless every metric agrees with torchmetrics and scikit-learn.

    A metric that neither library knows fails too: nothing would have been compared. For
    your own metric that only has to be independent of the batches, allow "no
    equivalent".

    Args:
        model_or_metrics: As for `crosscheck`.
        data: As for `crosscheck`.
        batch_size: Rows in a batch, or several numbers to try.
        shuffles: How many other orders of the rows to try.
        allow: Verdicts that pass, in addition to "agrees".

    Returns:
        The report, for more assertions.

    Raises:
        WrongMetricError: An `AssertionError`, with the table and the reasons.

    Examples:
        >>> import numpy as np
        >>> from multiback.metrics import Recall
        >>> y_true, y_pred = np.array([0, 1, 1, 1]), np.array([0.2, 0.9, 0.4, 0.8])
        >>> report = assert_agrees(Recall(), (y_true, y_pred))
    """
    report = crosscheck(
        model_or_metrics, data, batch_size=batch_size, shuffles=shuffles
    )
    passing = {"agrees", *allow}
    failing = [row for row in report if row.verdict not in passing]
    if failing:
        raise WrongMetricError(
            f"{', '.join(f'{row.name} is {row.verdict!r}' for row in failing)}; "
            f"allow= passes {', '.join(sorted(passing))}.\n{report}"
        )
    return report
