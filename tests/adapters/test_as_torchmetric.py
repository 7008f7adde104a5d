"""A multiback or Keras metric is a torchmetrics metric in all that one does."""

import copy
import pickle
import subprocess

import keras
import numpy as np
import pytest
import torch
import torchmetrics
from sklearn.metrics import f1_score, precision_score, recall_score
from support.backends import BACKEND
from support.children import command

import multiback as mb
from multiback.adapters.torchmetrics import as_torchmetric
from multiback.errors import ArgumentError, UnusableValuesWarning

torch_only = pytest.mark.skipif(
    BACKEND != "torch", reason="Its metrics take torch tensors there only"
)

BINARY = {
    "precision": mb.metrics.Precision,
    "log_loss": mb.metrics.LogLoss,
    "auroc": mb.metrics.AUROC,
    "keras_auc": keras.metrics.AUC,
    "keras_precision": keras.metrics.Precision,
    "keras_accuracy": keras.metrics.BinaryAccuracy,
}
NUMBERS = {
    "pearson": mb.metrics.PearsonCorrelation,
    "r2": mb.metrics.R2Score,
    "rmse": mb.metrics.RootMeanSquaredError,
    "keras_rmse": keras.metrics.RootMeanSquaredError,
    "keras_r2": keras.metrics.R2Score,
}
METRICS = BINARY | NUMBERS


def batches(name):
    """Return five batches of predictions and targets."""
    generator = torch.Generator().manual_seed(3)
    preds = torch.rand((5, 40), generator=generator)
    noise = torch.rand((5, 40), generator=generator)
    target = (preds > noise).int() if name in BINARY else 0.7 * preds + 0.3 * noise + 9
    if name == "keras_r2":  # Which takes columns only.
        preds, target = preds[..., None], target[..., None]
    return list(zip(preds, target, strict=True))


def by_keras(metric, seen):
    """Return what the metric itself gives."""
    for preds, target in seen:
        metric.update_state(target, preds)
    return float(metric.result())


def foreign(name):
    """Return the metric as a torchmetrics metric, whose variables exist."""
    metric = METRICS[name]()
    by_keras(metric, batches(name)[:1])
    metric.reset_state()
    return as_torchmetric(metric)


def close(a, b):
    assert float(a) == pytest.approx(float(b), rel=1e-6, abs=1e-7)


@torch_only
@pytest.mark.parametrize("name", METRICS)
def test_it_streams_what_the_metric_itself_gives(name):
    metric = foreign(name)
    assert isinstance(metric, torchmetrics.Metric)
    for preds, target in batches(name):
        metric.update(preds, target)
    close(metric.compute(), by_keras(METRICS[name](), batches(name)))
    metric.reset()
    metric.update(*batches(name)[1])
    close(metric.compute(), by_keras(METRICS[name](), batches(name)[1:2]))


@torch_only
@pytest.mark.parametrize("name", METRICS)
def test_forward_gives_the_batch_and_adds_it(name):
    metric = foreign(name)
    for preds, target in batches(name):
        value = metric(preds, target)
        close(value, by_keras(METRICS[name](), [(preds, target)]))
    close(metric.compute(), by_keras(METRICS[name](), batches(name)))


@torch_only
@pytest.mark.parametrize("name", METRICS)
def test_copies_continue_by_themselves_and_merge(name):
    seen = batches(name)
    metric = foreign(name)
    metric.update(*seen[0])
    for again in (
        metric.clone(),
        copy.deepcopy(metric),
        pickle.loads(pickle.dumps(metric)),  # noqa: S301 - our own bytes
    ):
        again.update(*seen[1])
        close(again.compute(), by_keras(METRICS[name](), seen[:2]))
        other = metric.clone()
        other.reset()
        for each in seen[2:]:
            other.update(*each)
        other.merge_state(again)
        close(other.compute(), by_keras(METRICS[name](), seen))
    close(metric.compute(), by_keras(METRICS[name](), seen[:1]))


@torch_only
@pytest.mark.parametrize("name", METRICS)
def test_a_checkpoint_holds_the_state_where_it_is_persistent(name):
    seen = batches(name)
    metric, again = foreign(name), foreign(name)
    assert metric.state_dict() == {}
    metric.persistent(mode=True)
    again.persistent(mode=True)
    metric.update(*seen[0])
    again.load_state_dict(metric.state_dict())
    again.update(*seen[1])
    close(again.compute(), by_keras(METRICS[name](), seen[:2]))


@torch_only
def test_moving_a_module_changes_neither_count_nor_sum():
    metric = foreign("pearson")
    module = torch.nn.Module()
    module.metric = metric
    metric.update(*batches("pearson")[0])
    before = float(metric.compute())
    module.half()
    metric.set_dtype(torch.float16)
    module.to("cpu", torch.bfloat16)
    metric.update(*batches("pearson")[1])
    close(metric.compute(), by_keras(METRICS["pearson"](), batches("pearson")[:2]))
    assert before != float(metric.compute())


@torch_only
def test_a_collection_shares_what_is_declared_equal_and_nothing_else():
    """By value torchmetrics would take 0.6 for 0.5: the first batch is the same."""
    collection = torchmetrics.MetricCollection(
        {
            "precision": as_torchmetric(mb.metrics.Precision()),
            "strict": as_torchmetric(mb.metrics.Precision(threshold=0.6)),
            "recall": as_torchmetric(mb.metrics.Recall()),
            "f1": as_torchmetric(mb.metrics.F1Score()),
        }
    )
    collection.update(torch.tensor([0.9, 0.1]), torch.tensor([1, 0]))
    preds, target = batches("precision")[0]
    collection.update(preds, target)
    assert sorted(map(sorted, collection.compute_groups.values())) == [
        ["f1", "precision", "recall"],
        ["strict"],
    ]
    y_true = np.concatenate([[1, 0], target.numpy()])
    scores = np.concatenate([[0.9, 0.1], preds.numpy()])
    found = collection.compute()
    close(found["precision"], precision_score(y_true, scores > 0.5))
    close(found["strict"], precision_score(y_true, scores > 0.6))
    close(found["recall"], recall_score(y_true, scores > 0.5))
    close(found["f1"], f1_score(y_true, scores > 0.5))


@torch_only
def test_weights_count_and_plain_values_need_no_target():
    weights = torch.linspace(0.1, 2, 40)
    preds, target = batches("precision")[0]
    metric = as_torchmetric(mb.metrics.F1Score())
    metric.update(preds, target, weights)
    right = f1_score(target, preds > 0.5, sample_weight=weights)
    close(metric.compute(), right)
    mean = as_torchmetric(mb.metrics.Mean())
    mean.update(preds, weights)
    close(mean.compute(), np.average(preds, weights=weights))
    largest = as_torchmetric(mb.metrics.Max())
    largest.update(preds)
    largest.update(preds - 1)
    close(largest.compute(), preds.max())
    assert metric.higher_is_better is True
    assert foreign("log_loss").higher_is_better is False
    assert mean.higher_is_better is None


@torch_only
def test_what_cannot_be_merged_or_is_no_metric_is_an_error():
    class Kept(keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="kept")
            self.add_variable((), "zeros", aggregation="mean", name="kept")

        def update_state(self, y_true, y_pred):
            """Do nothing."""

    for wrong, says in (
        (Kept(), "aggregation='mean'"),
        (keras.metrics.F1Score(), "first update"),
        (torchmetrics.MeanMetric(), "multiback or Keras metric"),
    ):
        with pytest.raises(ArgumentError, match=says):
            as_torchmetric(wrong)
    late = as_torchmetric(keras.metrics.R2Score())
    with pytest.raises(ArgumentError, match="first update"):
        late.update(torch.ones(2, 1), torch.ones(2, 1))
    metric = as_torchmetric(mb.metrics.F1Score())
    metric.update(torch.tensor([0.2, 0.9]), torch.tensor([0, 7]))
    # pytest.warns would raise what NumPy says of Keras beside it.
    with pytest.raises(UnusableValuesWarning, match="f1_score: 1 labels"):
        metric.compute()
    assert metric.compute().isnan()


@pytest.mark.skipif(BACKEND == "torch", reason="There it works")
def test_under_another_backend_the_error_says_which_one_it_wants():
    with pytest.raises(ArgumentError, match="KERAS_BACKEND=torch"):
        as_torchmetric(mb.metrics.F1Score())


@torch_only
def test_two_processes_agree_on_the_number_of_both(tmp_path):
    """Over gloo: each sees its own batches, and one of them more."""
    done = [
        subprocess.Popen(
            command("distributed.synced_metrics", rank, tmp_path / "rendezvous"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        for rank in range(2)
    ]
    answers = []
    for each in done:
        out, err = each.communicate(timeout=120)
        assert each.returncode == 0, err[-3000:]
        answers.append([float(value) for value in out.splitlines()[-1].split()])
    rng = np.random.default_rng(4)
    scores = rng.random(120).astype("float32")
    labels = rng.random(120) < scores
    right = [
        f1_score(labels, scores > 0.5),
        np.corrcoef(labels, scores)[0, 1],
        scores.max(),
        np.mean((scores > 0.5) == labels),
    ]
    for values in answers:
        np.testing.assert_allclose(values[:4], right, rtol=1e-6)
    # And each continues with its own state afterwards.
    own = [
        f1_score(labels[:80], scores[:80] > 0.5),
        f1_score(labels[80:], scores[80:] > 0.5),
    ]
    np.testing.assert_allclose([values[4] for values in answers], own, rtol=1e-6)
