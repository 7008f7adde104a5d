"""The private names of Keras that the callback leans on are still there."""

import inspect

import keras
import pytest
from support.backends import BACKEND
from support.fitting.problem import fit, model

from multiback.checkpoint.fit.log_names import logged_metrics
from multiback.checkpoint.fit.other_callbacks import _FIELDS
from multiback.keras_private import (
    fit_arguments,
    global_seed_state,
    has_output_mask,
    is_seeded,
    set_first_epoch,
    user_metrics,
)


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


def test_the_seed_and_the_global_generator_are_still_found():
    keras.utils.set_random_seed(3)
    assert is_seeded()
    assert global_seed_state() is None
    keras.random.uniform(())
    assert global_seed_state() is not None


@pytest.mark.parametrize("kind", _FIELDS)
def test_the_fields_of_other_callbacks_are_still_there(kind):
    arguments = {keras.callbacks.LearningRateScheduler: [lambda _, rate: rate]}
    callback = kind(*arguments.get(kind, []))
    callback.set_model(model(optimizer=keras.optimizers.Adam(use_ema=True)))
    callback.on_train_begin()
    assert all(hasattr(callback, name) for name in _FIELDS[kind])


def test_fit_hands_the_same_params_to_one_callback_after_the_other():
    seen = []

    class Looks(keras.callbacks.Callback):
        def set_params(self, params):
            super().set_params(params)
            seen.append([each.params is params for each in (first, last)])

    first, last = keras.callbacks.Callback(), keras.callbacks.Callback()
    for _ in range(2):
        fit(model(), first, Looks(), last, epochs=1)
    assert seen == [[True, False]] * 2


def test_what_was_compiled_and_whether_an_output_is_masked_are_still_found():
    made = model()
    metric = keras.metrics.Mean(name="seen")
    for weighted in (None, [], [metric]):
        made.compile("sgd", "mse", metrics=["mae"], weighted_metrics=weighted)
        found = user_metrics(made)
        assert found == (["mae"], weighted or [], weighted is not None)
    assert not has_output_mask(made)
    x = keras.Input((2, 3))
    assert has_output_mask(keras.Model(x, keras.layers.Masking()(x)))
    assert fit_arguments() == {}
