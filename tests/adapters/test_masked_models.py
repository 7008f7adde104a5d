"""What a model masks is left out of the comparison, and said where Keras counts it."""

import keras
import numpy as np
import pytest
from support.wrong_metrics import halved

import multiback as mb
from multiback.adapters.torchmetrics import crosscheck


@pytest.fixture(scope="module")
def sequences():
    """Token ids, 0 for padding, and a tag for each."""
    rng = np.random.default_rng(11)
    x = rng.integers(1, 9, (70, 6)).astype("int32")
    x[np.arange(6) >= rng.integers(1, 7, 70)[:, None]] = 0
    return x, (x % 3).astype("int32")


def tagger(metrics, weighted=(), *, mask=True, units=3):
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(9, 4, mask_zero=mask),
            keras.layers.Dense(units, "softmax" if units > 1 else "sigmoid"),
        ]
    )
    loss = "sparse_categorical_crossentropy" if units > 1 else "binary_crossentropy"
    model.compile("sgd", loss, metrics=metrics, weighted_metrics=list(weighted))
    return model


def test_a_metric_that_honours_the_mask_agrees(sequences):
    f1 = mb.metrics.F1Score("multiclass", num_classes=3)
    top = mb.metrics.TopKAccuracy(3, 2)
    masked = crosscheck(tagger([f1, "accuracy"], [top]), sequences)
    assert {row.name: row.verdict for row in masked} == {
        "f1_score": "agrees",
        "accuracy": "agrees",
        "top_k_accuracy": "agrees",
    }
    # A metric of its own: TensorFlow does not reset one before its first batch.
    f1 = mb.metrics.F1Score("multiclass", num_classes=3)
    (plain,) = crosscheck(tagger([f1], mask=False), sequences)
    assert plain.verdict == "agrees"
    assert abs(plain.value - masked["f1_score"].value) > 1e-3


def test_weights_under_a_mask_are_right_but_where_keras_changes_them(sequences, rng):
    weight = rng.random((70, 6)).astype("float32")
    model = tagger([], [mb.metrics.TopKAccuracy(3, 2)])
    (row,) = crosscheck(model, (*sequences, weight))
    if keras.backend.backend() != "torch":
        assert row.verdict == "agrees", row
        return
    assert row.verdict == "wrong", row
    assert "multiplies the weights of masked batches in place" in row.reason
    x, y = sequences
    kept = x != 0
    scaled = np.concatenate(
        [weight[i : i + 32] * 6 / kept[i : i + 32].mean() for i in (0, 32, 64)]
    )
    by_hand = mb.metrics.TopKAccuracy(3, 2)
    predictions = np.array(model.predict(x, verbose=0))
    by_hand.update_state(y[kept], predictions[kept], scaled[kept])
    assert row.value == pytest.approx(float(by_hand.result()), rel=1e-5)


def test_a_metric_of_keras_that_counts_what_is_masked_is_named(sequences):
    x, y = sequences
    metrics = [
        keras.metrics.Precision(0.3, name="keras"),
        mb.metrics.Precision(threshold=0.3, name="ours"),
    ]
    model = tagger(metrics, units=1)
    report = crosscheck(model, (x, (y[..., None] > 0).astype("float32")))
    assert report["ours"].verdict == "agrees"
    assert report["keras"].verdict == "differs by convention"
    assert report["keras"].reason.startswith("mask: ")
    assert report["keras"].difference > 1e-3


def test_rows_and_functions_under_a_mask_are_compared_with_themselves(sequences):
    def largest(y_true, y_pred):
        return keras.ops.max(y_pred, axis=-1) * keras.ops.cast(y_true >= 0, "float32")

    def spread(y_true, y_pred):
        return keras.ops.std(y_pred) * keras.ops.cast(y_true >= 0, "float32")

    match = mb.metrics.ExactMatch("multiclass", num_classes=3)
    report = crosscheck(tagger([match, largest, spread]), sequences)
    assert {row.name: row.verdict for row in report} == {
        "exact_match": "no equivalent",
        "largest": "no equivalent",
        "spread": "wrong",
    }
    assert "partly masked rows" in report["exact_match"].reason
    assert "does not depend on the batches" in report["largest"].reason
    assert "averages a function over batches" in report["spread"].reason


def test_a_wrong_metric_is_wrong_under_a_mask_too(sequences):
    metric = halved(mb.metrics.F1Score)("multiclass", num_classes=3)
    (row,) = crosscheck(tagger([metric]), sequences)
    assert row.verdict == "wrong"
