"""Cases on which the libraries are known to differ; each is computed, not quoted."""

import keras
import numpy as np
import sklearn.metrics
import torch
import torchmetrics

import multiback as mb


def ours(metric, *batches):
    """Stream batches of `(y_true, y_pred)` through a metric of multiback or Keras."""
    for batch in batches:
        metric.update_state(*batch)
    return keras.ops.convert_to_numpy(metric.result())


def theirs(metric, *batches):
    """Stream the same batches through a metric of torchmetrics."""
    for y_true, y_pred in batches:
        metric.update(torch.tensor(y_pred), torch.tensor(y_true))
    return metric.compute().numpy()


def rows():
    """Yield `(case, right, multiback, torchmetrics, Keras)`; None where none is."""
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 2, 4096)
    scores = np.exp(rng.normal(size=4096) + y_true - 8).astype("float32")
    yield (
        "AUROC of skewed scores, 200 linear thresholds in the others",
        sklearn.metrics.roc_auc_score(y_true, scores),
        ours(mb.metrics.AUROC(), (y_true, scores)),
        theirs(torchmetrics.AUROC(task="binary", thresholds=200), (y_true, scores)),
        ours(keras.metrics.AUC(), (y_true, scores)),
    )
    logits = (20 + rng.normal(size=4096) + y_true).astype("float32")
    yield (
        "AUROC of logits around 20, which torchmetrics' sigmoid rounds to 1",
        sklearn.metrics.roc_auc_score(y_true, logits),
        ours(mb.metrics.AUROC(from_logits=True), (y_true, logits)),
        theirs(torchmetrics.AUROC(task="binary"), (y_true, logits)),
        ours(keras.metrics.AUC(from_logits=True), (y_true, logits)),
    )
    one = np.ones(8, "int64"), np.linspace(0.1, 0.9, 8, dtype="float32")
    yield (
        "AUROC of one class only",
        np.nan,
        ours(mb.metrics.AUROC(), one),
        theirs(torchmetrics.AUROC(task="binary"), one),
        ours(keras.metrics.AUC(), one),
    )
    nowhere = np.zeros(8, "int64"), np.full((8, 3), np.nan, "float32")
    yield (
        "accuracy of 3 classes whose scores are all NaN",
        0,
        ours(mb.metrics.Accuracy("multiclass", num_classes=3), nowhere),
        theirs(torchmetrics.Accuracy(task="multiclass", num_classes=3), nowhere),
        ours(keras.metrics.SparseCategoricalAccuracy(), nowhere),
    )
    ids, predicted = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 1, 2, 0, 2, 1])
    yield (
        "macro F1 of 3 classes out of 6 that occur",
        sklearn.metrics.f1_score(ids, predicted, average="macro"),
        ours(mb.metrics.F1Score("multiclass", num_classes=6), (ids, predicted)),
        theirs(
            torchmetrics.F1Score(task="multiclass", num_classes=6, average="macro"),
            (ids, predicted),
        ),
        ours(
            keras.metrics.F1Score(average="macro"),
            (np.eye(6, dtype="float32")[ids], np.eye(6, dtype="float32")[predicted]),
        ),
    )
    for mean in (1e4, 1e5):
        target = (rng.normal(size=2000) + mean).astype("float32")
        guess = (target + 0.5 * rng.normal(size=2000)).astype("float32")
        batches = [(target[i::4, None], guess[i::4, None]) for i in range(4)]
        yield (
            f"R2 at a target mean of {mean:g}",
            sklearn.metrics.r2_score(target.astype("float64"), guess.astype("float64")),
            ours(mb.metrics.R2Score(), *batches),
            theirs(torchmetrics.R2Score(), *((t[:, 0], p[:, 0]) for t, p in batches)),
            ours(keras.metrics.R2Score(), *batches),
        )
    x = np.sort(rng.normal(size=512)).astype("float32")
    noisy = (x + 0.1 * rng.normal(size=512)).astype("float32")
    batches = [(x[i : i + 8], noisy[i : i + 8]) for i in range(0, 512, 8)]
    yield (
        "Pearson's r of sorted data in batches of 8",
        np.corrcoef(x.astype("float64"), noisy)[0, 1],
        ours(mb.metrics.PearsonCorrelation(), *batches),
        theirs(torchmetrics.PearsonCorrCoef(), *batches),
        ours(keras.metrics.PearsonCorrelation(axis=0), *batches),
    )
    total = mb.metrics.Sum(), torchmetrics.SumMetric(), keras.metrics.Sum()
    for value in (2.0**24, 1.0, 1.0, 1.0, 1.0):
        total[0].update_state(value)
        total[1].update(value)
        total[2].update_state(value)
    yield (
        "the sum of 2^24, 1, 1, 1 and 1, less 2^24",
        4,
        *(
            float(each) - 2**24
            for each in (total[0].result(), total[1].compute(), total[2].result())
        ),
    )
    ids = rng.integers(0, 3000, 512)
    wrong = keras.ops.cast(keras.ops.one_hot((ids + 1) % 3000, 3000), "bfloat16")
    yield (
        "accuracy of 3000 classes in bfloat16, each prediction wrong by one",
        0,
        ours(mb.metrics.Accuracy("multiclass", num_classes=3000), (ids, wrong)),
        theirs(
            torchmetrics.Accuracy(task="multiclass", num_classes=3000),
            (ids, np.asarray((ids + 1) % 3000)),
        ),
        ours(keras.metrics.SparseCategoricalAccuracy(), (ids, wrong)),
    )
    found = np.ones((8, 3), "int64"), np.ones((8, 3), "float32")
    labels = {"task": "multilabel", "num_labels": 3}
    yield (
        "Matthews correlation of 3 labels that always hold and are always found",
        sklearn.metrics.matthews_corrcoef(*map(np.ravel, found)),
        ours(mb.metrics.MatthewsCorrelation(**labels), found),
        theirs(torchmetrics.MatthewsCorrCoef(**labels), found),
        None,
    )
    yield billions(rng)


def billions(rng):
    """Return MCC of as many samples as 28 doublings of 64 make."""
    y_true = rng.integers(0, 3, 64)
    y_pred = np.where(rng.random(64) < 0.6, y_true, rng.integers(0, 3, 64))
    metric = mb.metrics.MatthewsCorrelation("multiclass", num_classes=3)
    state = metric.statistic.update(metric.statistic.init(), y_true, y_pred)
    other = torchmetrics.MatthewsCorrCoef(task="multiclass", num_classes=3)
    other.update(torch.tensor(y_pred), torch.tensor(y_true))
    other.confmat *= 2**28
    for _ in range(28):
        state = metric.statistic.merge(state, state)
    return (
        "Matthews correlation of 1.7e10 samples",
        sklearn.metrics.matthews_corrcoef(y_true, y_pred),
        keras.ops.convert_to_numpy(metric.compute(state)),
        other.compute().numpy(),
        None,
    )
