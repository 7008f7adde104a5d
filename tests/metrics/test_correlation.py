from typing import ClassVar

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics
from support.contracts import FloatContract, stream
from support.oracles import REGRESSION

import multiback as mb
from multiback.errors import ArgumentError

NAMES = ["ConcordanceCorrelation", "ExplainedVariance", "PearsonCorrelation", "R2Score"]


def draw(rng, n, offset=0.0, shape=()):
    y_true = rng.normal(size=(n, *shape)) + offset
    y_pred = offset + (y_true - offset) * 0.8 + 0.4 * rng.normal(size=(n, *shape)) + 0.1
    return y_true.astype("float32"), y_pred.astype("float32")


def oracle(name, y_true, y_pred, sample_weight=None):
    wide = y_true.astype("float64"), y_pred.astype("float64")
    return REGRESSION[name](*wide, sample_weight=sample_weight)


class TestMoments(FloatContract):
    cases: ClassVar = {
        **{name: {"name": name, "offset": 0.0} for name in NAMES},
        **{f"{name}-1e4": {"name": name, "offset": 1e4} for name in NAMES},
    }
    # Up to three sums, each within FloatContract's bound.
    rtol = atol = 3 * FloatContract.rtol

    def make(self, name, **_):
        return getattr(mb.metrics, name)(name=name)

    def sample(self, rng, n, arguments):
        return draw(rng, n, arguments["offset"])

    def oracle(self, y_true, y_pred, sample_weight=None, *, name, **_):
        return oracle(name, y_true, y_pred, sample_weight)


@pytest.mark.parametrize("name", NAMES)
def test_a_mean_of_1e5_costs_nothing(rng, name):
    y_true, y_pred = draw(rng, 4096, 1e5)
    batches = zip(y_true.reshape(8, 512), y_pred.reshape(8, 512), strict=True)
    actual = stream(getattr(mb.metrics, name)(), *batches)
    np.testing.assert_allclose(actual, oracle(name, y_true, y_pred), atol=2e-5)


def test_torchmetrics_r2_is_lost_at_a_mean_of_1e4(rng):
    y_true, y_pred = draw(rng, 4096, 1e4)
    mine = stream(mb.metrics.R2Score(), (y_true, y_pred))
    theirs = float(torchmetrics.R2Score()(torch.tensor(y_pred), torch.tensor(y_true)))
    true = sklearn.metrics.r2_score(y_true.astype("float64"), y_pred.astype("float64"))
    assert mine == pytest.approx(true, abs=2e-5)
    assert 0.7 < true < 0.9
    assert abs(theirs - true) > 0.2


@pytest.mark.parametrize(
    "multioutput", ["uniform_average", "variance_weighted", "raw_values"]
)
@pytest.mark.parametrize(
    ("name", "of_sklearn"),
    [
        ("R2Score", sklearn.metrics.r2_score),
        ("ExplainedVariance", sklearn.metrics.explained_variance_score),
    ],
)
def test_several_outputs_agree_with_scikit_learn(rng, name, of_sklearn, multioutput):
    y_true, y_pred = draw(rng, 200, 100.0, (3,))
    y_true *= np.array([1, 2, 4], "float32")
    metric = getattr(mb.metrics, name)(num_outputs=3, multioutput=multioutput)
    actual = stream(metric, (y_true[:50], y_pred[:50]), (y_true[50:], y_pred[50:]))
    wide = y_true.astype("float64"), y_pred.astype("float64")
    expected = of_sklearn(*wide, multioutput=multioutput)
    np.testing.assert_allclose(actual, expected, rtol=2e-5)


def test_torchmetrics_concordance_has_variances_over_n_less_1():
    y_true, y_pred = (
        np.arange(3.0, dtype="float32"),
        np.arange(1.0, 4.0, dtype="float32"),
    )
    mine = stream(mb.metrics.ConcordanceCorrelation(), (y_true, y_pred))
    theirs = torchmetrics.ConcordanceCorrCoef()(
        torch.tensor(y_pred), torch.tensor(y_true)
    )
    assert mine == pytest.approx(4 / 7)
    assert float(theirs) == pytest.approx(2 / 3)


def test_constant_targets_follow_scikit_learn():
    y_true, wrong = np.full(4, 3.0, "float32"), np.arange(4.0, dtype="float32")
    assert stream(mb.metrics.R2Score(), (y_true, y_true)) == 1.0
    assert stream(mb.metrics.R2Score(), (y_true, wrong)) == 0.0
    assert stream(mb.metrics.ExplainedVariance(), (y_true, y_true - 1)) == 1.0
    assert np.isnan(stream(mb.metrics.PearsonCorrelation(), (y_true, wrong)))


@pytest.mark.parametrize("name", NAMES)
def test_fewer_than_two_rows_give_nan(name):
    metric = getattr(mb.metrics, name)()
    assert np.isnan(stream(metric))
    assert np.isnan(stream(metric, ([1.0], [2.0])))
    # A row of weight 0 is no row.
    assert np.isnan(stream(metric, ([3.0, 4.0], [1.0, 2.0], [0.0, 0.0])))


def test_one_batch_after_another_equals_the_whole_where_keras_averages(rng):
    import keras

    y_true, y_pred = draw(rng, 64)
    keras_metric, metric = (
        keras.metrics.PearsonCorrelation(axis=0),
        mb.metrics.PearsonCorrelation(),
    )
    for i in range(0, 64, 4):
        keras_metric.update_state(y_true[i : i + 4], y_pred[i : i + 4])
        metric.update_state(y_true[i : i + 4], y_pred[i : i + 4])
    true = np.corrcoef(y_true.astype("float64"), y_pred.astype("float64"))[0, 1]
    assert stream(metric) == pytest.approx(true, abs=2e-5)
    assert abs(float(keras_metric.result()) - true) > 0.01


def test_all_four_share_one_state():
    grouped = mb.metrics.group(*(getattr(mb.metrics, name)() for name in NAMES))
    assert [len(metric.variables) for metric in grouped] == [2, 0, 0, 0]


def test_a_vector_in_place_of_several_outputs_is_refused():
    with pytest.raises(ArgumentError, match=r"num_outputs=2 wants"):
        stream(mb.metrics.R2Score(num_outputs=2), (np.zeros(4), np.zeros(4)))
