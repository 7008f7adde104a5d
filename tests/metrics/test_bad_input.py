import json

import numpy as np
import pytest
from keras import ops
from support.contracts import stream

import multiback as mb
from multiback import keras_private
from multiback.errors import ArgumentError

F1Score = mb.metrics.F1Score


def test_a_subclass_keeps_the_error_and_its_own_arguments():
    class Strict(F1Score):
        def __init__(self, margin=0.1, name="strict", **arguments):
            super().__init__(threshold=0.5 + margin, name=name, **arguments)

    with pytest.raises(ArgumentError, match=r"Strict has no .* mean ignore_index=\?"):
        Strict(ignore_idx=1)
    metric = Strict(margin=np.float32(0.25))
    assert metric.get_config()["margin"] == 0.25
    assert stream(Strict.from_config(metric.get_config()), ([1, 1], [0.7, 0.8])) == (
        pytest.approx(2 / 3)
    )


@pytest.mark.parametrize(
    ("arguments", "y_true", "y_pred"),
    [
        ({}, (4,), (5,)),
        ({"task": "binary"}, (4,), (4, 2)),
        ({"task": "multiclass", "num_classes": 3}, (4,), (4, 2)),
        ({"task": "multiclass", "num_classes": 3}, (4, 2), (4, 3)),
        ({"task": "multiclass", "num_classes": 3}, (4,), (4,)),
        ({"task": "multilabel", "num_labels": 3}, (4,), (4,)),
        ({"task": "multilabel", "num_labels": 3}, (4, 2), (4, 2)),
    ],
)
def test_shapes_that_do_not_fit_are_both_named(arguments, y_true, y_pred):
    metric = F1Score(**arguments)
    with pytest.raises(ArgumentError) as caught:
        metric.update_state(np.zeros(y_true, "int32"), np.zeros(y_pred, "float32"))
    assert str(y_true) in str(caught.value)
    assert str(y_pred) in str(caught.value)
    assert "wants" in str(caught.value)
    # Only where there are scores of classes is there a hint to these.
    assert ("For classes, pass" in str(caught.value)) is (
        y_pred == (4, 2) and arguments == {"task": "binary"}
    )
    assert str(caught.value).startswith("f1_score: ")


@pytest.mark.parametrize("odd", [None, "0.5", [[0.1], [0.2, 0.3]], 1j])
def test_anything_but_an_array_of_numbers_is_named(odd):
    with pytest.raises(ArgumentError, match="y_pred wants real numbers"):
        F1Score().update_state([0, 1], odd)
    with pytest.raises(ArgumentError, match="mean: values wants real numbers"):
        mb.metrics.Mean().update_state(odd)
    if odd is not None:
        with pytest.raises(ArgumentError, match="sample_weight wants real numbers"):
            F1Score().update_state([0, 1], [0.5, 0.5], odd)


def test_weights_that_do_not_broadcast_are_refused():
    with pytest.raises(ArgumentError, match=r"sample_weight has shape \(3,\)"):
        F1Score().update_state([0, 1, 1, 0], [0.1, 0.2, 0.3, 0.4], [1.0, 1.0, 1.0])


def test_ignore_index_admits_a_label_that_is_otherwise_unknown():
    metric = F1Score(ignore_index=-1)
    assert stream(metric, ([-1, 1, 1], [0.9, 0.9, 0.1])) == pytest.approx(2 / 3)


def test_no_data_gives_zero_division():
    assert stream(F1Score()) == 0.0
    assert stream(F1Score(zero_division=1.0)) == 1.0
    assert np.isnan(stream(F1Score(zero_division=float("nan"))))


@pytest.mark.parametrize("shapes", [((6,), (6, 1)), ((6, 1), (6,)), ((2, 3), (2, 3))])
def test_a_trailing_axis_of_one_is_no_difference(shapes):
    y_true, y_pred = np.array([0, 1, 1, 0, 1, 0]), np.linspace(0, 1, 6)
    expected = stream(F1Score(), (y_true, y_pred))
    got = stream(
        F1Score("binary"), (y_true.reshape(shapes[0]), y_pred.reshape(shapes[1]))
    )
    assert got == expected


def test_one_hot_labels_are_class_ids(rng):
    y_true, y_pred = rng.integers(0, 4, 30), rng.random((30, 4)).astype("float32")
    arguments = {"task": "multiclass", "num_classes": 4}
    expected = stream(F1Score(**arguments), (y_true, y_pred))
    for dtype in ("int32", "float32"):
        one_hot = np.eye(4, dtype=dtype)[y_true]
        assert stream(F1Score(**arguments), (one_hot, y_pred)) == expected
        assert stream(F1Score(**arguments), (one_hot, y_pred.argmax(1))) == expected


def test_the_private_names_of_keras_still_mean_what_they_did():
    import keras

    outputs = keras.layers.Masking()(np.zeros((1, 2, 3), "float32"))
    mask = keras_private.get_keras_mask(outputs)
    np.testing.assert_array_equal(ops.convert_to_numpy(mask), [[False, False]])
    assert keras_private.get_keras_mask(ops.zeros((2,))) is None
    assert not keras_private.in_stateless_scope()
    with keras.StatelessScope():
        assert keras_private.in_stateless_scope()


def test_several_outputs_are_never_taken_for_one(rng):
    """Flattened, their different means made a bad R2 look good."""
    y_true = rng.normal([0.0, 100.0], size=(20, 2))
    with pytest.raises(ArgumentError, match=r"pass num_outputs="):
        mb.metrics.R2Score().update_state(y_true, y_true)


ONE = {"ignore_index": np.int64(-1)}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("F1Score", {"threshold": np.float32(0.25), "from_logits": np.True_, **ONE}),
        ("FBetaScore", {"beta": np.float32(2.0), **ONE}),
        ("AUROC", {"capacity": np.int64(8), **ONE}),
        ("LogLoss", ONE),
        ("CalibrationError", {"n_bins": np.int64(8), **ONE}),
        ("SamplewiseDice", ONE),
        ("CohenKappa", ONE),
        ("ExactMatch", {"num_labels": np.int64(2), **ONE}),
        ("TopKAccuracy", {"num_classes": np.int64(3), "top_k": np.int64(2), **ONE}),
        ("R2Score", {"adjusted": np.int64(1)}),
    ],
)
def test_numpy_s_numbers_are_numbers_in_a_config(name, arguments):
    config = getattr(mb.metrics, name)(**arguments).get_config()
    again = getattr(mb.metrics, name).from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config


def test_class_scores_for_a_binary_task_say_which_task_was_meant():
    with pytest.raises(ArgumentError, match=r'pass task="multiclass", num_classes=3'):
        F1Score("binary").update_state(np.zeros(4), np.zeros((4, 3)))
