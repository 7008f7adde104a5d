"""Scores of queries and of rows of labels, by how their items are ranked."""

from typing import ClassVar

import numpy as np
import pytest
import sklearn.metrics
from keras import ops
from support import query_oracles
from support.catalogue import ENTRIES
from support.contracts import FloatContract, stream, unusable

import multiback as mb
from multiback.errors import ArgumentError

ITEMS = 7


LABELS = ("CoverageError", "LabelRankingAveragePrecision", "LabelRankingLoss")
CASES = {
    **{name: {"name": name} for name in LABELS},
    "hit": {"name": "HitRate", "k": 2},
    "map": {"name": "MeanAveragePrecisionAtK"},
    "map-2": {"name": "MeanAveragePrecisionAtK", "k": 2},
    "mrr": {"name": "MeanReciprocalRank"},
    "mrr-2": {"name": "MeanReciprocalRank", "k": 2},
    "ndcg": {"name": "NDCG"},
    "ndcg-3": {"name": "NDCG", "k": 3, "gain": "exponential"},
    "precision": {"name": "PrecisionAtK", "k": 3},
    "recall": {"name": "RecallAtK", "k": 3},
}


def make(name, **arguments):
    return getattr(mb.metrics, name)(**arguments)


class TestRetrieval(FloatContract):
    cases: ClassVar = CASES
    atol = 2e-7

    def make(self, **arguments):
        return make(**arguments)

    def sample(self, rng, n, arguments):
        largest = 3 if arguments["name"] == "NDCG" else 1
        y_true = rng.integers(0, largest + 1, (n, ITEMS))
        y_true[:, 0] = 0
        # Scores tie, and the mean is over queries with a relevant item.
        y_true[y_true.sum(1) == 0, 1] = 1
        return y_true, rng.integers(0, 9, (n, ITEMS)).astype("float32") / 8

    def oracle(self, y_true, y_pred, sample_weight=None, *, name, **arguments):
        wide = y_true, y_pred.astype("float64")
        return query_oracles.mean(name, *wide, sample_weight, **arguments)


@pytest.fixture
def padded(rng):
    """Queries of two to seven items; the rest of a row is padding."""
    y_true = rng.integers(0, 2, (40, ITEMS))
    # Above 0: torchmetrics leaves an item with a score of 0 out of its MAP.
    y_pred = (1 + rng.permutation(40 * ITEMS).reshape(40, ITEMS)) / 281
    sizes = rng.integers(2, ITEMS + 1, 40)
    return np.where(np.arange(ITEMS) < sizes[:, None], y_true, -1), y_pred, sizes


@pytest.mark.parametrize("case", [case for case in CASES if case not in LABELS])
def test_padding_is_left_out_by_label_and_by_mask(case, padded):
    y_true, y_pred, sizes = padded
    arguments = dict(CASES[case])
    name = arguments.pop("name")
    rows = zip(y_true, y_pred, sizes, strict=True)
    each = [
        query_oracles.ORACLES[name](t[:n], p[:n], **arguments)
        if (t[:n] > 0).any()
        else 0.0
        for t, p, n in rows
    ]
    metric = make(name, **arguments)
    np.testing.assert_allclose(
        stream(metric, (y_true, y_pred)), np.mean(each), rtol=1e-6
    )
    statistic = make(name, **arguments, ignore_index=None).statistic
    masked = statistic.update(
        statistic.init(),
        np.maximum(y_true, 0),
        y_pred,
        mask=np.arange(ITEMS) < sizes[:, None],
    )
    np.testing.assert_allclose(float(metric.compute(masked)), np.mean(each), rtol=1e-6)


def test_a_query_without_relevant_items_is_worth_what_zero_division_says():
    batch = [[0, 0], [1, 0], [-1, -1]], [[0.1, 0.2], [0.9, 0.2], [0.3, 0.4]]
    values = [
        stream(mb.metrics.RecallAtK(1, zero_division=empty), batch)
        for empty in (0.0, 1.0, float("nan"))
    ]
    assert values == [0.5, 1.0, 1.0]


def test_items_of_one_score_never_look_better_than_in_their_worst_order():
    y_true, tied = [[1, 0, 0, 0]], [[0.5, 0.5, 0.5, 0.5]]
    assert stream(mb.metrics.HitRate(k=3), (y_true, tied)) == 0.0
    assert stream(mb.metrics.MeanReciprocalRank(), (y_true, tied)) == 0.25
    expected = sklearn.metrics.ndcg_score(y_true, tied)
    assert stream(mb.metrics.NDCG(), (y_true, tied)) == pytest.approx(expected)


@unusable
@pytest.mark.parametrize("case", CASES)
def test_an_unusable_label_or_score_is_counted_and_makes_nan(case):
    metric = make(**CASES[case])
    labels = [[1.0, -2.0, np.nan], [1.0, 0.0, 1.0]]
    scores = [[0.1, 0.2, 0.3], [0.1, np.nan, 0.3]]
    assert np.isnan(stream(metric, (labels, scores)))
    assert metric.unusable() == {"unknown_label": 1, "nan_label": 1, "nan_score": 1}
    metric.reset_state()
    labels.append([1.0, 0.0, 0.0])
    scores.append([0.9, 0.1, 0.0])
    metric.update_state(labels, scores, [0.0, 0.0, 2.0])
    assert np.isfinite(ops.convert_to_numpy(metric.result()))
    assert metric.unusable() == {}


def test_labels_of_several_grades_are_no_labels_of_a_row():
    with pytest.raises(mb.errors.UnusableValuesWarning, match="are not 0 or 1"):
        stream(mb.metrics.CoverageError(), ([[0, 2]], [[0.1, 0.2]]))


@pytest.mark.parametrize("batch", [([1, 0], [0.1, 0.2]), ([[1, 0]], [[0.1]])])
def test_what_cannot_be_ranked_is_refused(batch):
    with pytest.raises(ArgumentError, match="one row a query is wanted"):
        mb.metrics.NDCG().update_state(*batch)


@pytest.mark.parametrize(
    "name", [e.name for e in ENTRIES.values() if e.kind == "queries"]
)
def test_queries_without_items_are_refused_by_name(name):
    metric = next(e for e in ENTRIES.values() if e.name == name).make()
    with pytest.raises(ArgumentError, match=r"y_true wants at least one item a query"):
        metric.update_state(np.zeros((3, 0)), np.zeros((3, 0)))
