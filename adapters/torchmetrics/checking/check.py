"""Compare values that Keras streamed with those of two other libraries."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from multiback.adapters.torchmetrics.checking.compare import judge
from multiback.adapters.torchmetrics.checking.from_metrics import (
    CheckedMetric,
    Cuts,
    from_metrics,
)
from multiback.adapters.torchmetrics.checking.from_models import from_model
from multiback.adapters.torchmetrics.checking.report import Report
from multiback.adapters.torchmetrics.checking.streaming import check_cuts
from multiback.adapters.torchmetrics.libraries import missing_libraries
from multiback.errors import ArgumentError


def crosscheck(
    model_or_metrics: Any,
    data: tuple[Any, ...],
    *,
    batch_size: int | Sequence[int] = 32,
    shuffles: int = 1,
) -> Report:
    """Check each metric's streamed value against torchmetrics and scikit-learn.

    torchmetrics and scikit-learn are given the whole set at once; scikit-learn computes
    in float64, and its number decides: a value that agrees with it is right, even if
    torchmetrics differs. A difference that float32 arithmetic cannot explain is
    "wrong", unless a known convention explains exactly that difference. Then the same
    predictions are streamed again in other batches and in another order: a number that
    moves is "wrong", even if a library agrees. A metric that neither library knows is
    at least compared with its own value on the whole set at once.

    Args:
        model_or_metrics: A compiled Keras model, whose compiled metrics are
            checked, or a metric, a list of metrics, or a dictionary of metrics by
            name. Functions are averaged over batches, as Keras does.
        data: NumPy arrays, one row a sample. For a model `(x, y)` or
            `(x, y, sample_weight)` as for `model.evaluate`; Keras gives weights to
            `weighted_metrics=` only. For metrics `(y_true, y_pred)` or
            `(y_true, y_pred, sample_weight)`; for `Mean`, `Sum`, `Max` and `Min`
            `(values,)` or `(values, sample_weight)`. Masked elements are not compared.
        batch_size: Rows in a batch, or several numbers to try.
        shuffles: How many other orders of the rows to try, each in several batches.

    Returns:
        A report: print it, or call its `raise_if_wrong()` in a test. A model's
        metrics are left as `model.evaluate` and a reset leave them; the state of
        a metric passed by itself is kept.

    Raises:
        ArgumentError: The model, the metrics or the data are not usable.
        MissingPackageError: Neither torchmetrics nor scikit-learn is installed. If one
            is missing, its column is empty, and the report says so.

    Examples:
        >>> import numpy as np
        >>> from multiback.metrics import F1Score, Precision
        >>> y_true = np.array([0, 1, 1, 0, 1])
        >>> y_pred = np.array([0.1, 0.9, 0.4, 0.6, 0.8])
        >>> metrics = [F1Score(), Precision()]
        >>> report = crosscheck(metrics, (y_true, y_pred), batch_size=2)
        >>> [(row.name, row.verdict) for row in report]
        [('f1_score', 'agrees'), ('precision', 'agrees')]
        >>> report.raise_if_wrong()
    """
    is_model = isinstance(model_or_metrics, keras.Model)
    check_data(data, "(x, y)" if is_model else "(y_true, y_pred)")
    cuts = Cuts(check_cuts(batch_size, shuffles), shuffles)
    missing_libraries()  # At least one library is needed.
    collect = from_model if is_model else from_metrics
    return report_on(collect(model_or_metrics, data, cuts))


def report_on(checked_metrics: Sequence[CheckedMetric]) -> Report:
    """Compare each metric."""
    first, *others = checked_metrics[0].cuts
    return Report(
        tuple(map(judge, checked_metrics)),
        samples=len((checked_metrics[0].unmasked or checked_metrics[0].samples).y_true),
        batch_size=first.batch_size,
        cuts=tuple(map(str, others)),
        notes=missing_libraries(),
    )


def check_model(model: Any) -> None:
    """Raise unless `model` is a Keras model."""
    if not isinstance(model, keras.Model):
        raise ArgumentError(
            f"model= wants a compiled Keras model, not {model!r:.80}; crosscheck takes "
            "metrics and arrays too."
        )


def check_data(data: Any, wanted: str) -> None:
    """Raise unless `data` is a tuple of the expected length."""
    lengths = (2, 3) if wanted == "(x, y)" else (1, 2, 3)
    if not isinstance(data, tuple | list) or len(data) not in lengths:
        came = type(data).__name__
        if isinstance(data, tuple | list):
            came = f"a {came} of {len(data)}"
        elif isinstance(data, Mapping):
            came = f"a dictionary with {', '.join(map(str, data))}"
        raise ArgumentError(
            f"data= wants NumPy arrays as {wanted} or {wanted[:-1]}, sample_weight), "
            f"not {came}; take a data set apart into arrays first."
        )
    if wanted == "(x, y)":
        _check_rows(data)


def _check_rows(data: Sequence[Any]) -> None:
    """Raise unless a model's arrays have one row a sample each."""
    named = zip(("x", "y", "sample_weight"), data, strict=False)
    rows = {
        name: {rows for leaf in keras.tree.flatten(part) for rows in np.shape(leaf)[:1]}
        for name, part in named
    }
    if len(set().union(*rows.values())) > 1:
        raise ArgumentError(
            "data= wants the same number of rows in each array, not "
            + ", ".join(
                f"{' and '.join(map(str, sorted(found)))} in {name}"
                for name, found in rows.items()
                if found
            )
            + "."
        )
