"""A warning where Keras drops what metrics need, and none anywhere else."""

import warnings

import keras
import numpy as np
import pytest
from support.backends import BACKEND

import multiback as mb

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
Y = (X[:, :1] > 0).astype("int32")
WEIGHT = np.linspace(0, 1, 12).astype("float32")


class OwnStep(keras.Model):
    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred, sample_weight)


def model_of(cls=keras.Model):
    keras.utils.set_random_seed(0)
    x = keras.Input((3,))
    return cls(x, keras.layers.Dense(1, "sigmoid")(x))


def sequences(units=3):
    """Return tokens of variable length, tags, and a model that masks."""
    rng = np.random.default_rng(1)
    x = rng.integers(1, 9, (12, 5)).astype("int32")
    x[np.arange(5) >= rng.integers(1, 6, 12)[:, None]] = 0
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            keras.layers.Embedding(9, 4, mask_zero=True),
            keras.layers.Dense(units, "softmax"),
        ]
    )
    return model, x, (x % units).astype("int32")


def told(model, folder, *data, loss="binary_crossentropy", fit=None, **compiled):
    """Train two short runs and return what was said, but of saving."""
    model.compile("sgd", loss, **compiled)
    checkpoint = mb.ModelCheckpoint(folder, monitor="loss", mode="min")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            model.fit(*data, verbose=0, callbacks=[checkpoint], **(fit or {}))
    return [str(one.message) for one in caught if "Keras hands" in str(one.message)]


F1, ACCURACY = mb.metrics.F1Score, mb.metrics.Accuracy


@pytest.mark.parametrize(
    "fit",
    [{"sample_weight": WEIGHT}, {"class_weight": {0: 1.0, 1: 3.0}}],
    ids=["sample_weight", "class_weight"],
)
def test_weights_that_metrics_will_not_see_are_said_once(fit, tmp_path):
    (said,) = told(
        model_of(), tmp_path, X, Y, fit=fit, metrics=[F1(), "binary_accuracy"]
    )
    (name,) = fit
    assert said.startswith(f"fit brings {name}, which Keras hands")
    assert "f1_score, binary_accuracy count each sample once" in said


def test_weights_of_the_validation_are_said(tmp_path):
    fit = {"validation_data": (X, Y, WEIGHT)}
    (said,) = told(model_of(), tmp_path, X, Y, fit=fit, metrics=[F1()])
    assert said.startswith("validation_data brings sample weights")
    assert "f1_score counts each sample once. Compile it as" in said


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.data is TensorFlow's")
def test_a_dataset_that_brings_weights_is_seen():
    import tensorflow as tf

    from multiback.checkpoint.fit.lost_inputs import _brings_weights

    assert _brings_weights(tf.data.Dataset.from_tensor_slices((X, Y, WEIGHT)))
    assert not _brings_weights(tf.data.Dataset.from_tensor_slices((X, Y)))


def test_clean_models_get_no_word(tmp_path):
    weights = {"sample_weight": WEIGHT}
    clean = [
        ({}, {"metrics": [F1()]}),
        ({"validation_data": (X, Y)}, {"metrics": [F1()]}),
        ({"validation_data": (X, Y, None)}, {"metrics": [F1()]}),
        (weights, {}),
        (weights, {"weighted_metrics": [F1()]}),
        (weights, {"metrics": [F1()], "weighted_metrics": [ACCURACY()]}),
        (weights, {"metrics": [F1()], "weighted_metrics": []}),
    ]
    for number, (fit, compiled) in enumerate(clean):
        folder = tmp_path / str(number)
        assert told(model_of(), folder, X, Y, fit=fit, **compiled) == [], compiled
    own = model_of(OwnStep)
    folder = tmp_path / "own"
    assert told(own, folder, X, Y, fit=weights, metrics=[F1()]) == []


CLASSES = {"task": "multiclass", "num_classes": 3}
SPARSE = "sparse_categorical_crossentropy"


def test_a_mask_that_jax_drops_in_fit_is_said_there_alone(tmp_path):
    model, x, y = sequences()
    compiled = {"metrics": [F1(**CLASSES), ACCURACY(**CLASSES, ignore_index=0)]}
    said = told(model, tmp_path, x, y, loss=SPARSE, **compiled)
    if BACKEND != "jax":
        assert said == []
        return
    (only,) = said
    assert "while training, f1_score counts padding too, and differs" in only
    assert only.endswith("Mark padded labels with ignore_index=.")


def test_a_masked_metric_without_ignore_index_is_advised_weights(tmp_path):
    model, x, y = sequences()
    error = mb.metrics.MeanAbsoluteError
    y = keras.utils.to_categorical(y, 3)
    said = told(model, tmp_path / "a", x, y, loss="mse", metrics=[error()])
    if BACKEND == "jax":
        (only,) = said
        assert only.endswith("of 0 there, and compile it as weighted_metrics=.")
    # The advice is taken: there is nothing more to say.
    weights = {"sample_weight": (x != 0).astype("float32")}
    again = {"fit": weights, "weighted_metrics": [error()], "loss": "mse"}
    assert told(model, tmp_path / "b", x, y, **again) == []


def test_a_mask_that_padded_labels_repeat_is_nothing_to_say(tmp_path):
    model, x, y = sequences()
    ignoring = (
        F1(**CLASSES, ignore_index=0),
        mb.metrics.Recall(**CLASSES, ignore_index=0),
    )
    assert (
        told(model, tmp_path, x, y, loss=SPARSE, metrics=mb.metrics.group(*ignoring))
        == []
    )


def test_the_warning_is_right_that_training_counts_padding_on_jax():
    model, x, y = sequences()
    metric = ACCURACY(**CLASSES)
    model.compile(keras.optimizers.SGD(0.0), SPARSE, metrics=[metric])
    logs = model.fit(x, y, verbose=0, validation_data=(x, y)).history
    hit = np.asarray(model.predict(x, verbose=0)).argmax(-1) == y
    masked, all_of = hit[x > 0].mean(), hit.mean()
    assert abs(masked - all_of) > 0.01
    assert logs["val_accuracy"] == [pytest.approx(masked, abs=1e-6)]
    expected = all_of if BACKEND == "jax" else masked
    assert logs["accuracy"] == [pytest.approx(expected, abs=1e-6)]
