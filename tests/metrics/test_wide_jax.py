"""JAX with 64 bits switched on: sums of int32 are int64, and arrays float64."""

import numpy as np
import pytest
from support.backends import BACKEND

import multiback as mb

METRICS = [
    mb.metrics.F1Score(),
    mb.metrics.AUROC(num_bins=64),
    mb.metrics.AUROC(capacity=8, name="kept"),
    mb.metrics.LogLoss(),
    mb.metrics.R2Score(),
    mb.metrics.CalibrationError(),
    mb.metrics.SamplewiseDice(),
]


@pytest.mark.skipif(BACKEND != "jax", reason="only JAX has such a switch")
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_state_keeps_its_dtypes_so_that_a_loop_of_jax_can_carry_it(metric):
    import jax

    y_true, y_pred = np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.3, 0.8])
    narrow = metric.statistic.update(metric.statistic.init(), y_true, y_pred)
    expected = np.asarray(metric.compute(narrow))
    with jax.enable_x64(True):  # noqa: FBT003 - the name says it
        for weight in (None, np.ones(4)):

            def step(state, batch, weight=weight):
                return metric.statistic.update(state, *batch, weight), ()

            batches = y_true[None], y_pred[None]
            state, _ = jax.lax.scan(step, metric.statistic.init(), batches)
            np.testing.assert_allclose(metric.compute(state), expected, rtol=1e-6)
