from typing import ClassVar

import numpy as np
import pytest
import sklearn.metrics
from support.contracts import MetricContract, stream, unusable

import multiback as mb
from multiback.errors import ArgumentError


class TestTopKAccuracy(MetricContract):
    cases: ClassVar = {
        "top-1": {"num_classes": 8, "top_k": 1},
        "top-3": {"num_classes": 8, "top_k": 3},
        "top-3-macro": {"num_classes": 8, "top_k": 3, "average": "macro"},
        "top-5-of-300": {"num_classes": 300, "top_k": 5},
    }

    def make(self, **arguments):
        return mb.metrics.TopKAccuracy(**arguments)

    def sample(self, rng, n, arguments):
        classes = arguments["num_classes"]
        y_true = rng.integers(0, classes - 1, n)
        y_pred = rng.normal(size=(n, classes))
        y_pred[np.arange(n), y_true] += 1.0
        return y_true, y_pred.astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, **arguments):
        # A stable sort leaves equal scores in the order of their index.
        best = np.argsort(-y_pred.astype("float64"), axis=1, kind="stable")
        hit = (best[:, : arguments["top_k"]] == y_true[:, None]).any(1)
        weight = np.ones(len(hit)) if sample_weight is None else sample_weight
        if arguments.get("average") == "macro":
            return np.mean(
                [
                    np.average(hit[y_true == c], weights=weight[y_true == c])
                    for c in np.unique(y_true)
                ]
            )
        return np.average(hit, weights=weight)


def test_top_k_agrees_with_scikit_learn_where_no_scores_are_equal(rng):
    y_true, y_pred = rng.integers(0, 8, 200), rng.random((200, 8)).astype("float32")
    for top_k in (1, 3, 8):
        actual = stream(
            mb.metrics.TopKAccuracy(num_classes=8, top_k=top_k), (y_true, y_pred)
        )
        expected = (
            sklearn.metrics.top_k_accuracy_score(y_true, y_pred, k=top_k)
            if (top_k < 8)
            else 1.0
        )
        assert actual == pytest.approx(expected, abs=1e-7)


def test_scikit_learn_ranks_the_last_of_equal_scores_first():
    """argmax and NumPy take the first; 1.0 there is 0.0 here."""
    y_true, y_pred = [2, 2], np.zeros((2, 3), "float32")
    mine = stream(mb.metrics.TopKAccuracy(num_classes=3, top_k=1), (y_true, y_pred))
    theirs = sklearn.metrics.top_k_accuracy_score(y_true, y_pred, k=1, labels=range(3))
    assert (mine, theirs) == (0.0, 1.0)


@unusable
def test_scores_that_are_all_nan_are_never_a_hit():
    nan = np.full((4, 3), np.nan, "float32")
    metric = mb.metrics.TopKAccuracy(num_classes=3, top_k=3)
    assert stream(metric, ([0, 1, 2, 0], nan)) == 0.0


@pytest.mark.parametrize("top_k", [0, 4, 1.5])
def test_a_top_k_that_is_not_a_number_of_classes_is_refused(top_k):
    with pytest.raises(ArgumentError, match=r"top_k= wants .* from 1 to num_classes=3"):
        mb.metrics.TopKAccuracy(num_classes=3, top_k=top_k)


class TestExactMatch(MetricContract):
    cases: ClassVar = {
        "multilabel": {"task": "multilabel", "num_labels": 3},
        "multilabel-ignore": {
            "task": "multilabel",
            "num_labels": 3,
            "ignore_index": -1,
        },
        "multiclass": {"task": "multiclass", "num_classes": 4},
    }

    def make(self, **arguments):
        return mb.metrics.ExactMatch(**arguments)

    def sample(self, rng, n, arguments):
        if arguments["task"] == "multiclass":
            y_true = rng.integers(0, 4, (n, 3))
            y_pred = rng.normal(size=(n, 3, 4)) + 2 * np.eye(4)[y_true]
            return y_true, y_pred.astype("float32")
        y_true = rng.integers(0, 2, (n, 3))
        y_pred = np.clip(rng.normal(size=(n, 3)) / 3 + y_true, 0, 1)
        if "ignore_index" in arguments:
            y_true[rng.random((n, 3)) < 0.3] = -1
            y_true[:, 0] = abs(y_true[:, 0])  # No row without any label.
        return y_true, y_pred.astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, **arguments):
        if arguments["task"] == "multiclass":
            right = y_pred.argmax(-1) == y_true
        else:
            right = ((y_pred > 0.5) == y_true) | (y_true == -1)
        return np.average(right.all(1), weights=sample_weight)


def test_a_row_of_nothing_but_ignored_elements_is_left_out():
    metric = mb.metrics.ExactMatch(num_labels=2, ignore_index=-1)
    batch = [[-1, -1], [0, 1]], [[0.9, 0.9], [0.9, 0.9]]
    assert stream(metric, batch) == 0.0


def test_exact_match_wants_one_weight_a_row():
    metric = mb.metrics.ExactMatch(num_labels=2)
    batch = [[0, 1], [0, 1]], [[0.1, 0.9], [0.9, 0.9]]
    with pytest.raises(ArgumentError, match="one number a row"):
        stream(metric, (*batch, np.ones((2, 2), "float32")))
