"""Every metric of the three libraries is translated, or not, for a reason.

Equivalents give one number on real data.
"""

import inspect
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
import torchmetrics
import torchmetrics.retrieval
import torchmetrics.segmentation
from support import catalogue
from support import torchmetrics_classes as classes
from support.translated import value

import multiback.metrics as ours
from multiback.adapters.torchmetrics import equivalents

pytestmark = [
    pytest.mark.skipif(
        keras.backend.backend() != "torch",
        reason="names and arguments are no backend's; JAX compiles every shape",
    ),
    # torchmetrics' warnings of memory, and of a class without predictions.
    pytest.mark.filterwarnings("ignore::UserWarning:torchmetrics.*"),
    pytest.mark.filterwarnings("ignore:.*may be off by"),
]

LIBRARIES = ("keras", "multiback", "torchmetrics")
SIZES = {"multiclass": {"num_classes": 10}, "multilabel": {"num_labels": 5}}
AVERAGES = ("micro", "macro", "weighted", None)
SUMS = ("micro", None)
AGGREGATES = ("MaxMetric", "MeanMetric", "MinMetric", "SumMetric")
COUNTS = {"multiclass": 10, "multilabel": 5}
EXTREMES = ("MaxMetric", "MinMetric")  # Keras does not have these.
NEEDED_BY_KERAS = {
    "IoU": {"num_classes": 10, "target_class_ids": list(range(10))},
    "MeanIoU": {"num_classes": 10},
    "MeanMetricWrapper": {"fn": keras.metrics.mean_squared_error},
    "OneHotIoU": {"num_classes": 10, "target_class_ids": list(range(10))},
    "OneHotMeanIoU": {"num_classes": 10},
    "PrecisionAtRecall": {"recall": 0.8},
    "RecallAtPrecision": {"precision": 0.6},
    "SensitivityAtSpecificity": {"specificity": 0.9},
    "SpecificityAtSensitivity": {"sensitivity": 0.9},
}
# What Keras's classes are fed; binary scores where nothing is said.
FORMS_OF_KERAS = {
    "multiclass": (
        "Accuracy",
        "CategoricalAccuracy",
        "CategoricalCrossentropy",
        "F1Score",
        "FBetaScore",
        "IoU",
        "MeanIoU",
        "OneHotIoU",
        "OneHotMeanIoU",
        "SparseCategoricalAccuracy",
        "SparseCategoricalCrossentropy",
        "SparseTopKCategoricalAccuracy",
        "TopKCategoricalAccuracy",
    ),
    "numbers": ("Mean", "Sum"),
    "distributions": ("CosineSimilarity", "KLDivergence"),
    "regression": (
        "LogCoshError",
        "MeanAbsoluteError",
        "MeanMetricWrapper",
        "MeanSquaredError",
        "MeanSquaredLogarithmicError",
        "R2Score",
        "RootMeanSquaredError",
    ),
}


@pytest.fixture(scope="module")
def data(real):
    """Real labels and scores in each form; the regression predicts real scores."""
    (_, binary), (ids, rows), (labels, scores) = real.values()
    truth = (0.8 * binary + 0.1 + 0.1 * real["binary"][0]).astype("float32")
    cut = 1790
    return {
        **real,
        "numbers": (binary, binary),
        "queries": (labels, scores),
        "images": tuple(
            rows[:1728].reshape(3, 24, 24, 10)[..., at : at + 1] for at in (0, 1)
        ),
        "regression": (truth, binary),
        "distributions": (np.roll(rows, 1, 0), rows),
        "multiclass-rows": (ids[:cut].reshape(-1, 10), rows[:cut].reshape(-1, 10, 10)),
        "multilabel-rows": (
            labels[:cut].reshape(-1, 10, 5),
            scores[:cut].reshape(-1, 10, 5),
        ),
        "binary-rows": tuple(each[:560].reshape(-1, 10) for each in real["binary"]),
    }


def finer(metric):
    """Make a metric of Keras's that counts at thresholds again, with many more."""
    config = metric.get_config()
    if "num_thresholds" not in config:
        return metric
    config.pop("thresholds", None)
    return type(metric).from_config({**config, "num_thresholds": 20_001})


def agree(found, form, data):
    """Compare the values of all equivalents, and return how many there were."""
    libraries = {name: getattr(found, name) for name in LIBRARIES}
    if found.keras is not None:
        libraries["keras"] = finer(found.keras)
    values = {
        name: value(metric, form, *data[form])
        for name, metric in libraries.items()
        if metric is not None
    }
    exact = values.get("torchmetrics", values.get("multiback", values.get("keras")))
    counted = "over n - 1" in found.reasons.get("torchmetrics", "")
    for name, each in values.items():
        reason = found.reasons.get(name, "")
        if "bounds()" in reason:
            low, high = (np.asarray(b) for b in libraries[name].bounds())
            assert np.all(low - 1e-6 <= exact), name
            assert np.all(exact <= high + 1e-6), name
            continue
        # One sample more or less between two thresholds; n - 1 for n.
        loose = 4e-3 if "thresholds" in reason or counted else 1e-6
        np.testing.assert_allclose(
            np.ravel(each), np.ravel(exact), rtol=1e-5, atol=loose, err_msg=name
        )
    return len(values)


def explained(found):
    """Assert that what is missing has a reason that says something."""
    for name in LIBRARIES:
        if getattr(found, name) is None:
            assert "nothing is known" not in found.reasons[name], found
            assert len(found.reasons[name]) > 15, found


def spec_from_multiback():
    for entry in catalogue.ENTRIES.values():
        task = entry.kind.partition("-")[0]
        arguments = {**entry.arguments, **SIZES.get(task, {})}
        if entry.name == "TopKAccuracy":
            arguments = {"num_classes": 10, "top_k": 2}
        cls = getattr(ours, entry.name)
        averages = ["-"]
        if "average" in inspect.signature(cls).parameters and task != "binary":
            averages = SUMS if entry.name == "StatScores" else AVERAGES
            if entry.name.startswith("Samplewise"):
                averages = [each for each in AVERAGES if each != "weighted"]
        for average in averages:
            if average == "-":
                yield entry.name, entry.kind, arguments
            else:
                yield entry.name, entry.kind, {**arguments, "average": average}


@pytest.mark.parametrize(
    ("name", "form", "arguments"),
    [
        pytest.param(*case, id=f"{case[0]}-{case[1]}-{case[2].get('average', '')}")
        for case in spec_from_multiback()
    ],
)
def test_a_metric_of_multiback_is_translated_or_says_why_not(
    data, name, form, arguments
):
    metric = getattr(ours, name)(**arguments)
    found = equivalents(metric)
    assert found.multiback is metric
    explained(found)
    agree(found, form, data)


def spec_from_keras():
    for name, cls in inspect.getmembers(keras.metrics, inspect.isclass):
        if name == "Metric":
            continue
        form = next((f for f, n in FORMS_OF_KERAS.items() if name in n), "binary")
        yield pytest.param(cls, NEEDED_BY_KERAS.get(name, {}), form, id=name)


@pytest.mark.parametrize(("cls", "arguments", "form"), [*spec_from_keras()])
def test_a_metric_of_keras_is_translated_or_says_why_not(data, cls, arguments, form):
    metric = cls(**arguments)
    found = equivalents(metric, num_classes=COUNTS.get(form))
    assert found.keras is metric
    explained(found)
    agree(found, form, data)


def of_torchmetrics():
    for name in (*classes.CLASSIFICATION, *torchmetrics.regression.__all__):
        if name not in classes.REFUSED:
            yield pytest.param(name, id=name)


FORMS = {"distributions": "distributions", "numbers": "regression"}


@pytest.mark.parametrize("name", [*of_torchmetrics()])
def test_a_metric_of_torchmetrics_is_translated_or_says_why_not(data, name):
    metric = classes.make(name, num_classes=10, num_labels=5)
    form = classes.group_of(name)
    form = FORMS.get(form, form)
    if name == "MulticlassExactMatch":
        form = "multiclass-rows"
    found = equivalents(metric)
    assert found.torchmetrics is metric
    explained(found)
    if found.keras or found.multiback:
        agree(found, form, data)


def test_the_count_of_equivalents_is_printed_with_a_reason_for_each_of_the_rest():
    path = Path(__file__).parents[2] / "docs" / "equivalents.py"
    script = runpy.run_path(str(path))
    found = script["tables"]()
    have = {
        package: sum(not reason for reason in reasons.values())
        for package, reasons in found.items()
    }
    assert have["torchmetrics.classification"] >= 63
    assert have["torchmetrics.regression"] >= 16
    assert have["torchmetrics.retrieval"] >= 6
    assert have["keras.metrics"] >= 30
    text = script["report"](found)
    assert "torchmetrics.retrieval: 6 of 11 have an equivalent\n" in text
    assert "nothing is known" not in text


RETRIEVAL = ("HitRate", "MAP", "MRR", "NormalizedDCG", "Precision", "Recall")


@pytest.mark.parametrize("name", torchmetrics.retrieval.__all__)
def test_a_metric_of_queries_is_translated_or_says_why_not(data, name):
    cls = getattr(torchmetrics.retrieval, name)
    top_k = "top_k" in inspect.signature(cls).parameters and name != "RetrievalMAP"
    found = equivalents(cls(**({"top_k": 3} if top_k else {})))
    explained(found)
    if name.removeprefix("Retrieval") in RETRIEVAL:
        assert agree(found, "queries", data) == 2
    else:
        assert found.multiback is None


@pytest.mark.parametrize("name", AGGREGATES)
def test_an_aggregate_of_torchmetrics_is_translated(data, name):
    found = equivalents(getattr(torchmetrics, name)())
    explained(found)
    assert agree(found, "numbers", data) == (2 if name in EXTREMES else 3)


@pytest.mark.parametrize(
    "metric",
    [
        torchmetrics.CatMetric,
        torchmetrics.RunningMean,
        torchmetrics.RunningSum,
        lambda: torchmetrics.classification.BinaryFairness(2),
        lambda: torchmetrics.classification.BinaryGroupStatRates(2),
        torchmetrics.text.Perplexity,
    ],
)
def test_what_only_torchmetrics_has_says_so(metric):
    found = equivalents(metric())
    assert found.keras is found.multiback is None
    explained(found)
