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
from multiback.metrics.statistics.row_counts import ExactMatchCounts
from multiback.metrics.statistics.score_histogram import ScoreHistogram, before
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


# AutoGraph does so itself under Python 3.13.
@pytest.mark.filterwarnings("ignore:.*___pyct_anno:DeprecationWarning")
def test_autograph_reads_what_a_step_of_a_user_calls():
    import tensorflow as tf

    for function in (ExactMatchCounts.prepare, before):
        assert tf.autograph.to_graph(function) is not function


@pytest.fixture
def of_ten_classes():
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(10), 64).astype("float32")
    return rng.integers(0, 10, 64), scores


@pytest.mark.filterwarnings("ignore::multiback.errors.WideBoundsWarning")
@pytest.mark.parametrize("name", ["AUROC", "AveragePrecision"])
@pytest.mark.parametrize("odd", ["nothing", "a label", "a score", "full"])
def test_many_classes_count_in_a_graph_as_specified(name, odd, of_ten_classes):
    import tensorflow as tf

    y_true, y_pred = of_ten_classes
    if odd == "a label":
        y_true[3] = 17
    if odd == "a score":
        y_pred[5, 2] = NAN
    metric = getattr(mb.metrics, name)(task="multiclass", num_classes=10)
    expected = metric.statistic.init()
    if odd == "full":
        almost = np.zeros(expected["counts"].shape, "int32")
        almost[1, -1] = (1 << 24) - 65
        expected["counts"] = ops.convert_to_tensor(almost)
        metric.variables[0].assign(almost)

    @tf.function
    def step(y_true, y_pred):
        metric.update_state(y_true, y_pred)
        return metric.result()

    for _ in range(2):
        value = step(y_true, y_pred)
        expected = metric.statistic.update(expected, y_true, y_pred)
    for key, kept in metric.state.items():
        np.testing.assert_array_equal(kept, expected[key], err_msg=key)
    np.testing.assert_allclose(value, metric.compute(expected), rtol=1e-5)


def test_a_graph_reads_a_state_once_until_it_changes():
    import tensorflow as tf

    members = mb.metrics.group(
        mb.metrics.Precision(), mb.metrics.Recall(), mb.metrics.F1Score()
    )
    owner = members[0]

    @tf.function
    def step(y_true, y_pred):
        before = [metric.result() for metric in members]
        for metric in members:
            metric.update_state(y_true, y_pred)
        within = [metric.result() for metric in members]
        owner.variables[0].assign(owner.variables[0] * 0)
        return before, within, [metric.result() for metric in members]

    graph = step.get_concrete_function(LABELS, SCORES).graph
    reads = [each for each in graph.get_operations() if each.type == "ReadVariableOp"]
    assert len(reads) <= 4 + 2 + 2 + 1  # All, twice what changed, and one by Keras.
    before, within, after = step(LABELS, SCORES)
    state = specified_state(owner.statistic, LABELS, SCORES)
    np.testing.assert_allclose(before, [0.0] * 3)
    np.testing.assert_allclose(within[0], owner.compute(state), rtol=1e-6)
    np.testing.assert_allclose(after, [0.0] * 3)
