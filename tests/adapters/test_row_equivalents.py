"""Ranked rows agree with torchmetrics and scikit-learn in a crosscheck."""

import numpy as np
import pytest
from support import query_oracles

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck

ARGUMENTS = {"HitRate": {"k": 2}, "PrecisionAtK": {"k": 3}, "RecallAtK": {"k": 3}}


@pytest.fixture(scope="module")
def queries():
    """Sixty queries of two to six items; the rest of a row is padding."""
    rng = np.random.default_rng(0)
    relevance = rng.integers(0, 2, (60, 6))
    scores = (1 + rng.permutation(360).reshape(60, 6)) / 361
    padding = np.arange(6) >= rng.integers(2, 7, 60)[:, None]
    return np.where(padding, -1, relevance), scores.astype("float32")


def only(name, data, **arguments):
    metric = getattr(mb.metrics, name)(**ARGUMENTS.get(name, {}), **arguments)
    (row,) = crosscheck(metric, data, batch_size=25, shuffles=0)
    return row


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", query_oracles.ORACLES)
def test_ranked_rows_agree(queries, rng, name, weighted):
    relevance, scores = queries
    of_labels = name in query_oracles.OF_LABELS
    data = (np.maximum(relevance, 0), scores) if of_labels else queries
    if weighted:
        data = (*data, rng.random(60).astype("float32"))
    row = only(name, data)
    assert row.verdict == "agrees", row
    assert (row.torchmetrics is None) == weighted
    np.testing.assert_allclose(row.value, row.sklearn, rtol=1e-5)


@pytest.mark.parametrize("empty", [0.0, 1.0, float("nan")])
def test_queries_without_relevant_items_agree(queries, empty):
    relevance, scores = queries
    relevance = np.where(np.arange(60)[:, None] % 3 == 0, 0, np.maximum(relevance, 0))
    row = only("RecallAtK", (relevance, scores), zero_division=empty)
    assert row.verdict == "agrees", row
    assert row.torchmetrics is not None


@pytest.mark.parametrize("name", ["NDCG", "MeanReciprocalRank"])
def test_tied_items_are_a_convention_of_torchmetrics(queries, name):
    relevance, scores = queries
    row = only(name, (relevance, scores.round(1)))
    assert row.verdict in ("agrees", "differs by convention"), row
    np.testing.assert_allclose(row.value, row.sklearn, rtol=1e-5)
