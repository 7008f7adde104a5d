"""The whole catalogue inside of real `compile`, `fit`, `evaluate`, `save` and load.

The models mask: their samples have one to four steps, and labels of the steps that
are padding are labels like any other, so that a metric which counts them shows it.
"""

import json

import keras
import numpy as np
import pytest
from support.backends import BACKEND
from support.catalogue import ARRAYS, CLASSES, ENTRIES, LABELS, of_each_statistic
from support.contracts import stream
from support.oracles import RANKINGS

import multiback as mb

# Two batches of one shape: a model of so many metrics is compiled for each shape.
STEPS, ROWS = 4, 64
# Their histograms of several columns take XLA long, and are one statistic. torch, which
# compiles nothing, has all of the catalogue.
SLOW = {f"{name}-{kind}" for name in RANKINGS for kind in ("multiclass", "multilabel")}
SLOW -= SLOW if BACKEND == "torch" else {"AUROC-multiclass"}
# These want a mask for each row of labels: they have a model of their own.
ODD = {"ExactMatch-multilabel", "SamplewiseDice-multilabel-rows"}
ODD |= {"SamplewiseJaccardIndex-multilabel-rows", "GeneralizedDice-multilabel-rows"}
OUTPUTS = {
    "binary": (1, "sigmoid", "binary_crossentropy"),
    "multiclass": (CLASSES, "softmax", "sparse_categorical_crossentropy"),
    "multilabel": (LABELS, "sigmoid", "binary_crossentropy"),
}


def entries(kind):
    """List what is compiled into the model of a kind."""
    kinds = {kind, f"{kind}-rows"} | ({"regression"} if kind == "binary" else set())
    found = {
        name: entry
        for name, entry in ENTRIES.items()
        if entry.kind in kinds and entry.name not in ARRAYS and name not in SLOW | ODD
    }
    # Where a model is compiled, each statistic twice: alone, and in a group.
    if BACKEND != "torch":
        found = of_each_statistic(found, copies=2)
    return list(found.values())


def metrics(kind):
    kept = {"SpecificityAtSensitivity-binary": {"capacity": ROWS * STEPS}}
    return [entry.make(**kept.get(entry.id, {})) for entry in entries(kind)]


def make_model(kind, compiled=None):
    keras.utils.set_random_seed(0)
    units, activation, loss = OUTPUTS[kind]
    model = keras.Sequential(
        [
            keras.Input((STEPS, 4)),
            keras.layers.Masking(),
            keras.layers.Dense(units, activation=activation),
        ]
    )
    if compiled is not None:
        # What is trained on stays what is evaluated.
        model.compile(keras.optimizers.SGD(0.0), loss, metrics=compiled)
    return model


@pytest.fixture(scope="module")
def data():
    """Draw steps, labels of each kind, and a mask of padding."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, STEPS, 4)).astype("float32")
    kept = np.arange(STEPS) < rng.integers(1, STEPS + 1, ROWS)[:, None]
    x[~kept] = 0.0
    z = x @ rng.normal(size=(4, LABELS)) + rng.normal(size=(ROWS, STEPS, LABELS))
    labels = {
        "binary": (z[..., :1] > 0.3).astype("int32"),
        "multiclass": z.argmax(-1).astype("int32"),
        "multilabel": (z > 0.3).astype("int32"),
    }
    return x, labels, kept


def streamed(entry, y_true, y_pred, kept):
    """Give a metric of its own what the mask keeps."""
    metric = entry.make()
    if "ignore_index" in metric.get_config():
        ignored = np.where(kept.reshape(*kept.shape, *[1] * (y_true.ndim - 2)), 1, 0)
        metric = entry.make(ignore_index=-1)
        return stream(metric, (np.where(ignored, y_true, -1), y_pred))
    return stream(metric, (y_true[kept], y_pred[kept]))


# Padding has one score, in the comparison with what counts it.
@pytest.mark.filterwarnings("ignore:.*may be off by")
@pytest.mark.parametrize("kind", OUTPUTS)
def test_fit_and_evaluate_honour_masks_groups_and_loading(kind, data, tmp_path):
    x, labels, kept = data
    y = labels[kind]
    model = make_model(kind, metrics(kind))
    stoppers = [
        keras.callbacks.EarlyStopping(monitor=f"val_{metric.name}", mode="auto")
        for metric in metrics(kind)
    ]
    logs = model.fit(
        x,
        y,
        batch_size=32,
        verbose=0,
        validation_data=(x, y),
        shuffle=False,
        callbacks=stoppers,
    ).history
    scores = model.predict(x, verbose=0)
    evaluated = model.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
    everything = np.ones_like(kept)
    different = 0
    for entry, stopper in zip(entries(kind), stoppers, strict=True):
        name, masked = entry.make().name, streamed(entry, y, scores, kept)
        plain = streamed(entry, y, scores, everything)
        different += abs(masked - plain) > 1e-3
        # A model's last bits depend on the batch that a row came in.
        np.testing.assert_allclose(evaluated[name], masked, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(logs[f"val_{name}"], masked, atol=1e-4, err_msg=name)
        # In `fit` on JAX, Keras drops the mask.
        trained = plain if BACKEND == "jax" else masked
        np.testing.assert_allclose(logs[name], trained, atol=1e-4, err_msg=name)
        better, worse = (1.0, 0.0) if entry.make().direction == "max" else (0.0, 1.0)
        assert stopper.monitor_op(better, worse), name
        assert not stopper.monitor_op(worse, better), name
    assert different > len(stoppers) / 2

    if BACKEND == "torch":
        # Elsewhere it would be compiled once more; what is loaded below has its config.
        clone = keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
        config = json.loads(json.dumps(model.get_compile_config()))
        clone.compile_from_config(config)
        logs = clone.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
        assert logs == evaluated

    grouped = make_model(kind, mb.metrics.group(*metrics(kind))[::-1])
    grouped.set_weights(model.get_weights())
    grouped.save(tmp_path / "model.keras")
    again, other = (keras.saving.load_model(tmp_path / "model.keras") for _ in range(2))
    logs = again.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
    assert logs == evaluated
    assert not any(np.any(v) for v in map(np.asarray, variables(other)))


def variables(model):
    return [keras.ops.convert_to_numpy(v.value) for v in model.metrics_variables]


def test_rows_of_labels_count_in_fit_and_evaluate(data):
    x, labels, _ = data
    # No step is padding.
    x, y = np.where(x == 0.0, 1.0, x), labels["multilabel"]
    found = [ENTRIES[name] for name in sorted(ODD)]
    model = make_model("multilabel", [entry.make() for entry in found])
    logs = model.fit(x, y, batch_size=32, verbose=0, validation_data=(x, y)).history
    evaluated = model.evaluate(x, y, batch_size=32, verbose=0, return_dict=True)
    scores = model.predict(x, batch_size=32, verbose=0)
    for entry in found:
        metric = entry.make()
        expected = stream(metric, (y, scores))
        assert 0.0 < expected < 1.0
        for value in (evaluated[metric.name], logs[f"val_{metric.name}"][-1]):
            np.testing.assert_allclose(value, expected, atol=1e-4, err_msg=metric.name)


def test_the_public_list_is_sorted_and_each_metric_is_documented():
    names = mb.metrics.__all__
    # As Ruff sorts: constants, classes, functions.
    order = {name: (not name.isupper(), name[0].islower(), name) for name in names}
    assert names == sorted(names, key=order.get)
    for name in names:
        text = getattr(mb.metrics, name).__doc__
        metric = isinstance(getattr(mb.metrics, name), type)
        if metric and name not in {
            "Interval",
            "Metric",
            "Statistic",
            "WideBoundsWarning",
        }:
            assert "Source:" in text, name
            assert ">>>" in text, name
