"""The result of many classes in a compiled step is that of the arrays outside of it."""

import numpy as np
import pytest
from keras import ops
from sklearn.metrics import average_precision_score
from support.backends import BACKEND

from multiback.metrics import AUROC, AveragePrecision

pytestmark = pytest.mark.skipif(
    BACKEND == "torch", reason="a step of PyTorch is not compiled"
)

CLASSES, ROWS = 12, 240  # So many classes have more cells than ten.
RNG = np.random.default_rng(0)
Y_TRUE = np.arange(ROWS) % CLASSES
LOGITS = RNG.normal(size=(ROWS, CLASSES)) + 2 * np.eye(CLASSES)[Y_TRUE]
Y_PRED = (np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)).astype("float32")
# Many scores in few bins, ties, 1e-30 and 1.
TIED = np.where(Y_PRED > 0.3, 1.0, np.where(Y_PRED < 0.01, 1e-30, 0.25)).astype("f4")
WEIGHTS = RNG.random(ROWS).astype("float32")
BROKEN = np.where(np.arange(ROWS)[:, None] == 3, np.nan, Y_PRED).astype("float32")


def ways():
    """Return functions that compile a function, by name."""
    if BACKEND == "jax":
        import jax

        return {"jit": jax.jit}
    import tensorflow as tf

    return {
        "graph": tf.function,
        "XLA": lambda function: tf.function(function, jit_compile=True),
    }


def stepping(metric, compile_it):
    """Return a function that gives the results after each of some batches.

    All come from one compiled step, which starts with an empty state.
    """

    def step(state, *batch):
        state = metric.stateless_update_state(state, *batch)
        return state, metric.stateless_result(state)

    step = compile_it(step)

    def run(*batches):
        state, results = (
            [ops.convert_to_tensor(v.numpy()) for v in metric.variables],
            [],
        )
        for batch in batches:
            state, result = step(state, *map(ops.convert_to_tensor, batch))
            results.append(ops.convert_to_numpy(result))
        return results

    return run


# All of one shape, and so compiled once.
CASES = {
    "plain": [(Y_TRUE, Y_PRED)] * 2,
    "ties": [(Y_TRUE, TIED)] * 2,
    "NaN": [(Y_TRUE, Y_PRED), (Y_TRUE, BROKEN)],
    "classes that do not occur": [(Y_TRUE % 3, Y_PRED)],
    "weights": [(Y_TRUE, Y_PRED, WEIGHTS)],
}
WAYS = ["jit"] if BACKEND == "jax" else ["graph", "XLA"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Told by their own tests.
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cls", [AUROC, AveragePrecision])
def test_a_compiled_step_has_the_values_of_the_arrays(cls, way):
    def make():
        return cls(task="multiclass", num_classes=CLASSES, average=None)

    run = stepping(make(), ways()[way])
    for name, batches in CASES.items():
        alone = make()
        for found, batch in zip(run(*batches), batches, strict=True):
            alone.update_state(*batch)
            np.testing.assert_allclose(
                found, alone.result(), rtol=2e-6, atol=1e-7, err_msg=name
            )


@pytest.mark.parametrize("way", WAYS)
def test_a_mean_in_a_step_lies_within_its_bounds_as_does_that_of_scikit_learn(way):
    right = average_precision_score(np.eye(CLASSES)[Y_TRUE], Y_PRED)
    metric = AveragePrecision(task="multiclass", num_classes=CLASSES)
    (found,) = stepping(metric, ways()[way])((Y_TRUE, Y_PRED))
    metric.update_state(Y_TRUE, Y_PRED)
    low, high = metric.bounds()
    for value in (found, right):
        assert low - 1e-6 <= value <= high + 1e-6


@pytest.mark.filterwarnings("ignore:.* may be off by")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cls", [AUROC, AveragePrecision])
def test_a_step_reads_large_counts_as_the_arrays_do(cls, way):
    metric = cls(task="multiclass", num_classes=3, average=None)
    result = ways()[way](metric.stateless_result)
    bins, size = metric.statistic.bins, metric.variables[0].shape[1]
    place = np.arange(size) % (2 * bins + 1)
    # Negatives of the lower half of the scores.
    low = place < bins // 2
    for largest, others in ((2, 2), (1000, 2), (2**25, 2**25), (2**23, 3), (2**26, 3)):
        # Bins without scores, with a single one, and with many.
        cells = RNG.integers(0, np.where(low, largest, others))
        cells *= RNG.random(size) < 0.5
        cells[2 * bins :: 2 * bins + 1] = 0  # No NaN.
        cells[-1] = cells[:-1].sum()
        high = np.where(cells < 2**25, 0, cells >> 24)  # A step leaves such a cell.
        high[-1] = cells[-1] >> 24
        counts = np.stack([high, cells - (high << 24)]).astype("int32")
        metric.variables[0].assign(counts)
        found = result([ops.convert_to_tensor(v.numpy()) for v in metric.variables])
        np.testing.assert_allclose(
            ops.convert_to_numpy(found),
            metric.result(),
            rtol=2e-6,
            err_msg=f"{largest} and {others}",
        )
