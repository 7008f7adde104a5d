"""Check the metrics while a model trains."""

from collections.abc import Mapping
from typing import Any, Literal

import keras
import numpy as np

from multiback.adapters.torchmetrics.checking.check import check_data, report_on
from multiback.adapters.torchmetrics.checking.from_metrics import Cuts
from multiback.adapters.torchmetrics.checking.from_models import from_model
from multiback.adapters.torchmetrics.checking.report import Report
from multiback.adapters.torchmetrics.checking.streaming import check_cuts
from multiback.adapters.torchmetrics.libraries import missing_libraries
from multiback.errors import ArgumentError, DisagreementWarning, WrongMetricError
from multiback.warn import warn


class CrossCheck(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Cross-check the compiled metrics every few epochs, on a sample.

    The model predicts the sample, and the metrics are streamed over the predictions;
    their running state is restored, and training continues exactly as without.

    Args:
        data: `(x, y)` or `(x, y, sample_weight)`, as for `crosscheck`.
        every_n_epochs: How often; the first time after that many epochs.
        on_wrong: "warn" once a metric, or "raise".
        batch_size: Rows in a batch.
        max_samples: Rows to check, drawn once where there are more; None for all.

    Attributes:
        reports: The reports, by epoch, counted from 0.

    Raises:
        ArgumentError: An argument is not usable.
        MissingPackageError: Neither torchmetrics nor scikit-learn is installed.
        WrongMetricError: In training, with `on_wrong="raise"`.

    Examples:
        >>> import numpy as np
        >>> from multiback.metrics import Recall
        >>> model = keras.Sequential([keras.layers.Dense(1, "sigmoid")])
        >>> model.compile("sgd", "binary_crossentropy", metrics=[Recall()])
        >>> x, y = np.eye(4, dtype="float32"), np.array([[0], [1], [1], [0]])
        >>> check = CrossCheck(data=(x, y), on_wrong="raise")
        >>> _ = model.fit(x, y, epochs=1, verbose=0, callbacks=[check])
        >>> check.reports[0]["recall"].verdict
        'agrees'
    """

    def __init__(
        self,
        *,
        data: tuple[Any, ...],
        every_n_epochs: int = 1,
        on_wrong: Literal["warn", "raise"] = "warn",
        batch_size: int = 32,
        max_samples: int | None = 1024,
    ) -> None:
        super().__init__()
        check_data(data, "(x, y)")
        for name, value in (
            ("every_n_epochs", every_n_epochs),
            ("max_samples", max_samples),
        ):
            if (value is not None or name != "max_samples") and (
                isinstance(value, bool) or not isinstance(value, int) or value < 1
            ):
                raise ArgumentError(
                    f"{name}= wants an integer of at least 1, not {value!r}."
                )
        if on_wrong not in ("warn", "raise"):
            raise ArgumentError(f'on_wrong= wants "warn" or "raise", not {on_wrong!r}.')
        missing_libraries()  # At least one library is needed.
        self.reports: dict[int, Report] = {}
        self._data = _sample(data, max_samples)
        self._every_n_epochs = every_n_epochs
        self._on_wrong = on_wrong
        self._cuts = Cuts(check_cuts(batch_size, 1), shuffles=1)
        self._told: set[str] = set()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Check, if it is due."""
        del logs
        if (epoch + 1) % self._every_n_epochs:
            return
        report = report_on(
            from_model(self.model, self._data, self._cuts, evaluate=False)
        )
        self.reports[epoch] = report
        if self._on_wrong == "raise":
            report.raise_if_wrong()
        new = [row.name for row in report.wrong if row.name not in self._told]
        self._told.update(new)
        if new:
            try:
                report.raise_if_wrong()
            except WrongMetricError as error:
                warn(f"After epoch {epoch + 1}: {error}", DisagreementWarning)


def _sample(data: tuple[Any, ...], max_samples: int | None) -> tuple[Any, ...]:
    """Draw rows, the same ones each time."""
    rows = len(keras.tree.flatten(data[0])[0])
    if max_samples is None or rows <= max_samples:
        return data
    # A separate generator: the global ones belong to the training.
    drawn = np.sort(np.random.default_rng(0).choice(rows, max_samples, replace=False))
    return tuple(
        None
        if part is None
        else keras.tree.map_structure(lambda array: np.asarray(array)[drawn], part)
        for part in data
    )
