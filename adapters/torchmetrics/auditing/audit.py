"""Find metrics that are wrong by construction.

`crosscheck` compares a number with other libraries, for the same inputs. An audit
checks whether the metric got the right inputs, and whether its name describes its
value. It needs no other library; it is here because both feed a model's metrics in the
same way.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from multiback.adapters.torchmetrics.arrays import Array
from multiback.adapters.torchmetrics.auditing.context import AuditContext, loss_of
from multiback.adapters.torchmetrics.auditing.findings import Audit, Finding
from multiback.adapters.torchmetrics.auditing.inputs import (
    compared_scores,
    labels_of_another_form,
    one_column,
    yes_or_no,
)
from multiback.adapters.torchmetrics.auditing.left_out import (
    ignored_class,
    ignored_mask,
    ignored_weights,
    unusable_values,
)
from multiback.adapters.torchmetrics.auditing.logits import hosted_logits, logits
from multiback.adapters.torchmetrics.auditing.names import hidden, monitors
from multiback.adapters.torchmetrics.auditing.sums import (
    averaged,
    broadcast_labels,
    saturated,
)
from multiback.adapters.torchmetrics.checking.check import check_data, check_model
from multiback.adapters.torchmetrics.checking.from_metrics import CheckedMetric, Cuts
from multiback.adapters.torchmetrics.checking.from_models import from_model
from multiback.adapters.torchmetrics.checking.streaming import check_cuts
from multiback.errors import ArgumentError

# In this order: the first finding explains the number.
CHECKS: tuple[Callable[[AuditContext], Finding | None], ...] = (
    broadcast_labels,
    yes_or_no,
    hosted_logits,
    averaged,
    labels_of_another_form,
    compared_scores,
    one_column,
    logits,
    saturated,
    ignored_mask,
    ignored_class,
    unusable_values,
)


def audit(
    model: Any,
    data: tuple[Any, ...],
    *,
    class_weight: Mapping[int, float] | None = None,
    callbacks: Sequence[Any] = (),
    batch_size: int = 32,
) -> Audit:
    """Find compiled metrics whose number is not what their name says.

    Functions that Keras averages over batches and that are not means over samples;
    labels that broadcast; weights and masks that a metric never sees; logits given to a
    metric of probabilities; an AUC whose thresholds separate nothing; one column of
    scores where the largest is taken; class ids in place of one-hot rows, and vice
    versa; labels and scores that the metric cannot use; names that hide one another;
    callbacks that monitor what they cannot rank. Each finding has two different numbers
    on these data, or no usable number: only metrics whose value is actually
    wrong are reported.

    Args:
        model: A compiled model.
        data: `(x, y)` or `(x, y, sample_weight)`, as for `model.evaluate`.
        class_weight: As for `model.fit`; class ids only.
        callbacks: As for `model.fit`; those with a `monitor` are checked.
        batch_size: Rows in a batch.

    Returns:
        The findings: print them, or call `raise_if_any()` in a test.

    Raises:
        ArgumentError: The model or the data are not usable.

    Examples:
        >>> import keras
        >>> import numpy as np
        >>> model = keras.Sequential([keras.layers.Dense(1, kernel_initializer="ones")])
        >>> loss = keras.losses.BinaryCrossentropy(from_logits=True)
        >>> model.compile(loss=loss, metrics=[keras.metrics.AUC(name="auc")])
        >>> x = np.linspace(-3, 3, 40, dtype="float32")[:, None]
        >>> (lie,) = audit(model, (x, (np.sin(5 * x) > 0.5).astype("float32")))
        >>> lie.kind, lie.change.split("  →  ")[1]
        ('logits as probabilities', 'keras.metrics.AUC(from_logits=True)')
    """
    check_model(model)
    check_data(data, "(x, y)")
    cuts = Cuts(check_cuts(batch_size, 0))
    logs = None
    if model.compiled:
        x, y, weight = (*data, None)[:3]
        logs = model.evaluate(
            x,
            y,
            sample_weight=weight,
            batch_size=batch_size,
            verbose=0,
            return_dict=True,
        )
    checked_metrics = from_model(model, data, cuts, evaluate=False, numbered=True)
    findings: list[Finding] = list(hidden(model, checked_metrics, logs))
    names = {finding.name for finding in findings}
    weights = _weights(model, data, class_weight, checked_metrics)
    for checked in checked_metrics:
        logged = None if checked.name in names else logs.get(checked.name)  # type: ignore[union-attr]  # from_model has refused a model without compile()
        if isinstance(logged, int | float):
            checked = dataclasses.replace(checked, value=float(logged))  # noqa: PLW2901 - as it is logged
        findings += _lies(
            AuditContext(
                checked, weights[checked.output], loss_of(model, checked.output)
            ),
            checked_metrics,
        )
    findings += monitors(checked_metrics, logs, callbacks)
    return Audit(tuple(findings), tuple(checked.name for checked in checked_metrics))


def _lies(of: AuditContext, checked_metrics: Sequence[CheckedMetric]) -> list[Finding]:
    """Return the finding that explains the number, if it is wrong."""
    for check in CHECKS:
        found = check(of)
        if found is not None:
            return [found]
    has_twin = any(
        other.weighted
        and other.output == of.checked.output
        and type(other.metric) is type(of.metric)
        for other in checked_metrics
    )
    found = None if has_twin else ignored_weights(of)
    return [] if found is None else [found]


def _weights(
    model: Any,
    data: tuple[Any, ...],
    class_weight: Mapping[int, float] | None,
    checked_metrics: Sequence[CheckedMetric],
) -> dict[int, Array | None]:
    """Return the weights of each output's samples."""
    outputs = {checked.output for checked in checked_metrics}
    given = data[2] if len(data) > 2 else None  # noqa: PLR2004 - the third is the weights
    if given is not None:
        leaves = given if isinstance(given, list | tuple) else [given]
        if isinstance(given, Mapping):
            leaves = [given.get(name) for name in model.output_names]
        found = {
            output: np.asarray(leaves[output if len(leaves) > 1 else 0], "float32")
            for output in outputs
        }
        return {
            checked.output: None
            if checked.unmasked is not None
            else found[checked.output]
            for checked in checked_metrics
        }
    if class_weight is None:
        return dict.fromkeys(outputs)
    if len(outputs) > 1:
        raise ArgumentError(
            "class_weight= wants a model of one output, as Keras does; pass "
            "sample_weight in data= instead."
        )
    labels = checked_metrics[0].samples.y_true
    ids = labels.argmax(axis=-1) if labels.ndim > 1 and labels.shape[-1] > 1 else labels
    each = np.vectorize(lambda label: class_weight.get(int(label), 1.0))(ids)
    return dict.fromkeys(
        outputs, np.asarray(each, "float32").reshape(len(labels), -1)[:, 0]
    )
