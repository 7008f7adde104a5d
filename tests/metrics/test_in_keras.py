"""The metrics inside real `compile`, `fit`, `evaluate`, `save` and callbacks."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import (
    confusion_matrix,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
)
from support.backends import BACKEND
from support.contracts import RTOL, stream, unusable

import multiback as mb

METRICS = [
    mb.metrics.Accuracy,
    mb.metrics.F1Score,
    mb.metrics.Precision,
    mb.metrics.Recall,
]


@pytest.fixture(scope="module")
def cancer():
    x, y = load_breast_cancer(return_X_y=True)
    return ((x - x.mean(0)) / x.std(0)).astype("float32"), y


def binary_model(width):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((width,)),
            keras.layers.Dense(4, "relu"),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )


def test_fit_and_evaluate_agree_with_scikit_learn_on_the_whole_set(cancer):
    x, y = cancer
    model = binary_model(x.shape[1])
    model.compile(
        "adam", "binary_crossentropy", metrics=[metric() for metric in METRICS]
    )
    history = model.fit(
        x, y, batch_size=50, epochs=2, verbose=0, validation_data=(x, y)
    ).history
    evaluated = model.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
    hard = model.predict(x, verbose=0)[:, 0] > 0.5
    for name, oracle in [
        ("precision", precision_score),
        ("recall", recall_score),
        ("f1_score", f1_score),
    ]:
        np.testing.assert_allclose(evaluated[name], oracle(y, hard), rtol=RTOL)
        np.testing.assert_allclose(
            history[f"val_{name}"][-1], oracle(y, hard), rtol=RTOL
        )
    np.testing.assert_allclose(evaluated["accuracy"], np.mean(y == hard), rtol=RTOL)


def test_multiclass_fit_agrees_with_scikit_learn():
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(10)])
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[mb.metrics.F1Score(task="multiclass", num_classes=10)],
    )
    history = model.fit(
        x, y, batch_size=100, epochs=2, verbose=0, validation_data=(x, y)
    ).history
    expected = f1_score(y, model.predict(x, verbose=0).argmax(1), average="macro")
    np.testing.assert_allclose(history["val_f1_score"][-1], expected, rtol=1e-6)


def test_weighted_metrics_receive_the_weights(cancer):
    x, y = cancer
    weight = np.linspace(0, 2, len(y)).astype("float32")
    model = binary_model(x.shape[1])
    model.compile(
        "adam", "binary_crossentropy", weighted_metrics=[mb.metrics.Precision()]
    )
    evaluated = model.evaluate(
        x, y, sample_weight=weight, batch_size=64, verbose=0, return_dict=True
    )
    hard = model.predict(x, verbose=0)[:, 0] > 0.5
    expected = precision_score(y, hard, sample_weight=weight.astype("float64"))
    np.testing.assert_allclose(evaluated["precision"], expected, rtol=RTOL)


def test_a_mask_of_variable_length_acts_on_elements_in_evaluate():
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 9, size=(12, 10))
    lengths = rng.integers(1, 11, size=12)
    tokens[np.arange(10) >= lengths[:, None]] = 0
    labels = rng.integers(0, 2, size=(12, 10))
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((10,), dtype="int32"),
            keras.layers.Embedding(9, 4, mask_zero=True),
            keras.layers.LSTM(4, return_sequences=True),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=[mb.metrics.Accuracy()])
    evaluated = model.evaluate(
        tokens, labels[..., None], batch_size=5, verbose=0, return_dict=True
    )
    hard = model.predict(tokens, verbose=0)[..., 0] > 0.5
    expected = np.mean((hard == labels)[tokens > 0])
    assert expected != pytest.approx(np.mean(hard == labels))
    np.testing.assert_allclose(evaluated["accuracy"], expected, rtol=RTOL)


def test_a_saved_model_loads_with_its_metrics(tmp_path, cancer):
    x, y = cancer
    model = binary_model(x.shape[1])
    model.compile(
        "adam",
        "binary_crossentropy",
        metrics=[mb.metrics.F1Score(threshold=0.4), mb.metrics.Recall(name="found")],
    )
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    before = model.evaluate(x, y, verbose=0, return_dict=True)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    after = loaded.evaluate(x, y, verbose=0, return_dict=True)
    assert set(after) == {"loss", "f1_score", "found"}
    for name in before:
        assert after[name] == pytest.approx(before[name], abs=1e-6)


class Shift(keras.callbacks.Callback):
    """Give the model another bias in each epoch: the further from 0, the worse."""

    biases = (0.6, -0.1, 0.3, 0.5, 0.4)

    def on_epoch_begin(self, epoch, _logs=None):
        kernel, bias = self.model.get_weights()
        self.model.set_weights([kernel, np.full_like(bias, 4 * self.biases[epoch])])


def test_callbacks_of_keras_find_the_direction_and_the_best_epoch(tmp_path):
    metrics = [
        mb.metrics.Accuracy(),
        mb.metrics.F1Score(),
        mb.metrics.MatthewsCorrelation(),
        mb.metrics.BrierScore(),
        mb.metrics.HammingDistance(),
        mb.metrics.LogLoss(),
        mb.metrics.MeanAbsoluteError(),
    ]
    x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
    y = (x > 0).astype("int32")
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, "sigmoid", kernel_initializer="ones")]
    )
    model.set_weights([4 * w for w in model.get_weights()])
    model.compile(keras.optimizers.SGD(1e-3), "binary_crossentropy", metrics=metrics)
    names = [metric.name for metric in metrics]
    stoppers, others = [], []
    for name in names:
        stoppers.append(keras.callbacks.EarlyStopping(f"val_{name}", patience=2))
        others.append(
            keras.callbacks.ModelCheckpoint(
                str(tmp_path / (name + "-{epoch}.weights.h5")),
                monitor=f"val_{name}",
                save_best_only=True,
                save_weights_only=True,
            )
        )
    others.append(
        keras.callbacks.ReduceLROnPlateau("val_f1_score", factor=0.1, patience=1)
    )
    callbacks = [Shift(), *stoppers, *others]
    data = {"validation_data": (x, y), "epochs": 5, "verbose": 0}
    losses = model.fit(x, y, callbacks=callbacks, **data).history["loss"]
    assert [stopper.best_epoch for stopper in stoppers] == [1] * len(names)
    assert [stopper.stopped_epoch for stopper in stoppers] == [3] * len(names)
    assert len(losses) == 4
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-5)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == sorted(f"{n}-{epoch}.weights.h5" for n in names for epoch in (1, 2))


def test_logs_hold_arrays_and_checkpoints_leave_them_out(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(96, 4)).astype("float32"), rng.integers(0, 3, 96)
    task = {"task": "multiclass", "num_classes": 3}
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    metrics = [
        mb.metrics.F1Score(**task),
        mb.metrics.F1Score(**task, average=None, name="each"),
        mb.metrics.ConfusionMatrix(**task),
        mb.metrics.StatScores(**task, average=None),
    ]
    model.compile("adam", "sparse_categorical_crossentropy", metrics=metrics)
    ckpt = mb.ModelCheckpoint(tmp_path, monitor="val_f1_score")
    logs = model.fit(x, y, verbose=0, validation_data=(x, y), callbacks=[ckpt]).history
    evaluated = model.evaluate(x, y, verbose=0, return_dict=True)
    predicted = model.predict(x, verbose=0).argmax(-1)
    counts = confusion_matrix(y, predicted)
    for found in (evaluated, {k.removeprefix("val_"): logs[k][-1] for k in logs}):
        np.testing.assert_array_equal(found["confusion_matrix"], counts)
        np.testing.assert_array_equal(found["stat_scores"][:, 0], np.diag(counts))
        expected = f1_score(y, predicted, average=None)
        np.testing.assert_allclose(found["each"], expected, rtol=RTOL)
    [row] = mb.history(tmp_path)
    assert row["val_loss"] == logs["val_loss"][-1]
    # Arrays too, as lists: a table of the history has a column for each.
    assert row["val_confusion_matrix"] == counts.tolist()
    np.testing.assert_allclose(row["val_each"], expected, rtol=RTOL)
    again = mb.load_best(tmp_path).evaluate(x, y, verbose=0, return_dict=True)
    np.testing.assert_array_equal(again["confusion_matrix"], counts)


class Batches(keras.utils.PyDataset):
    """Data in batches; the last one is short."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return math.ceil(len(self.x) / 32)

    def __getitem__(self, index):
        rows = slice(32 * index, 32 * index + 32)
        return self.x[rows], self.y[rows]


@pytest.mark.parametrize(
    ("policy", "arguments"),
    [
        ("float32", {} if BACKEND == "torch" else {"steps_per_execution": 4}),
        ("mixed_bfloat16", {}),
        ("mixed_float16", {"run_eagerly": True}),
    ],
)
def test_each_way_to_run_a_model_gives_the_same_numbers(cancer, policy, arguments):
    x, y = cancer[0][:100], cancer[1][:100]
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = binary_model(x.shape[1])
    finally:
        keras.config.set_dtype_policy(before)
    metrics = mb.metrics.group(
        mb.metrics.Precision(), mb.metrics.F1Score(), mb.metrics.LogLoss()
    )
    model.compile("adam", "binary_crossentropy", metrics=metrics, **arguments)
    logs = model.fit(x, y, verbose=0, validation_data=Batches(x, y)).history
    evaluated = model.evaluate(Batches(x, y), verbose=0, return_dict=True)
    scores = model.predict(x, batch_size=32, verbose=0).astype("float64")[:, 0]
    expected = {
        "precision": precision_score(y, scores > 0.5),
        "f1_score": f1_score(y, scores > 0.5),
        "log_loss": log_loss(y, scores),
    }
    for name, true in expected.items():
        assert evaluated[name] == pytest.approx(true, abs=1e-5), name
        assert logs[f"val_{name}"] == [pytest.approx(true, abs=1e-5)], name


def test_names_do_not_drift_when_a_model_is_rebuilt():
    names = [metric().name for _ in range(2) for metric in METRICS]
    assert names == ["accuracy", "f1_score", "precision", "recall"] * 2


@unusable
def test_an_unknown_label_makes_a_metric_nan_on_each_backend():
    model = binary_model(2)
    model.compile("sgd", "mse", metrics=[mb.metrics.Precision()])
    x, y = np.ones((4, 2), "float32"), np.array([0, 1, 2, 1])
    assert np.isnan(model.evaluate(x, y, verbose=0, return_dict=True)["precision"])


def test_bfloat16_never_merges_class_ids():
    """Keras's sparse accuracy gave 0.56 here for predictions that are all wrong."""
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 32_000, size=64)
    wrong = (y_true + 1) % 32_000
    scores = ops.cast(ops.one_hot(wrong, 32_000), "bfloat16")
    metric = mb.metrics.Accuracy(task="multiclass", num_classes=32_000)
    assert stream(metric, (y_true, scores)) == 0.0


def test_the_result_is_right_where_float32_counters_have_stopped():
    metric = mb.metrics.Precision()
    state = metric.statistic.init()
    one = metric.statistic.update(state, [1, 0], [0.9, 0.9])
    for _ in range(30):  # 2**30 true and 2**30 false positives.
        one = metric.statistic.merge(one, one)
    more = metric.statistic.init()
    batch = np.ones(2**20, "int32"), np.full(2**20, 0.9, "float32")
    for _ in range(2):
        more = metric.statistic.update(more, *batch)
    total = metric.statistic.merge(one, more)
    expected = (2**30 + 2**21) / (2**31 + 2**21)
    actual = float(ops.convert_to_numpy(metric.compute(total)))
    np.testing.assert_allclose(actual, expected, rtol=RTOL)
