"""A scikit-learn function streams inside of Keras: the whole set, not a mean."""

import sys

import keras
import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score
from support.translated import streamed

from multiback.adapters.sklearn import as_keras
from multiback.errors import ArgumentError, MissingPackageError


@keras.saving.register_keras_serializable("tests")
def positives(y_true, y_pred):
    return (y_true * y_pred).sum()


def test_the_number_is_of_the_whole_set_and_no_mean_of_batches(identity_model, scored):
    x, y = scored
    metrics = [
        as_keras(f1_score, needs="labels"),
        as_keras("f1_score", needs="labels", name="above", threshold=0.7),
        as_keras("roc_auc_score", needs="scores", name="auc", direction="max"),
    ]
    history = (
        identity_model(metrics=metrics)
        .fit(x, y, batch_size=25, epochs=2, validation_data=(x[25:], y[25:]), verbose=0)
        .history
    )
    hard = x[:, 0] > 0.5
    batches = [f1_score(y[i : i + 25], hard[i : i + 25]) for i in range(0, 100, 25)]
    assert abs(np.mean(batches) - f1_score(y, hard)) > 1e-3
    assert history["f1_score"] == pytest.approx([f1_score(y, hard)] * 2)
    assert history["above"] == pytest.approx([f1_score(y, x[:, 0] > 0.7)] * 2)
    assert history["auc"] == pytest.approx([roc_auc_score(y, x[:, 0])] * 2)
    assert history["val_f1_score"] == pytest.approx([f1_score(y[25:], hard[25:])] * 2)


SCORES = {
    "accuracy_score": ("labels", {}),
    "f1_score": ("labels", {"average": "macro"}),
    "roc_auc_score": ("scores", {}),
    "r2_score": ("scores", {}),
}


@pytest.mark.parametrize("dtype", ["int32", "float32", "bool"])
@pytest.mark.parametrize("shape", [(40,), (40, 2), (40, 6), (10, 3, 4)])
@pytest.mark.parametrize("name", SCORES)
def test_one_score_a_label_makes_elements_of_any_shape(rng, name, shape, dtype):
    needs, arguments = SCORES[name]
    y = (rng.random(shape) < 0.4).astype(dtype)
    p = (0.4 * y + 0.6 * rng.random(shape)).astype("float32")
    hard = p.ravel() > 0.5 if needs == "labels" else p.ravel()
    right = getattr(sk, name)(y.ravel(), hard, **arguments)
    for labels, scores in ((y, p[..., None]), (y[..., None], p[..., None])):
        metric = as_keras(name, needs, **arguments)
        assert streamed(metric, labels, scores) == pytest.approx(right, rel=1e-5)
    metric = as_keras(name, needs, last_axis="elements", **arguments)
    assert streamed(metric, y, p) == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize("classes", [3, 5])
def test_batches_may_have_sequences_of_other_lengths(rng, classes):
    metrics = {
        as_keras("f1_score", "labels", average="macro"): [],
        as_keras("f1_score", "labels", average="macro", last_axis="classes"): [],
    }
    for length in (3, 5, 1):
        ids = rng.integers(0, classes, (8, length))
        scores = rng.random((8, length, classes)).astype("float32")
        for metric, seen in metrics.items():
            one_hot = len(seen) == 0 and metric._last_axis == "classes"
            metric.update_state(np.eye(classes)[ids] if one_hot else ids, scores)
            seen.append((ids.ravel(), scores.argmax(-1).ravel()))
    for metric, seen in metrics.items():
        y, p = (np.concatenate(part) for part in zip(*seen, strict=True))
        right = sk.f1_score(y, p, average="macro")
        assert float(metric.result()) == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize(
    ("needs", "shape"),
    [("labels", (4, 3)), ("labels", (4, 3, 2)), ("scores", (4, 3, 2))],
)
def test_what_the_shapes_leave_open_is_an_error_that_says_how_to_say_it(needs, shape):
    metric = as_keras("f1_score", needs, average="macro")
    with pytest.raises(ArgumentError, match=r'last_axis="elements".*one-hot'):
        metric.update_state(np.ones(shape), np.ones(shape, "float32"))


def test_several_outputs_and_class_ids_are_taken_as_they_are(rng):
    y = rng.integers(0, 2, (30, 3))
    p = (0.4 * y + 0.6 * rng.random(y.shape)).astype("float32")
    area = streamed(as_keras("roc_auc_score", "scores"), y, p)
    assert area == pytest.approx(sk.roc_auc_score(y, p), rel=1e-5)
    f1 = as_keras("f1_score", "labels", average="macro", last_axis="outputs")
    right = sk.f1_score(y, p > 0.5, average="macro")
    assert streamed(f1, y, p) == pytest.approx(right, rel=1e-5)
    ids, guess = rng.integers(0, 5, (2, 30, 4))
    got = streamed(as_keras("accuracy_score", "labels"), ids, guess)
    assert got == pytest.approx((ids == guess).mean())


def test_masks_and_weights_reach_each_element(rng):
    y = rng.integers(0, 2, (10, 4))
    p = rng.random((10, 4, 1)).astype("float32")
    keep = rng.random((10, 4)) < 0.6
    weights = rng.random(10).astype("float32")
    scores = keras.layers.Masking()(np.where(keep[..., None], p, 0))
    metric = as_keras("accuracy_score", "labels")
    metric.update_state(y, scores, weights)
    each = np.broadcast_to(weights[:, None], y.shape)
    right = sk.accuracy_score(y[keep], p[keep][:, 0] > 0.5, sample_weight=each[keep])
    assert float(metric.result()) == pytest.approx(right, rel=1e-5)


def test_of_several_columns_the_largest_is_the_label(rng):
    scores = rng.random((40, 3)).astype("float32")
    y = rng.integers(0, 3, 40)
    labels = as_keras(balanced_accuracy_score, needs="labels", adjusted=True)
    area = as_keras("roc_auc_score", needs="scores", multi_class="ovr")
    scores /= scores.sum(1, keepdims=True)
    for metric in (labels, area):
        for batch in (slice(0, 30), slice(30, 40)):
            metric.update_state(y[batch, None], scores[batch])
    right = balanced_accuracy_score(y, scores.argmax(1), adjusted=True)
    assert float(labels.result()) == pytest.approx(right)
    right = roc_auc_score(y, scores, multi_class="ovr")
    assert float(area.result()) == pytest.approx(right, rel=1e-6)


def test_rows_of_labels_are_not_guessed_at():
    metric = as_keras(f1_score, needs="labels", average="macro")
    with pytest.raises(ArgumentError, match="one-hot"):
        metric.update_state(np.eye(3), np.eye(3))


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("shape", [(40,), (8, 5), (4, 2, 5)])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64"])
def test_one_hot_integers_on_both_sides_are_not_guessed_at(rng, classes, shape, dtype):
    labels = rng.integers(0, classes, shape)
    found = np.where(rng.random(shape) < 0.6, labels, rng.integers(0, classes, shape))
    rows = [np.eye(classes, dtype=dtype)[ids] for ids in (labels, found)]
    half = shape[0] // 2
    metrics = [
        as_keras("accuracy_score", "labels", last_axis=axis)
        for axis in (None, "classes", "elements")
    ]
    for metric in metrics:
        metric.update_state(*(each[:half] for each in rows))
        metric.update_state(*(each[half:] for each in rows))
    with pytest.raises(ArgumentError, match='last_axis="classes"'):
        metrics[0].result()
    expected = [(labels == found).mean(), (rows[0] == rows[1]).mean()]
    assert [float(metric.result()) for metric in metrics[1:]] == pytest.approx(expected)


def test_tags_of_two_kinds_are_not_taken_for_one_hot_rows(rng):
    tags = rng.integers(0, 2, (30, 4))
    metric = as_keras("accuracy_score", "labels")
    for batch in (slice(0, 1), slice(1, 30)):
        metric.update_state(tags[batch], tags[batch])
        assert float(metric.result()) == 1.0


def test_weights_of_weighted_metrics_reach_the_function(identity_model, scored):
    x, y = scored
    weights = np.linspace(0.1, 2, 100).astype("float32")
    metrics = [as_keras(f1_score, needs="labels", name="f1")]
    model = identity_model(weighted_metrics=metrics)
    logs = model.evaluate(
        x, y, batch_size=25, sample_weight=weights, verbose=0, return_dict=True
    )
    right = f1_score(y, x[:, 0] > 0.5, sample_weight=weights)
    assert logs["f1"] == pytest.approx(right, rel=1e-6)
    unweighted = as_keras(positives, needs="scores")
    with pytest.raises(ArgumentError, match="positives does not know"):
        unweighted.update_state(y, x, weights)


def test_a_model_is_saved_with_it(identity_model, scored, tmp_path):
    x, y = scored
    model = identity_model(
        metrics=[
            as_keras(f1_score, needs="labels", name="f1", pos_label=0, direction="max"),
            as_keras(positives, needs="scores", direction="min", compute_every=2),
        ]
    )
    before = model.evaluate(x, y, batch_size=25, verbose=0)
    assert before[1] == pytest.approx(f1_score(y, x[:, 0] > 0.5, pos_label=0))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.evaluate(x, y, batch_size=25, verbose=0) == pytest.approx(before)


def test_what_is_neither_scikit_learns_nor_registered_cannot_be_saved():
    metric = as_keras(lambda y_true, y_pred: 0.0, needs="scores")  # noqa: ARG005
    with pytest.raises(ArgumentError, match="register_keras_serializable"):
        metric.get_config()


def test_a_config_from_anybody_calls_nothing_else():
    metric = as_keras(f1_score, needs="labels")
    for name in ("os.system", "sklearn.metrics.warnings", "sklearn.metrics._base.np"):
        with pytest.raises(ArgumentError, match="no function"):
            type(metric).from_config({**metric.get_config(), "function": name})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"function": "f1_scores", "needs": "labels"}, "f1_scores"),
        ({"function": f1_score, "needs": "classes"}, "needs="),
        ({"function": f1_score, "needs": "labels", "direction": "up"}, "direction="),
        ({"function": 3, "needs": "labels"}, "not 3"),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(arguments, says):
    with pytest.raises(ArgumentError, match=says):
        as_keras(**arguments)


def test_a_function_that_returns_several_numbers_is_refused():
    metric = as_keras(f1_score, needs="labels", average=None)
    metric.update_state(np.array([0, 1]), np.array([0.2, 0.9]))
    with pytest.raises(ArgumentError, match="average="):
        metric.result()


def test_without_scikit_learn_the_error_holds_the_line_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(MissingPackageError) as caught:
        as_keras("f1_score", needs="labels")
    assert 'pip install "multiback[sklearn]"' in str(caught.value).splitlines()
