"""Counts and the metrics over them, under each backend: every task and argument."""

import warnings
from typing import ClassVar

import numpy as np
import sklearn.metrics
from support.counting import CASES, FEW, CountContract, hard

import multiback as mb


class TestF1Score(CountContract):
    cases = CASES

    def make(self, **arguments):
        return mb.metrics.F1Score(**arguments)

    def score(self, y_true, y_pred, sample_weight, **settings):
        return sklearn.metrics.f1_score(
            y_true, y_pred, sample_weight=sample_weight, **settings
        )


class TestAccuracy(CountContract):
    cases = CASES

    def make(self, **arguments):
        return mb.metrics.Accuracy(**arguments)

    def score(self, y_true, y_pred, sample_weight, *, average, **settings):
        if y_true.ndim == 2:
            right = (y_true == y_pred).astype("float64")
            each = np.average(right, axis=0, weights=sample_weight)
            return each if average is None else each.mean()
        if average == "binary":
            return sklearn.metrics.accuracy_score(
                y_true, y_pred, sample_weight=sample_weight
            )
        return sklearn.metrics.recall_score(
            y_true, y_pred, sample_weight=sample_weight, average=average, **settings
        )


class TestHammingDistance(TestAccuracy):
    cases = FEW

    def make(self, **arguments):
        return mb.metrics.HammingDistance(**arguments)

    def score(self, y_true, y_pred, sample_weight, **settings):
        return 1 - super().score(y_true, y_pred, sample_weight, **settings)


class TestBalancedAccuracy(CountContract):
    cases: ClassVar = {
        "binary": {"task": "binary"},
        "multiclass-ignore": {
            "task": "multiclass",
            "num_classes": 9,
            "ignore_index": 2,
        },
        "multilabel": {"task": "multilabel", "num_labels": 4},
    }

    def make(self, **arguments):
        return mb.metrics.BalancedAccuracy(**arguments)

    def oracle(self, y_true, y_pred, sample_weight=None, **arguments):
        y_pred = hard(y_pred, arguments)
        keep = y_true != arguments.get("ignore_index")
        if arguments["task"] != "multilabel":
            y_true, y_pred = y_true[keep][:, None], y_pred[keep][:, None]
            if sample_weight is not None:
                sample_weight = sample_weight[keep]
        with warnings.catch_warnings():
            # It warns of a class that is predicted and has no label.
            warnings.simplefilter("ignore")
            return np.mean(
                [
                    sklearn.metrics.balanced_accuracy_score(
                        t, p, sample_weight=sample_weight
                    )
                    for t, p in zip(y_true.T, y_pred.T, strict=True)
                ]
            )


class TestStatScores(CountContract):
    cases: ClassVar = {
        "binary-ignore": CASES["binary-ignore"],
        "multiclass-each": CASES["multiclass-each"],
        "multilabel-micro": CASES["multilabel-micro"],
    }

    def make(self, **arguments):
        return mb.metrics.StatScores(**arguments)

    def close(self, actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=80 * 2.0**-24)

    def score(self, y_true, y_pred, sample_weight, *, average, **settings):
        if average == "binary":
            settings["labels"] = [0, 1]
        settings.pop("zero_division")
        table = sklearn.metrics.multilabel_confusion_matrix(
            y_true, y_pred, sample_weight=sample_weight, **settings
        )
        tn, fp, fn, tp = table.reshape(-1, 4).T
        scores = np.stack([tp, fp, tn, fn, tp + fn], -1)
        if average == "binary":
            return scores[1]
        return scores if average is None else scores.sum(0)

    def test_it_declares_its_direction_and_stays_in_its_range(self, arguments):
        assert self.make(**arguments).direction is None
