"""Wrong metrics are found in compiled models, and wrong arguments are named."""

import sys

import keras
import numpy as np
import pytest
from keras import ops
from support.wrong_metrics import f1_by_hand

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck
from multiback.errors import (
    ArgumentError,
    MissingPackageError,
    MultibackError,
    WrongMetricError,
)


def squared_error(y_true, y_pred):
    """One value a sample, which Keras may average."""
    y_true = ops.reshape(ops.cast(y_true, y_pred.dtype), ops.shape(y_pred))
    return ops.square(y_true - y_pred)


class SwappedPrecision(keras.metrics.Precision):
    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(y_pred, ops.cast(y_true, "float32"), sample_weight)


class TwoNumbers(keras.metrics.Metric):
    """A result that Keras flattens into two log names."""

    def __init__(self, name="two"):
        super().__init__(name=name)
        self.error = keras.metrics.MeanSquaredError()

    def update_state(self, y_true, y_pred, sample_weight=None):  # noqa: ARG002 - Keras's signature
        self.error.update_state(y_true, y_pred)

    def result(self):
        return {"squared": self.error.result(), "root": ops.sqrt(self.error.result())}


@pytest.fixture(scope="module")
def model(breast_cancer):
    x, y = breast_cancer
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.layers.Input((30,)),
            keras.layers.Dense(4, "relu"),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(
        "adam",
        "binary_crossentropy",
        metrics=[
            "accuracy",
            "mse",
            f1_by_hand,
            squared_error,
            mb.metrics.F1Score(),
            keras.metrics.AUC(name="auc"),
            SwappedPrecision(name="swapped"),
            TwoNumbers(),
        ],
        weighted_metrics=["accuracy", mb.metrics.Recall()],
    )
    model.fit(x, y, epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def report(model, breast_cancer):
    x, y = breast_cancer
    weight = np.random.default_rng(3).random(len(y)).astype("float32")
    return crosscheck(model, (x, y, weight))


def test_every_compiled_metric_is_named_as_keras_logs_it(model, report, breast_cancer):
    x, y = breast_cancer
    weight = np.random.default_rng(3).random(len(y)).astype("float32")
    logs = model.evaluate(x, y, sample_weight=weight, verbose=0, return_dict=True)
    del logs["loss"]
    assert {row.name for row in report} == set(logs)
    for row in report:
        assert row.value == pytest.approx(logs[row.name], rel=1e-6)


def test_the_verdicts_on_a_compiled_model(report):
    assert {row.name: row.verdict for row in report} == {
        "accuracy": "agrees",
        "mse": "agrees",
        "f1_by_hand": "wrong",
        "squared_error": "no equivalent",
        "f1_score": "agrees",
        "auc": "differs by convention",
        "swapped": "wrong",
        "squared": "no equivalent",
        "root": "no equivalent",
        "weighted_accuracy": "agrees",
        "recall": "agrees",
    }


def test_only_weighted_metrics_are_compared_with_weights(report):
    assert report["accuracy"].torchmetrics is not None
    assert report["weighted_accuracy"].torchmetrics is None
    assert report["weighted_accuracy"].value != report["accuracy"].value


def test_the_reason_names_what_replaces_a_function_that_keras_averages(report):
    row = report["f1_by_hand"]
    assert row.metric == "function f1_by_hand"
    assert "Keras averages a function over batches" in row.reason
    assert "multiback.metrics.F1Score" in row.reason
    assert row.difference > 1e-3


def test_a_subclass_that_swaps_its_arguments_is_compared_by_its_name(report):
    row = report["swapped"]
    assert row.torchmetrics == pytest.approx(row.sklearn)
    assert row.value != pytest.approx(row.sklearn, rel=1e-3)
    assert "compared as keras.Precision" in row.reason


def test_raise_if_wrong_lists_what_is_wrong_and_nothing_else(report):
    with pytest.raises(WrongMetricError) as caught:
        report.raise_if_wrong()
    assert isinstance(caught.value, MultibackError)
    assert isinstance(caught.value, AssertionError)
    assert "2 of 11 metrics are wrong on 569 samples in batches of 32" in str(
        caught.value
    )
    assert "f1_by_hand" in str(caught.value)
    assert "auc" not in str(caught.value)


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_outputs_are_named_as_keras_names_them(breast_cancer, kind):
    x, y = breast_cancer
    inputs = keras.Input((30,))
    a = keras.layers.Dense(1, "sigmoid", name="a")(inputs)
    b = keras.layers.Dense(2, "softmax", name="b")(inputs)
    metrics = [["accuracy"], [mb.metrics.F1Score("multiclass", num_classes=2)]]
    losses = ["binary_crossentropy", "sparse_categorical_crossentropy"]
    targets = [y[:, None].astype("float32"), y]
    if kind == "dict":
        metrics, losses, targets = (
            dict(zip("ab", each, strict=True)) for each in (metrics, losses, targets)
        )
    outputs = {"b": b, "a": a} if kind == "dict" else [a, b]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", losses, metrics=metrics)
    report = crosscheck(model, (x, targets), batch_size=200)
    assert {row.name: row.verdict for row in report} == {
        "a_accuracy": "agrees",
        "b_f1_score": "agrees",
    }


Y, P = np.array([0, 1, 1]), np.array([0.1, 0.9, 0.4])


@pytest.mark.parametrize(
    ("subject", "data", "arguments", "words"),
    [
        (mb.metrics.Recall(), Y, {}, r"data= wants .*\(y_true, y_pred\).* not ndarray"),
        (mb.metrics.Recall(), (Y,), {}, r"data= wants .* not a tuple of 1"),
        (mb.metrics.Recall(), (Y, P[:2]), {}, r"same number of rows.*3 in y_true, 2"),
        (mb.metrics.Recall(), (Y[:0], P[:0]), {}, r"at least one.* 0 in y_true"),
        (
            mb.metrics.Recall(),
            (Y, P * np.nan),
            {},
            r"y_pred wants numbers.* 3 of its 3",
        ),
        (
            mb.metrics.Recall(),
            (["a", "b", "c"], P),
            {},
            r"y_true wants an array of num",
        ),
        (mb.metrics.Recall(), (Y, P), {"batch_size": 0}, r"batch_size= wants .* not 0"),
        (mb.metrics.Recall(), (Y, P), {"batch_size": [8, True]}, r"not \[8, True\]"),
        (mb.metrics.Recall(), (Y, P), {"batch_size": []}, r"batch_size= wants .* \[\]"),
        (mb.metrics.Recall(), (Y, P), {"shuffles": -1}, r"shuffles= wants .* not -1"),
        ([], (Y, P), {}, r"at least one metric"),
        ("accuracy", (Y, P), {}, r"model_or_metrics= wants .* not 'accuracy'"),
        (keras.metrics.Recall, (Y, P), {}, r"make an object"),
    ],
)
def test_bad_input_says_what_was_wanted_and_what_came(subject, data, arguments, words):
    with pytest.raises(ArgumentError, match=words):
        crosscheck(subject, data, **arguments)


def test_a_model_without_metrics_is_refused(breast_cancer):
    x, y = breast_cancer
    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(1)])
    with pytest.raises(ArgumentError, match="wants a compiled model"):
        crosscheck(model, (x, y))
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="compiled with metrics, not with a loss"):
        crosscheck(model, (x, y))


@pytest.mark.parametrize("library", ["torchmetrics", "torch"])
def test_scikit_learn_alone_is_enough(real, monkeypatch, library):
    if library == "torch" and keras.backend.backend() == "torch":
        pytest.skip("Keras itself needs it")
    metrics = [mb.metrics.Recall(), mb.metrics.AUROC(), mb.metrics.LogLoss()]
    monkeypatch.setitem(sys.modules, library, None)
    report = crosscheck(metrics, real["binary"])
    assert [row.verdict for row in report] == ["agrees"] * 3
    assert all(row.sklearn is not None for row in report)
    assert all(row.torchmetrics is None for row in report)
    assert str(report).count('pip install "multiback[torchmetrics]"') == 1
    assert "second" in str(report)


def test_without_both_libraries_there_is_nothing_to_compare_with(real, monkeypatch):
    metric = mb.metrics.Recall()
    for library in ("torchmetrics", "sklearn", "sklearn.metrics"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingPackageError) as caught:
        crosscheck(metric, real["binary"])
    assert 'pip install "multiback[torchmetrics]"' in str(caught.value).splitlines()
