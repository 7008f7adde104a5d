"""`equivalents` gives one number, or says what differs: ignored classes, outputs.

And `crosscheck` asks the float64 number first.
"""

import keras
import numpy as np
import pytest
import torch
import torchmetrics.classification as tc
import torchmetrics.regression as tr
from sklearn.metrics import f1_score
from support.crosschecked import SIZES, only
from support.wrong_metrics import halved
from torchmetrics import segmentation

import multiback as mb
from multiback.adapters.torchmetrics import as_keras, equivalents
from multiback.errors import ArgumentError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torchmetrics.*")

AVERAGED = (
    "Accuracy",
    "AUROC",
    "AveragePrecision",
    "F1Score",
    "HammingDistance",
    "JaccardIndex",
    "Precision",
    "Recall",
    "Specificity",
)


def numbers(metric, y_true, y_pred):
    if isinstance(metric, torch.nn.Module):
        metric.update(torch.tensor(y_pred), torch.tensor(y_true))
        return metric.compute().numpy()
    metric.update_state(y_true, y_pred)
    return keras.ops.convert_to_numpy(metric.result())


@pytest.mark.parametrize("classes", [3, 5])
@pytest.mark.parametrize("average", ["micro", "macro", "weighted", "none"])
@pytest.mark.parametrize("name", AVERAGED)
def test_an_ignored_class_is_translated_to_the_same_number_or_not_at_all(
    rng, name, average, classes
):
    y = rng.integers(0, classes, 200)
    p = rng.random((200, classes)).astype("float32")
    p[np.arange(200), y] += 0.3
    p /= p.sum(axis=1, keepdims=True)
    if name in ("AUROC", "AveragePrecision") and average == "micro":
        pytest.skip("torchmetrics has no such average")
    cls = getattr(tc, f"Multiclass{name}")
    for ignored in (0, classes - 1):
        theirs = cls(num_classes=classes, average=average, ignore_index=ignored)
        found = equivalents(theirs)
        if found.multiback is None:
            assert "ignored class" in found.reasons["multiback"]
            continue
        loose = 5e-3 if name in ("AUROC", "AveragePrecision") else 1e-5
        given = numbers(theirs, y, p)
        ours = numbers(found.multiback, y, p)
        np.testing.assert_allclose(ours, given, atol=loose)


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("cls", [tr.PearsonCorrCoef, tr.ConcordanceCorrCoef])
def test_several_outputs_stay_several_numbers(rng, cls, outputs):
    shape = (50, outputs) if outputs > 1 else (50,)
    y = rng.normal(size=shape).astype("float32")
    p = (y + rng.normal(size=shape)).astype("float32")
    theirs = cls(num_outputs=outputs)
    found = equivalents(theirs)
    given, ours = numbers(theirs, y, p), numbers(found.multiback, y, p)
    assert ours.size == outputs
    loose = 2e-2 if cls is tr.ConcordanceCorrCoef else 1e-4
    np.testing.assert_allclose(np.ravel(ours), np.ravel(given), atol=loose)


def test_keras_counts_an_absent_class_in_its_macro_f1_and_that_is_said():
    y, p = np.array([0, 0, 1, 1, 1]), np.eye(3, dtype="float32")[[0, 1, 1, 1, 0]]
    for kind in (mb.metrics.F1Score, mb.metrics.Dice, mb.metrics.FBetaScore):
        ours = kind("multiclass", num_classes=3, average="macro")
        found = equivalents(ours)
        assert "does not occur as 0" in found.reasons["keras"]
        assert numbers(ours, y, p) == pytest.approx(
            f1_score(y, p.argmax(1), average="macro"), rel=1e-5
        )
        keras_says = numbers(found.keras, np.eye(3, dtype="float32")[y], p)
        assert keras_says == pytest.approx(numbers(ours, y, p) * 2 / 3, rel=1e-4)
    micro = mb.metrics.F1Score("multiclass", num_classes=3, average="micro")
    assert "does not occur" not in equivalents(micro).reasons["keras"]


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
@pytest.mark.parametrize("ones", [1, 60])
def test_a_confidence_of_one_does_not_make_a_right_number_wrong(norm, ones):
    p = np.r_[np.full(60, 0.95), np.ones(ones), np.full(60, 0.05)].astype("float32")
    y = np.r_[np.ones(60), np.zeros(ones), np.zeros(60)]
    metric = mb.metrics.CalibrationError(norm=norm)
    row = only(metric, (y, p))
    assert row.verdict in {"agrees", "differs by convention"}, row
    assert row.value == pytest.approx(row.sklearn, rel=1e-5)
    hosted = as_keras(tc.BinaryCalibrationError(norm=norm))
    row = only(hosted, (y, p))
    assert row.verdict in {"agrees", "differs by convention"}, row


def test_a_number_that_float64_contradicts_is_wrong_whatever_agrees():
    p = np.r_[np.full(60, 0.95), np.ones(60)].astype("float32")
    y = np.r_[np.ones(60), np.ones(54), np.zeros(6)]
    row = only(halved(mb.metrics.CalibrationError)(), (y, p))
    assert row.verdict == "wrong"


def test_a_second_opinion_that_differs_is_shown_and_does_not_decide(monkeypatch):
    y, p = np.array([0, 1, 1, 1]), np.array([0.2, 0.9, 0.4, 0.8], "float32")
    monkeypatch.setattr(tc.BinaryRecall, "compute", lambda _: torch.tensor(0.25))
    row = only(mb.metrics.Recall(), (y, p))
    assert row.verdict == "agrees"
    assert "torchmetrics alone gives 0.25" in row.reason
    assert row.difference < 1e-6


CHOOSING = ("Precision", "Recall", "F1Score", "JaccardIndex", "Specificity", "Dice")


@pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
@pytest.mark.parametrize("chosen", [[1, 2], [3, 0], 2])
@pytest.mark.parametrize("name", CHOOSING)
def test_crosscheck_chooses_the_same_classes(real, name, chosen, average):
    cls = getattr(mb.metrics, name)
    metric = cls("multiclass", num_classes=10, average=average, classes=chosen)
    row = only(metric, real["multiclass"])
    assert row.verdict == "agrees", row
    assert row.sklearn is not None
    several = cls("multiclass", num_classes=10, average=average, ignore_index=[-1, -2])
    y, p = real["multiclass"]
    y = y.copy()
    y[::7], y[::9] = -1, -2
    row = only(several, (y, p))
    assert row.verdict == "agrees", row


@pytest.mark.filterwarnings("ignore:.*may be off by")
@pytest.mark.parametrize("average", ["macro", "weighted", None])
@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
@pytest.mark.parametrize("name", ["AUROC", "AveragePrecision", "Recall"])
def test_crosscheck_chooses_the_same_scores(real, name, task, average):
    cls = getattr(mb.metrics, name)
    metric = cls(task, average=average, classes=[4, 1], **SIZES[task])
    row = only(metric, real[task])
    assert row.verdict == "agrees", row


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")
@pytest.mark.parametrize("chosen", [[1, 2], [0, 3], [2]])
def test_chosen_classes_of_an_overlap_are_translated_both_ways(real, chosen):
    y, p = real["multiclass"]
    ours = mb.metrics.JaccardIndex("multiclass", num_classes=10, classes=chosen)
    found = equivalents(ours)
    assert "chooses no classes" in found.reasons["torchmetrics"]
    right = numbers(ours, y, p)
    assert numbers(found.keras, y, p) == pytest.approx(right, rel=1e-5)
    back = equivalents(keras.metrics.IoU(10, chosen, sparse_y_pred=False)).multiback
    assert numbers(back, y, p) == pytest.approx(right, rel=1e-5)
    y, p = real["binary"]
    both = keras.metrics.BinaryIoU([0, 1])
    found = equivalents(both).multiback
    ours = numbers(found, y[:, None], p[:, None])
    assert ours == pytest.approx(numbers(both, y[:, None], p[:, None]), rel=1e-5)


@pytest.mark.filterwarnings("ignore:.*may be off by")
@pytest.mark.parametrize("chosen", [[4, 1], 2], ids=str)
@pytest.mark.parametrize("average", ["micro", "macro", "weighted", None])
@pytest.mark.parametrize(
    "of",
    [
        ("StatScores", "multiclass"),
        ("StatScores", "multilabel"),
        ("TopKAccuracy", "multiclass"),
        ("SamplewiseDice", "multiclass"),
        ("SamplewiseJaccardIndex", "multilabel"),
        ("PrecisionAtRecall", "multiclass"),
        ("SensitivityAtSpecificity", "multilabel"),
    ],
)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_crosscheck_chooses_classes_of_the_other_metrics(
    real, of, average, chosen, weighted
):
    name, task = of
    cls = getattr(mb.metrics, name)
    more = {"top_k": 2} if name == "TopKAccuracy" else {"task": task}
    more |= {"PrecisionAtRecall": {"recall": 0.5}}.get(name, {})
    more |= {"SensitivityAtSpecificity": {"specificity": 0.5}}.get(name, {})
    try:
        metric = cls(**more, **SIZES[task], average=average, classes=chosen)
    except ArgumentError:
        assert average in ("macro", "weighted", "micro")  # It has no such average.
        return
    y, p = real[task]
    y, p = (x[:400].reshape(100, 4, *x.shape[1:]) for x in (y, p))
    if not name.startswith("Samplewise"):
        y, p = real[task]
    data = (y, p, np.linspace(0.1, 2, len(y)).astype("float32")) if weighted else (y, p)
    row = only(metric, data, batch_size=len(y))
    assert row.verdict == "agrees" or "ties" in row.reason, row
    assert row.sklearn is not None


@pytest.mark.parametrize("task", ["StatScores", "SamplewiseDice", "AUROC"])
def test_crosscheck_takes_both_classes_of_a_binary_task(real, task):
    y, p = real["binary"]
    if task == "SamplewiseDice":
        y, p = y[:560].reshape(-1, 8), p[:560].reshape(-1, 8)
    metric = getattr(mb.metrics, task)("binary", classes=[0, 1], average=None)
    row = only(metric, (y, p))
    assert row.verdict == "agrees", row


@pytest.mark.parametrize("name", ["Precision", "Recall"])
@pytest.mark.parametrize("threshold", [None, 0.2])
def test_keras_metrics_of_one_class_are_translated_both_ways(real, name, threshold):
    y, p = real["multiclass"]
    rows = np.eye(10, dtype="float32")[y]
    theirs = getattr(keras.metrics, name)(thresholds=threshold, class_id=3)
    found = equivalents(theirs, num_classes=10)
    right = numbers(theirs, rows, p)
    assert numbers(found.multiback, rows, p) == pytest.approx(right, rel=1e-6)
    assert found.multiback.get_config()["classes"] == 3
    back = equivalents(found.multiback).keras
    assert numbers(back, rows, p) == pytest.approx(right, rel=1e-6)
    assert "num_classes" in equivalents(theirs).reasons["multiback"]


@pytest.mark.filterwarnings("ignore:DiceScore metric currently defaults")
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("average", ["micro", "macro", "none"])
@pytest.mark.parametrize("level", ["global", "samplewise", "each class"])
def test_segmentation_without_the_background_is_that_of_the_other_classes(
    level, average, background
):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, (12, 6, 5))
    p = np.where(rng.random(y.shape) < 0.6, y, rng.integers(0, 4, y.shape))
    more = {"include_background": background, "input_format": "index"}
    if level == "each class":
        theirs = segmentation.MeanIoU(4, per_class=True, **more)
    else:
        more |= {"average": average, "aggregation_level": level}
        theirs = segmentation.DiceScore(4, **more)
    ours = equivalents(theirs).multiback
    for rows in (slice(0, 5), slice(5, 12)):
        theirs.update(torch.tensor(p[rows]), torch.tensor(y[rows]))
        ours.update_state(y[rows], p[rows].astype("int32"))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(ours.result()), theirs.compute(), rtol=2e-6
    )
    assert (ours.get_config()["classes"] is None) == background
    reason = equivalents(segmentation.MeanIoU(4)).reasons["multiback"]
    assert "per_class=True" in reason
