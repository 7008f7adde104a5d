"""What TensorFlow counts in few operations of a graph is what is specified."""

from functools import partial

import numpy as np
import pytest
from keras import ops
from support.backends import BACKEND, traced
from support.batches import BINARY, IDS, LABELS, NAN, ODD, SCORES, TIED, N

import multiback as mb
from multiback.metrics.inputs.scores import ScoreTask
from multiback.metrics.numeric import exact
from multiback.metrics.statistics.score_histogram import ScoreHistogram
from multiback.metrics.statistics.task_counts import BinaryCounts, MulticlassCounts

pytestmark = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="only TensorFlow has graphs that no XLA fuses"
)
IN_GRAPHS = {
    "binary": BinaryCounts(),
    "a high threshold": BinaryCounts(threshold=0.9),
    "binary logits": BinaryCounts(threshold=0.6, from_logits=True),
    "scores": ScoreHistogram(),
    "few bins": ScoreHistogram(bits=7),
    "logits": ScoreHistogram(ScoreTask(from_logits=True)),
}


def fitting(batches):
    return {name: b for name, b in batches.items() if name != "shapes that differ"}


@pytest.mark.parametrize("statistic", IN_GRAPHS.values(), ids=IN_GRAPHS)
@pytest.mark.parametrize(
    "batch", fitting({**BINARY, **ODD}).values(), ids=fitting({**BINARY, **ODD})
)
def test_a_batch_counts_in_a_graph_as_the_specification_says(statistic, batch):
    import tensorflow as tf

    from multiback.metrics.fast import tensorflow as kernels

    batch = tuple(map(ops.convert_to_tensor, batch))
    update = partial(kernels.update, statistic)
    # Batches of any length, as `fit` traces them.
    longer = [tf.TensorSpec([None, *x.shape[1:]][: x.ndim], x.dtype) for x in batch]
    for step in (update, tf.function(update, reduce_retracing=True)):
        state = statistic.init()
        for _ in range(2):
            state = step(state, *batch)
        twice = statistic.update(specified_state(statistic, *batch), *batch)
        np.testing.assert_array_equal(state["counts"], twice["counts"])
    whole = tf.function(lambda *b: update(statistic.init(), *b), longer)(*batch)
    specified = specified_state(statistic, *batch)
    np.testing.assert_array_equal(whole["counts"], specified["counts"])


def specified_state(statistic, *batch):
    return statistic.update(statistic.init(), *batch)


def test_a_graph_carries_counts_that_are_full():
    from multiback.metrics.fast import tensorflow as kernels

    for statistic in IN_GRAPHS.values():
        state = statistic.init()
        full = np.zeros(state["counts"].shape, "int32")
        full[1] = (1 << 24) - 1
        state["counts"] = ops.convert_to_tensor(full)
        expected = statistic.update(state, LABELS, SCORES)["counts"]
        actual = traced(partial(kernels.update, statistic))(state, LABELS, SCORES)[
            "counts"
        ]
        both = [ops.convert_to_numpy(exact.carry(c)) for c in (actual, expected)]
        np.testing.assert_array_equal(*both)
        assert ops.convert_to_numpy(actual)[1].max() < 1 << 24


def left_in_a_step_and_in_its_loop():
    """Return whether a batch is left to the specification."""
    import tensorflow as tf

    from multiback.metrics.fast import tensorflow as kernels

    def is_left():
        statistic = BinaryCounts()
        return kernels.update(statistic, statistic.init(), LABELS, SCORES) is None

    loop = tf.while_loop(
        lambda i, _: i < 3,
        lambda i, _: (i + 1, is_left()),
        (0, tf.constant(value=False)),
    )
    return tf.constant(is_left()), loop[1]


def test_what_is_not_plain_or_goes_to_xla_is_left_to_the_specification():
    import tensorflow as tf

    from multiback.metrics.fast import tensorflow as kernels

    def update(statistic, *batch):
        return kernels.update(statistic, statistic.init(), *batch)

    plain = BinaryCounts()
    assert update(plain, LABELS, SCORES) is not None
    assert update(plain, *ODD["shapes that differ"]) is None
    assert update(BinaryCounts(ignore_index=1), LABELS, SCORES) is None
    assert update(MulticlassCounts(5), IDS, TIED) is None
    for task in (
        ScoreTask(ignore_index=1),
        ScoreTask(num_labels=5),
        ScoreTask(num_labels=5, micro=True),
        ScoreTask(num_classes=5, micro=True),
    ):
        assert update(ScoreHistogram(task), TIED > 0.5, TIED) is None
    for xla in (False, True):
        left = tf.function(left_in_a_step_and_in_its_loop, jit_compile=xla)()
        assert [bool(each) for each in left] == [xla, xla]


def test_a_ratio_in_a_graph_is_that_of_the_formula():
    m = mb.metrics
    batches = (
        (LABELS, SCORES),
        (LABELS * 0, SCORES * 0),
        (LABELS * 0 + 1, SCORES * 0 + 1),
        (LABELS, SCORES, np.linspace(0, 2, N, dtype="float32")),
        (LABELS + (IDS == 1) * 2, SCORES),
    )
    for metric in (
        m.Precision(),
        m.Recall(zero_division=1.0),
        m.F1Score(zero_division=NAN),
        m.FBetaScore(beta=2.0),
        m.Accuracy(),
        m.Specificity(),
        m.NegativePredictiveValue(zero_division=1.0),
        m.HammingDistance(),
    ):
        for batch in batches:
            state = specified_state(metric.statistic, *batch)
            result = traced(metric.stateless_result)([*state.values()])
            np.testing.assert_allclose(result, metric.compute(state), rtol=1e-6)
