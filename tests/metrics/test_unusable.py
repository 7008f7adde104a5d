"""What a metric cannot use is counted by cause and reported once on each backend."""

import warnings

import keras
import numpy as np
import pytest
import sklearn.metrics
from support.catalogue import ENTRIES, datasets, of_each_statistic
from support.catalogue import LABELS as LABELS_EACH
from support.contracts import stream, unusable, value

import multiback as mb
from multiback.errors import UnusableValuesWarning

M = mb.metrics
NAN = float("nan")
UNKNOWN = "unknown_label"
THREE = {"task": "multiclass", "num_classes": 3}
ROWS = np.eye(3, dtype="float32")
LABELS = np.array([0, 1, 0, 1], "float32")
SCORES = np.array([0.2, 0.9, 0.7, 0.6], "float32")


def labels_with(*others):
    return np.append(LABELS[len(others) :], others).astype("float32")


def result_and_words(metric):
    """Return a result and what was said of unusable values with it."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = float(metric.result())
    return result, words_of(told)


def words_of(told):
    return [str(one.message) for one in told if one.category is UnusableValuesWarning]


# Metric, arguments, labels, scores, the cause, and how many elements have it.
CASES = {
    "an unknown label": (M.F1Score, {}, labels_with(2, -1), SCORES, UNKNOWN, 2),
    "labels from 1": (M.Accuracy, THREE, [1, 2, 3], ROWS, UNKNOWN, 1),
    "a NaN label": (M.Recall, {}, labels_with(NAN), SCORES, "nan_label", 1),
    "a soft label": (M.F1Score, {}, labels_with(0.3), SCORES, "soft_label", 1),
    "soft rows": (M.F1Score, THREE, 0.9 * ROWS + 1 / 30, ROWS, "soft_label", 3),
    "hot twice": (M.F1Score, THREE, ROWS[[0, 1]] + ROWS[2], ROWS[:2], UNKNOWN, 2),
    "rows of NaN": (M.CohenKappa, THREE, ROWS * NAN, ROWS, "nan_label", 3),
    "an unknown pixel": (
        M.SamplewiseDice,
        {"task": "binary"},
        [[0, 3]],
        [[0.1, 0.9]],
        UNKNOWN,
        1,
    ),
    "a soft AUROC": (M.AUROC, {}, labels_with(0.5), SCORES, "soft_label", 1),
    "kept scores": (M.AUROC, {"capacity": 9}, labels_with(5), SCORES, UNKNOWN, 1),
    "a rank of NaN": (M.AveragePrecision, {}, LABELS, SCORES * NAN, "nan_score", 4),
    "a logit ranked": (M.AUROC, {}, LABELS, SCORES * 9, "outside_score", 4),
    "a logit's loss": (M.LogLoss, {}, LABELS, SCORES - 1, "outside_score", 4),
    "a NaN's loss": (M.BrierScore, {}, LABELS, SCORES * NAN, "nan_score", 4),
    "no chance": (M.LogLoss, {}, LABELS, 1 - LABELS, "infinite", 4),
    "no shares": (M.LogLoss, THREE, ROWS * 0.3, ROWS, "soft_label", 3),
    "a NaN target": (M.R2Score, {}, labels_with(NAN), SCORES, "nan_label", 1),
    "a NaN guess": (M.MeanSquaredError, {}, LABELS, SCORES * NAN, "nan_score", 4),
    "a confidence of 9": (
        M.CalibrationError,
        {},
        LABELS,
        SCORES * 9,
        "outside_score",
        4,
    ),
    "an unknown side": (M.HingeLoss, {}, labels_with(-1), SCORES, UNKNOWN, 1),
    "half a side": (M.HingeLoss, {}, labels_with(0.5), SCORES, "soft_label", 1),
    "an infinity": (
        M.MeanAbsoluteError,
        {},
        labels_with(np.inf),
        SCORES,
        "infinite",
        1,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_a_cause_is_counted_and_reported_once_and_the_value_is_nan(case, weighted):
    metric, arguments, y_true, y_pred, cause, count = case
    made = metric(**arguments)
    weights = np.ones(len(y_true), "float32") if weighted else None
    made.update_state(y_true, y_pred, weights)
    assert made.unusable() == {cause: count}
    result, (words,) = result_and_words(made)
    assert np.isnan(result)
    assert words.startswith(f"{made.name}: {count} ")
    assert len(words) <= 200
    made.reset_state()
    assert made.unusable() == {}
    made.update_state(y_true, y_pred)
    assert result_and_words(made)[1] == []  # Told already.


@pytest.mark.parametrize("metric", [M.F1Score, M.Accuracy, M.MatthewsCorrelation])
@pytest.mark.parametrize("shape", [(4,), (2, 2), (4, 1)])
def test_logits_keep_the_value_that_a_threshold_gives_them_and_are_reported(
    metric, shape
):
    logits = np.array([-2.0, 0.4, 3.0, 0.6], "float32")
    made, clipped = metric("binary"), metric("binary")
    made.update_state(LABELS.reshape(shape), logits.reshape(shape))
    assert made.unusable() == {"outside_score": 2}
    got, (words,) = result_and_words(made)
    assert "pass from_logits=True" in words
    assert got == stream(clipped, (LABELS, np.clip(logits, 0, 1)))
    said = metric(from_logits=True)
    said.update_state(LABELS, logits)
    assert said.unusable() == {}


def test_scores_of_classes_need_no_range():
    for metric in (M.F1Score(**THREE), M.Accuracy(**THREE), M.TopKAccuracy(3, 1)):
        metric.update_state([0, 1, 2], ROWS * 9 - 4)
        assert metric.unusable() == {}


@unusable
def test_what_does_not_count_is_not_counted():
    metric = M.F1Score(ignore_index=-1)
    metric.update_state([-1, NAN, 1, 0], [7.0, 7.0, 0.9, 0.1], [1.0, 0.0, 1.0, 1.0])
    assert metric.unusable() == {}
    assert value(metric) == 1.0


@pytest.mark.parametrize("entry", of_each_statistic(ENTRIES).values(), ids=str)
def test_a_weight_that_is_not_finite_is_reported(entry):
    if entry.name in ("Max", "Min"):
        pytest.skip("only whether a weight is 0 matters")
    batch = datasets(entry.kind)["plain"]
    weights = np.ones(len(batch[0]), "float32")
    for bad in (NAN, np.inf, 0.0):
        weights[1] = bad
        metric = entry.make()
        metric.update_state(*batch, weights)
        # One a sample, or one an element of it.
        found = metric.unusable().get("unusable_weight", 0)
        assert found in ((1, LABELS_EACH) if bad else (0,))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            metric.result()
        assert any("weights are" in words for words in words_of(told)) == bool(bad)


@pytest.mark.parametrize("from_logits", [False, True], ids=["probabilities", "logits"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_soft_labels_have_a_loss(from_logits, dtype):
    """The cross-entropy and the squared distance, in float64."""
    rng = np.random.default_rng(0)
    rtol = 2e-3 if dtype == "float16" else 2e-6
    for classes in (2, 3, 5):
        shares = rng.dirichlet(np.ones(classes), 64)
        shares[:8] = np.eye(classes)[rng.integers(0, classes, 8)]
        logits = rng.normal(size=(64, classes)) * 3
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        given = (logits if from_logits else p).astype("float32")
        shares = shares.astype(dtype)
        entropy = -(shares * np.log(p)).sum(1).mean()
        squares = np.square(p - shares).sum(1).mean()
        task = {
            "task": "multiclass",
            "num_classes": classes,
            "from_logits": from_logits,
        }
        for metric, expected in (
            (M.LogLoss(**task), entropy),
            (M.Perplexity(**task), np.exp(entropy)),
            (M.BrierScore(**task), squares),
        ):
            np.testing.assert_allclose(
                stream(metric, (shares, given)), expected, rtol=rtol
            )
    labels, logits = rng.random(64).astype(dtype), rng.normal(size=64) * 2
    p = 1 / (1 + np.exp(-logits))
    given = (logits if from_logits else p).astype("float32")
    entropy = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).mean()
    binary = {"task": "binary", "from_logits": from_logits}
    loss = stream(M.LogLoss(**binary), (labels, given))
    np.testing.assert_allclose(loss, entropy, rtol=rtol)
    brier = stream(M.BrierScore(**binary), (labels, given))
    squares = np.square(p - labels).mean()
    np.testing.assert_allclose(brier, squares, rtol=rtol)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("shape", [(60,), (12, 5), (10, 2, 3)])
@pytest.mark.parametrize("kinds", ["int64 int64", "bool bool", "float32 int32"])
def test_one_hot_rows_on_both_sides_are_classes(kinds, shape, classes):
    """Taken for ids, mIoU was .585 for .374."""
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.integers(0, classes, (2, *shape))
    first, second = kinds.split()
    rows = np.eye(classes)[y_true].astype(first), np.eye(classes)[y_pred].astype(second)
    flat = y_true.ravel(), y_pred.ravel()
    task = {"task": "multiclass", "num_classes": classes}
    for metric, expected in (
        (M.Accuracy(**task), sklearn.metrics.accuracy_score(*flat)),
        (M.F1Score(**task), sklearn.metrics.f1_score(*flat, average="macro")),
        (M.JaccardIndex(**task), sklearn.metrics.jaccard_score(*flat, average="macro")),
        (M.CohenKappa(**task), sklearn.metrics.cohen_kappa_score(*flat)),
    ):
        assert stream(metric, rows) == pytest.approx(expected, abs=1e-6)


@unusable
def test_rows_that_are_not_one_hot_are_no_prediction():
    metric = M.Accuracy(**THREE)
    metric.update_state(
        np.eye(3, dtype=int), np.array([[1, 0, 0], [0, 0, 0], [0, 1, 1]])
    )
    assert metric.unusable() == {"unknown_prediction": 2}
    assert value(metric) == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", ["R2Score", "ExplainedVariance", "PearsonCorrelation"])
@pytest.mark.parametrize("how", ["weights", "ignore_nan"])
def test_several_targets_with_gaps_are_scored_each_on_its_own_rows(name, how):
    rng = np.random.default_rng(0)
    y = rng.normal([0, 100, -5], size=(60, 3))
    p = y + 0.3 * rng.normal(size=y.shape)
    there = rng.random(y.shape) > 0.3
    score = {
        "R2Score": sklearn.metrics.r2_score,
        "ExplainedVariance": sklearn.metrics.explained_variance_score,
        "PearsonCorrelation": lambda a, b: np.corrcoef(a, b)[0, 1],
    }[name]
    expected = [score(y[rows, k], p[rows, k]) for k, rows in enumerate(there.T)]
    gaps = np.where(there, y, np.nan)
    metric = getattr(M, name)(
        num_outputs=3, multioutput="raw_values", ignore_nan=how == "ignore_nan"
    )
    for rows in (slice(0, 37), slice(37, 60)):
        weights = there[rows].astype("float32") if how == "weights" else None
        metric.update_state(gaps[rows], p[rows], weights)
    np.testing.assert_allclose(value(metric), expected, rtol=1e-4)
    again = type(metric).from_config(metric.get_config())
    assert again.get_config() == metric.get_config()


@pytest.mark.parametrize(
    "name", ["MeanSquaredError", "RootMeanSquaredError", "MeanAbsoluteError"]
)
def test_an_error_can_leave_out_targets_that_are_nan(name):
    y, p = np.array([[1.0, NAN], [3.0, 4.0]]), np.array([[1.0, 9.0], [2.0, 2.0]])
    expected = {"MeanSquaredError": 5 / 3, "RootMeanSquaredError": (5 / 3) ** 0.5}
    metric = getattr(M, name)(ignore_nan=True)
    assert stream(metric, (y, p)) == pytest.approx(expected.get(name, 1.0))
    assert metric.get_config()["ignore_nan"] is True


def test_a_prediction_with_a_last_axis_of_one_has_the_targets_elements():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(40, 6))
    p = y + rng.normal(size=y.shape)
    expected = sklearn.metrics.r2_score(y.ravel(), p.ravel())
    assert stream(M.R2Score(), (y, p[..., None])) == pytest.approx(expected, rel=1e-5)


def test_whole_floats_are_class_ids_to_a_confusion_matrix():
    metric = M.ConfusionMatrix(**THREE)
    metric.update_state([0.0, 1.0, 2.0, 2.0], np.array([0.0, 1.0, 2.0, 0.0], "float32"))
    assert value(metric).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 1]]


@pytest.mark.parametrize(
    "arguments", [{}, {"capacity": 8}, {"from_logits": True}], ids=str
)
def test_a_curve_is_drawn_where_numpys_underflow_is_an_error(arguments):
    metric = M.AUROC(**arguments)
    metric.update_state([0, 1, 0, 1], [0.0, 1.0, 1e-30, 0.3])
    with np.errstate(all="raise"):
        assert metric.roc_curve().true_positive_rate[-1] == 1.0
        assert metric.precision_recall_curve().recall[0] == 1.0


@unusable
def test_evaluate_says_what_update_state_of_a_loop_says():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Identity()])
    model.compile(loss="mse", metrics=[M.F1Score(), M.AUROC()])
    x = np.array([[-2.0], [0.4], [3.0], [0.6]], "float32")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.evaluate(x, LABELS[:, None], verbose=0)
    cure = "pass from_logits=True if the model returns logits, or give probabilities."
    found = f"2 scores are outside of [0, 1]; {cure}"
    assert set(words_of(told)) == {f"f1_score: {found}", f"auroc: {found}"}


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
@pytest.mark.parametrize("classes", [3, 300])
def test_unsigned_labels_are_class_ids(rng, dtype, classes):
    labels = rng.integers(0, classes, 40).astype(dtype)
    found = rng.integers(0, classes, 40).astype(dtype)
    metric = mb.metrics.ConfusionMatrix("multiclass", num_classes=classes)
    metric.update_state(labels, found)
    expected = sklearn.metrics.confusion_matrix(labels, found, labels=range(classes))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(metric.result()), expected)
    share = mb.metrics.BrierScore()
    share.update_state((labels > 0).astype(dtype), np.ones(40, "float32"))
    assert float(share.result()) == pytest.approx((labels == 0).mean())


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("shape", [(24,), (6, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64"])
def test_one_hot_predictions_stand_beside_ids_with_a_last_axis_of_one(
    rng, classes, shape, dtype
):
    labels = rng.integers(0, classes, (*shape, 1))
    found = rng.integers(0, classes, shape)
    metric = mb.metrics.Accuracy("multiclass", num_classes=classes)
    metric.update_state(labels, np.eye(classes)[found].astype(dtype))
    expected = (labels[..., 0] == found).mean()
    assert float(metric.result()) == pytest.approx(expected)


@pytest.mark.parametrize("capacity", [None, 16])
@pytest.mark.parametrize("name", ["AUROC", "AveragePrecision", "PrecisionAtRecall"])
@pytest.mark.parametrize("place", [0, 3, 11])
def test_a_negative_weight_leaves_no_ranking(rng, name, place, capacity):
    labels, scores = rng.integers(0, 2, 12), rng.random(12).astype("float32")
    weights = np.where(np.arange(12) == place, -1.0, 1.0)
    arguments = {"recall": 0.5} if "At" in name else {}
    metric = getattr(M, name)(capacity=capacity, **arguments)
    metric.update_state(labels, scores, weights)
    with np.errstate(all="raise"):
        result, (words,) = result_and_words(metric)
    assert np.isnan(result)
    assert "1 weights are negative" in words
