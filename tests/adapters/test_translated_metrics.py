"""A metric of one library as the same metric of the others."""

import sys

import keras
import numpy as np
import pytest
import torch
import torchmetrics.classification as tc
import torchmetrics.regression as tr

import multiback.metrics as ours
from multiback.adapters.torchmetrics import equivalents
from multiback.errors import ArgumentError, MissingPackageError

K = keras.metrics
SIZES = {"binary": None, "multiclass": 10, "multilabel": 5, "numbers": None}

# The data, the metric, and the libraries that have none.
SAME = [
    ("binary", lambda: ours.Accuracy(threshold=0.3), ""),
    ("binary", ours.F1Score, ""),
    ("binary", lambda: ours.Recall(threshold=0.3), ""),
    ("binary", ours.Specificity, "keras"),
    ("binary", ours.MatthewsCorrelation, "keras"),
    ("binary", ours.AUROC, ""),
    ("binary", ours.AveragePrecision, ""),
    ("multiclass", lambda: ours.Accuracy("multiclass", num_classes=10), ""),
    (
        "multiclass",
        lambda: ours.Accuracy("multiclass", num_classes=10, average="macro"),
        "keras",
    ),
    ("multiclass", lambda: ours.F1Score("multiclass", num_classes=10), ""),
    ("multiclass", lambda: ours.CohenKappa("multiclass", num_classes=10), "keras"),
    ("multiclass", lambda: ours.AUROC("multiclass", num_classes=10), "keras"),
    ("multilabel", lambda: ours.F1Score("multilabel", num_labels=5), ""),
    ("multilabel", lambda: ours.HammingDistance("multilabel", num_labels=5), "keras"),
    ("binary", lambda: tc.BinaryPrecision(threshold=0.3), ""),
    ("binary", tc.BinaryAUROC, ""),
    ("multiclass", lambda: tc.MulticlassF1Score(10, average="none"), ""),
    ("multiclass", lambda: tc.MulticlassJaccardIndex(10), "keras"),
    ("multiclass", lambda: tc.MulticlassMatthewsCorrCoef(10), "keras"),
    ("multilabel", lambda: tc.MultilabelRecall(5, average="micro"), "keras"),
    ("binary", lambda: K.BinaryAccuracy(threshold=0.3), ""),
    ("binary", lambda: K.Precision(thresholds=[0.3]), ""),
    ("binary", K.AUC, ""),
    ("binary", lambda: K.AUC(curve="PR"), ""),
    ("multiclass", K.SparseCategoricalAccuracy, ""),
    ("multiclass", lambda: K.F1Score(average="weighted"), ""),
    ("multilabel", lambda: K.F1Score(average="macro", threshold=0.5), ""),
    ("numbers", K.MeanSquaredError, ""),
    ("numbers", K.RootMeanSquaredError, ""),
    ("numbers", ours.R2Score, ""),
    ("numbers", ours.ExplainedVariance, "keras"),
    ("numbers", tr.PearsonCorrCoef, ""),
    ("numbers", tr.ConcordanceCorrCoef, ""),
    ("numbers", lambda: tr.MeanSquaredError(squared=False), ""),
]


def value(metric, y_true, y_pred):
    """Give a metric everything at once, in the form that its library wants."""
    if isinstance(metric, torch.nn.Module):
        metric.update(torch.tensor(y_pred), torch.tensor(y_true))
        return metric.compute().numpy()
    if y_pred.ndim == 1:
        y_true, y_pred = y_true[:, None], y_pred[:, None]
    elif isinstance(metric, K.F1Score) and y_true.ndim == 1:
        y_true = np.eye(y_pred.shape[1], dtype="float32")[y_true]
    # Its Pearson and concordance are of each row otherwise.
    if type(metric) in (K.PearsonCorrelation, K.ConcordanceCorrelation):
        y_true, y_pred = y_true.T, y_pred.T
    metric.update_state(y_true, y_pred)
    return keras.ops.convert_to_numpy(metric.result())


@pytest.fixture(scope="session")
def data(real):
    rng = np.random.default_rng(5)
    scores = rng.normal(size=200).astype("float32")
    noise = rng.normal(size=200).astype("float32")
    return {**real, "numbers": (2 * scores + noise, scores)}


@pytest.mark.parametrize(
    ("form", "make", "missing"),
    SAME,
    ids=[f"{form}-{type(make()).__name__}" for form, make, _ in SAME],
)
def test_the_three_give_one_number(data, form, make, missing):
    metric = make()
    found = equivalents(metric, num_classes=SIZES[form])
    libraries = {n: getattr(found, n) for n in ("keras", "multiback", "torchmetrics")}
    assert any(each is metric for each in libraries.values())
    assert {name for name, each in libraries.items() if each is None} == {
        *missing.split()
    }
    assert all(name in found.reasons for name in missing.split())
    # torchmetrics uses every score; our bins part most of them, Keras's few.
    loose = {"keras": 1e-2, "multiback": 2e-3}
    exact = value(libraries["torchmetrics"], *data[form])
    for name in ("keras", "multiback"):
        if libraries[name] is not None:
            np.testing.assert_allclose(
                value(libraries[name], *data[form]),
                exact,
                rtol=1e-5,
                atol=loose[name] if name in found.reasons else 1e-6,
                err_msg=name,
            )


@pytest.mark.parametrize(
    ("metric", "library", "reason"),
    [
        (K.SparseCategoricalAccuracy(), "torchmetrics", "say num_classes="),
        (K.Precision(top_k=2), "multiback", "top_k or class_id"),
        (K.Recall(thresholds=[0.2, 0.4]), "multiback", "several thresholds"),
        (K.Hinge(), "torchmetrics", "nothing is known to be Hinge"),
        (K.AUC(multi_label=True), "multiback", "nothing is known to be AUC"),
        (ours.F1Score(from_logits=True), "torchmetrics", "guesses for each batch"),
        (ours.F1Score(ignore_index=-1), "keras", "ignores no label"),
        (ours.F1Score(zero_division=1.0), "keras", "F1Score with zero_division"),
        (ours.BrierScore(), "keras", "nothing is known to be BrierScore"),
        (tc.BinaryAUROC(thresholds=9), "keras", "the bins"),
        (tc.MulticlassAccuracy(9, top_k=2), "keras", "top_k or weights"),
        (tc.BinaryRecall(multidim_average="samplewise"), "keras", "of each sample"),
        (tr.R2Score(adjusted=3), "keras", "or adjusted"),
    ],
)
def test_what_has_no_equivalent_says_why(metric, library, reason):
    found = equivalents(metric)
    assert getattr(found, library) is None
    assert reason in found.reasons[library]


def test_a_threshold_of_logits_is_keras_at_zero(data):
    y_true, y_pred = data["binary"]
    found = equivalents(ours.F1Score(from_logits=True))
    logits = np.log(y_pred / (1 - y_pred))
    assert found.keras is None  # It refuses a threshold of 0.
    accuracy = equivalents(ours.Accuracy(from_logits=True)).keras
    right = np.mean((y_pred > 0.5) == y_true)
    assert value(accuracy, y_true, logits) == pytest.approx(right)


def test_what_is_no_metric_and_a_missing_library_are_errors(monkeypatch):
    with pytest.raises(ArgumentError, match="metric of keras, multiback, torchmetrics"):
        equivalents("auc")
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(MissingPackageError, match="equivalents needs torchmetrics"):
        equivalents(ours.AUROC())
