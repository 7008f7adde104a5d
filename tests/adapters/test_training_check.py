"""The callback finds a wrong metric while a model trains, and changes nothing."""

import warnings

import keras
import numpy as np
import pytest
from support.wrong_metrics import f1_by_hand

import multiback as mb
from multiback.adapters.torchmetrics import CrossCheck
from multiback.errors import ArgumentError, WrongMetricError


@pytest.fixture(scope="module")
def data(breast_cancer):
    x, y = breast_cancer
    return x[:150], y[:150, None].astype("float32")


def train(data, callbacks, metrics, *, epochs=3):
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((30,)),
            keras.layers.Dense(4, "relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile(
        "adam", "binary_crossentropy", metrics=metrics, weighted_metrics=["mse"]
    )
    history = model.fit(
        *data,
        epochs=epochs,
        batch_size=30,
        verbose=0,
        validation_split=0.2,
        callbacks=callbacks,
    )
    return history.history, [np.array(v.numpy()) for v in model.variables]


def metrics():
    group = mb.metrics.group(mb.metrics.Precision(), mb.metrics.F1Score())
    return ["accuracy", *group, f1_by_hand]


@pytest.fixture(scope="module")
def checked(data):
    weights = np.linspace(0.5, 1.5, 150, dtype="float32")
    check = CrossCheck(data=(*data, weights), every_n_epochs=2, max_samples=90)
    # Not pytest.warns: it would raise NumPy's warnings inside of Keras again as ours.
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("always", UserWarning)
        trained = train(data, [check], metrics(), epochs=5)
    return check, trained, told


def test_training_continues_exactly_as_without(checked, data):
    _, (history, variables), _ = checked
    plain_history, plain_variables = train(data, [], metrics(), epochs=5)
    assert history == plain_history
    for with_check, without in zip(variables, plain_variables, strict=True):
        np.testing.assert_array_equal(with_check, without)


def test_it_checks_every_n_epochs_on_a_sample(checked):
    check, _, _ = checked
    assert list(check.reports) == [1, 3]
    for report in check.reports.values():
        assert report.samples == 90
        assert {row.name: row.verdict for row in report} == {
            "accuracy": "agrees",
            "precision": "agrees",
            "f1_score": "agrees",
            "f1_by_hand": "wrong",
            "mse": "agrees",
        }
    first, second = check.reports.values()
    assert first["mse"].value != second["mse"].value


def test_it_warns_once_a_metric(checked):
    _, _, told = checked
    assert len(told) == 1
    assert str(told[0].message).startswith("After epoch 2: 1 of 5 metrics are wrong")


def test_it_can_stop_the_training(data):
    check = CrossCheck(data=data, on_wrong="raise")
    with pytest.raises(WrongMetricError, match="f1_by_hand"):
        train(data, [check], [f1_by_hand])
    assert list(check.reports) == [0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"every_n_epochs": 0}, "every_n_epochs= wants .* not 0"),
        ({"every_n_epochs": None}, "every_n_epochs= wants .* not None"),
        ({"max_samples": True}, "max_samples= wants .* not True"),
        ({"on_wrong": "ignore"}, "on_wrong= wants .* not 'ignore'"),
        ({"batch_size": 0}, "batch_size= wants .* not 0"),
        ({"data": np.ones(3)}, r"data= wants NumPy arrays as \(x, y\)"),
    ],
)
def test_bad_arguments_are_refused_before_training(data, arguments, words):
    with pytest.raises(ArgumentError, match=words):
        CrossCheck(**{"data": data, **arguments})
