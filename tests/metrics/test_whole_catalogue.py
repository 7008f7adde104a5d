"""What no metric escapes: values, counts, narrow scores, groups, the contract.

One stored table holds float64 oracles of fixed cases, with ties, NaN, a single class
and an absent one among them; every backend has to meet it. After a change of the
catalogue: `PYTHONPATH=tests python -m support.oracles`. The tests are in one file
because they share shapes, and JAX compiles every operation for each shape.
"""

import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops
from support.catalogue import (
    ENTRIES,
    NUMBERS,
    OF_ROWS,
    OF_TASKS,
    datasets,
    of_each_statistic,
    public_names,
)
from support.contracts import ATOL, RTOL, FloatContract, MetricContract, stream, updated
from support.oracles import LOSSES, RANKINGS, STORED, oracle

import multiback as mb

# The cases hold NaN, which a metric counts and says.
pytestmark = pytest.mark.filterwarnings(
    "ignore::multiback.errors.UnusableValuesWarning"
)

TABLE = json.loads(STORED.read_text())
# Sixteen scores of each of four columns fit.
KEPT = 64


def tolerances(entry):
    """Return what float32 may be off by, relatively and absolutely."""
    if entry.name in RANKINGS:
        return 0.0, 2e-6
    if entry.name == "CalibrationError":
        return 0.0, 200 * 2.0**-24
    if entry.kind == "images":
        return 1e-4, 1e-5  # Variances are differences of float32 squares.
    if entry.kind in {"numbers", "queries", "regression"} or entry.name in LOSSES:
        # Up to three sums, each within the contract's bound.
        return (3 * FloatContract.rtol,) * 2
    return RTOL, ATOL


def test_the_stored_values_are_those_of_the_oracle():
    assert set(TABLE) == set(ENTRIES)
    assert {entry.name for entry in ENTRIES.values()} == set(public_names())
    for name, entry in ENTRIES.items():
        cases = datasets(entry.kind)
        assert set(TABLE[name]) == set(cases)
        for case, data in cases.items():
            expected = oracle(entry, *data)
            stored = np.array(TABLE[name][case])
            np.testing.assert_allclose(stored, expected, rtol=1e-12, err_msg=case)


def make(entry, **more):
    """Make a metric that is exact: a ranking one keeps its scores."""
    return entry.make(**({"capacity": KEPT} if entry.name in RANKINGS else {}), **more)


each = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())


@each
def test_a_formula_of_a_subclass_is_the_one_that_counts(entry):
    metric = make(entry)
    data = datasets(entry.kind)["plain"]
    metric.update_state(*data)

    formula = {"compute": lambda *_: ops.ones(()) / 8}
    own = type("Own", (type(metric),), formula)
    for cls in (own, type("Mixed", (type("Mixin", (), formula), type(metric)), {})):
        changed = cls.from_config(metric.get_config())
        changed.update_state(*data)
        assert float(changed.result()) == 0.125
    # And what a subclass adds to the value of its parent.
    more = type(
        "More", (type(metric),), {"compute": lambda m, s: super(more, m).compute(s) + 1}
    )
    raised = more.from_config(metric.get_config())
    raised.update_state(*data)
    expected = ops.convert_to_numpy(metric.result()) + 1
    np.testing.assert_allclose(raised.result(), expected, 2e-6, 2e-6)


@each
def test_this_backend_meets_the_stored_values(entry):
    metric = make(entry)
    rtol, atol = tolerances(entry)
    # Before any data a ratio of counts and a sum are 0, and others have no value.
    zero = entry.name == "Sum" or (entry.kind.startswith(("binary", "multi")))
    zero = zero and entry.name not in {*RANKINGS, *LOSSES, *OF_ROWS} - {"ExactMatch"}
    np.testing.assert_equal(np.unique(stream(metric)), [0.0 if zero else np.nan])
    for case, data in datasets(entry.kind).items():
        metric.reset_state()
        np.testing.assert_allclose(
            stream(metric, data), TABLE[entry.id][case], rtol, atol, err_msg=case
        )


@pytest.mark.parametrize("entry", of_each_statistic(ENTRIES).values(), ids=str)
def test_a_nan_of_weight_0_is_left_out(entry):
    cases, values = datasets(entry.kind), []
    nan = np.isnan(cases["nan"][-1]).reshape(len(cases["nan"][-1]), -1).any(1)
    for case in ("nan", "plain"):
        batch = (*cases[case], (~nan).astype("float32"))
        values.append(stream(make(entry), batch))
    np.testing.assert_array_equal(*values)


@each
def test_members_of_a_group_load_as_metrics_with_a_state_of_their_own(entry):
    grouped = mb.metrics.group(make(entry, name="first"), make(entry, name="second"))
    configs = map(keras.saving.serialize_keras_object, grouped)
    again = [keras.saving.deserialize_keras_object(config) for config in configs]
    data = datasets(entry.kind)["plain"]
    rtol, atol = tolerances(entry)
    for metric in again:
        metric.update_state(*data)
        actual = ops.convert_to_numpy(metric.result())
        np.testing.assert_allclose(actual, TABLE[entry.id]["plain"], rtol, atol)
        assert metric.variables


COUNTED = {
    name: entry for name, entry in ENTRIES.items() if "counts" in entry.make().state
}


@pytest.mark.parametrize("entry", of_each_statistic(COUNTED).values(), ids=str)
def test_counts_continue_past_float32_and_int32(entry):
    """Both as a Keras metric and in a custom loop, with the backend's fast paths."""
    metric = entry.make()
    (variable,) = (v for v in metric.variables if "/counts_v" in v.path)
    data = datasets(entry.kind)["plain"]
    metric.update_state(*data)
    high, low = ops.convert_to_numpy(variable.value).astype("int64")
    once = (high << 24) + low
    assert once.sum() > 0
    for start in (2**24 - 1, 2**24, 2**31 - 1, 2**31):
        total = np.where(once > 0, start, 0)
        words = np.stack([total >> 24, total & (2**24 - 1)]).astype("int32")
        variable.assign(words)
        metric.update_state(*data)
        state = metric.statistic.init() | {"counts": ops.convert_to_tensor(words)}
        state = updated(metric.statistic, *data, state=state)
        for after in (variable.value, state["counts"]):
            high, low = ops.convert_to_numpy(after).astype("int64")
            np.testing.assert_array_equal((high << 24) + low, total + once)
            assert low.max() < 2**24  # Carried, so that no word ever overflows.


def test_what_counts_is_most_of_the_catalogue():
    counting = {entry.name for entry in COUNTED.values()}
    of_labels = {entry.name for entry in ENTRIES.values() if entry.kind in OF_TASKS}
    assert len(of_labels) > 20
    assert of_labels - counting <= set(LOSSES)


# Their matrix of 3000 classes takes 72 MB, twice.
SQUARE = ("ConfusionMatrix", "CohenKappa")
OF_CLASSES = {
    name: entry
    for name, entry in ENTRIES.items()
    if entry.kind == "multiclass" and "num_classes" in entry.arguments
}


@pytest.mark.parametrize(
    ("dtype", "classes"), [("float16", 300), ("bfloat16", 3000)], ids=str
)
@pytest.mark.parametrize("entry", of_each_statistic(OF_CLASSES).values(), ids=str)
def test_narrow_scores_of_many_classes_count_by_their_value(entry, dtype, classes):
    if entry.name in SQUARE and classes > 300:
        pytest.skip("a matrix of 3000 classes is large")
    rng = np.random.default_rng(0)
    y_true = np.arange(classes - 16, classes)
    y_pred = rng.random((16, classes)) / 2
    y_pred[np.arange(16), y_true - (np.arange(16) % 2)] += 0.5  # Every other is wrong.
    narrow = ops.cast(y_pred.astype("float32"), dtype)
    wide = ops.convert_to_numpy(ops.cast(narrow, "float32"))
    more = {"capacity": 16} if entry.name in RANKINGS else {}
    arguments = {**entry.arguments, "num_classes": classes}
    values = []
    for scores in (narrow, wide):
        metric = getattr(mb.metrics, entry.name)(**arguments, **more)
        values.append(stream(metric, (y_true, scores)))
    np.testing.assert_array_equal(*values)
    if entry.name == "Accuracy":
        assert values[0] == np.mean(wide.argmax(1) == y_true)
        assert 0.2 < values[0] < 0.8


def contract_cases():
    """Yield what each contract in this folder makes."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(f"_of_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, cls in vars(module).items():
            if name.startswith("Test") and issubclass(cls, MetricContract):
                yield from (cls().make(**case) for case in cls.cases.values())


def test_every_metric_goes_through_the_contract():
    made = {type(metric).__name__ for metric in contract_cases()}
    # Without labels, and so with a contract of their own in test_aggregates.py.
    assert set(public_names()) - made == set(NUMBERS)
