"""What Keras's users pass is what torchmetrics means, whatever the axes and types."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, recall_score
from torchmetrics.classification import (
    BinaryRecall,
    MulticlassAccuracy,
    MulticlassRecall,
    MultilabelRecall,
)
from torchmetrics.regression import MeanSquaredError, PearsonCorrCoef
from torchmetrics.wrappers import ClasswiseWrapper

from multiback.adapters.torchmetrics import as_keras
from multiback.errors import ArgumentError


def value(metric, y_true, y_pred):
    """Return what a metric gives in Keras for two batches."""
    metric = as_keras(metric, "m")
    for rows in (slice(0, 4), slice(4, None)):
        metric.update_state(y_true[rows], y_pred[rows])
    result = metric.result()
    if isinstance(result, dict):
        return {key: float(number) for key, number in result.items()}
    return float(result)


@pytest.fixture
def classes(rng):
    """Class ids and scores of 9 samples, 4 classes."""
    return rng.integers(0, 4, 9), rng.random((9, 4), "float32")


def test_class_ids_come_flat_in_a_column_as_floats_or_one_hot(classes):
    ids, scores = classes
    right = recall_score(ids, scores.argmax(1), average="macro", zero_division=0)
    for labels in (ids, ids[:, None], ids.astype("float32"), np.eye(4)[ids]):
        assert value(MulticlassRecall(4), labels, scores) == pytest.approx(right)


def test_classes_stand_in_the_last_axis(rng):
    """Four rows, columns and classes: torchmetrics would take any of them."""
    ids = rng.integers(0, 4, (9, 4, 4))
    scores = rng.random((9, 4, 4, 4), "float32")
    right = accuracy_score(ids.ravel(), scores.argmax(-1).ravel())
    metric = MulticlassAccuracy(4, average="micro")
    assert value(metric, ids, scores) == pytest.approx(right)
    assert value(metric, ids[..., None], scores) == pytest.approx(right)


def test_labels_stand_in_the_last_axis(rng):
    labels, scores = rng.integers(0, 2, (9, 3, 3)), rng.random((9, 3, 3), "float32")
    found = value(MultilabelRecall(3, average=None), labels, scores)
    right = recall_score(
        labels.reshape(-1, 3), scores.reshape(-1, 3) > 0.5, average=None
    )
    assert list(found.values()) == pytest.approx(list(right))


def test_one_number_comes_flat_or_in_a_column(rng):
    labels, scores = rng.integers(0, 2, 9), rng.random(9, "float32")
    right = recall_score(labels, scores > 0.5)
    numbers = scores + 0.5 * rng.random(9, "float32")
    for wide in (labels[:, None], labels, labels.astype("float32")):
        for wider in (scores, scores[:, None]):
            assert value(BinaryRecall(), wide, wider) == pytest.approx(right)
    for shape in ((9,), (9, 1)):
        pearson = value(PearsonCorrCoef(), numbers.reshape(shape), scores[:, None])
        assert pearson == pytest.approx(np.corrcoef(numbers, scores)[0, 1], rel=1e-5)
    squared = value(MeanSquaredError(), numbers, scores[:, None])
    assert squared == pytest.approx(np.mean((numbers - scores) ** 2), rel=1e-6)


def test_soft_labels_are_an_error():
    metric = as_keras(BinaryRecall())
    with pytest.raises(Exception, match="soft labels") as caught:
        # JAX and TensorFlow raise their own exception around ours.
        metric(np.array([0.0, 0.5]), np.array([0.1, 0.9]))
    error = caught.value
    assert isinstance(error, ArgumentError) or "ArgumentError" in str(error)


def test_a_wrapper_is_what_it_wraps_and_names_its_classes(classes):
    ids, scores = classes
    right = recall_score(ids, scores.argmax(1), average=None, zero_division=0)
    wrapper = ClasswiseWrapper(MulticlassRecall(4, average=None), labels=list("abcd"))
    found = value(wrapper, ids.astype("float32")[:, None], scores)
    assert list(found) == [f"m_multiclassrecall_{label}" for label in "abcd"]
    assert list(found.values()) == pytest.approx(list(right))


def test_the_metric_that_was_given_is_left_alone(classes):
    ids, scores = classes
    metric = MulticlassRecall(4)
    metric.update(torch.tensor(scores), torch.tensor(ids))
    before = float(metric.compute())
    value(metric, ids[::-1], scores)
    assert float(metric.compute()) == before
