"""`classes=` chooses what a value is of; `ignore_index=` removes elements."""

import inspect

import numpy as np
import pytest
import sklearn.metrics as sk
from support.catalogue import ENTRIES
from support.contracts import stream

import multiback as mb
from multiback.errors import ArgumentError

FUNCTIONS = {
    "Precision": sk.precision_score,
    "Recall": sk.recall_score,
    "F1Score": sk.f1_score,
    "FBetaScore": lambda *given, **more: sk.fbeta_score(*given, beta=1.0, **more),
    "Dice": sk.f1_score,
    "JaccardIndex": sk.jaccard_score,
}
CLASSES = {"task": "multiclass", "num_classes": 5}
LABELS = {"task": "multilabel", "num_labels": 5}


def draw(task, n=200, shape=()):
    """Draw labels, hard predictions and scores; a fifth are wrong."""
    rng = np.random.default_rng(7)
    if task == "multiclass":
        y_true = rng.choice(5, (n, *shape), p=[0.6, 0.1, 0.1, 0.1, 0.1])
        hard = np.where(rng.random(y_true.shape) < 0.8, y_true, rng.integers(0, 5))
        return y_true, hard, np.eye(5, dtype="float32")[hard]
    width = (5,) if task == "multilabel" else ()
    y_true = rng.integers(0, 2, (n, *width))
    hard = np.where(rng.random(y_true.shape) < 0.8, y_true, 1 - y_true)
    return y_true, hard, (0.25 + 0.5 * hard).astype("float32")


AVERAGES = ("macro", "micro", "weighted", None)
# Averaging is the same for all; one metric goes through every average.
CASES = [("F1Score", average) for average in AVERAGES]
CASES += [(name, "macro") for name in FUNCTIONS if name != "F1Score"]


@pytest.mark.parametrize("arguments", [CLASSES, LABELS], ids=["classes", "labels"])
@pytest.mark.parametrize(("name", "average"), CASES)
def test_a_list_is_the_labels_of_scikit_learn(name, arguments, average):
    y_true, hard, scores = draw(arguments["task"])
    weighted = name == "F1Score"
    weights = np.linspace(0.1, 1, len(y_true), dtype="float32") if weighted else None
    cls = getattr(mb.metrics, name)
    for chosen in ([1, 2, 4], [4, 1]):
        metric = cls(**arguments, average=average, classes=chosen)
        expected = FUNCTIONS[name](
            y_true, hard, labels=chosen, average=average, sample_weight=weights
        )
        got = stream(
            metric,
            *(
                (y_true[rows], scores[rows], *([weights[rows]] if weighted else []))
                for rows in (slice(0, 100), slice(100, 200))
            ),
        )
        np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("average", ["macro", None])
@pytest.mark.parametrize("arguments", [CLASSES, LABELS], ids=["classes", "labels"])
def test_one_id_gives_a_scalar_that_can_be_monitored(arguments, average):
    y_true, hard, scores = draw(arguments["task"])
    each = sk.recall_score(y_true, hard, average=None)
    for chosen in (2, np.int64(2)):
        metric = mb.metrics.Recall(**arguments, average=average, classes=chosen)
        got = stream(metric, (y_true, scores))
        assert got.shape == ()
        np.testing.assert_allclose(got, each[2], rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((), "int32"), ((3,), "int64"), ((4, 4), "float32"), ((2, 3, 2), "uint8")],
)
def test_images_of_any_rank_and_dtype_without_the_background(shape, dtype):
    y_true, hard, scores = draw("multiclass", 40, shape)
    expected = sk.jaccard_score(
        y_true.ravel(), hard.ravel(), labels=[1, 2, 3, 4], average="macro"
    )
    metric = mb.metrics.JaccardIndex(**CLASSES, classes=[1, 2, 3, 4])
    got = stream(metric, (y_true.astype(dtype), scores))
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    ignored = mb.metrics.JaccardIndex(**CLASSES, ignore_index=0)
    assert stream(ignored, (y_true, scores)) > expected  # Its rows are gone.


@pytest.mark.parametrize(("name", "average"), CASES)
def test_both_classes_of_a_binary_task_and_the_negative_one(name, average):
    y_true, hard, scores = draw("binary")
    cls = getattr(mb.metrics, name)
    for chosen in ([1, 0], [0]):
        metric = cls("binary", average=average, classes=chosen)
        expected = FUNCTIONS[name](y_true, hard, labels=chosen, average=average)
        np.testing.assert_allclose(
            stream(metric, (y_true, scores)), expected, rtol=1e-6
        )
    negative = stream(cls(average=average, classes=0), (y_true, scores))
    expected = FUNCTIONS[name](1 - y_true, 1 - hard)
    np.testing.assert_allclose(negative, expected, rtol=1e-6)
    positive = stream(cls(average=average, classes=1), (y_true, scores))
    np.testing.assert_array_equal(positive, stream(cls(), (y_true, scores)))


@pytest.mark.parametrize("capacity", [None, 400])
@pytest.mark.parametrize(
    ("name", "function"),
    [("AUROC", sk.roc_auc_score), ("AveragePrecision", sk.average_precision_score)],
)
def test_rankings_of_chosen_classes_and_labels(name, function, capacity):
    rng = np.random.default_rng(3)
    cls = getattr(mb.metrics, name)
    ids, labels = rng.integers(0, 5, 200), rng.integers(0, 2, (200, 5))
    for arguments, y_true, truth in (
        (CLASSES, ids, np.eye(5)[ids]),
        (LABELS, labels, labels),
    ):
        scores = rng.random((200, 5)).astype("float32")
        each = [function(truth[:, c], scores[:, c]) for c in range(5)]
        together = function(truth[:, [3, 1]].ravel(), scores[:, [3, 1]].ravel())
        for average, expected in (
            ("macro", np.mean([each[3], each[1]])),
            ("weighted", np.average([each[3], each[1]], weights=truth.sum(0)[[3, 1]])),
            ("micro", together),
            (None, [each[3], each[1]]),
        ):
            metric = cls(
                **arguments, average=average, classes=[3, 1], capacity=capacity
            )
            got = stream(metric, (y_true, scores))
            tolerance = 1e-6 if capacity else 2e-3
            np.testing.assert_allclose(got, expected, atol=tolerance)
            low, high = metric.bounds()
            assert np.all((low <= expected) & (np.asarray(expected) <= high))
        one = stream(
            cls(**arguments, average=None, classes=2, capacity=capacity),
            (y_true, scores),
        )
        assert one.shape == ()
        np.testing.assert_allclose(one, each[2], atol=tolerance)


@pytest.mark.parametrize("capacity", [None, 200])
def test_the_ranking_of_the_negative_class(capacity):
    rng = np.random.default_rng(3)
    y_true, y_pred = rng.integers(0, 2, 200), rng.random(200).astype("float32")
    metric = mb.metrics.AveragePrecision(
        classes=[0, 1], average=None, capacity=capacity
    )
    expected = [
        sk.average_precision_score(1 - y_true, 1 - y_pred.astype("float64")),
        sk.average_precision_score(y_true, y_pred),
    ]
    np.testing.assert_allclose(
        stream(metric, (y_true, y_pred)), expected, atol=1e-6 if capacity else 2e-3
    )
    with pytest.raises(ArgumentError, match='average="micro" ranks'):
        mb.metrics.AUROC(classes=[0, 1], average="micro")


def test_thresholds_of_chosen_classes_stand_in_their_order():
    rng = np.random.default_rng(3)
    y_true, y_pred = rng.integers(0, 5, 200), rng.random((200, 5)).astype("float32")
    every = mb.metrics.RecallAtPrecision(0.25, **CLASSES, average=None)
    some = mb.metrics.RecallAtPrecision(0.25, **CLASSES, average=None, classes=[4, 0])
    one = mb.metrics.RecallAtPrecision(0.25, **CLASSES, classes=4)
    values = stream(every, (y_true, y_pred))
    np.testing.assert_array_equal(stream(some, (y_true, y_pred)), values[[4, 0]])
    np.testing.assert_array_equal(stream(one, (y_true, y_pred)), values[4])
    np.testing.assert_array_equal(some.threshold(), every.threshold()[[4, 0]])
    assert one.threshold() == every.threshold()[4]
    with pytest.raises(ArgumentError, match="give 1 - y_true and 1 - y_pred"):
        mb.metrics.RecallAtPrecision(0.25, classes=0)


def test_counts_of_chosen_classes():
    y_true, _, scores = draw("multiclass")
    every = stream(mb.metrics.StatScores(**CLASSES, average=None), (y_true, scores))
    some = mb.metrics.StatScores(**CLASSES, average=None, classes=[4, 2])
    np.testing.assert_array_equal(stream(some, (y_true, scores)), every[[4, 2]])
    added = mb.metrics.StatScores(**CLASSES, classes=[4, 2])
    np.testing.assert_array_equal(stream(added, (y_true, scores)), every[[4, 2]].sum(0))
    y_true, _, scores = draw("binary")
    both = mb.metrics.StatScores(average=None, classes=[0, 1])
    (tn, fn, tp, fp, _), positive = stream(both, (y_true, scores))
    np.testing.assert_array_equal(positive[:4], [tp, fp, tn, fn])


def test_accuracy_of_chosen_classes():
    y_true, hard, scores = draw("multiclass")
    expected = sk.recall_score(y_true, hard, labels=[1, 2], average="macro")
    for name, right in (("Accuracy", expected), ("HammingDistance", 1 - expected)):
        metric = getattr(mb.metrics, name)(**CLASSES, average="macro", classes=[1, 2])
        np.testing.assert_allclose(stream(metric, (y_true, scores)), right, rtol=1e-6)
    top = mb.metrics.TopKAccuracy(5, 1, average="macro", classes=[1, 2])
    np.testing.assert_allclose(stream(top, (y_true, scores)), expected, rtol=1e-6)


ENTRIES_THAT_IGNORE = {
    name: entry
    for name, entry in ENTRIES.items()
    if "ignore_index" in inspect.signature(getattr(mb.metrics, entry.name)).parameters
    and not name.startswith(("Samplewise", "ExactMatch", "GeneralizedDice"))
    and entry.kind != "queries"
}


@pytest.mark.parametrize("name", ENTRIES_THAT_IGNORE)
def test_several_ignored_labels_are_left_out(name):
    entry = ENTRIES_THAT_IGNORE[name]
    task = entry.kind
    rng = np.random.default_rng(5)
    shape = (40, 4) if task == "multilabel" else (40,)
    y_true = rng.integers(0, 4 if task == "multiclass" else 2, shape)
    wide = (40, 4) if task != "binary" else (40,)
    y_pred = rng.random(wide).astype("float32")
    y_pred /= y_pred.sum(-1, keepdims=True) if task == "multiclass" else 1.0
    y_true[::5], y_true[1::5] = -1, 9
    rows = np.arange(40) % 5 > 1
    several = stream(entry.make(ignore_index=[9, -1]), (y_true, y_pred))
    expected = stream(entry.make(), (y_true[rows], y_pred[rows]))
    np.testing.assert_allclose(several, expected, rtol=1e-6)


def test_ignored_classes_leave_the_mean():
    y_true, hard, scores = draw("multiclass")
    rows = ~np.isin(y_true, [0, 3])
    expected = sk.f1_score(y_true[rows], hard[rows], labels=[1, 2, 4], average="macro")
    metric = mb.metrics.F1Score(**CLASSES, ignore_index=[3, 0])
    np.testing.assert_allclose(stream(metric, (y_true, scores)), expected, rtol=1e-6)
    balanced = mb.metrics.BalancedAccuracy(**CLASSES, ignore_index=[0, 3])
    expected = sk.recall_score(
        y_true[rows], hard[rows], labels=[1, 2, 4], average="macro"
    )
    np.testing.assert_allclose(stream(balanced, (y_true, scores)), expected, rtol=1e-6)


def test_the_choice_of_classes_shares_the_state_of_a_group():
    m = mb.metrics
    every, some = m.group(
        m.F1Score(**CLASSES, name="every"), m.F1Score(**CLASSES, classes=[1, 2])
    )
    assert every.variables
    assert not some.variables
    y_true, hard, scores = draw("multiclass")
    for metric in (every, some):
        metric.update_state(y_true, scores)
    expected = sk.f1_score(y_true, hard, labels=[1, 2], average="macro")
    np.testing.assert_allclose(float(some.result()), expected, rtol=1e-6)
