"""Without task=, "binary" is taken only where the shape leaves no doubt."""

import inspect

import keras
import numpy as np
import pytest
import sklearn.metrics
from keras import ops
from support.backends import BACKEND, compiled
from support.catalogue import NEEDED, public_names
from support.contracts import stream, value

import multiback as mb
from multiback.errors import ArgumentError

# Every metric whose task may be left out.
NAMES = [
    name
    for name in public_names()
    if (task := inspect.signature(getattr(mb.metrics, name)).parameters.get("task"))
    and task.default is None
]
THREE = (
    r'task="multiclass", num_classes=(?P<n>\w+) .*'
    r'task="multilabel", num_labels=(?P=n) .*task="binary"'
)


def make(name, **more):
    return getattr(mb.metrics, name)(**NEEDED.get(name, {}), **more)


def softmax(shape, dtype="float32"):
    scores = np.random.default_rng(0).random(shape)
    return (scores / scores.sum(-1, keepdims=True)).astype(dtype)


def test_every_metric_with_a_task_of_two_classes_is_here():
    assert {"F1Score", "AUROC", "BrierScore", "CohenKappa", "ConfusionMatrix"} < set(
        NAMES
    )
    assert len(NAMES) >= 25


@pytest.mark.parametrize("name", NAMES)
def test_scores_of_several_columns_are_an_error_with_three_ways_out(name):
    metric = make(name)
    one_hot = np.eye(5, dtype="float32")[[0, 1, 2, 3]]
    with pytest.raises(ArgumentError, match=rf"^{metric.name}: task= wants .*{THREE}"):
        metric.update_state(one_hot, softmax((4, 5)))
    assert metric.get_config()["task"] is None


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_a_vector_and_a_last_axis_of_1_are_binary_and_the_config_says_so(name, shape):
    if name.startswith(("Samplewise", "GeneralizedDice")) and len(shape) == 1:
        shape = (4, 3, 1)  # A sample of no axis has nothing to overlap.
    y_true = np.arange(np.prod(shape)).reshape(shape) % 2
    y_pred = np.linspace(0.1, 0.9, y_true.size, dtype="float32").reshape(shape)
    metric, told = make(name), make(name, task="binary")
    np.testing.assert_array_equal(
        stream(metric, (y_true, y_pred)), stream(told, (y_true, y_pred))
    )
    assert metric.get_config() == told.get_config()
    assert type(metric).from_config(metric.get_config()).get_config()["task"] == (
        "binary"
    )


@pytest.mark.parametrize("shape", [(6, 2), (6, 5), (2, 3, 4), (2, 4, 4, 3), (1, 9)])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_masks_and_sequences_want_a_task_too(shape, dtype):
    y_true, y_pred = np.zeros(shape, "int32"), ops.cast(softmax(shape), dtype)
    with pytest.raises(ArgumentError, match="a mask without a channel axis"):
        mb.metrics.JaccardIndex().update_state(y_true, y_pred)
    assert stream(mb.metrics.Accuracy(task="binary"), (y_true, y_pred)) > 0.0
    image = np.zeros((*shape, 1), "int32"), ops.expand_dims(y_pred, -1)
    assert stream(mb.metrics.Accuracy(), image) > 0.0


def test_a_task_that_a_batch_decided_holds_for_no_other_shape():
    metric = mb.metrics.F1Score()
    metric.update_state(np.array([0, 1]), np.array([0.2, 0.9], "float32"))
    metric.reset_state()
    rows = np.eye(3, dtype="int32"), softmax((3, 3))
    for _ in range(2):
        with pytest.raises(ArgumentError, match="task= wants a choice"):
            metric.update_state(*rows)
    column = np.array([[0], [1]]), np.array([[0.2], [0.9]], "float32")
    assert stream(metric, column) == 1.0
    explicit = mb.metrics.F1Score(task="binary")
    assert 0.0 < stream(explicit, column, rows) < 1.0


def test_lists_scalars_and_integers_are_looked_at_like_tensors():
    metric = mb.metrics.Accuracy()
    metric.update_state(1, 0.75)
    metric.update_state([1, 0], [1, 1])
    assert value(metric) == pytest.approx(2 / 3)
    with pytest.raises(ArgumentError, match="num_classes=2"):
        mb.metrics.Accuracy().update_state([[0, 1]], [[0.5, 0.5]])


@pytest.mark.parametrize("classes", [2, 5])
def test_fit_on_a_softmax_stops_at_once(classes):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(classes, "softmax")]
    )
    model.compile("sgd", "categorical_crossentropy", metrics=[mb.metrics.F1Score()])
    x, y = np.zeros((8, 3), "float32"), np.eye(classes, dtype="float32")[[0, 1] * 4]
    with pytest.raises(
        ArgumentError, match=rf"num_classes={classes} .*num_labels="
    ) as told:
        model.fit(x, y, verbose=0)
    assert ("classes=1 for" in str(told.value)) == (classes == 2)


def test_fit_evaluate_save_and_load_keep_what_was_decided(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 3)).astype("float32")
    y = (x[:, 0] > 0.3).astype("int32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    names = ("Precision", "F1Score", "AUROC", "LogLoss")
    metrics = [make(name) for name in names]
    assert all(metric.variables for metric in metrics)
    metrics += mb.metrics.group(
        mb.metrics.Recall(name="a"), mb.metrics.F1Score(name="b")
    )
    model.compile("sgd", "binary_crossentropy", metrics=metrics)
    model.fit(x, y, batch_size=16, verbose=0)
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    hard = model.predict(x, verbose=0)[:, 0] > 0.5
    assert scores["f1_score"] == pytest.approx(sklearn.metrics.f1_score(y, hard))
    assert scores["b"] == scores["f1_score"]
    assert [metric.get_config()["task"] for metric in metrics[:5]] == ["binary"] * 5
    assert metrics[5].get_config()["metric"]["config"]["task"] == "binary"
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(scores)


def test_the_view_of_a_group_looks_at_the_shape_as_well():
    told, untold = mb.metrics.group(mb.metrics.Precision("binary"), mb.metrics.Recall())
    batch = np.zeros((4, 2), "int32"), softmax((4, 2))
    told.update_state(*batch)
    with pytest.raises(ArgumentError, match="recall: task= wants"):
        untold.update_state(*batch)


def without_autograph(function, **more):
    """Compile a function as Keras does: AutoGraph would wrap its errors."""
    if BACKEND != "tensorflow":
        return compiled(function)
    import tensorflow as tf

    return tf.function(function, autograph=False, **more)


@pytest.mark.skipif(BACKEND == "torch", reason="torch's fit traces nothing")
def test_the_first_trace_decides():
    metric = mb.metrics.Accuracy()
    variables = [v.value for v in metric.variables]

    def step(y_true, y_pred):
        return metric.stateless_update_state(variables, y_true, y_pred)

    step = without_autograph(step)
    with pytest.raises(ArgumentError, match="num_classes=3"):
        step(ops.zeros((4, 3), "int32"), ops.convert_to_tensor(softmax((4, 3))))
    step(ops.zeros((4,), "int32"), ops.zeros((4,)))
    assert metric.get_config()["task"] == "binary"


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow hides sizes")
@pytest.mark.parametrize("shape", [None, (None, None)])
def test_what_is_not_known_while_tracing_is_an_error(shape):
    import tensorflow as tf

    metric = mb.metrics.Accuracy()
    signature = [tf.TensorSpec(shape, tf.float32)] * 2
    step = without_autograph(metric.update_state, input_signature=signature)
    with pytest.raises(ArgumentError, match=r"num_classes=N .*num_labels=N"):
        step.get_concrete_function()
