"""The helper for tests fails on whatever is not known to be right."""

import keras
import numpy as np
import pytest

import multiback as mb
from multiback.adapters.torchmetrics import assert_agrees
from multiback.errors import WrongMetricError


def halved(y_true, y_pred):
    """Some number a sample that no library knows."""
    return (y_true + y_pred) / 2


def test_right_metrics_pass_with_their_report(real):
    report = assert_agrees([mb.metrics.F1Score(), mb.metrics.Recall()], real["binary"])
    assert report.cuts == (
        "batches of 7",
        "shuffled batches of 32",
        "shuffled batches of 7",
    )
    assert all(row.spread == 0 for row in report)


def test_a_known_convention_passes_unless_it_is_forbidden(real):
    auc = keras.metrics.AUC(name="auc")
    assert assert_agrees(auc, real["binary"])["auc"].verdict != "agrees"
    with pytest.raises(AssertionError, match="auc is 'differs by convention'"):
        assert_agrees(auc, real["binary"], allow=())


def test_what_nothing_was_compared_with_fails_unless_it_is_allowed(real):
    y_true, y_pred = real["binary"]
    data = (y_true[:, None].astype("float32"), y_pred[:, None])
    with pytest.raises(AssertionError, match="halved is 'no equivalent'; allow="):
        assert_agrees(halved, data)
    assert_agrees(halved, data, allow=["no equivalent"])


def test_a_wrong_metric_fails_with_the_table(real):
    def mean_of_batches(y_true, y_pred):
        return keras.ops.max(y_pred) + 0 * keras.ops.cast(y_true, "float32")

    data = tuple(np.asarray(part)[:90] for part in real["binary"])
    with pytest.raises(WrongMetricError, match="mean_of_batches is 'wrong'") as caught:
        assert_agrees(mean_of_batches, data)
    assert "Keras averages a function over batches" in str(caught.value)
