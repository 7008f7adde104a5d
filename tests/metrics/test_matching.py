from typing import ClassVar

import numpy as np
import pytest
import sklearn.metrics
from support.contracts import MetricContract, stream, unusable

import multiback as mb
from multiback.errors import ArgumentError


class TestMatching(MetricContract):
    cases: ClassVar = {
        "top-1": {"name": "TopKAccuracy", "num_classes": 8, "top_k": 1},
        "top-3": {"name": "TopKAccuracy", "num_classes": 8, "top_k": 3},
        "macro": {
            "name": "TopKAccuracy",
            "num_classes": 8,
            "top_k": 3,
            "average": "macro",
        },
        "top-5-of-300": {"name": "TopKAccuracy", "num_classes": 300, "top_k": 5},
        "labels": {"name": "ExactMatch", "num_labels": 3},
        "labels-ignore": {"name": "ExactMatch", "num_labels": 3, "ignore_index": -1},
        "rows": {"name": "ExactMatch", "task": "multiclass", "num_classes": 4},
    }

    def make(self, name, **arguments):
        return getattr(mb.metrics, name)(**arguments)

    def sample(self, rng, n, arguments):
        classes = arguments.get("num_classes")
        if classes is None:
            y_true = rng.integers(0, 2, (n, 3))
            y_pred = np.clip(rng.normal(size=(n, 3)) / 3 + y_true, 0, 1)
            if "ignore_index" in arguments:
                y_true[rng.random((n, 3)) < 0.3] = -1
                y_true[:, 0] = abs(y_true[:, 0])  # No row without any label.
            return y_true, y_pred.astype("float32")
        shape = (n, 3) if "task" in arguments else (n,)
        y_true = rng.integers(0, classes - 1, shape)
        y_pred = rng.normal(size=(*shape, classes)) + np.eye(classes)[y_true]
        return y_true, y_pred.astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, *, name, **arguments):
        if name == "ExactMatch":
            classes = "task" in arguments
            right = y_true == (y_pred.argmax(-1) if classes else y_pred > 0.5)
            return np.average((right | (y_true == -1)).all(1), weights=sample_weight)
        # A stable sort leaves equal scores in the order of their index.
        best = np.argsort(-y_pred.astype("float64"), axis=1, kind="stable")
        hit = (best[:, : arguments["top_k"]] == y_true[:, None]).any(1)
        weight = np.ones(len(hit)) if sample_weight is None else sample_weight
        each = (
            [y_true == c for c in np.unique(y_true)]
            if "average" in arguments
            else [...]
        )
        return np.mean([np.average(hit[rows], weights=weight[rows]) for rows in each])


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


def test_a_row_of_nothing_but_ignored_elements_is_left_out():
    metric = mb.metrics.ExactMatch(num_labels=2, ignore_index=-1)
    batch = [[-1, -1], [0, 1]], [[0.9, 0.9], [0.9, 0.9]]
    assert stream(metric, batch) == 0.0


def test_exact_match_wants_one_weight_a_row():
    metric = mb.metrics.ExactMatch(num_labels=2)
    batch = [[0, 1], [0, 1]], [[0.1, 0.9], [0.9, 0.9]]
    with pytest.raises(ArgumentError, match="one number a row"):
        stream(metric, (*batch, np.ones((2, 2), "float32")))
