"""Every array metric of torchmetrics gives in Keras's fit what it gives by itself."""

import keras
import numpy as np
import pytest
import torch
import torchmetrics.classification
import torchmetrics.regression
from keras import ops
from support.torchmetrics_classes import (
    CLASSES,
    CLASSIFICATION,
    FACADES,
    LABELS,
    REFUSED,
    group_of,
    make,
)

from multiback.adapters.torchmetrics import as_keras
from multiback.errors import ArgumentError

# Torchmetrics says what memory it takes and which class a batch lacks.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torchmetrics.*")

ROWS, BATCH = 80, 40

NAMES = {
    name: group_of(name)
    for name in (*CLASSIFICATION, *torchmetrics.regression.__all__)
    if name not in REFUSED
}


def data_of(group, seed):
    """Return targets and predictions in Keras's shapes."""
    rng = np.random.default_rng(seed)
    rows = {"multiclass": CLASSES, "distributions": CLASSES, "ensembles": 5}
    columns = rows.get(group, LABELS if group == "multilabel" else 1)
    scores = rng.uniform(0.05, 0.95, (ROWS, columns))
    if group in ("multiclass", "distributions"):
        scores /= scores.sum(axis=1, keepdims=True)
    if group == "binary":
        labels = rng.random((ROWS, 1)) < scores
    elif group == "multilabel":
        labels = rng.random((ROWS, LABELS)) < scores
    elif group == "multiclass":
        noisy = np.log(scores) + rng.gumbel(size=scores.shape) / 2
        return noisy.argmax(axis=1).astype("int32"), scores.astype("float32")
    elif group == "distributions":
        targets = rng.uniform(0.05, 0.95, (ROWS, CLASSES))
        targets /= targets.sum(axis=1, keepdims=True)
        return targets.astype("float32"), scores.astype("float32")
    else:
        targets = 0.7 * scores[:, :1] + 0.3 * rng.random((ROWS, 1))
        return targets.astype("float32"), scores.astype("float32")
    return labels.astype("int32"), scores.astype("float32")


@pytest.fixture(scope="module")
def trained():
    """Train a model that predicts its input, with all metrics of a group at once."""
    found = {}

    def train(group):
        if group not in found:
            (y, x), (yv, xv) = data_of(group, 1), data_of(group, 2)
            model = keras.Sequential(
                [
                    keras.Input(x.shape[1:]),
                    keras.layers.Dense(
                        x.shape[1], use_bias=False, kernel_initializer="identity"
                    ),
                ]
            )
            model.compile(
                keras.optimizers.SGD(0.0),
                lambda y_true, y_pred: ops.mean(y_pred, axis=-1),  # noqa: ARG005
                metrics=[
                    as_keras(make(name), name)
                    for name, theirs in NAMES.items()
                    if theirs == group
                ],
            )
            history = model.fit(
                x, y, batch_size=BATCH, epochs=2, validation_data=(xv, yv), verbose=0
            ).history
            evaluated = model.evaluate(
                x, y, batch_size=BATCH, verbose=0, return_dict=True
            )
            found[group] = history, evaluated
        return found[group]

    return train


def by_itself(name, seed):
    """Return what torchmetrics gives when it is fed directly, by log name."""
    group = NAMES[name]
    y_true, y_pred = data_of(group, seed)
    if group in ("binary", "numbers", "ensembles"):
        y_true = y_true[:, 0]
    if group in ("binary", "numbers"):
        y_pred = y_pred[:, 0]
    metric = make(name)
    for start in range(0, ROWS, BATCH):
        batch = slice(start, start + BATCH)
        preds, target = torch.tensor(y_pred[batch]), torch.tensor(y_true[batch])
        if group in ("binary", "multiclass", "multilabel"):
            target = target.long()
        if name in ("KLDivergence", "JensenShannonDivergence"):
            metric.update(target, preds)
        else:
            metric.update(preds, target)
    result = metric.compute()
    if not isinstance(result, tuple):
        result = np.asarray(result)
        if result.size == 1:
            return {name: result.item()}
        return {
            "_".join([name, *map(str, at)]): value
            for at, value in np.ndenumerate(result)
        }
    return {
        "_".join([name, str(index), *map(str, at)]): value
        for index, part in enumerate(result)
        for at, value in np.ndenumerate(np.asarray(part))
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_in_fit_and_evaluate_is_what_torchmetrics_gives_by_itself(
    trained, name
):
    history, evaluated = trained(NAMES[name])
    train, validation = by_itself(name, 1), by_itself(name, 2)
    assert train.keys() == {
        key for key in evaluated if key == name or key.startswith(f"{name}_")
    }
    for key in train:
        both = [history[key][-1], evaluated[key]]
        np.testing.assert_allclose(both, [train[key]] * 2, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(
            history[f"val_{key}"], [validation[key]] * 2, rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize(("name", "needs"), REFUSED.items())
def test_a_metric_that_needs_more_than_arrays_of_pairs_is_refused(name, needs):
    metric = getattr(torchmetrics.classification, name)(num_groups=2)
    with pytest.raises(ArgumentError, match=needs):
        as_keras(metric)


@pytest.mark.parametrize("facade", sorted(FACADES))
def test_a_class_that_only_chooses_by_task_makes_one_that_is_tried(facade):
    assert type(make(facade)).__name__ in NAMES


def test_no_class_is_left_out():
    tried = {*NAMES, *FACADES, *REFUSED}
    assert tried == {
        *torchmetrics.classification.__all__,
        *torchmetrics.regression.__all__,
    }
    assert len(tried) >= 120
