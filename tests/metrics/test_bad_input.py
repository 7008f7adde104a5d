import json

import numpy as np
import pytest
from keras import ops
from support.contracts import stream, unusable

import multiback as mb
from multiback import keras_private
from multiback.errors import ArgumentError
from multiback.metrics.numeric import by_id as bins

F1Score = mb.metrics.F1Score


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"task": "regression"}, r'task= wants "binary".*not .regression.'),
        ({"task": "multiclass"}, r"wants num_classes= as an integer .* not None"),
        ({"task": "multiclass", "num_classes": 1}, r"at least 2, not 1"),
        ({"task": "multilabel", "num_classes": 3}, r"num_labels"),
        ({"task": "binary", "num_classes": 3}, r"num_classes= has no meaning"),
        ({"num_classes": 3}, r'Pass task="multiclass", num_classes=3\.'),
        ({"num_labels": 3}, r'Pass task="multilabel", num_labels=3\.'),
        ({"average": "mean"}, r'average= wants "micro".* not .mean.'),
        ({"threshold": 1.5}, r"threshold= wants a probability"),
        ({"zero_division": 0.5}, r"zero_division= wants 0, 1 or"),
        ({"task": ["binary"]}, r"task= wants .* not \['binary'\]"),
        ({"threshold": True}, r"threshold= wants a probability .* not True"),
        ({"from_logits": "False"}, r"from_logits= wants True or False, not 'False'"),
        ({"ignore_index": True}, r"ignore_index= wants an integer .* not True"),
        ({"ignore_index": 2**40}, r"ignore_index= wants .* 2147483647, .* not 10995"),
        ({"ignore_index": []}, r"ignore_index= wants an integer .* not \[\]"),
        ({"ignore_index": [0, True]}, r"ignore_index= wants .* not \[0, True\]"),
        ({"zero_division": np.zeros(2)}, r"zero_division= wants 0, 1 or"),
        ({"average": np.array(["micro"])}, r"average= wants"),
    ],
)
def test_a_bad_argument_says_what_was_wanted_and_what_came(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        F1Score(**arguments)


@pytest.mark.parametrize(
    ("name", "argument", "words"),
    [
        ("F1Score", "treshold", r"F1Score has no argument treshold=.* threshold=\?"),
        ("LogLoss", "num_labels", r"LogLoss has no argument num_labels=.* num_c"),
        ("AUROC", "num_thresholds", r"AUROC has no .* Did you mean num_bins=\?"),
        ("AUROC", "alpha", r"AUROC has no .* It has .*task, .*num_bins, "),
        ("R2Score", "adjust", r"R2Score has no argument .* mean adjusted=\?"),
        ("SamplewiseDice", "class_id", r"SamplewiseDice has no .* mean classes=\?"),
        ("F1Score", "thresholds", r"F1Score has no argument .* mean threshold=\?"),
        ("F1Score", "soft_labels", r"F1Score has no .* Give class ids, as y_true.arg"),
        ("AUROC", "label_smoothing", r"AUROC has no .* Perplexity take soft labels"),
        ("F1Score", "top_k", r"F1Score has no argument top_k=\. TopKAccuracy"),
        ("F1Score", "squared", r"F1Score has no argument squared=\. Root"),
        ("MeanSquaredError", "squared", r"MeanSquaredError has no .* RootMeanSquared"),
        ("CohenKappa", "weight", r"CohenKappa has no argument .* mean weights=\?"),
        ("CohenKappa", "num_labels", r"CohenKappa has no .* Give each label its own"),
        ("CohenKappa", "class_id", r"CohenKappa has no .* F1Score, Recall and AUROC"),
        ("TopKAccuracy", "k", r"TopKAccuracy has no argument k=\. .* mean top_k=\?"),
        ("CalibrationError", "nbins", r"CalibrationError has no .* mean n_bins=\?"),
        ("ExactMatch", "n_labels", r"ExactMatch has no .* mean num_labels=\?"),
        ("ConfusionMatrix", "normalise", r"ConfusionMatrix has no .* mean normalize="),
        ("Mean", "dtpe", r"Mean has no argument dtpe=\. Did you mean dtype=\?"),
        ("MatthewsCorrelation", "hits_only", r"MatthewsCorrelation has no argument"),
    ],
)
def test_an_unknown_argument_is_refused_by_the_name_of_the_metric(
    name, argument, words
):
    with pytest.raises(ArgumentError, match=words):
        getattr(mb.metrics, name)(**{argument: 1})


def test_a_missing_argument_is_named():
    with pytest.raises(ArgumentError, match=r"TopKAccuracy: missing .* .num_classes"):
        mb.metrics.TopKAccuracy()
    with pytest.raises(ArgumentError, match="F1Score: too many positional arguments"):
        F1Score("multiclass", 3)


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
    ("name", "arguments", "words"),
    [
        ("FBetaScore", {"beta": "2"}, r"beta= wants a number above 0, not '2'"),
        ("FBetaScore", {"beta": True}, r"beta= wants a number above 0, not True"),
        ("TopKAccuracy", {"num_classes": 3, "top_k": True}, r"top_k= wants an integer"),
        (
            "TopKAccuracy",
            {"num_classes": 9, "ignore_index": 0.5},
            r"ignore_index= wants",
        ),
        ("AUROC", {"from_logits": None}, r"from_logits= wants True or False"),
        ("LogLoss", {"from_logits": 1}, r"from_logits= wants True or False, not 1"),
        ("PrecisionAtRecall", {"recall": np.True_}, r"recall= wants a number"),
    ],
)
def test_the_arguments_of_other_metrics_are_checked_as_well(name, arguments, words):
    with pytest.raises(ArgumentError, match=words):
        getattr(mb.metrics, name)(**arguments)


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


@pytest.mark.parametrize("label", [0, 1])
@unusable
def test_a_nan_score_is_never_a_hit(label):
    nan = np.array([np.nan, np.nan], "float32")
    assert stream(mb.metrics.Accuracy(), ([label] * 2, nan)) == 0.0
    classes = mb.metrics.Accuracy(task="multiclass", num_classes=2)
    assert stream(classes, ([label] * 2, np.stack([nan, nan], 1))) == 0.0


def test_ties_rank_by_index():
    metric = mb.metrics.Accuracy(task="multiclass", num_classes=3)
    assert stream(metric, ([0, 1], np.zeros((2, 3), "float32"))) == 0.5


def test_a_score_equal_to_the_threshold_is_negative():
    assert stream(mb.metrics.Recall(), ([1, 1], [0.5, 0.75])) == 0.5


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


def test_counting_by_id_agrees_with_numpy(rng):
    ids, values = rng.integers(0, 7, 500), rng.random(500).astype("float32")
    tensor = ops.convert_to_tensor(ids.astype("int32"))
    counted = ops.convert_to_numpy(bins.count_ids(tensor, 9))
    np.testing.assert_array_equal(counted, np.bincount(ids, minlength=9))
    assert counted.dtype == "int32"
    summed = ops.convert_to_numpy(
        bins.sum_by_id(tensor, ops.convert_to_tensor(values), 9)
    )
    np.testing.assert_allclose(summed, np.bincount(ids, values, 9), rtol=1e-5)


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


@pytest.mark.parametrize("name", [3, "", b"f1"])
def test_a_name_that_is_not_text_is_refused(name):
    with pytest.raises(ArgumentError, match="name= wants the name for Keras's logs"):
        mb.metrics.F1Score(name=name)
