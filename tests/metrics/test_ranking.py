from typing import ClassVar

import keras
import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics
from keras import ops
from support.backends import compiled
from support.contracts import ROWS, MetricContract, stream, unusable

import multiback as mb
from multiback.errors import UnusableValuesWarning

ORACLES = {
    "AUROC": sklearn.metrics.roc_auc_score,
    "AveragePrecision": sklearn.metrics.average_precision_score,
}


def draw(rng, n, share=0.5, *, probability):
    """Draw labels and scores that lie in bins of their own, most of them."""
    y_true = (rng.random(n) < share).astype("int32")
    y_true[:2] = 0, 1
    logits = (2 * rng.normal(size=n) + y_true).astype("float32")
    scores = 1 / (1 + np.exp(-logits.astype("float64"))) if probability else logits
    return y_true, scores.astype("float32")


MULTICLASS = {"task": "multiclass", "num_classes": 3}
MULTILABEL = {"task": "multilabel", "num_labels": 3}


def average(oracle, y_true, y_pred, sample_weight, how):
    """Score each column by itself, in float64."""
    if how == "micro":
        weight = None if sample_weight is None else np.repeat(sample_weight, 3)
        return oracle(y_true.ravel(), y_pred.ravel(), sample_weight=weight)
    columns = zip(y_true.T, y_pred.T, strict=True)
    each = [oracle(*column, sample_weight=sample_weight) for column in columns]
    if how is None:
        return each
    weight = np.ones(len(y_true)) if sample_weight is None else sample_weight
    weights = (y_true * weight[:, None]).sum(0) if how == "weighted" else None
    return np.average(each, weights=weights)


class TestRanking(MetricContract):
    cases: ClassVar = {
        # Both count scores in the same way.
        "AUROC-logits": {"name": "AUROC", "from_logits": True},
        "AveragePrecision-probabilities": {"name": "AveragePrecision"},
        "AUROC-labels": {"name": "AUROC", **MULTILABEL, "average": None},
        "AveragePrecision-classes": {
            "name": "AveragePrecision",
            **MULTICLASS,
            "average": "micro",
        },
        "AveragePrecision-kept": {
            "name": "AveragePrecision",
            **MULTILABEL,
            "average": "weighted",
            "capacity": 128,
        },
    }

    def make(self, name, **arguments):
        return getattr(mb.metrics, name)(name=name, **arguments)

    def sample(self, rng, n, arguments):
        if "task" in arguments:
            y_true = rng.permuted(np.eye(3, dtype=int)[np.arange(n) % 3], axis=0)
            spread = np.linspace(0.05, 0.95, 3 * n, dtype="float32")
            scores = rng.permuted(spread).reshape(n, 3)
            if arguments["task"] == "multilabel":
                return y_true, scores
            return rng.permutation(np.arange(n) % 3), scores
        y_true, scores = draw(rng, n, probability=False)
        # Spread out, so that each keeps a bin of its own: what sharing one costs is
        # the business of `bounds`, below.
        spread = np.linspace(-4, 4, n, dtype="float32")[scores.argsort().argsort()]
        if arguments.get("from_logits"):
            return y_true, spread
        return y_true, (1 / (1 + np.exp(-spread))).astype("float32")

    def oracle(self, y_true, y_pred, sample_weight=None, *, name, **arguments):
        """Give the value and, for `close`, no more: `bounds` say how near it is."""
        wide = y_pred.astype("float64")
        if "task" not in arguments:
            return ORACLES[name](y_true, wide, sample_weight=sample_weight)
        if arguments["task"] == "multiclass":
            y_true = np.eye(3)[y_true]
        how = arguments.get("average", "macro")
        return average(ORACLES[name], y_true, wide, sample_weight, how)

    def close(self, actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6)

    def same(self, actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)

    def same_state(self, arguments, actual, expected):
        if "capacity" not in arguments:
            return super().same_state(arguments, actual, expected)
        # The order of the places is that of the batches.
        compute = self.make(**arguments).compute
        self.same(*(ops.convert_to_numpy(compute(s)) for s in (actual, expected)))
        used = (ops.convert_to_numpy(s["used"]) for s in (actual, expected))
        np.testing.assert_array_equal(*used)
        return None


# Many scores in a bin: most of these warn, which is the business of a test below.
wide = pytest.mark.filterwarnings("ignore:.*may be off by")

HARD = {
    "plain": lambda z, _: 1 / (1 + np.exp(-z)),
    "p about .01 +- .001": lambda z, _: 0.01 + 0.001 * np.tanh(z),
    "p about .9 +- .0005": lambda z, _: 0.9 + 0.0005 * np.tanh(z),
    "logits 1000 +- 1": lambda z, _: 1000 + z,
    "logits of sd .001": lambda z, _: 0.001 * z,
    "one in a hundred": lambda z, _: z,
    "many ties": lambda z, _: np.round(z),
    "all tied": lambda z, _: 0 * z,
    "separated": lambda z, y: np.abs(z) * (2 * y - 1),
    "-0 and 0": lambda z, _: np.where(z > 0, -0.0, 0.0),
    "probabilities down to 1e-38": lambda z, _: 10.0 ** (-8 * np.abs(z)),
    "probabilities skewed to 1e-7": lambda z, _: 10.0 ** (-7 / (1 + np.exp(z))),
    "probabilities saturated at 1": lambda z, _: 1 / (1 + np.exp(-20 * z)),
    "probabilities tied at 1/2": lambda z, _: 0 * z + 0.5,
}


@wide
@pytest.mark.parametrize("way", ["plain", "weighted", "masked"])
@pytest.mark.parametrize("case", HARD)
@pytest.mark.parametrize("name", ORACLES)
def test_the_value_of_the_data_lies_within_the_bounds(name, case, way):
    rng = np.random.default_rng(0)
    share = 0.01 if case == "one in a hundred" else 0.4
    y_true = (rng.random(4096) < share).astype("int32")
    scores = HARD[case](rng.normal(size=4096) + y_true, y_true).astype("float32")
    weight = rng.random(4096).astype("float32") if way == "weighted" else None
    metric = getattr(mb.metrics, name)(from_logits=not case.startswith("p"))
    if way == "masked":
        mask = rng.random(4096) < 0.7
        statistic = metric.statistic
        state = statistic.update(statistic.init(), y_true, scores, mask=mask)
        y_true, scores = y_true[mask], scores[mask]
        actual = float(metric.compute(state))
    else:
        actual = stream(metric, (y_true, scores, weight))
        state = metric.state
    expected = ORACLES[name](y_true, scores.astype("float64"), sample_weight=weight)
    low, high = metric.bounds_of(state)
    assert 0 <= low <= actual <= high <= 1
    assert low <= expected <= high
    if case.endswith("tied at 1/2"):
        assert actual == pytest.approx(expected, abs=2e-6)
    if case in {"plain", "one in a hundred", "separated"}:
        # Among 40 positives, one that shares its bin weighs more.
        near = 5e-3 if case == "one in a hundred" else 1e-3
        assert actual == pytest.approx(expected, abs=near)
        assert high - low < 0.02


@wide
def test_the_bounds_are_wide_where_scores_share_a_bin():
    """The bound is the promise: here no binning of this kind could rank."""
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 2, 4096)
    logits = (0.0001 * rng.normal(size=4096) + 0.0001 * y_true).astype("float32")
    metric = mb.metrics.AUROC(from_logits=True)
    stream(metric, (y_true, logits))
    low, high = metric.bounds()
    assert high - low > 0.3


def test_200_linear_thresholds_are_lost_on_skewed_scores():
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 2, 4096)
    scores = np.exp(rng.normal(size=4096) + y_true - 8).astype("float32")
    true = sklearn.metrics.roc_auc_score(y_true, scores)
    theirs = torchmetrics.AUROC(task="binary", thresholds=200)
    wrong = float(theirs(torch.tensor(scores), torch.tensor(y_true)))
    assert stream(mb.metrics.AUROC(), (y_true, scores)) == pytest.approx(true, abs=1e-3)
    assert abs(wrong - true) > 0.1


@pytest.mark.parametrize("name", ORACLES)
@unusable
def test_one_class_a_nan_and_no_probability_give_nan(name):
    def score(*columns, **arguments):
        batch = (np.resize(column, ROWS) for column in columns)
        scores = getattr(mb.metrics, name)(**arguments)
        return stream(scores, tuple(batch))

    assert np.isnan(stream(getattr(mb.metrics, name)()))
    positives = score([1, 1], np.float32([0.1, 0.9]))
    assert positives == 1.0 if name == "AveragePrecision" else np.isnan(positives)
    assert np.isnan(score([0, 0], np.float32([0.1, 0.9])))
    assert np.isnan(score([0, 1, 1], np.float32([0.1, 0.9, np.nan])))
    assert np.isnan(score([0, 1, 1], np.float32([0.1, 0.9, 1.5])))
    assert score([0, 1], np.float32([0.0, 1.0])) == 1.0
    infinite = np.float32([-np.inf, np.inf])
    assert score([0, 1], infinite, from_logits=True) == 1.0


@pytest.mark.parametrize("name", ORACLES)
def test_billions_of_samples_keep_their_value(rng, name):
    metric = getattr(mb.metrics, name)()
    statistic = metric.statistic
    state = statistic.update(statistic.init(), *draw(rng, ROWS, probability=True))
    few = float(ops.convert_to_numpy(metric.compute_bounds(state))[0])
    for _ in range(28):
        state = statistic.merge(state, state)
    many = ops.convert_to_numpy(metric.compute_bounds(state))
    # Each score is now many: a bin of one can no longer be told apart from ties.
    assert many[0] - 0.02 <= few <= many[1] + 0.02


def close_scores(n=4096):
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 2, n)
    return y_true, (0.5 + 1e-5 * rng.normal(size=n) + 1e-5 * y_true).astype("float32")


# Where pytest collects warnings, the backend's own come with them.
collects = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@collects
def test_a_wide_bound_warns_once_and_names_capacity():
    metric = mb.metrics.AUROC()
    metric.update_state(*close_scores())
    with pytest.warns(mb.metrics.WideBoundsWarning, match=r"auroc may be .*capacity=N"):
        metric.result()
    metric.reset_state()
    metric.update_state(*close_scores())
    metric.result()  # Warnings are errors here.
    kept = mb.metrics.AUROC(capacity=4096)
    oracle = ORACLES["AUROC"](*close_scores())
    assert stream(kept, close_scores()) == pytest.approx(oracle, abs=1e-6)
    assert np.ptp(kept.bounds()) < 1e-4


def test_few_scores_and_good_bins_do_not_warn(rng):
    stream(mb.metrics.AUROC(), close_scores(ROWS))
    stream(mb.metrics.AUROC(), draw(rng, 4096, probability=True))


@collects
def test_fit_warns_at_the_end_of_an_epoch():
    y_true, scores = close_scores()
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=[mb.metrics.AUROC()])
    with pytest.warns(mb.metrics.WideBoundsWarning) as caught:
        model.fit(
            scores[:, None], y_true[:, None], epochs=2, batch_size=4096, verbose=0
        )
    assert sum(w.category is mb.metrics.WideBoundsWarning for w in caught) == 1


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("arguments", [{}, {"capacity": 128}], ids=["bins", "kept"])
def test_logits_of_classes_rank_by_their_softmax(rng, name, arguments):
    y_true = rng.integers(0, 3, ROWS)
    logits = (3 * rng.normal(size=(ROWS, 3))).astype("float32")
    logits[np.arange(ROWS), y_true] += 2
    wide = np.exp(logits.astype("float64"))
    wide /= wide.sum(1, keepdims=True)
    metric = getattr(mb.metrics, name)(**MULTICLASS, **arguments, from_logits=True)
    actual = stream(metric, (y_true, logits))
    expected = average(ORACLES[name], np.eye(3)[y_true], wide, None, "macro")
    low, high = metric.bounds()
    assert low <= expected <= high
    assert actual == pytest.approx(expected, abs=1e-3)


def test_a_softmax_near_1_keeps_its_rank():
    """As probabilities of float32 these are all 1."""
    logits = np.array([[20.0, 0, 0], [30, 0, 0], [40, 0, 0], [0, 9, 0]], "float32")
    auroc = mb.metrics.AUROC(**MULTICLASS, from_logits=True, average=None)
    batch = np.tile([1, 0, 0, 1], ROWS // 4), np.tile(logits, (ROWS // 4, 1))
    assert stream(auroc, batch)[0] == 1.0


def test_a_class_that_lacks_positives_leaves_the_mean_and_is_nan_alone(rng):
    y_true = rng.integers(0, 2, 64)
    scores = rng.random((64, 3)).astype("float32")
    each = stream(mb.metrics.AUROC(**MULTICLASS, average=None), (y_true, scores))
    assert np.isnan(each[2])
    for how in ("macro", "weighted"):
        metric = mb.metrics.AUROC(**MULTICLASS, average=how)
        weights = [np.sum(y_true == c) if how == "weighted" else 1 for c in (0, 1)]
        expected = np.average(each[:2], weights=weights)
        assert stream(metric, (y_true, scores)) == pytest.approx(expected, abs=1e-6)
    ignoring = mb.metrics.AUROC(**MULTICLASS, ignore_index=0)
    rest = np.where(y_true == 1, 1, 2)
    labels = np.where(rng.random(64) < 0.3, 0, rest)
    kept = labels > 0
    expected = np.mean(
        [ORACLES["AUROC"](labels[kept] == c, scores[kept, c]) for c in (1, 2)]
    )
    assert stream(ignoring, (labels, scores)) == pytest.approx(expected, abs=2e-3)


def test_fewer_bins_have_wider_bounds_and_the_truth_is_still_between(rng):
    y_true, scores = draw(rng, ROWS, probability=True)
    expected = ORACLES["AUROC"](y_true, scores)
    gaps = []
    for num_bins in (1001, None):
        metric = mb.metrics.AUROC(num_bins=num_bins)
        stream(metric, (y_true, scores))
        low, high = metric.bounds()
        assert low <= expected <= high
        gaps.append(high - low)
    assert gaps == sorted(gaps, reverse=True)


class TestKeptScores:
    """`capacity=`: the scores themselves, in a buffer."""

    @pytest.mark.parametrize("case", HARD)
    @pytest.mark.parametrize("name", ORACLES)
    def test_the_value_is_scikit_learns(self, name, case):
        rng = np.random.default_rng(0)
        y_true = (rng.random(4096) < 0.4).astype("int32")
        scores = HARD[case](rng.normal(size=4096) + y_true, y_true).astype("float32")
        weight = rng.random(4096).astype("float32")
        oracle = ORACLES[name]
        logits = not case.startswith("p")
        for used in (None, weight):
            metric = getattr(mb.metrics, name)(capacity=4096, from_logits=logits)
            expected = oracle(y_true, scores.astype("float64"), sample_weight=used)
            # 64 roundings of a prefix sum, as many of the last.
            actual = stream(metric, (y_true, scores, used))
            assert actual == pytest.approx(expected, abs=128 * 2.0**-24)

    def test_too_many_scores_give_nan_and_a_warning(self, rng):
        y_true, scores = draw(rng, 4096, probability=True)
        metric = mb.metrics.AUROC(capacity=4096)
        metric.update_state(y_true, scores)
        statistic, state = metric.statistic, metric.state
        metric.update_state(y_true, scores)
        with pytest.raises(UnusableValuesWarning, match="4096 scores had no room; "):
            metric.result()
        assert metric.unusable() == {"beyond_capacity": 4096}
        tensors = ops.convert_to_tensor(y_true), ops.convert_to_tensor(scores)
        state = compiled(statistic.update)(state, *tensors)
        for full in (state, statistic.merge(state, statistic.init())):
            assert np.isnan(ops.convert_to_numpy(metric.compute(full)))

    def test_what_does_not_count_takes_no_place(self, rng):
        y_true, scores = draw(rng, 4096, probability=True)
        weight = (np.arange(4096) < 100).astype("float32")
        metric = mb.metrics.AUROC(capacity=4096)
        for _ in range(40):
            metric.update_state(y_true, scores, weight)
        expected = ORACLES["AUROC"](y_true[:100], scores[:100])
        assert stream(metric) == pytest.approx(expected, abs=1e-6)
