"""Each planted lie is found and explained; clean models have no finding."""

import functools
import sys

import keras
import numpy as np
import pytest
from support.audited.clean import CLEAN
from support.audited.planted import (
    BINARY,
    IDS,
    ONE_HOT,
    PLANTED,
    X,
    as_keras,
    binary,
    model_of,
    several,
    sklearn,
    tc,
)

import multiback as mb
from multiback.adapters.torchmetrics import audit
from multiback.adapters.torchmetrics.translation.source import source_of
from multiback.errors import ArgumentError, WrongMetricError


def run(planted):
    keras.backend.clear_session(free_memory=False)
    model, arguments = planted()()
    return audit(model, **arguments)


# Keras's own IoU metrics ask JAX for int64.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64"),
    # The planted guess is what audit finds.
    pytest.mark.filterwarnings("ignore::multiback.errors.GuessedLogitsWarning"),
    pytest.mark.filterwarnings("ignore::multiback.errors.UnusableValuesWarning"),
    # torchmetrics says what memory it takes.
    pytest.mark.filterwarnings("ignore::UserWarning:torchmetrics.*"),
]


@functools.cache
def found_in(planted):
    """Audit a planted model once for all tests that ask for its findings."""
    return run(PLANTED[planted][2])


@pytest.mark.parametrize("planted", PLANTED)
def test_each_planted_lie_is_found_and_nothing_else(planted):
    kind, name, _ = PLANTED[planted]
    found = found_in(planted)
    assert [(one.kind, one.name) for one in found] == [(kind, name)], str(found)
    (lie,) = found
    assert lie.change
    if kind not in ("monitor", "unusable values"):
        assert np.ravel(lie.gives) != pytest.approx(np.ravel(lie.should), rel=1e-4)


@pytest.mark.parametrize("clean", CLEAN.values(), ids=CLEAN)
def test_clean_models_have_no_finding(clean):
    found = run(clean)
    assert found.ok, str(found)
    found.raise_if_any()


def hosted_of_both(name, classes=None):
    """Return a metric of torchmetrics and its like of scikit-learn, for Keras."""
    kind, more = ("Binary", ()) if classes is None else ("Multiclass", (classes,))
    theirs = getattr(tc, f"{kind}Accuracy")(
        *more, **({"average": "micro"} if more else {})
    )
    return [as_keras(theirs, name), sklearn.as_keras("accuracy_score", "labels")]


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)], ids=["flat", "column"])
def test_ours_and_wrapped_metrics_take_one_column_and_never_broadcast(shape):
    """Why the checks of columns, and of scores taken for classes, skip them."""
    labels = BINARY.reshape(shape)
    metrics = [mb.metrics.Accuracy(), *hosted_of_both("hosted")]
    model, given = binary(metrics, data=(X, labels))()
    logs = model.evaluate(X, labels, verbose=0, return_dict=True)
    hard = model.predict_on_batch(X) > 0.5
    right = np.mean(hard.ravel() == labels.ravel())
    del logs["loss"]
    assert logs == pytest.approx(dict.fromkeys(logs, right))
    assert len(logs) == 3
    assert audit(model, **given).ok


@pytest.mark.parametrize(
    "labels", [IDS, IDS[:, None], ONE_HOT], ids=["ids", "column", "rows"]
)
def test_ours_and_wrapped_metrics_take_ids_and_one_hot_rows_alike(labels):
    """Why the check of labels of another form skips them."""
    task = {"task": "multiclass", "num_classes": 3}
    metrics = [mb.metrics.Accuracy(**task), *hosted_of_both("hosted", 3)]
    if labels is ONE_HOT:
        metrics[2] = sklearn.as_keras("accuracy_score", "labels", last_axis="classes")
    model, given = several(metrics, labels)()
    logs = model.evaluate(X, labels, verbose=0, return_dict=True)
    right = np.mean(model.predict_on_batch(X).argmax(1) == IDS)
    del logs["loss"]
    assert logs == pytest.approx(dict.fromkeys(logs, right))
    assert len(logs) == 3
    assert audit(model, **given).ok


def test_an_f1_averaged_over_batches_is_shown_with_the_right_one_and_its_replacement():
    (lie,) = found_in("f1_function")
    hard = 1 / (1 + np.exp(-2 * X[:, :1])) > 0.5
    hits = float((BINARY * hard).sum())
    true = 2 * hits / (BINARY.sum() + hard.sum())
    batches = [slice(0, 32), slice(32, 64), slice(64, 70)]
    f1s = [
        2 * (BINARY[b] * hard[b]).sum() / (BINARY[b].sum() + hard[b].sum())
        for b in batches
    ]
    # Keras weighs the mean of a batch, one number, by one.
    assert lie.should == pytest.approx(true, rel=1e-6)
    assert lie.gives == pytest.approx(np.mean(f1s), rel=1e-6)
    assert lie.change == "f1_by_hand  →  multiback.metrics.F1Score()"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("every_pair", "y  →  y.reshape(-1, 1)"),
        ("our_unknown_label", "correct them, or pass ignore_index="),
        ("sample_weight", "weighted_metrics=[keras.metrics.BinaryAccuracy()]"),
        ("auc_of_logits", "keras.metrics.AUC(from_logits=True)"),
        ("accuracy_of_logits", "keras.metrics.BinaryAccuracy(threshold=0.0)"),
        ("saturated_auc", "multiback.metrics.AUROC()"),
        ("one_column_f1", "keras.metrics.F1Score(threshold=0.5)"),
        ("iou_of_scores", "sparse_y_true=False, sparse_y_pred=False)"),
        ("iou_of_one_score", "keras.metrics.BinaryIoU("),
        ("monitor_without_direction", 'mode="max"'),
        ("monitor_of_an_output", 'mode="max"'),
        ("monitor_that_inherits_its_direction", 'mode="max") or mode="min"'),
        ("monitor_the_wrong_way", 'mode="max"'),
    ],
)
def test_the_change_is_code_to_copy(name, change):
    (lie,) = found_in(name)
    assert change in lie.change


def test_the_right_number_of_a_saturated_auc_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    (lie,) = found_in("saturated_auc")
    assert lie.should == pytest.approx(roc_auc_score(BINARY, X[:, 0]), abs=1e-3)
    assert lie.should - lie.gives > 0.05


@pytest.mark.parametrize(
    ("planted", "stops"),
    [("monitor_of_an_output", True), ("monitor_that_inherits_its_direction", False)],
)
def test_keras_does_with_such_a_monitor_what_the_finding_says(planted, stops):
    model, given = PLANTED[planted][2]()()
    (lie,) = found_in(planted)
    assert stops is ("stops at the end of the first epoch" in lie.reason)
    (callback,) = given["callbacks"]
    fit = {"validation_data": given["data"], "callbacks": [callback], "verbose": 0}
    if stops:
        with pytest.raises(ValueError, match="isn't able to automatically determine"):
            model.fit(*given["data"], **fit)
    else:
        model.fit(*given["data"], **fit)
        assert callback.monitor_op(1.0, 0.0)  # More errors are better.


def test_several_lies_are_told_apart_and_the_report_says_them_all():
    model, arguments = binary(
        ["accuracy", mb.metrics.AUROC(), keras.metrics.Precision(name="p")],
        activation=None,
    )()
    found = audit(model, **arguments)
    assert [one.name for one in found] == ["accuracy", "auroc", "p"]
    assert "3 metrics checked, 3 findings" in str(found)
    assert "change: keras.metrics.BinaryAccuracy()" in str(found)
    with pytest.raises(WrongMetricError, match="3 findings"):
        found.raise_if_any()
    plain = found.to_dict()
    assert plain["ok"] is False
    assert plain["findings"][1]["gives"] is None  # NaN: AUROC refuses logits.


def test_a_metric_that_is_weighted_too_gets_no_word_about_weights():
    model = model_of(
        1, "sigmoid", "binary_crossentropy", ["accuracy"], weighted_metrics=["accuracy"]
    )
    weights = np.linspace(0.1, 2, len(X), dtype="float32")
    assert audit(model, (X, BINARY, weights)).ok


def test_it_needs_no_other_library(monkeypatch):
    for name in ("torchmetrics", "sklearn", "sklearn.metrics"):
        monkeypatch.setitem(sys.modules, name, None)
    assert len(run(PLANTED["auc_of_logits"][2])) == 1


def test_bad_arguments_say_what_was_wanted():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    with pytest.raises(ArgumentError, match="wants a compiled model"):
        audit(model, (X, BINARY))
    with pytest.raises(ArgumentError, match=r"data= wants NumPy arrays as \(x, y\)"):
        audit(model, X)


def test_a_metric_is_spelled_with_what_is_not_default():
    auc = keras.metrics.AUC(num_thresholds=50, name="x")
    assert source_of(auc) == "keras.metrics.AUC(num_thresholds=50)"
    assert source_of(mb.metrics.F1Score()) == "multiback.metrics.F1Score()"
