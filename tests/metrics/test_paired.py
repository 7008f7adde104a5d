"""Paired differences: against references, and by simulation."""

import numpy as np
import pauc
import pytest
import scipy.stats
from statsmodels.stats.contingency_tables import mcnemar

from multiback.metrics.intervals.paired import difference_of_areas, difference_of_shares


@pytest.mark.parametrize("n", [30, 400])
def test_accuracies_have_the_p_value_of_mcnemar(rng, n):
    a, b = rng.random(n) < 0.8, rng.random(n) < 0.7
    table = [[np.sum(a & b), np.sum(a & ~b)], [np.sum(~a & b), np.sum(~a & ~b)]]
    found, p_value = difference_of_shares(a, b, 0.95)
    assert p_value == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-9)
    assert found.value == pytest.approx(b.mean() - a.mean())


@pytest.mark.parametrize("tied", [False, True])
def test_areas_have_the_p_value_of_pauc(rng, tied):
    label = np.arange(120) < 50
    scores = rng.normal(size=(2, 120)) + label * [[1.0], [0.6]]
    scores = scores.round(1) if tied else scores
    found, p_value = difference_of_areas(label, *scores, 0.95)
    curves = [pauc.ROC(label.astype(int), each, direction="<") for each in scores]
    expected = pauc.compare(*curves)
    assert found.value == pytest.approx(curves[1].auc - curves[0].auc)
    assert p_value == pytest.approx(expected.p_value, rel=1e-9)
    sizes = abs(found.value) / found.standard_error
    assert p_value == pytest.approx(2 * scipy.stats.norm.sf(sizes), rel=1e-9)


def test_equal_hits_differ_in_nothing():
    hits = np.array([True, False] * 20)
    found, p_value = difference_of_shares(hits, hits, 0.95)
    assert p_value == 1.0
    assert found.lower < 0.0 < found.upper


@pytest.mark.parametrize("n", [50, 500])
def test_paired_differences_of_accuracy_cover_what_they_say(rng, n):
    shares = [0.7, 0.08, 0.12, 0.1]  # Both, only a, only b, neither.
    inside = 0
    for both, only_a, only_b, neither in rng.multinomial(n, shares, size=1000):
        a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
        b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
        found, _ = difference_of_shares(a, b, 0.95)
        inside += found.lower <= 0.04 <= found.upper
    assert 0.93 <= inside / 1000 <= 0.98


def test_equal_scores_have_equal_areas(rng):
    labels, scores = rng.integers(0, 2, 50), rng.random(50)
    found, p_value = difference_of_areas(labels, scores, scores, 0.95)
    assert (found.lower, found.upper, p_value) == (0.0, 0.0, 1.0)
