"""How sure a value is: `interval()` against references and by simulation."""

import confidenceinterval
import keras
import numpy as np
import pauc
import pytest
import scipy.stats
from statsmodels.stats.proportion import proportion_confint
from support.catalogue import ENTRIES, datasets

import multiback as mb
from multiback.metrics.intervals import delta
from multiback.metrics.intervals.delong import area_interval

N = 400


@pytest.fixture
def binary(rng):
    y_true = rng.integers(0, 2, N)
    noise = rng.normal(size=N)
    return y_true, (1 / (1 + np.exp(-(1.5 * (y_true - 0.5) + noise)))).astype("float32")


@pytest.fixture
def classes(rng):
    y_true = rng.choice(3, N, p=[0.6, 0.3, 0.1])
    wrong = rng.random(N) < 0.25
    return y_true, np.where(wrong, (y_true + rng.integers(1, 3, N)) % 3, y_true)


def ends(found):
    return found.lower, found.upper


def after(metric, *batch, **weights):
    metric.update_state(*batch, **weights)
    return metric.interval()


@pytest.mark.parametrize(
    ("name", "hits", "rows"),
    [
        ("Accuracy", lambda t, p: t == p, lambda t, _: t | ~t),
        ("Precision", lambda t, p: t & p, lambda _, p: p),
        ("Recall", lambda t, p: t & p, lambda t, _: t),
        ("Specificity", lambda t, p: ~t & ~p, lambda t, _: ~t),
        ("NegativePredictiveValue", lambda t, p: ~t & ~p, lambda _, p: ~p),
        ("FalsePositiveRate", lambda t, p: ~t & p, lambda t, _: ~t),
        ("FalseNegativeRate", lambda t, p: t & ~p, lambda t, _: t),
        ("JaccardIndex", lambda t, p: t & p, lambda t, p: t | p),
    ],
)
def test_a_share_has_the_interval_of_wilson(binary, name, hits, rows):
    label, above = binary[0] == 1, binary[1] > 0.5
    found = after(getattr(mb.metrics, name)(), *binary)
    expected = proportion_confint(
        hits(label, above).sum(), rows(label, above).sum(), method="wilson"
    )
    np.testing.assert_allclose(ends(found), expected, rtol=1e-6)


def error_of(interval):
    """Return the standard error of a symmetric interval of 95%."""
    return (interval[1] - interval[0]) / 2 / scipy.stats.norm.ppf(0.975)


@pytest.mark.parametrize("name", ["f1_score", "precision_score", "recall_score"])
def test_micro_averages_have_the_standard_error_of_confidenceinterval(classes, name):
    kind = {"f1_score": "F1Score", "precision_score": "Precision"}.get(name, "Recall")
    metric = getattr(mb.metrics, kind)("multiclass", num_classes=3, average="micro")
    found = after(metric, *classes)
    value, interval = getattr(confidenceinterval, name)(
        *(part.tolist() for part in classes), average="micro"
    )
    assert found.value == pytest.approx(value, rel=1e-6)
    assert found.standard_error == pytest.approx(error_of(interval), rel=1e-6)


@pytest.mark.parametrize("name", ["f1_score", "precision_score"])
def test_macro_averages_agree_with_drawing_again_where_confidenceinterval_does_not(
    classes, name
):
    """Its version 1.0.5 takes `p * p.T` of a vector, which drops the covariances."""
    kind = {"f1_score": "F1Score", "precision_score": "Precision"}[name]
    metric = getattr(mb.metrics, kind)("multiclass", num_classes=3)
    found = after(metric, *classes)
    value, interval = getattr(confidenceinterval, name)(
        *(part.tolist() for part in classes), average="macro"
    )
    drawn = mb.metrics.bootstrap(metric, *classes, replicates=200).standard_error
    assert found.value == pytest.approx(value, rel=1e-6)
    assert found.standard_error == pytest.approx(drawn, rel=0.12)
    assert abs(error_of(interval) / drawn - 1) > 0.15


def cover(draw, interval_of, true, draws):
    inside = 0
    for _ in range(draws):
        found = interval_of(draw())
        inside += found.lower <= true <= found.upper
    return inside / draws


# Row sums are the shares of the classes.
CONFUSIONS = {
    "three": np.array([[54, 6, 0], [1.5, 21, 7.5], [0.2, 2.8, 7]]) / 100,
    "two": np.array([[42, 18], [12, 28]]) / 100,
}


def table_of(matrix):
    tp, rows, columns = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    return np.array([tp, columns - tp, matrix.sum() - rows - columns + tp, rows - tp])


def coverage_of_macro_f1(shares, draws):
    """Return how often the interval contains the true value, in draws of 300 rows."""
    rng = np.random.default_rng(0)
    ratio = delta.Coefficients(np.array([2.0, 0, 0, 0]), np.array([2.0, 1, 0, 1]))
    cells = table_of(shares)
    true = np.mean((ratio.above @ cells) / (ratio.below @ cells))
    inside = 0
    for matrix in rng.multinomial(300, shares.ravel(), size=draws):
        counts = table_of(matrix.reshape(shares.shape).astype("float64"))
        found = delta.averaged_ratio(
            delta.Table(counts, counts, exclusive=True),
            ratio,
            np.ones(len(shares)),
            by_size=False,
            empty=0.0,
            level=0.95,
        )
        inside += found.lower <= true <= found.upper
    return inside / draws


@pytest.mark.parametrize("name", CONFUSIONS)
def test_intervals_of_macro_averages_contain_the_true_value_as_often_as_they_say(name):
    covered = coverage_of_macro_f1(CONFUSIONS[name], 1000)
    assert 0.93 <= covered <= 0.98


@pytest.mark.parametrize("distance", [0.5, 1.5, 3.0])
def test_intervals_of_areas_contain_the_true_value_as_often_as_they_say(rng, distance):
    true = scipy.stats.norm.cdf(distance / np.sqrt(2))

    def draw():
        label = np.arange(60) < 20
        scores = rng.normal(size=60) + distance * label
        label = label[np.argsort(scores)]
        return label.astype(float), (~label).astype(float)

    def interval_of(cells):
        return area_interval(*cells, (np.array(40.0), np.array(20.0)), 0.95)

    assert 0.925 <= cover(draw, interval_of, true, 600) <= 0.985


@pytest.mark.parametrize(
    ("capacity", "tied"), [(None, False), (1000, False), (1000, True)]
)
def test_auroc_has_the_error_of_pauc(binary, capacity, tied):
    y_true, y_pred = binary
    y_pred = y_pred.round(1) if tied else y_pred
    found = after(mb.metrics.AUROC(capacity=capacity), y_true, y_pred)
    curve, near = pauc.ROC(y_true, y_pred.astype("float64")), 1e-6 if capacity else 0.01
    assert found.value == pytest.approx(curve.auc, rel=near / 50)
    assert found.standard_error == pytest.approx(np.sqrt(pauc.var(curve)), rel=near)
    assert found.lower < found.value < found.upper


def test_perfect_scores_have_an_interval_too():
    found = after(mb.metrics.AUROC(), [0, 1] * 20, [0.1, 0.9] * 20)
    assert found.value == found.upper == 1.0
    assert 0.8 < found.lower < 0.99


def test_equal_scores_have_areas_without_a_variance(rng):
    """Weights do not add up exactly, and their rounding is no spread."""
    y_true, weights = rng.integers(0, 2, N), rng.random(N).astype("float32")
    metric = mb.metrics.AUROC()
    found = after(metric, y_true, np.full(N, 0.3), sample_weight=weights)
    assert (found.value, found.standard_error) == (0.5, 0.0)


def test_means_have_the_interval_of_student(rng):
    values = rng.normal(size=200) + 3
    metric = mb.metrics.Mean()
    metric.update_state(values.astype("float32"))
    found = metric.interval(0.9)
    expected = scipy.stats.t.interval(
        0.9, 199, loc=np.mean(values), scale=scipy.stats.sem(values)
    )
    np.testing.assert_allclose(ends(found), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("MeanSquaredError", lambda t, p: (t - p) ** 2),
        ("MeanAbsoluteError", lambda t, p: abs(t - p)),
    ],
)
def test_errors_have_the_standard_error_of_their_mean(rng, name, error):
    y_true = rng.normal(size=(2, 200)).astype("float32")
    found = after(getattr(mb.metrics, name)(), *y_true)
    sem = scipy.stats.sem(error(*y_true.astype("float64")))
    assert found.standard_error == pytest.approx(sem, rel=1e-5)
    assert 0 < found.lower < found.value < found.upper


def test_pearson_has_the_interval_of_fisher(rng):
    x = rng.normal(size=300)
    y = x + rng.normal(size=300)
    found = after(mb.metrics.PearsonCorrelation(), x, y)
    expected = scipy.stats.pearsonr(x, y).confidence_interval()
    np.testing.assert_allclose(ends(found), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("F1Score", {}),
        ("FBetaScore", {"beta": 2.0}),
        ("MatthewsCorrelation", {}),
        ("CohenKappa", {}),
        ("BalancedAccuracy", {}),
        ("LogLoss", {}),
        ("AUROC", {}),
        ("Perplexity", {}),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_standard_errors_agree_with_drawing_again(
    rng, binary, name, arguments, weighted
):
    weights = rng.choice([0.5, 1.0, 2.0], N).astype("float32") if weighted else None
    metric = getattr(mb.metrics, name)(**arguments)
    found = after(metric, *binary, sample_weight=weights)
    drawn = mb.metrics.bootstrap(metric, *binary, weights, replicates=200)
    assert found.value == pytest.approx(drawn.value, rel=1e-4)
    # From 200 draws a standard error is known to 5%.
    assert found.standard_error == pytest.approx(drawn.standard_error, rel=0.15)


@pytest.mark.parametrize("name", ["MatthewsCorrelation", "CohenKappa", "F1Score"])
def test_standard_errors_of_classes_agree_with_drawing_again(classes, name):
    metric = getattr(mb.metrics, name)("multiclass", num_classes=3)
    found = after(metric, *classes)
    drawn = mb.metrics.bootstrap(metric, *classes, replicates=200)
    assert found.standard_error == pytest.approx(drawn.standard_error, rel=0.15)


def test_a_metric_without_an_interval_says_what_to_do(rng):
    metric = mb.metrics.R2Score()
    metric.update_state(*rng.normal(size=(2, 9)))
    with pytest.raises(mb.errors.ArgumentError, match=r"multiback.metrics.bootstrap"):
        metric.interval()


def test_few_rows_of_a_class_are_reported():
    metric = mb.metrics.F1Score()
    metric.update_state([0] * 30 + [1] * 4, [0.1] * 30 + [0.9] * 4)
    with pytest.raises(mb.errors.FewRowsWarning, match="class 1 has fewer than 10"):
        metric.interval()


@pytest.mark.parametrize("weight", [None, [0.3]])
@pytest.mark.parametrize("name", ["LogLoss", "BrierScore", "MeanSquaredError"])
def test_one_row_has_a_value_and_no_interval(name, weight):
    found = after(getattr(mb.metrics, name)(), [1], [0.7], sample_weight=weight)
    assert found.value > 0
    assert np.isnan([found.lower, found.upper, found.standard_error]).all()


def test_arrays_have_an_interval_each(classes):
    metric = mb.metrics.Recall("multiclass", num_classes=3, average=None)
    found = after(metric, *classes)
    assert found.lower.shape == found.upper.shape == (3,)
    hits = [(classes[1][classes[0] == k] == k) for k in range(3)]
    expected = [proportion_confint(h.sum(), h.size, method="wilson") for h in hits]
    np.testing.assert_allclose(ends(found), np.transpose(expected), rtol=1e-6)


def test_chosen_classes_have_the_same_value_as_the_metric(classes):
    for average in ("micro", "macro", "weighted", None):
        metric = mb.metrics.F1Score(
            "multiclass", num_classes=3, classes=[2, 1], average=average
        )
        found = after(metric, *classes)
        np.testing.assert_allclose(found.value, metric.result(), rtol=1e-6)


def test_a_view_of_a_group_has_its_own_interval(binary):
    metrics = mb.metrics.group(mb.metrics.Precision(), mb.metrics.Recall())
    for metric in metrics:
        metric.update_state(*binary)
    alone = after(mb.metrics.Recall(), *binary)
    assert metrics[1].interval() == alone


def test_the_level_is_checked(binary):
    metric = mb.metrics.Recall()
    metric.update_state(*binary)
    with pytest.raises(mb.errors.ArgumentError, match="level="):
        metric.interval(95)


@pytest.mark.parametrize("name", ["Accuracy", "F1Score", "AUROC", "LogLoss"])
def test_nothing_has_no_interval(name):
    metric = getattr(mb.metrics, name)("binary")
    found = metric.compute_interval(metric.state)
    assert np.isnan([found.value, found.lower, found.upper]).all()


def test_rows_of_one_group_are_drawn_together(rng):
    groups = np.repeat(np.arange(30), 10)
    y_true = np.repeat(rng.integers(0, 2, 30), 10)
    y_pred = np.repeat(rng.random(30), 10)
    metric = mb.metrics.Accuracy()
    alone = mb.metrics.bootstrap(metric, y_true, y_pred, replicates=200)
    together = mb.metrics.bootstrap(
        metric, y_true, y_pred, groups=groups, replicates=200
    )
    # Ten equal rows are worth one: the error is the root of ten larger.
    ratio = together.standard_error / alone.standard_error
    assert ratio == pytest.approx(np.sqrt(10), rel=0.2)


def test_drawing_again_agrees_with_scipy(rng):
    y_true, y_pred = rng.normal(size=(2, 150))
    y_pred = y_pred + y_true
    found = mb.metrics.bootstrap(mb.metrics.R2Score(), y_true, y_pred, replicates=200)
    expected = scipy.stats.bootstrap(
        (y_true, y_pred),
        lambda t, p, axis=-1: (
            1
            - np.sum((t - p) ** 2, axis)
            / np.sum((t - t.mean(axis, keepdims=True)) ** 2, axis)
        ),
        paired=True,
        n_resamples=2000,
        method="percentile",
        rng=0,
    )
    assert found.standard_error == pytest.approx(expected.standard_error, rel=0.15)


def test_an_interval_is_of_the_state_that_is_there(binary):
    metric = mb.metrics.Accuracy()
    for start in range(0, N, 100):
        metric.update_state(*(part[start : start + 100] for part in binary))
    whole = after(mb.metrics.Accuracy(), *binary)
    assert metric.interval() == whole
    loaded = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(metric)
    )
    assert loaded.compute_interval(metric.state) == whole


@pytest.mark.parametrize("name", ENTRIES)
def test_an_interval_is_around_the_value_of_the_metric(name):
    """And a metric without one says so, of whatever class it is."""
    metric = ENTRIES[name].make()
    batch = datasets(ENTRIES[name].kind)["plain"]
    if ENTRIES[name].kind == "regression":  # Logarithms want numbers above -1.
        batch = [abs(part) for part in batch]
    metric.update_state(*batch)
    value = np.asarray(keras.ops.convert_to_numpy(metric.result()))
    try:
        found = metric.compute_interval(metric.state)
    except mb.errors.ArgumentError as error:
        assert not metric.has_interval()
        assert "bootstrap" in str(error)  # noqa: PT017 - either is right
        return
    assert metric.has_interval()
    np.testing.assert_allclose(found.value, value, rtol=1e-4, atol=1e-6)
    assert np.shape(found.lower) == np.shape(found.upper) == np.shape(value)
    some = ~np.isnan(value)
    lower, upper = (np.asarray(end)[some] for end in ends(found))
    assert np.all(lower <= np.asarray(found.value)[some])
    assert np.all(np.asarray(found.value)[some] <= upper)
    low, high = metric.value_range
    assert np.all((lower >= low) & (upper <= high))


@pytest.mark.parametrize("shape", [(0,), (0, 1), (0, 3)])
def test_a_bootstrap_wants_a_row_and_a_seed(shape):
    metric = mb.metrics.F1Score(task="binary")
    none = np.zeros(shape)
    with pytest.raises(mb.errors.ArgumentError, match="at least one row"):
        mb.metrics.bootstrap(metric, none, none)
    for seed in (-1, 0.5, None):
        with pytest.raises(mb.errors.ArgumentError, match="seed="):
            mb.metrics.bootstrap(metric, [0, 1], [0.2, 0.7], seed=seed)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["NDCG", "MeanReciprocalRank", "CoverageError"])
def test_means_over_queries_have_the_error_of_their_queries(rng, name, weighted):
    y_true, y_pred = rng.integers(0, 2, (90, 6)), rng.random((90, 6)).astype("float32")
    y_true[:, 0] = 1
    weights = rng.choice([1.0, 2.0], 90).astype("float32") if weighted else None
    metric = getattr(mb.metrics, name)()
    each = []
    for row in zip(y_true[:, None], y_pred[:, None], strict=True):
        metric.reset_state()
        metric.update_state(*row)
        each.append(float(metric.result()))
    metric.reset_state()
    found = after(metric, y_true, y_pred, sample_weight=weights)
    drawn = mb.metrics.bootstrap(metric, y_true, y_pred, weights, replicates=200)
    assert found.standard_error == pytest.approx(drawn.standard_error, rel=0.15)
    if not weighted:
        sem = scipy.stats.sem(each)
        assert found.standard_error == pytest.approx(sem, rel=1e-4)
    assert found.lower < np.average(each, weights=weights) < found.upper


def test_a_hit_rate_has_the_interval_of_a_share(rng):
    y_true, y_pred = rng.integers(0, 2, (90, 6)), rng.random((90, 6)).astype("float32")
    metric = mb.metrics.HitRate(k=1)
    found = after(metric, y_true, y_pred)
    expected = proportion_confint(round(90 * found.value), 90, method="wilson")
    np.testing.assert_allclose(ends(found), expected, rtol=1e-4)


def test_ratios_of_images_have_the_error_of_their_images(rng):
    y_true = rng.random((20, 8, 8, 1)).astype("float32")
    y_pred = y_true + rng.normal(0, 0.1, y_true.shape).astype("float32")
    found = after(mb.metrics.PeakSignalNoiseRatio(), y_true, y_pred)
    each = -10 * np.log10(np.mean((y_true - y_pred) ** 2, (1, 2, 3)))
    assert found.standard_error == pytest.approx(scipy.stats.sem(each), rel=1e-3)
    expected = scipy.stats.t.interval(0.95, 19, np.mean(each), scipy.stats.sem(each))
    np.testing.assert_allclose(ends(found), expected, rtol=1e-3)


def test_draws_without_a_value_are_no_warning_of_numpy():
    """All rows of one class: no draw has an area."""
    found = mb.metrics.bootstrap(mb.metrics.AUROC(), [1] * 9, [0.5] * 9, replicates=9)
    assert np.isnan([found.value, found.lower, found.upper, found.standard_error]).all()
