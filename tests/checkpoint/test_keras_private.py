"""The private names of Keras that the callback leans on are still there."""

import inspect

import keras
import pytest
from backends import BACKEND
from problem import fit, model

from multiback.checkpoint.keras_private import logged_metrics, set_first_epoch


def test_fit_still_begins_at_the_private_epoch():
    made = model()
    set_first_epoch(made, 2)
    assert fit(made, epochs=3).epoch == [2]
    set_first_epoch(made, None)
    assert fit(made, epochs=1).epoch == [0]


def test_keras_reads_it_after_the_callbacks_began():
    source = inspect.getsource(keras.Model.fit)
    began = source.index("callbacks.on_train_begin()")
    assert source.index("self._initial_epoch", began) > began


def test_the_names_are_those_that_fit_logs():
    made = model(
        "accuracy",
        keras.metrics.AUC(name="same"),
        keras.metrics.FalsePositives(name="same"),
        weighted_metrics=["accuracy"],
    )
    if BACKEND == "tensorflow":
        with pytest.raises(ValueError, match="built"):
            logged_metrics(made)
    history = fit(made, epochs=1).history
    rows = {name: mode for name, _, mode in logged_metrics(made)}
    assert set(rows) == set(history)
    assert rows["same"] == "max"
    assert rows["same_1"] == "min"
