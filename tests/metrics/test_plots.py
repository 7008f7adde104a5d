"""`metric.plot()` draws what scikit-learn computes from the same data."""

import sys

import keras
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    confusion_matrix,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)
from support.backends import BACKEND
from support.catalogue import ENTRIES, datasets
from support.contracts import unusable

from multiback import metrics
from multiback.errors import ArgumentError, MissingPackageError, UnusableValuesWarning
from multiback.metrics import plots

mpl.use("Agg")

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 2, 200)
# Far apart, so that no two share a bin.
SCORES = RANDOM.permutation(np.linspace(0.02, 0.98, 200)).astype("float32")
CLASSES = RANDOM.integers(0, 3, 200)
CLASS_SCORES = RANDOM.dirichlet([1.0, 1.0, 1.0], 200).astype("float32")
NAMES = ["cat", "dog", "elephant"]
OF_CLASSES = {"task": "multiclass", "num_classes": 3}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def filled(metric, y_true=LABELS, y_pred=SCORES):
    metric.update_state(y_true, y_pred)
    return metric


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def line(ax, start):
    """Return the points of the line whose label starts so, `(points, 2)`."""
    (found,) = (one for label, one in lines(ax).items() if label.startswith(start))
    return np.asarray(found.get_xydata(), dtype="float64")


def heights(ax):
    return [bar.get_height() for bar in ax.patches]


def texts(ax):
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("arguments", [{}, {"capacity": 200}])
def test_auroc_draws_the_roc_curve_with_its_area(arguments):
    metric = filled(metrics.AUROC(**arguments))
    _, ax = metric.plot()
    fpr, tpr, _ = roc_curve(LABELS, SCORES, drop_intermediate=False)
    np.testing.assert_allclose(line(ax, "class 1"), np.stack([fpr, tpr], 1), atol=1e-7)
    area = roc_auc_score(LABELS, SCORES)
    title, *bounds = ax.get_title().split("\n")
    assert title == f"auroc {area:.4f}"
    low, high = metric.bounds()
    wanted = [f"between {low:.4f} and {high:.4f}"]
    assert bounds == ([] if arguments else wanted)
    np.testing.assert_allclose(line(ax, "chance"), [[0, 0], [1, 1]])


def test_average_precision_draws_precision_against_recall():
    _, ax = filled(metrics.AveragePrecision()).plot()
    precision, recall, _ = precision_recall_curve(LABELS, SCORES)
    drawn = np.stack([recall, precision], 1)
    np.testing.assert_allclose(line(ax, "class 1"), drawn, atol=1e-7)
    assert lines(ax)["class 1"].get_drawstyle() == "steps-post"
    np.testing.assert_allclose(line(ax, "chance")[:, 1], np.mean(LABELS), rtol=1e-6)


@pytest.mark.parametrize("capacity", [None, 200])
def test_several_classes_are_one_line_each_and_column_draws_one(capacity):
    metric = metrics.AUROC(**OF_CLASSES, classes=[2, 0], capacity=capacity)
    filled(metric, CLASSES, CLASS_SCORES)
    _, ax = metric.plot(class_names=NAMES)
    for index in (2, 0):
        label, score = index == CLASSES, CLASS_SCORES[:, index]
        area = roc_auc_score(label, score)
        points = line(ax, f"{NAMES[index]}: ")
        (shown,) = (one for one in lines(ax) if one.startswith(NAMES[index]))
        assert float(shown.split()[1]) == pytest.approx(area, abs=2e-3)
        if capacity:
            fpr, tpr, _ = roc_curve(label, score, drop_intermediate=False)
            np.testing.assert_allclose(points, np.stack([fpr, tpr], 1), atol=1e-7)
    assert ax.get_title().startswith(f"auroc {float(metric.result()):.4f}")
    assert not any(label.startswith("dog") for label in lines(ax))
    _, ax = metric.plot(column=0)
    assert set(lines(ax)) == {"chance", "class 0"}
    area = roc_auc_score(CLASSES == 0, CLASS_SCORES[:, 0])
    assert float(ax.get_title().split()[1]) == pytest.approx(area, abs=2e-3)


def test_both_classes_of_a_binary_task_are_drawn_from_their_own_side():
    metric = metrics.AveragePrecision(classes=[0, 1], average=None)
    _, ax = filled(metric).plot()
    precision, recall, _ = precision_recall_curve(1 - LABELS, 1 - SCORES)
    drawn = np.stack([recall, precision], 1)
    np.testing.assert_allclose(line(ax, "class 0"), drawn, atol=1e-7)
    assert ax.get_title() == "average_precision"


def test_all_classes_ranked_together_are_one_curve():
    metric = metrics.AUROC(**OF_CLASSES, average="micro", capacity=600)
    _, ax = filled(metric, CLASSES, CLASS_SCORES).plot(class_names=NAMES)
    hot = np.eye(3)[CLASSES].ravel()
    fpr, tpr, _ = roc_curve(hot, CLASS_SCORES.ravel(), drop_intermediate=False)
    drawn = np.stack([fpr, tpr], 1)
    np.testing.assert_allclose(line(ax, "all classes"), drawn, atol=1e-7)


# What each one draws: the axes of its curve, and where its condition is.
POINTS = {
    metrics.PrecisionAtRecall: ("recall", "precision", "x", 0.8),
    metrics.RecallAtPrecision: ("recall", "precision", "y", 0.8),
    metrics.SensitivityAtSpecificity: ("FPR", "TPR", "x", 0.2),
    metrics.SpecificityAtSensitivity: ("FPR", "TPR", "y", 0.8),
}


@pytest.mark.parametrize("cls", POINTS)
def test_an_operating_point_is_where_its_threshold_puts_it(cls):
    x_name, y_name, axis, place = POINTS[cls]
    # Good scores, so that each condition can be met.
    scores = (0.5 * SCORES + 0.45 * LABELS).astype("float32")
    metric = filled(cls(0.8), y_pred=scores)
    _, ax = metric.plot()
    threshold = metric.threshold()
    above = scores > threshold
    hits, false = np.sum(above & (LABELS == 1)), np.sum(above & (LABELS == 0))
    rates = {
        "recall": hits / np.sum(LABELS),
        "precision": hits / np.sum(above),
        "TPR": hits / np.sum(LABELS),
        "FPR": false / np.sum(1 - LABELS),
    }
    ((x, y),) = line(ax, "threshold")
    assert (x, y) == pytest.approx((rates[x_name], rates[y_name]), abs=1e-6)
    label = f"threshold {threshold:.4g}: {x_name} {x:.3f}, {y_name} {y:.3f}"
    assert label in lines(ax)
    limit = lines(ax)[f"{metric.condition} >= 0.8"]
    ends = limit.get_xdata() if axis == "x" else limit.get_ydata()
    np.testing.assert_allclose(ends, place)


def test_no_point_is_marked_where_no_threshold_meets_the_condition():
    metric = metrics.RecallAtPrecision(1.0)
    _, ax = filled(metric, [1, 0, 0], [0.2, 0.9, 0.8]).plot()
    assert metric.threshold() == np.inf
    assert not any(label.startswith("threshold") for label in lines(ax))


def test_labels_without_positives_leave_their_value_undefined():
    metric = metrics.AUROC(task="multilabel", num_labels=2)
    filled(metric, [[0, 0], [1, 0]], [[0.1, 0.2], [0.7, 0.3]])
    _, ax = metric.plot()
    assert {"label 0: 1.0000", "label 1: nan"} < set(lines(ax))


@pytest.mark.parametrize("normalize", [None, "true"])
def test_a_confusion_matrix_is_a_heat_map_with_its_numbers(normalize):
    metric = metrics.ConfusionMatrix(**OF_CLASSES, normalize=normalize)
    _, ax = filled(metric, CLASSES, CLASS_SCORES).plot(class_names=NAMES)
    matrix = confusion_matrix(CLASSES, CLASS_SCORES.argmax(1), normalize=normalize)
    np.testing.assert_allclose(ax.images[0].get_array(), matrix, rtol=1e-6)
    written = "{:.2f}" if normalize else "{:.0f}"
    assert texts(ax) == [written.format(number) for number in matrix.ravel()]
    for ticks in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == NAMES
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "label")


def test_a_confusion_matrix_of_labels_is_a_picture_each():
    metric = metrics.ConfusionMatrix(task="multilabel", num_labels=2)
    filled(metric, [[0, 1], [1, 1], [1, 0]], [[0.1, 0.9], [0.8, 0.2], [0.3, 0.1]])
    figure, axes = metric.plot(class_names=["sky", "sea"])
    for ax, name, matrix in zip(axes, ["sky", "sea"], metric.result(), strict=True):
        assert ax.get_title() == f"confusion_matrix of {name}"
        drawn = ax.images[0].get_array()
        np.testing.assert_allclose(drawn, keras.ops.convert_to_numpy(matrix))
    assert axes[0].figure is figure
    _, ax = metric.plot(column=1)
    assert ax.get_title() == "confusion_matrix of 1"
    with pytest.raises(ArgumentError, match="Pass column= beside it"):
        metric.plot(axes[0])


def test_counts_are_a_table():
    metric = metrics.StatScores(**OF_CLASSES, average=None, classes=[2, 0])
    filled(metric, CLASSES, CLASS_SCORES)
    _, ax = metric.plot(class_names=NAMES)
    counts = keras.ops.convert_to_numpy(metric.result())
    np.testing.assert_allclose(ax.images[0].get_array(), counts)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["elephant", "cat"]
    _, ax = filled(metrics.StatScores()).plot()
    assert ax.images[0].get_array().shape == (1, 5)


def test_calibration_is_a_reliability_diagram_with_the_share_of_samples():
    # No score between the last bin's lower edge and 1, so that one bin is empty.
    scores = SCORES * np.float32(0.85)
    _, ax = filled(metrics.CalibrationError(n_bins=10), y_pred=scores).plot()
    hits, confidence = calibration_curve(LABELS, scores, n_bins=10)
    drawn = np.stack([confidence, hits], 1)
    np.testing.assert_allclose(line(ax, "share of positives"), drawn, rtol=1e-5)
    share = np.histogram(scores, 10, (0, 1))[0] / 200
    np.testing.assert_allclose(heights(ax), share, rtol=1e-6)
    assert share[-1] == 0.0


def test_calibration_of_classes_compares_confidence_with_accuracy():
    metric = metrics.CalibrationError(**OF_CLASSES, n_bins=5)
    _, ax = filled(metric, CLASSES, CLASS_SCORES).plot(class_names=NAMES)
    hit = CLASS_SCORES.argmax(1) == CLASSES
    hits, confidence = calibration_curve(hit, CLASS_SCORES.max(1), n_bins=5)
    drawn = np.stack([confidence, hits], 1)
    np.testing.assert_allclose(line(ax, "accuracy"), drawn, rtol=1e-5)
    assert ax.get_xlabel() == "confidence"


def test_an_array_is_a_bar_a_class():
    metric = metrics.F1Score(**OF_CLASSES, average=None)
    _, ax = filled(metric, CLASSES, CLASS_SCORES).plot(class_names=NAMES)
    each = f1_score(CLASSES, CLASS_SCORES.argmax(1), average=None)
    np.testing.assert_allclose(heights(ax), each, rtol=1e-6)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == NAMES
    _, ax = metric.plot(class_names=NAMES, column=1)
    np.testing.assert_allclose(heights(ax), each[1:2], rtol=1e-6)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["dog"]


def test_a_class_without_a_value_says_so():
    metric = metrics.Recall(**OF_CLASSES, average=None, zero_division=float("nan"))
    _, ax = filled(metric, [0, 1], [0, 1]).plot()
    assert texts(ax) == ["1", "1", "undefined"]
    assert ax.get_xlim()[1] > 2.0  # There is room for it.


@pytest.mark.parametrize(
    ("metric", "ends"),
    [
        (metrics.F1Score(), [0.0, 1.0]),
        (metrics.MatthewsCorrelation(), [-1.0, 1.0]),
        (metrics.MeanSquaredError(), [0.0]),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_one_number_is_a_point_in_its_range(metric, ends):
    filled(metric, LABELS.astype("float32"))
    _, ax = metric.plot(class_names=NAMES)
    np.testing.assert_allclose(line(ax, metric.name), [[0, float(metric.result())]])
    ranges = [one.get_ydata()[0] for one in ax.get_lines()[1:]]
    assert ranges == ends


# Binary tasks are drawn above: a figure takes time.
@pytest.mark.parametrize(
    "entry", [each for each in ENTRIES.values() if each.kind != "binary"], ids=str
)
@unusable  # Numbers below -1 have no logarithmic error.
def test_every_metric_draws_with_data_and_before_any(entry):
    metric = entry.make()
    _, before = metric.plot()
    metric.update_state(*datasets(entry.kind)["plain"])
    figure, after = metric.plot()
    figure.draw_without_rendering()
    for ax in (*np.ravel(before), *np.ravel(after)):
        assert ax.get_title().startswith(metric.name)


def test_labels_that_are_unknown_bring_a_warning_and_leave_no_number():
    metric = filled(metrics.ConfusionMatrix(), np.array([0, 7]), SCORES[:2])
    with pytest.raises(UnusableValuesWarning, match="confusion_matrix"):
        metric.plot()
    _, ax = metric.plot()  # Said once.
    assert texts(ax) == ["nan"] * 4


def test_plain_values_and_views_are_drawn_too():
    mean = metrics.Mean(name="speed")
    mean.update_state([1.0, 2.0])
    _, ax = mean.plot()
    assert ax.get_title() == "speed 1.5000"
    owner, view = metrics.group(metrics.AUROC(), metrics.PrecisionAtRecall(0.5))
    for each in (owner, view):
        filled(each)
    _, ax = view.plot()
    assert ax.get_title().startswith(f"precision_at_recall {float(view.result()):.4f}")


def test_given_axes_are_drawn_on():
    figure, (left, right) = plt.subplots(1, 2)
    assert filled(metrics.AUROC()).plot(left) == (figure, left)
    assert filled(metrics.Precision()).plot(ax=right) == (figure, right)
    assert len(plt.get_fignums()) == 1


@pytest.mark.parametrize(
    ("metric", "arguments", "message"),
    [
        (metrics.F1Score(), {"column": 0}, "f1_score is one number"),
        (metrics.ConfusionMatrix(), {"column": 0}, "has one matrix"),
        (metrics.CalibrationError(), {"column": 0}, "is one number"),
        (metrics.AUROC(), {"column": 3}, "column= wants one of the classes"),
        (metrics.AUROC(), {"class_names": ["ill"]}, "a list of 2 names"),
        (metrics.ConfusionMatrix(), {"class_names": "ab"}, "a list of 2 names"),
        (
            metrics.AUROC(**OF_CLASSES, average="micro"),
            {"column": 0},
            "ranks all scores together",
        ),
    ],
)
def test_what_does_not_fit_is_an_error(metric, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        metric.plot(**arguments)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingPackageError, match=r'pip install "multiback\[plot\]"'):
        filled(metrics.F1Score()).plot()


def test_many_classes_are_drawn_without_a_legend_and_numbers():
    names = [str(one) for one in range(40)]
    curve = np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([1.0, 0.0])
    _, ax = plots.roc(dict.fromkeys(names, curve))
    assert ax.get_legend() is None
    assert texts(ax) == ["40 curves; column= draws one"]
    _, ax = plots.heat_map(np.eye(40), names, names)
    assert not texts(ax)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == names[::2]


def test_scores_by_class_are_histograms_that_add_up_to_one():
    scores = np.append(SCORES, np.nan)
    labels = np.append(LABELS, 0)
    _, ax = plots.scores_by_class(
        labels, scores, 0.4, bins=10, class_names=["healthy", "ill"]
    )
    for number, container in enumerate(ax.containers):
        mine = SCORES[number == LABELS].astype("float64")
        ends = (float(SCORES.min()), float(SCORES.max()))
        counts = np.histogram(mine, 10, ends)[0] / mine.size
        np.testing.assert_allclose([bar.get_height() for bar in container], counts)
    assert line(ax, "threshold 0.4")[0, 0] == pytest.approx(0.4)
    assert ax.get_legend_handles_labels()[1][:2] == ["healthy", "ill"]
    assert ax.get_title() == "1 not finite, left out"


def test_regression_is_a_scatter_with_the_line_of_equal_numbers():
    targets, predictions = [[1.0], [2.0], [np.inf]], [[1.5], [0.5], [2.0]]
    _, ax = plots.regression(targets, predictions)
    drawn = ax.collections[0].get_offsets()
    np.testing.assert_allclose(drawn, [[1.0, 1.5], [2.0, 0.5]])
    np.testing.assert_allclose(line(ax, "prediction = target"), [[0.5] * 2, [2.0] * 2])
    assert ax.get_title() == "1 not finite, left out"


@pytest.mark.parametrize("draw", [plots.scores_by_class, plots.regression])
def test_pairs_that_do_not_fit_are_an_error(draw):
    with pytest.raises(ArgumentError, match="wants the shape of y_true"):
        draw([0, 1], [[0.1], [0.2]])
    with pytest.raises(ArgumentError, match="at least one finite pair"):
        draw([0.0], [np.nan])


def test_each_class_has_a_name():
    with pytest.raises(ArgumentError, match="from 0 to 2, not 2 names"):
        plots.scores_by_class([0, 2], [0.1, 0.2], class_names=["a", "b"])


@pytest.mark.skipif(BACKEND != "torch", reason="torchmetrics takes torch tensors")
def test_a_metric_made_for_torchmetrics_draws_its_own_picture():
    torch, torchmetrics = (pytest.importorskip(n) for n in ("torch", "torchmetrics"))
    from multiback.adapters.torchmetrics import as_torchmetric

    metric = as_torchmetric(metrics.AUROC())
    metric.update(torch.tensor(SCORES), torch.tensor(LABELS))
    _, ax = metric.plot()
    fpr, tpr, _ = roc_curve(LABELS, SCORES, drop_intermediate=False)
    np.testing.assert_allclose(line(ax, "class 1"), np.stack([fpr, tpr], 1), atol=1e-7)
    collection = torchmetrics.MetricCollection({"auroc": metric})
    _, ax = collection.plot([collection.compute()])[0]
    assert line(ax, "")[0, 1] == pytest.approx(roc_auc_score(LABELS, SCORES), abs=1e-3)
