"""One audited metric and its data, and ways to compute other numbers from them."""

import dataclasses
from typing import Any

import keras
import numpy as np

from multiback.adapters.bridge import HostMetric
from multiback.adapters.torchmetrics.arrays import Array, Samples, sigmoid
from multiback.adapters.torchmetrics.auditing.findings import Finding, Kind
from multiback.adapters.torchmetrics.checking.from_metrics import CheckedMetric
from multiback.adapters.torchmetrics.checking.report import Value
from multiback.adapters.torchmetrics.checking.streaming import (
    Batching,
    MetricInputs,
    Streams,
)
from multiback.adapters.torchmetrics.translation.source import source_of
from multiback.errors import ArgumentError

# The relative difference that a reader would call another number.
RELATIVE, ABSOLUTE = 1e-4, 1e-6


@dataclasses.dataclass(frozen=True)
class AuditContext:
    """A metric with its logged value and samples, and facts about its output.

    There are weights if the model gets them; the loss is a name, a function, an object
    or None.
    """

    checked: CheckedMetric
    weights: Array | None
    loss: Any

    @property
    def metric(self) -> Any:
        """The metric object."""
        return self.checked.metric

    @property
    def samples(self) -> Samples:
        """The metric's data, without masked elements."""
        return self.checked.samples

    @property
    def y_true(self) -> Array:
        """Labels, one row a sample."""
        return self.checked.samples.y_true

    @property
    def y_pred(self) -> Array:
        """Predictions, one row a sample."""
        return self.checked.samples.y_pred

    @property
    def is_ours(self) -> bool:
        """True for a metric of `multiback.metrics`."""
        return type(self.metric).__module__.startswith("multiback.metrics.")

    def differs(self, value: Value | None) -> bool:
        """Return whether a value differs from the logged one."""
        return value is not None and are_different(self.checked.value, value)

    def value(self, metric: Any = None, **changes: Any) -> Value | None:
        """Return a metric's value on all samples at once, or None.

        `changes` are fields of the samples to replace.
        """
        samples = dataclasses.replace(self.samples, **changes)
        streams = Streams(
            [MetricInputs(metric or self.metric, samples)], built=metric is None
        )
        try:
            value = streams.values(Batching(len(samples.y_true)))[0]
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            # A metric that cannot take these samples proves nothing.
            return None
        return None if isinstance(value, dict) else value

    @property
    def config(self) -> dict[str, Any]:
        """The metric's arguments; empty for a wrapped metric that cannot be written."""
        try:
            found: dict[str, Any] = self.metric.get_config()
        except ArgumentError:
            return {}
        return found

    @property
    def is_hosted(self) -> bool:
        """True for a metric of `as_keras`, from torchmetrics or scikit-learn."""
        return isinstance(self.metric, HostMetric)

    def like(self, **changes: Any) -> Any:
        """Make the metric again with other arguments."""
        if isinstance(self.metric, HostMetric):
            return self.metric.changed(**changes)
        return type(self.metric).from_config({**self.metric.get_config(), **changes})

    def finding(
        self, kind: Kind, should: Value | None, reason: str, change: str
    ) -> Finding:
        """Make a finding of this metric."""
        checked = self.checked
        return Finding(kind, checked.name, checked.value, should, reason, change)

    def contradicted(
        self, kind: Kind, should: Value | None, reason: str, change: str
    ) -> Finding | None:
        """Make a finding if the value should be another number."""
        found = self.differs(should)
        return self.finding(kind, should, reason, change) if found else None

    def corrected(
        self, kind: Kind, fixed: Any, reason: str, new: str = ""
    ) -> Finding | None:
        """Make a finding if another metric, `fixed`, gives another number.

        `new` is how that metric is written, where that is not its source text.
        """
        change = self.instead(new or source_of(fixed))
        return self.contradicted(kind, self.value(fixed), reason, change)

    def instead(self, new: str) -> str:
        """Describe the replacement of this metric."""
        return f"{source_of(self.metric)}  →  {new}"

    def holds_ids(self) -> bool:
        """Return whether labels are class ids and predictions one score a class."""
        true, predicted = self.y_true, self.y_pred
        flat = true.ndim == predicted.ndim - 1 or (
            true.ndim == predicted.ndim and true.shape[-1] == 1
        )
        return (
            flat
            and predicted.shape[-1] > 1
            and are_integers(true)
            and true.min() >= 0
            and 1 <= true.max() < predicted.shape[-1]
        )

    def is_one_hot(self) -> bool:
        """Return whether each row of labels is of one class, one score a class."""
        true = self.y_true
        return (
            true.shape == self.y_pred.shape
            and true.ndim > 1
            and true.shape[-1] > 1
            and bool(np.isin(true, (0, 1)).all())
            and bool((true.sum(axis=-1) == 1).all())
        )

    def is_distribution(self) -> bool:
        """Return whether each row of predictions adds up to 1, as a softmax does."""
        rows = self.y_pred.sum(axis=-1)
        return bool((self.y_pred >= 0).all() and np.allclose(rows, 1, atol=1e-3))

    @property
    def is_categorical(self) -> bool:
        """True if the loss, or the shape, shows that one class of several holds."""
        return "categorical" in loss_name(self.loss) or (
            not loss_name(self.loss) and self.is_one_hot()
        )

    def probabilities(self) -> Array:
        """Return the probabilities of the logits."""
        logits = self.y_pred.astype("float64")
        if not self.is_categorical:
            return sigmoid(logits).astype("float32")
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True), "float32")


def are_different(a: Value, b: Value) -> bool:
    """Return whether a reader would call two values different numbers."""
    left, right = np.ravel(a), np.ravel(b)
    return left.shape != right.shape or not np.allclose(
        left, right, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True
    )


def are_equal(a: Value | None, b: Value | None) -> bool:
    """Return whether two values exist and look equal to a reader."""
    return a is not None and b is not None and not are_different(a, b)


def are_integers(array: Array) -> bool:
    """Return whether all values are whole."""
    return bool((array == np.floor(array)).all())


def loss_of(model: Any, output: int) -> Any:
    """Return the loss that was compiled for an output, or None."""
    loss = model.loss
    if isinstance(loss, dict):
        names = list(getattr(model, "output_names", None) or loss)
        return loss.get(names[output]) if output < len(names) else None
    if isinstance(loss, list | tuple):
        return loss[output] if output < len(loss) else None
    return loss


def loss_name(loss: Any) -> str:
    """Return a loss's name in lower case without underscores, or "".

    >>> loss_name("binary_crossentropy"), loss_name(keras.losses.BinaryCrossentropy())
    ('binarycrossentropy', 'binarycrossentropy')
    """
    if loss is None:
        return ""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "")
    return (name or type(loss).__name__).lower().replace("_", "")


def loss_takes_logits(loss: Any) -> bool | None:
    """Return whether a loss takes logits; None if unknown."""
    if isinstance(loss, keras.losses.Loss):
        found = loss.get_config().get("from_logits")
        return None if found is None else bool(found)
    return False if loss_name(loss).endswith("crossentropy") else None
