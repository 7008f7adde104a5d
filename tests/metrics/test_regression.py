import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics
from keras import ops
from support.contracts import stream

import multiback as mb
from multiback.errors import ArgumentError


def test_many_small_errors_are_not_lost_beside_a_large_one():
    """torchmetrics adds in float32: what comes after 2**24 is gone."""
    first = [0.0], [2.0**12]  # Squared, 2**24.
    small = np.zeros(32, "float32"), np.ones(32, "float32") / 8
    theirs, mine = torchmetrics.MeanSquaredError(), mb.metrics.MeanSquaredError()
    for y_true, y_pred in [first, *[small] * 64]:
        mine.update_state(y_true, y_pred)
        theirs.update(torch.tensor(y_pred), torch.tensor(y_true))
    n, true = 1 + 32 * 64, 2.0**24 + 32.0
    total = float(ops.convert_to_numpy(mine.result())) * n
    assert total == pytest.approx(true, rel=2.0**-23)
    assert float(theirs.compute()) * n == pytest.approx(2.0**24, abs=1.0)


def test_targets_of_one_shape_do_not_broadcast_against_another():
    with pytest.raises(ArgumentError, match=r"\(4,\).*\(4, 2\)"):
        stream(mb.metrics.MeanSquaredError(), (np.zeros(4), np.zeros((4, 2))))
    column = np.arange(4.0)[:, None]
    assert stream(mb.metrics.MeanSquaredError(), (np.arange(4.0), column)) == 0.0


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("shape", [(4,), (4, 1), (2, 2)])
def test_whole_numbers_beyond_int32_keep_their_value(dtype, shape):
    y_true = np.array([5 * 10**9, 3 * 10**9, 2**32 + 1, 1], dtype).reshape(shape)
    y_pred = np.array([4 * 10**9, 3 * 10**9, 2**32 + 1, 1], dtype).reshape(shape)
    for first, second in ((y_true, y_pred), (y_true, y_pred.astype("float64"))):
        error = stream(mb.metrics.MeanAbsoluteError(), (first, second))
        assert error == pytest.approx(10**9 / 4)
    score = stream(mb.metrics.R2Score(), (y_true.ravel(), y_pred.ravel()))
    wide = y_true.astype("float64").ravel(), y_pred.astype("float64").ravel()
    assert score == pytest.approx(sklearn.metrics.r2_score(*wide), abs=1e-5)
    for numbers in (y_true, y_true.tolist()):
        assert stream(mb.metrics.Sum(), (numbers,)) == pytest.approx(wide[0].sum())
