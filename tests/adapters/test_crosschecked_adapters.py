"""Crosscheck and audit judge what the adapters put into Keras, and change nothing."""

import keras
import numpy as np
import pytest
import torchmetrics.classification as tc
import torchmetrics.regression as tr
from sklearn.metrics import roc_auc_score
from support.wrong_metrics import halved

import multiback as mb
from multiback.adapters.sklearn import as_keras as function_as_keras
from multiback.adapters.torchmetrics import CrossCheck, as_keras, audit, crosscheck
from multiback.errors import ArgumentError

# torchmetrics says what memory it takes.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torchmetrics.*")


@pytest.mark.parametrize(
    ("form", "metric"),
    [
        ("binary", tc.BinaryAUROC()),
        ("binary", tc.BinaryFBetaScore(beta=2.0, threshold=0.3)),
        ("binary", tc.BinaryMatthewsCorrCoef()),
        ("multiclass", tc.MulticlassF1Score(10, average="weighted")),
        ("multiclass", tc.MulticlassAccuracy(10, top_k=2, average="micro")),
        ("multiclass", tc.MulticlassAveragePrecision(10)),
        ("multilabel", tc.MultilabelRecall(5)),
        ("regression", tr.MeanSquaredError(squared=False)),
        ("regression", tr.ConcordanceCorrCoef()),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_hosted_metric_is_compared_with_scikit_learn(real, form, metric):
    y_true, y_pred = real["binary" if form == "regression" else form]
    if form == "regression":
        y_true = y_true.astype("float32")
    columns = y_pred if y_pred.ndim > 1 else y_pred[:, None]
    report = crosscheck(as_keras(metric, "metric"), (y_true, columns), batch_size=300)
    for row in report:
        assert row.verdict in {"agrees", "differs by convention"}, row
        assert row.sklearn is not None
        assert (row.verdict == "agrees") == (not row.reason.startswith("variance"))


def test_several_numbers_of_a_hosted_metric_are_compared_with_themselves(real):
    metric = as_keras(tc.MultilabelRecall(5, average="none"), "recall")
    report = crosscheck(metric, real["multilabel"], batch_size=300)
    assert [row.name for row in report] == [f"recall_{index}" for index in range(5)]
    assert {row.verdict for row in report} == {"no equivalent"}
    assert "each logged alone" in report["recall_0"].reason


def test_a_hosted_metric_that_is_wrong_is_found(real, monkeypatch):
    (row,) = crosscheck(as_keras(halved(tc.BinaryRecall)(), "halved"), real["binary"])
    # A subclass has no equivalent: its own value decides.
    assert row.verdict == "no equivalent"
    compute = tc.BinaryRecall.compute
    monkeypatch.setattr(tc.BinaryRecall, "compute", lambda self: compute(self) / 2)
    (row,) = crosscheck(as_keras(tc.BinaryRecall(), "wrong"), real["binary"])
    assert row.verdict == "wrong"


def hosting_model(identity_model):
    return identity_model(
        metrics=[
            as_keras(tc.BinaryAUROC(), "auroc"),
            function_as_keras(roc_auc_score, needs="scores", name="area"),
        ],
        jit_compile=False,
    )


def test_a_compiled_hosted_metric_is_no_false_alarm(identity_model, scored):
    model, (x, y) = hosting_model(identity_model), scored
    model.fit(x, y, epochs=1, verbose=0)
    report = crosscheck(model, (x, y))
    assert report.ok, report
    assert report["auroc"].verdict == "agrees"
    assert report["area"].value == pytest.approx(report["auroc"].sklearn, rel=1e-6)
    assert not audit(model, (x, y)).findings


def test_a_check_in_fit_leaves_a_hosted_metric_as_it_was(identity_model, scored):
    x, y = scored
    logs = []
    for checked in (False, True):
        model = hosting_model(identity_model)
        check = [CrossCheck(data=(x, y), on_wrong="raise")] * checked
        fitted = model.fit(
            x, y, epochs=2, validation_data=(x, y), verbose=0, callbacks=check
        )
        history = fitted.history.items()
        logs.append({k: v for k, v in history if "loss" not in k})
    assert set(logs[0]) == {"auroc", "area", "val_auroc", "val_area"}
    assert logs[0] == logs[1]


def test_the_state_of_a_hosted_metric_that_is_checked_is_kept(scored):
    x, y = scored
    metric = as_keras(tc.BinaryRecall())
    metric.update_state(y[:40], x[:40])
    before = float(metric.result())
    crosscheck(metric, (y[40:], x[40:]))
    assert float(metric.result()) == before
    metric.update_state(y[40:], x[40:])
    whole = as_keras(tc.BinaryRecall())
    whole.update_state(y, x)
    assert float(metric.result()) == float(whole.result())


def test_rows_that_do_not_match_are_named_for_a_model(identity_model, scored):
    x, y = scored
    model = hosting_model(identity_model)
    for check in (crosscheck, audit):
        with pytest.raises(ArgumentError, match="not 100 in x, 10 in y"):
            check(model, (x, y[:10]))


def test_a_raw_torchmetric_and_anything_but_a_model_are_refused(scored):
    x, y = scored
    with pytest.raises(ArgumentError, match="wants a compiled Keras model, not F1"):
        audit(mb.metrics.F1Score(), (x, y))
    with pytest.raises(ArgumentError, match=r"pass as_keras\(\.\.\.\) of it"):
        crosscheck(tc.BinaryAUROC(), (y, x))
    with pytest.raises(ArgumentError, match="not <Sequential"):
        crosscheck([keras.Sequential()], (np.ones(3), np.ones(3)))
