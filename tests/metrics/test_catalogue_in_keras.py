"""The whole catalogue inside of real `compile`, `fit`, `evaluate`, `save` and load."""

import keras
import numpy as np
import pytest
from contracts import stream

import multiback as mb

BINARY = [
    "AUROC",
    "AveragePrecision",
    "BalancedAccuracy",
    "BrierScore",
    "CalibrationError",
    "CohenKappa",
    "ConcordanceCorrelation",
    "Dice",
    "ExplainedVariance",
    "FBetaScore",
    "HammingDistance",
    "JaccardIndex",
    "LogLoss",
    "MatthewsCorrelation",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "NegativePredictiveValue",
    "PearsonCorrelation",
    "Perplexity",
    "R2Score",
    "RootMeanSquaredError",
    "Specificity",
]


def metrics(kind):
    if kind == "binary":
        return [
            *(getattr(mb.metrics, name)() for name in BINARY),
            mb.metrics.PrecisionAtRecall(recall=0.5),
            mb.metrics.RecallAtPrecision(precision=0.5),
            mb.metrics.SensitivityAtSpecificity(specificity=0.5),
            mb.metrics.SpecificityAtSensitivity(sensitivity=0.5, capacity=70),
        ]
    return [
        mb.metrics.TopKAccuracy(num_classes=3, top_k=2),
        mb.metrics.LogLoss(task="multiclass", num_classes=3),
        mb.metrics.CalibrationError(task="multiclass", num_classes=3),
        mb.metrics.CohenKappa(task="multiclass", num_classes=3, weights="linear"),
        mb.metrics.JaccardIndex(task="multiclass", num_classes=3),
        mb.metrics.ExactMatch(task="multiclass", num_classes=3),
        mb.metrics.AUROC(task="multiclass", num_classes=3),
    ]


def make(kind, compiled):
    keras.utils.set_random_seed(0)
    units, activation = (1, "sigmoid") if kind == "binary" else (3, "softmax")
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(units, activation=activation)]
    )
    loss = "binary_crossentropy" if kind == "binary" else None
    model.compile("sgd", loss or "sparse_categorical_crossentropy", metrics=compiled)
    return model


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_fit_evaluate_group_and_load_agree_with_a_plain_loop(kind, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(70, 4)).astype("float32")
    y = np.digitize(x[:, 0], [0.0] if kind == "binary" else [-0.5, 0.5])
    y = y[:, None].astype("int32")
    model = make(kind, metrics(kind))
    logs = model.fit(
        x, y, batch_size=32, epochs=1, verbose=0, validation_data=(x, y)
    ).history
    scores = model.predict(x, verbose=0)
    evaluated = model.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
    for metric in metrics(kind):
        expected = stream(metric, (y, scores))
        # A model's last bits depend on the batch that a row came in.
        np.testing.assert_allclose(evaluated[metric.name], expected, atol=1e-4)
        np.testing.assert_allclose(logs[f"val_{metric.name}"], expected, atol=1e-4)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    grouped = make(kind, mb.metrics.group(*metrics(kind)))
    grouped.set_weights(model.get_weights())
    for other in (again, grouped):
        logs = other.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
        assert logs == evaluated


def test_the_public_list_is_sorted_and_each_metric_is_documented():
    names = mb.metrics.__all__
    assert names == sorted(names)
    for name in names:
        text = getattr(mb.metrics, name).__doc__
        metric = isinstance(getattr(mb.metrics, name), type)
        if metric and name not in {"Metric", "Statistic", "WideBoundsWarning"}:
            assert "Source:" in text, name
            assert ">>>" in text, name
