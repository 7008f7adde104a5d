"""What every metric promises, whatever it computes.

A test of a metric is a subclass that says how to make the metric, how to draw
data for it and what float64 NumPy or scikit-learn gives on that data; the
promises come with it. `cases` maps an id to the metric's arguments.
"""

import abc
import itertools
import pickle

import keras
import numpy as np
import pytest
from keras import ops
from support.backends import BACKEND, compiled, to_numpy

# One rounding of the ratio and one of each operand, in float32.
RTOL = 4 * 2.0**-24
# An average adds up to `columns` terms, each rounded.
ATOL = 1e-6


# For tests of values that cannot be used; that a warning says so has tests of its own.
unusable = pytest.mark.filterwarnings("ignore::multiback.errors.UnusableValuesWarning")


def value(metric):
    return np.asarray(ops.convert_to_numpy(metric.result()), "float64")


def stream(metric, *batches):
    """Give a metric some batches of (y_true, y_pred[, sample_weight])."""
    for batch in batches:
        metric.update_state(*batch)
    return value(metric)


# JAX compiles each operation for each new shape, which takes most of its tests'
# time. So batches have one of two sizes, 64 rows or a third of them, but for the
# smallest that there are: one row, and none.
ROWS = 64
THIRD = 21
PIECES = (0, 1, THIRD, THIRD, THIRD)


def ragged(seed):
    """Cut range(ROWS) into ragged pieces, in random order."""
    sizes = np.random.default_rng(seed).permutation(PIECES)
    edges = [0, *np.cumsum(sizes)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def updated(statistic, *batch, state=None, **weights):
    """Add a batch to a state: on JAX in one compiled call, as a metric does."""
    state = statistic.init() if state is None else state
    if BACKEND == "jax":
        from multiback.metrics.fast.jax import update

        after = update(statistic, state, *batch, **weights)
        if after is not None:
            return after
    return statistic.update(state, *batch, **weights)


class MetricContract(abc.ABC):
    cases: dict

    @abc.abstractmethod
    def make(self, **arguments): ...

    @abc.abstractmethod
    def sample(self, rng, n, arguments):
        """Draw `y_true, y_pred` with `n` rows."""

    @abc.abstractmethod
    def oracle(self, y_true, y_pred, sample_weight=None, **arguments):
        """Give the float64 value."""

    def close(self, actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=RTOL, atol=ATOL)

    def same(self, actual, expected):
        """Compare two ways to one value: exactly, unless the state is of floats."""
        np.testing.assert_array_equal(actual, expected)

    def same_state(self, _arguments, actual, expected):
        """Compare two ways to one state."""
        np.testing.assert_equal(to_numpy(actual), to_numpy(expected))

    def test_each_batch_and_the_whole_agree_with_the_oracle(self, rng, arguments):
        metric = self.make(**arguments)
        y_true, y_pred = self.sample(rng, ROWS, arguments)
        for rows in (slice(0, THIRD), slice(THIRD, 2 * THIRD)):
            metric.reset_state()
            actual = stream(metric, (y_true[rows], y_pred[rows]))
            self.close(actual, self.oracle(y_true[rows], y_pred[rows], **arguments))
        metric.reset_state()
        parts = ragged(0)
        actual = stream(metric, *((y_true[rows], y_pred[rows]) for rows in parts))
        self.close(actual, self.oracle(y_true, y_pred, **arguments))

    def test_any_partition_gives_the_same_value(self, rng, arguments):
        y_true, y_pred = self.sample(rng, ROWS, arguments)
        whole = stream(self.make(**arguments), (y_true, y_pred))
        for seed in range(3):
            pieces = [(y_true[s], y_pred[s]) for s in ragged(seed)]
            self.same(stream(self.make(**arguments), *pieces), whole)

    def test_merge_is_associative_and_commutative_with_init_as_identity(
        self, rng, arguments
    ):
        statistic = self.make(**arguments).statistic
        y_true, y_pred = self.sample(rng, ROWS, arguments)
        a, b, c, d = (
            updated(statistic, y_true[s], y_pred[s])
            for s in (slice(0, 21), slice(21, 22), slice(22, 43), slice(43, ROWS))
        )
        c = statistic.merge(c, d)
        merge = statistic.merge
        whole = updated(statistic, y_true, y_pred)
        for other in (
            merge(merge(a, b), c),
            merge(a, merge(b, c)),
            merge(merge(c, a), b),
            merge(merge(merge(statistic.init(), a), merge(b, c)), statistic.init()),
        ):
            self.same_state(arguments, other, whole)

    @pytest.mark.skipif(
        BACKEND == "torch", reason="fit on torch is eager: there is nothing to compare"
    )
    def test_compiled_equals_eager(self, rng, arguments):
        metric = self.make(**arguments)
        y_true, y_pred = self.sample(rng, ROWS, arguments)
        tensors = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        weight = ops.convert_to_tensor(rng.random(ROWS).astype("float32"))

        def step(state, y_true, y_pred, weight):
            state = metric.statistic.update(state, y_true, y_pred)
            state = metric.statistic.update(state, y_true, y_pred, weight)
            return state, metric.compute(state)

        start = metric.statistic.init()
        eager_state, eager = step(start, *tensors, weight)
        fast_state, fast = compiled(step)(start, *tensors, weight)
        self.close(ops.convert_to_numpy(fast), ops.convert_to_numpy(eager))
        fast_state, eager_state = to_numpy(fast_state), to_numpy(eager_state)
        assert fast_state.keys() == eager_state.keys()
        for key, words in eager_state.items():
            if words.dtype.kind == "i":
                np.testing.assert_array_equal(fast_state[key], words)

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_narrow_predictions_are_compared_by_their_value(
        self, rng, arguments, dtype
    ):
        y_true, y_pred = self.sample(rng, ROWS, arguments)
        if y_pred.dtype.kind != "f":
            pytest.skip("class ids have no narrow form")
        narrow = ops.cast(y_pred, dtype)
        rounded = ops.convert_to_numpy(ops.cast(narrow, "float32"))
        actual = stream(self.make(**arguments), (y_true, narrow))
        self.close(actual, self.oracle(y_true, rounded, **arguments))

    def test_weight_0_removes_a_row_and_an_integer_weight_repeats_it(
        self, rng, arguments
    ):
        y_true, y_pred = self.sample(rng, ROWS, arguments)
        weight = np.repeat(range(5), [43, 3, 4, 3, 11])  # 21 rows count, as 64.
        np.random.default_rng(0).shuffle(weight)
        repeated = np.repeat(y_true, weight, 0), np.repeat(y_pred, weight, 0)
        expected = stream(self.make(**arguments), repeated)
        for shape in ((ROWS,), (ROWS, 1)):
            weighted = (y_true, y_pred, weight.reshape(shape).astype("float32"))
            self.close(stream(self.make(**arguments), weighted), expected)
        keep = weight > 0
        self.close(
            stream(self.make(**arguments), (y_true, y_pred, keep.astype("float32"))),
            stream(self.make(**arguments), (y_true[keep], y_pred[keep])),
        )

    def test_fractional_weights_agree_with_the_oracle(self, rng, arguments):
        y_true, y_pred = self.sample(rng, ROWS, arguments)
        weight = rng.random(ROWS).astype("float32")
        actual = stream(
            self.make(**arguments),
            *((y_true[s], y_pred[s], weight[s]) for s in ragged(0)),
        )
        expected = self.oracle(y_true, y_pred, sample_weight=weight, **arguments)
        self.close(actual, expected)

    def test_a_mask_leaves_elements_out(self, rng, arguments):
        statistic = self.make(**arguments).statistic
        y_true, y_pred = self.sample(rng, ROWS, arguments)
        mask = np.random.default_rng(0).permutation(ROWS) < THIRD
        masked = updated(statistic, y_true, y_pred, mask=mask)
        short = updated(statistic, y_true[mask], y_pred[mask])
        self.same_state(arguments, masked, short)

    def test_config_and_pickle_make_the_same_metric(self, rng, arguments):
        metric = self.make(**arguments)
        batch = self.sample(rng, THIRD, arguments)
        expected = stream(metric, batch)
        again = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(metric)
        )
        assert again.get_config() == metric.get_config()
        np.testing.assert_array_equal(stream(again, batch), expected)
        unpickled = pickle.loads(pickle.dumps(metric))  # noqa: S301 - our own bytes
        unpickled.reset_state()
        np.testing.assert_array_equal(stream(unpickled, batch), expected)

    def test_reset_forgets_everything(self, rng, arguments):
        metric = self.make(**arguments)
        batch = self.sample(rng, THIRD, arguments)
        expected = stream(metric, batch)
        metric.reset_state()
        np.testing.assert_equal(
            to_numpy(metric.state), to_numpy(metric.statistic.init())
        )
        np.testing.assert_array_equal(stream(metric, batch), expected)

    def test_it_declares_its_direction_and_stays_in_its_range(self, rng, arguments):
        metric = self.make(**arguments)
        assert metric.direction in {"max", "min"}
        low, high = metric.value_range
        result = stream(metric, self.sample(rng, THIRD, arguments))
        assert np.all((result >= low) & (result <= high))


class FloatContract(MetricContract):
    """A metric whose state is sums of floats: the order of adding shows.

    A batch adds up in blocks of 32 rows, so with at most 64
    roundings, and each term takes a few of its own.
    """

    rtol = 72 * 2.0**-24
    atol = 0.0

    def close(self, actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=self.rtol, atol=self.atol)

    def same(self, actual, expected):
        self.close(actual, expected)

    def same_state(self, arguments, actual, expected):
        compute = self.make(**arguments).compute
        self.close(*(ops.convert_to_numpy(compute(s)) for s in (actual, expected)))
