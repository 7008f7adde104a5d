"""With any value in the logs, a checkpoint is saved and the history is written."""

import decimal
import json
import pathlib

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import ops
from support.fitting import problem

import multiback as mb
from multiback.adapters.loggers import LogRun
from multiback.checkpoint.choosing.log_values import element_fault, written
from multiback.errors import MonitorError
from multiback.metrics import Recall


class Unwilling:
    """An object that refuses whatever is asked of it."""

    def __array__(self, *_, **__):
        raise RuntimeError("no array")

    def __float__(self):
        raise RuntimeError("no number")


def tensor(value, dtype="float32"):
    return ops.convert_to_tensor(value, dtype=dtype)


NUMBERS = {
    "int": 1,
    "bool": True,
    "float16": np.float16(0.5),
    "bfloat16 scalar": ml_dtypes.bfloat16(0.5),
    "0-d array": np.array(0.5),
    "array of one": np.array([[0.5]]),
    "list of one": [5],
    "decimal": decimal.Decimal("0.5"),
}
OTHERS = {
    "text": ("0.5", "str"),
    "bytes": (b"0.5", "bytes"),
    "None": (None, "NoneType"),
    "complex": (1j, "complex"),
    "complex array": (np.array([1j, 2]), "ndarray"),
    "texts": (np.array(["a", "b"]), "ndarray"),
    "ragged": ([[1.0], [2.0, 3.0]], "list"),
    "dict": ({"a": 1.0}, "dict"),
    "huge integer": (10**400, "int"),
    "object": (Unwilling(), "Unwilling"),
    "date": (np.datetime64("2026-01-01"), "datetime64"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_what_holds_one_number_is_written_as_a_number(name):
    number = written(NUMBERS[name])
    assert type(number) is float
    assert number == float(np.ravel(NUMBERS[name])[0])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "bool"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (3,), (2, 3)])
def test_tensors_are_written_as_numbers_and_lists(dtype, shape):
    expected = np.ones(shape).tolist() if np.prod(shape) > 1 else 1.0
    assert written(ops.ones(shape, dtype)) == expected
    assert written(keras.Variable(np.ones(shape), dtype="float32")) == expected


def test_arrays_of_more_than_4096_numbers_are_written_by_their_shape():
    assert written(ops.ones((64, 64))) == np.ones((64, 64)).tolist()
    assert written(ops.ones((4097,))) == {"shape": [4097]}
    assert written([]) == []


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_is_written_by_the_name_of_its_type(name):
    value, kind = OTHERS[name]
    assert written(value) == kind


def test_what_only_one_backend_has_is_written_too():
    if keras.backend.backend() == "torch":
        import torch

        assert written(torch.ones(3, requires_grad=True)) == [1.0, 1.0, 1.0]
        assert written(torch.tensor([0.5], dtype=torch.float8_e5m2)) == 0.5
        assert written(torch.ones(2, device="meta")) == "Tensor"
        assert written(torch.ones(2, dtype=torch.complex64)) == "Tensor"
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        assert written(tf.ragged.constant([[1.0], [2.0, 3.0]])) == "RaggedTensor"
        assert written(tf.constant("0.5")) == "EagerTensor"
        assert written(tf.Variable([1.0, 2.0])) == [1.0, 2.0]
    else:
        import jax

        deleted = jax.numpy.ones(3)
        deleted.delete()
        assert written(deleted) == type(deleted).__name__
        assert written(jax.random.key(0)) == type(jax.random.key(0)).__name__


class Adds(keras.callbacks.Callback):
    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_epoch_end(self, _, logs=None):
        logs |= self.values


class Recorded:
    """A logger that keeps what it is given."""

    def __init__(self):
        self.metrics = []

    def begin(self, run_id): ...
    def saved(self, checkpoint): ...
    def chosen(self, checkpoint): ...
    def finish(self): ...
    def measured(self, metrics, **_):
        self.metrics.append(metrics)


def test_nothing_in_the_logs_keeps_a_checkpoint_from_being_saved(tmp_path):
    logged = {
        **NUMBERS,
        **{name: value for name, (value, _) in OTHERS.items()},
        "val_tensor": tensor(0.5),
        "vector": tensor([0.25, 0.75]),
        "matrix": np.ones((70, 70)),
    }
    stop = keras.callbacks.EarlyStopping("val_tensor", mode="max")
    ckpt = mb.ModelCheckpoint(
        tmp_path,
        monitor=mb.Monitor("val_tensor", mode="max", early=False),
        filename="{epoch}-{val_tensor:.2f}",
        callbacks=[stop],
    )
    logger = Recorded()
    made = problem.model()
    problem.fit(made, Adds(logged), stop, ckpt, LogRun(ckpt, logger), epochs=2)
    assert ckpt.best_model_score == 0.5
    assert pathlib.Path(ckpt.best_model_path).name == "epoch=1-val_tensor=0.50"
    metrics = mb.history(tmp_path)[0]
    assert metrics["vector"] == [0.25, 0.75]
    assert metrics["matrix"] == {"shape": [70, 70]}
    assert [metrics[name] for name in OTHERS] == [kind for _, kind in OTHERS.values()]
    assert {type(metrics[name]) for name in NUMBERS} == {float}
    assert {*NUMBERS} < {*logger.metrics[0]}
    assert {type(one) for one in logger.metrics[0].values()} == {float}
    # Strict JSON, that any reader can read.
    manifest = json.loads(
        pathlib.Path(ckpt.last_model_path, "manifest.json").read_text()
    )
    assert manifest["metrics"]["array of one"] == 0.5
    assert manifest["extra"]["values"]["vector"] == [0.25, 0.75]


@pytest.mark.parametrize("monitor", ["val_f1_score", "val_loss", None])
def test_keras_f1_score_of_one_sigmoid_is_a_number(tmp_path, monitor):
    ckpt = mb.ModelCheckpoint(tmp_path, monitor=monitor)
    made = problem.model()
    made.compile("adam", "mse", metrics=[keras.metrics.F1Score(threshold=0.5)])
    y = problem.Y[:, None]
    history = made.fit(
        problem.X, y, validation_data=(problem.X, y), verbose=0, callbacks=[ckpt]
    )
    assert history.history["val_f1_score"][0].shape == (1,)
    [record] = mb.history(tmp_path)
    assert record["val_f1_score"] == float(history.history["val_f1_score"][0][0])
    assert mb.load_last(tmp_path).count_params() == made.count_params()


def three_classes():
    keras.utils.set_random_seed(1)
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    recall = Recall(task="multiclass", num_classes=3, average=None)
    made.compile("adam", "sparse_categorical_crossentropy", metrics=[recall])
    return made


CLASSES = np.arange(48) % 3


def fit_classes(ckpt, epochs=3):
    data = problem.X, CLASSES
    return three_classes().fit(
        *data, validation_data=data, epochs=epochs, verbose=0, callbacks=[ckpt]
    )


def second(logs):
    return logs["val_recall"][1]


@pytest.mark.parametrize(
    "monitor",
    [
        "val_recall[1]",
        "val_recall[-2]",
        mb.Monitor(second, mode="max"),
        "val_recall[1] + 0",
        mb.Monitor("val_recall[1]", where="val_recall[0] >= 0"),
    ],
)
def test_one_class_is_monitored_by_its_index_or_by_a_function(tmp_path, monitor):
    ckpt = mb.ModelCheckpoint(tmp_path, monitor=monitor, save_top_k=-1)
    recalls = np.array(fit_classes(ckpt).history["val_recall"])[:, 1]
    assert ckpt.best_model_score == recalls.max()
    best = mb.load_best(tmp_path).evaluate(
        problem.X, CLASSES, verbose=0, return_dict=True
    )
    assert best["recall"][1] == pytest.approx(recalls.max())
    third = mb.load_best(tmp_path, monitor="val_recall[2]")
    value = third.evaluate(problem.X, CLASSES, verbose=0, return_dict=True)
    assert value["recall"][2] == pytest.approx(
        max(one["val_recall"][2] for one in mb.history(tmp_path))
    )


def test_the_index_stands_in_the_file_name_without_brackets(tmp_path):
    ckpt = mb.ModelCheckpoint(tmp_path / "a", monitor="val_recall[1]")
    fit_classes(ckpt, epochs=1)
    assert "val_recall-1=" in pathlib.Path(ckpt.best_model_path).name
    named = mb.ModelCheckpoint(tmp_path / "b", filename="{epoch}-{val_recall[2]:.2f}")
    fit_classes(named, epochs=1)
    assert "val_recall-2=0." in pathlib.Path(named.last_model_path).name


def test_an_array_as_the_monitor_says_how_to_take_one_number(tmp_path):
    ckpt = mb.ModelCheckpoint(tmp_path, monitor="val_recall")
    with pytest.raises(MonitorError, match=r"'val_recall\[0\]', or pass a function"):
        fit_classes(ckpt)


def test_an_index_beyond_the_array_is_an_error_before_anything_is_written(tmp_path):
    ckpt = mb.ModelCheckpoint(tmp_path, monitor="val_recall[3]")
    with pytest.raises(MonitorError, match=r"'val_recall\[3\]' does not exist.*\[3\]"):
        fit_classes(ckpt)
    assert not list((tmp_path / "checkpoints").glob("*"))


def test_a_function_of_the_logs_gets_arrays_of_any_size(tmp_path):
    def trace(logs):
        return np.trace(logs["big"])

    monitor = mb.Monitor(trace, mode="max")
    ckpt = mb.ModelCheckpoint(tmp_path, monitor=monitor)
    problem.fit(problem.model(), Adds({"big": np.eye(70)}), ckpt, epochs=1)
    assert ckpt.best_model_score == 70.0


def test_a_function_that_returns_an_array_is_named(tmp_path):
    def both(logs):
        return logs["vector"]

    ckpt = mb.ModelCheckpoint(tmp_path, monitor=mb.Monitor(both, mode="max"))
    with pytest.raises(MonitorError, match="'both' wants to return one number"):
        problem.fit(problem.model(), Adds({"vector": np.ones(2)}), ckpt, epochs=1)


def test_an_element_of_an_array_that_was_too_large_to_record_says_so():
    assert "only its shape was recorded" in element_fault(
        "m", {"shape": [70, 70]}, (1, 1)
    )
    assert element_fault("m", np.eye(2), (1, 1)) is None
    assert "not a number in the logs, but a str" in element_fault("m", "str", ())


def test_history_with_arrays_survives_a_resume(tmp_path):
    first = mb.ModelCheckpoint(tmp_path, monitor="val_recall[1]")
    before = fit_classes(first, epochs=2).history["val_recall"]
    again = mb.ModelCheckpoint(tmp_path, monitor="val_recall[1]", resume="must")
    after = fit_classes(again, epochs=3).history["val_recall"]
    assert len(after) == 3
    np.testing.assert_array_equal(after[:2], before)
