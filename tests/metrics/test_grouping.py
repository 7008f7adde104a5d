"""Metrics that share one state are worth what they are worth alone."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from support.contracts import stream, value

import multiback as mb
from multiback.errors import ArgumentError

NAMES = ["precision", "recall", "f1_score", "accuracy"]


def members():
    m = mb.metrics
    return m.Precision(), m.Recall(), m.F1Score(), m.Accuracy()


def data(n=96):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3)).astype("float32")
    return x, (x[:, 0] + rng.normal(size=n) > 0.3).astype("int32")


def model(metrics=None, **compiled):
    keras.utils.set_random_seed(1)
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    made.compile("sgd", "binary_crossentropy", metrics=metrics, **compiled)
    return made


def scores(of):
    logs = of.evaluate(*data(), batch_size=40, verbose=0, return_dict=True)
    assert set(logs) == {"loss", *NAMES}
    return {name: logs[name] for name in NAMES}


def variables(of):
    return len(of.metrics_variables)


@pytest.fixture(scope="module")
def alone():
    return scores(model(list(members())))


def test_a_group_in_fit_and_evaluate_equals_metrics_on_their_own(alone):
    x, y = data()
    histories = []
    for metrics in (list(members()), mb.metrics.group(*members())):
        fitted = model(metrics)
        histories.append(
            fitted.fit(
                x, y, batch_size=40, epochs=2, verbose=0, validation_data=(x, y)
            ).history
        )
    assert histories[0] == histories[1]
    grouped = model(mb.metrics.group(*members()))
    assert scores(grouped) == alone
    assert scores(grouped) == alone  # The state is reset once, not added to.


def test_only_the_first_owns_variables_and_every_member_keeps_its_direction():
    owner, *views = mb.metrics.group(*members())
    assert len(owner.variables) == 4
    assert [view.variables for view in views] == [[], [], []]
    assert [metric.name for metric in (owner, *views)] == NAMES
    assert {view.direction for view in views} == {"max"}
    assert {view.value_range for view in views} == {(0.0, 1.0)}


def test_what_is_shared_is_declared_and_not_found_out_by_values():
    """torchmetrics merges these two, which agree on the first batch only."""
    low, high = mb.metrics.Recall(threshold=0.5), mb.metrics.Recall(threshold=0.7)
    shared = mb.metrics.Precision(threshold=0.7)
    grouped = mb.metrics.group(low, high, shared)
    assert [len(metric.variables) for metric in grouped] == [4, 4, 0]
    for batch in [([1, 0], [0.9, 0.1]), ([1, 1, 0], [0.6, 0.8, 0.6])]:
        for metric in grouped:
            metric.update_state(*batch)
    assert [float(value(metric)) for metric in grouped[:2]] == [
        1.0,
        pytest.approx(2 / 3),
    ]
    assert value(grouped[2]) == 1.0


def reload(compiled, way, path):
    if way == "load_model":
        compiled.save(path)
        return keras.saving.load_model(path)
    if way == "json":
        again = keras.models.model_from_json(compiled.to_json())
        again.set_weights(compiled.get_weights())
        if not again.compiled:
            again.compile_from_config(compiled.get_compile_config())
        return again
    again = keras.models.clone_model(compiled)
    again.set_weights(compiled.get_weights())
    config = compiled.get_compile_config()
    again.compile_from_config(json.loads(json.dumps(config)))
    return again


@pytest.mark.parametrize("order", ["as grouped", "reversed"])
@pytest.mark.parametrize("way", ["load_model", "json", "clone_model"])
def test_a_group_loads_again_and_each_load_has_a_state_of_its_own(
    alone, way, order, tmp_path
):
    metrics = mb.metrics.group(*members())
    if order == "reversed":
        metrics.reverse()
    first = model(metrics)
    path = tmp_path / "model.keras"
    second, third = reload(first, way, path), reload(first, way, path)
    for again in (first, second, third, reload(second, way, path)):
        assert scores(again) == alone
    # A loaded model has plain metrics; two variables are the mean of the loss.
    assert [variables(made) for made in (first, second)] == [6, 18]
    owned = [{id(v) for v in made.metrics_variables} for made in (second, third)]
    assert not owned[0] & owned[1]


def test_a_view_without_its_owner_is_an_error_until_it_is_loaded(alone, tmp_path):
    cut = model(mb.metrics.group(*members())[1:])
    for _ in range(2):
        with pytest.raises(ArgumentError, match='recall reads the state of "precision'):
            cut.evaluate(*data(), verbose=0)
    # A model of its own: on JAX Keras leaves one without variables after an error.
    cut = model(mb.metrics.group(*members())[1:])
    cut.save(tmp_path / "cut.keras")
    loaded = keras.saving.load_model(tmp_path / "cut.keras")
    logs = loaded.evaluate(*data(), batch_size=40, verbose=0, return_dict=True)
    assert logs["recall"] == alone["recall"]


@pytest.mark.parametrize("kind", ["arrays", "tensors", "lists"])
def test_members_may_be_given_the_same_numbers_in_other_objects(kind):
    """Three members with slices of their own ended in "not the same batches"."""
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 96), rng.random(96).astype("float32")
    make = {"arrays": np.array, "tensors": ops.convert_to_tensor, "lists": list}[kind]
    grouped = mb.metrics.group(*members()[:3])
    for i in range(0, 96, 32):
        for metric in grouped:
            metric.update_state(make(y[i : i + 32]), make(p[i : i + 32]))
    for metric, plain in zip(grouped, members()[:3], strict=True):
        assert value(metric) == stream(plain, (y, p))
    grouped[0].update_state(make(y[:32]), make(p[:32]))
    grouped[1].update_state(make(y[:32]), make(p[32:64]))
    with pytest.raises(ArgumentError, match="not given the same batches"):
        grouped[1].result()


def test_a_view_that_is_given_other_data_than_its_owner_is_an_error():
    precision, recall = mb.metrics.group(mb.metrics.Precision(), mb.metrics.Recall())
    broken = model([precision], weighted_metrics=[recall])
    x, y = data()
    with pytest.raises(ArgumentError, match="not given the same batches"):
        broken.evaluate(x, y, sample_weight=np.ones(len(x)), verbose=0)


def test_weighted_metrics_may_be_a_group():
    x, y = data()
    weight = np.linspace(0, 2, len(x)).astype("float32")
    results = [
        model(None, weighted_metrics=metrics).evaluate(
            x, y, sample_weight=weight, verbose=0, return_dict=True
        )
        for metrics in (list(members()), mb.metrics.group(*members()))
    ]
    assert results[0] == results[1]


def test_a_loop_may_update_the_owner_alone():
    precision, recall = mb.metrics.group(mb.metrics.Precision(), mb.metrics.Recall())
    assert stream(precision, ([1, 0, 1], [0.9, 0.8, 0.1])) == 0.5
    assert value(recall) == 0.5
    precision.reset_state()
    assert value(recall) == 0.0


def test_group_refuses_what_it_cannot_share():
    precision = mb.metrics.Precision()
    with pytest.raises(ArgumentError, match="once"):
        mb.metrics.group(precision, precision)
    with pytest.raises(ArgumentError, match="metrics of multiback"):
        mb.metrics.group(keras.metrics.Precision())
    owner = mb.metrics.group(precision, mb.metrics.Recall())[0]
    with pytest.raises(ArgumentError, match="in one group"):
        mb.metrics.group(owner, mb.metrics.F1Score())
