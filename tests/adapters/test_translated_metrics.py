"""A metric of one library as the same metric of the others."""

import sys

import keras
import numpy as np
import pytest
import torchmetrics.classification as tc
import torchmetrics.regression as tr
from support.translated import value

import multiback.metrics as ours
from multiback.adapters.torchmetrics import as_keras, as_torchmetric, equivalents
from multiback.errors import ArgumentError, MissingPackageError

K = keras.metrics
SIZES = {"binary": None, "multiclass": 10, "multilabel": 5, "regression": None}

# The data, the metric, and the libraries without an equivalent. Defaults of Keras and
# torchmetrics are in test_translated_catalogue.py.
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
    ("multiclass", lambda: tc.MulticlassF1Score(10, average="none"), ""),
    ("multilabel", lambda: tc.MultilabelRecall(5, average="micro"), ""),
    ("binary", lambda: K.BinaryAccuracy(threshold=0.3), ""),
    ("binary", lambda: K.Precision(thresholds=[0.3]), ""),
    ("binary", lambda: K.AUC(curve="PR"), ""),
    ("multiclass", lambda: K.F1Score(average="weighted"), ""),
    ("multiclass", lambda: K.FBetaScore("macro", beta=2.0), ""),
    ("multiclass", lambda: K.SparseTopKCategoricalAccuracy(k=3), ""),
    ("multiclass", lambda: ours.Dice("multiclass", num_classes=10), ""),
    ("multiclass", lambda: tc.MulticlassAccuracy(10, top_k=2, average="micro"), ""),
    ("binary", lambda: K.BinaryIoU([1], threshold=0.3), ""),
    ("multilabel", lambda: K.AUC(multi_label=True, num_labels=5), ""),
    ("multilabel", lambda: K.F1Score(average="macro", threshold=0.5), ""),
    ("regression", ours.R2Score, ""),
    ("regression", ours.ExplainedVariance, "keras"),
    ("regression", lambda: tr.MeanSquaredError(squared=False), ""),
]


@pytest.fixture(scope="session")
def data(real):
    rng = np.random.default_rng(5)
    scores = rng.normal(size=200).astype("float32")
    noise = rng.normal(size=200).astype("float32")
    return {**real, "regression": (2 * scores + noise, scores)}


# Keras's confusion matrix asks JAX for integers that it does not have by default.
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64")
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
    exact = value(libraries["torchmetrics"], form, *data[form])
    for name in ("keras", "multiback"):
        if libraries[name] is not None:
            np.testing.assert_allclose(
                value(libraries[name], form, *data[form]),
                exact,
                rtol=1e-5,
                atol=loose[name] if name in found.reasons else 1e-6,
                err_msg=name,
            )


@pytest.mark.parametrize(
    ("metric", "library", "reason"),
    [
        (K.SparseCategoricalAccuracy(), "torchmetrics", "say num_classes="),
        (K.Precision(top_k=2), "multiback", "with top_k does"),
        (K.Recall(thresholds=[0.2, 0.4]), "multiback", "several thresholds"),
        (K.Hinge(), "torchmetrics", "sigmoid of scores outside"),
        (K.AUC(multi_label=True), "multiback", "say num_classes="),
        (K.AUC(curve="PRGAIN"), "multiback", "only Keras knows"),
        (K.MeanIoU(3, ignore_class=1), "multiback", "ignored class"),
        (K.BinaryCrossentropy(label_smoothing=0.1), "multiback", "label_smoothing"),
        (K.BinaryCrossentropy(), "torchmetrics", "no log loss"),
        (K.CategoricalCrossentropy(), "multiback", "say num_classes="),
        (ours.F1Score(from_logits=True), "torchmetrics", "guesses for each batch"),
        (ours.F1Score(ignore_index=-1), "keras", "ignores no label"),
        (ours.F1Score(zero_division=1.0), "keras", "F1Score with zero_division"),
        (ours.BrierScore(), "keras", "Keras has no BrierScore of binary"),
        (ours.AUROC(from_logits=True), "torchmetrics", "guesses for each batch"),
        (ours.Recall(zero_division=float("nan")), "torchmetrics", "not NaN"),
        (ours.Accuracy(zero_division=1.0), "torchmetrics", "no zero_division"),
        (tc.BinaryAUROC(thresholds=9), "keras", "the bins"),
        (tc.MulticlassRecall(9, top_k=2), "keras", "MulticlassRecall with top_k=2"),
        (tc.BinaryRecall(multidim_average="samplewise"), "keras", "multidim_average="),
        (tc.BinaryAUROC(max_fpr=0.5), "keras", "max_fpr=0.5"),
        (tr.MeanAbsoluteError(num_outputs=2), "keras", "these arguments"),
        (tr.CosineSimilarity(), "keras", 'reduction="mean"'),
        (tr.RelativeSquaredError(), "keras", "no RelativeSquaredError"),
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
    assert value(accuracy, "binary", y_true, logits) == pytest.approx(right)


def test_arguments_arrive_under_the_names_of_the_other_library():
    found = equivalents(tr.R2Score(adjusted=3, multioutput="raw_values"))
    assert found.multiback.get_config()["adjusted"] == 3
    assert found.keras.get_config()["num_regressors"] == 3
    assert found.keras.get_config()["class_aggregation"] is None
    found = equivalents(K.RecallAtPrecision(0.7))
    assert found.multiback.get_config()["precision"] == 0.7
    assert found.torchmetrics.min_precision == 0.7
    found = equivalents(ours.FBetaScore("multilabel", num_labels=3, beta=0.5))
    assert (found.torchmetrics.beta, found.torchmetrics.num_labels) == (0.5, 3)
    assert found.keras.get_config()["beta"] == 0.5


def test_what_is_hosted_grouped_or_a_function_stands_for_the_metric_inside():
    hosted = equivalents(as_keras(tc.BinaryRecall(threshold=0.3)))
    assert hosted.keras.get_config()["thresholds"] == 0.3
    assert isinstance(hosted.torchmetrics, tc.BinaryRecall)
    _, member = ours.group(ours.Precision(), ours.Recall())
    assert isinstance(equivalents(member).torchmetrics, tc.BinaryRecall)
    function = K.MeanMetricWrapper(K.mean_squared_error)
    assert isinstance(equivalents(function).multiback, ours.MeanSquaredError)
    own = K.MeanMetricWrapper(lambda y_true, y_pred: y_true - y_pred, name="gap")
    assert "function gap" in equivalents(own).reasons["multiback"]


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="as_torchmetric wants torch tensors"
)
def test_what_torchmetrics_hosts_stands_for_the_metric_inside():
    foreign = as_torchmetric(ours.Recall(threshold=0.2))
    assert equivalents(foreign).keras.get_config()["thresholds"] == 0.2


def test_anything_but_a_metric_and_a_missing_library_are_errors(monkeypatch):
    with pytest.raises(ArgumentError, match="metric of keras, multiback, torchmetrics"):
        equivalents("auc")
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(MissingPackageError, match="equivalents needs torchmetrics"):
        equivalents(ours.AUROC())
