"""Wrong metrics are found in lists of metrics; right ones are not."""

import keras
import numpy as np
import pytest
from keras import ops
from support.wrong_metrics import MeanOfBatchRecalls, error_of_every_pair, f1_by_hand

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck
from multiback.adapters.torchmetrics.checking.verdict import (
    close,
    difference,
    tolerance,
)
from multiback.adapters.torchmetrics.libraries import run_torchmetrics


def test_torchmetrics_is_given_predictions_first(real):
    """Swapped, precision and recall change places: 0.5 and 1.0 here."""
    import torchmetrics.classification

    y_true, y_pred = np.array([0, 1, 1, 0]), np.array([1, 1, 1, 1])
    for name, expected in (("BinaryPrecision", 0.5), ("BinaryRecall", 1.0)):
        metric = getattr(torchmetrics.classification, name)()
        assert run_torchmetrics(metric, y_true=y_true, y_pred=y_pred) == expected
    report = crosscheck([mb.metrics.Precision(), mb.metrics.Recall()], real["binary"])
    for row in report:
        assert row.torchmetrics == pytest.approx(row.sklearn, rel=1e-6)
    assert abs(report["precision"].value - report["recall"].value) > 0.05


def test_a_class_that_depends_on_the_batches_is_wrong_without_an_equivalent(real):
    (row,) = crosscheck(MeanOfBatchRecalls(), real["binary"])
    assert row.verdict == "wrong"
    assert "depends on how the data is cut into batches" in row.reason
    # All rows in one batch: only another cut shows it.
    one_batch = {"batch_size": 600}
    assert crosscheck(MeanOfBatchRecalls(), real["binary"], shuffles=0, **one_batch).ok
    (row,) = crosscheck(MeanOfBatchRecalls(), real["binary"], **one_batch)
    assert row.verdict == "wrong"
    assert "in batches of 600" in row.reason
    assert "in shuffled batches of 271; use multiback.metrics.Recall()" in row.reason
    assert row.spread > 1e-3


def test_several_batch_sizes_are_tried_in_turn(real):
    sizes = {"batch_size": [569, 100], "shuffles": 0}
    report = crosscheck([f1_by_hand, mb.metrics.F1Score()], real["binary"], **sizes)
    assert report.cuts == ("batches of 100",)
    assert report["f1_by_hand"].verdict == "wrong"
    assert report["f1_score"].verdict == "agrees"
    assert report["f1_score"].spread == 0.0


class LastSeenFirst(keras.metrics.Metric):
    """The share of hits, but the first label of all is counted as a hit."""

    def __init__(self, name="last_seen_first"):
        super().__init__(name=name)
        self.hits = mb.metrics.Accuracy()
        self.first = self.add_variable((), initializer="zeros", name="first")
        self.started = self.add_variable((), initializer="zeros", name="started")

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002 - Keras's signature
        self.hits.update_state(y_true, y_pred)
        first = ops.cast(y_true[0], "float32")
        started = ops.convert_to_tensor(self.started)
        before = ops.convert_to_tensor(self.first)
        self.first.assign(ops.where(started == 0, first, before))
        self.started.assign(1.0)

    def result(self):
        return self.hits.result() + self.first


def test_a_metric_that_depends_on_the_order_of_the_rows_is_found(real):
    y_true, y_pred = real["binary"]
    order = np.argsort(y_true)  # Any shuffle that starts with a 1 shows it.
    data = (y_true[order], y_pred[order])
    assert crosscheck(LastSeenFirst(), data, batch_size=[32, 64], shuffles=0).ok
    (row,) = crosscheck(LastSeenFirst(), data, shuffles=6)
    assert row.verdict == "wrong"
    assert row.spread == 1.0


def test_metrics_of_a_group_are_compared_as_what_they_are(real):
    metrics = mb.metrics.group(mb.metrics.Precision(), mb.metrics.Recall())
    report = crosscheck(metrics, real["binary"])
    assert [row.verdict for row in report] == ["agrees", "agrees"]
    assert report["recall"].metric == "multiback.Recall"


def test_keras_counters_that_stop_at_2_to_the_24_are_found():
    """After a weight of 2**24, adding 1 changes no float32."""
    y_true = np.ones(500, "int32")
    y_pred = np.where(np.arange(500) % 2, 0.9, 0.1).astype("float32")
    weight = np.ones(500, "float32")
    weight[0] = 2.0**24
    data = (y_true, y_pred, weight)
    metrics = {"keras": keras.metrics.Recall(), "ours": mb.metrics.Recall()}
    report = crosscheck(metrics, data, batch_size=1, shuffles=0)
    assert report["keras"].verdict == "wrong"
    assert "batches add up wrongly" in report["keras"].reason
    assert report["ours"].verdict == "agrees"


def test_keras_mse_of_flat_predictions_is_found_to_average_over_batches(real):
    """Without a last axis Keras takes a batch for one sample: 569 = 17 * 32 + 25."""
    y_true, y_pred = real["binary"]
    (flat,) = crosscheck(keras.metrics.MeanSquaredError(), (y_true, y_pred))
    assert flat.verdict == "wrong"
    assert "batches add up wrongly" in flat.reason
    column = (y_true[:, None], y_pred[:, None])
    assert crosscheck(keras.metrics.MeanSquaredError(), column).ok


def test_a_function_that_broadcasts_by_mistake_is_found(real):
    y_true, y_pred = real["binary"]
    assert not crosscheck(error_of_every_pair, (y_true, y_pred[:, None])).ok
    assert crosscheck(error_of_every_pair, (y_true[:, None], y_pred[:, None])).ok


def test_a_function_of_keras_is_checked_as_its_class(real):
    y_true, y_pred = real["binary"]
    data = (y_true[:, None].astype("float32"), y_pred[:, None])
    (row,) = crosscheck(keras.metrics.binary_accuracy, data)
    assert (row.name, row.verdict) == ("binary_accuracy", "agrees")
    assert row.torchmetrics is not None


def test_two_metrics_of_one_name_get_two_names(real):
    report = crosscheck(
        [mb.metrics.Recall(), mb.metrics.Recall(threshold=0.3)], real["binary"]
    )
    assert [row.name for row in report] == ["recall", "recall_1"]
    assert report["recall_1"].value > report["recall"].value


def test_the_state_of_a_metric_is_kept(real):
    metric = mb.metrics.Accuracy()
    metric.update_state([1, 0, 1, 1], [0.9, 0.8, 0.7, 0.6])
    crosscheck(metric, real["binary"])
    assert float(metric.result()) == 0.75


def test_predictions_of_half_precision_are_compared_by_their_value(real):
    y_true, y_pred = real["binary"]
    narrow = ops.cast(y_pred, "bfloat16")
    assert crosscheck(mb.metrics.F1Score(), (y_true, narrow)).ok


def test_the_tolerance_grows_as_roundings_do_and_not_faster():
    u = 2.0**-24
    assert tolerance() == 5 * u
    assert tolerance(columns=10) == 14 * u
    assert tolerance(additions=100) == 65 * u
    assert close(1 + 4 * u, 1.0, tolerance())
    assert not close(1 + 6 * u, 1.0, tolerance())
    assert not close([1.0, 1.0], [1.0], tolerance())
    assert close(float("nan"), float("nan"), tolerance())
    assert not close(float("nan"), 1.0, tolerance())
    assert difference([1.0, np.nan], [1.5, np.nan]) == 0.5
    assert difference(np.nan, 1.0) == np.inf
