"""`mb.compare`: two checkpoints on the same rows."""

import shutil
import warnings

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import multiback as mb

RNG = np.random.default_rng(0)
X = RNG.normal(size=(228, 3)).astype("float32")
Y = (X[:, 0] + 0.7 * RNG.normal(size=228) > 0).astype("int32")


def compare(*arguments, **more):
    return mb.compare(*arguments, **{"replicates": 200, **more})


def model(*metrics):
    made = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(1, "sigmoid", use_bias=False)]
    )
    made.compile("sgd", "binary_crossentropy", metrics=list(metrics))
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run whose epochs 1 and 2 are near, and 3 is bad."""
    path = tmp_path_factory.mktemp("run")
    made = model(mb.metrics.Accuracy(), mb.metrics.AUROC(), mb.metrics.F1Score())
    weights = [[3.0, 0.1, 0.0], [3.0, 0.0, 0.15], [0.3, 2.0, 0.0]]
    with mb.Checkpointer(
        path, "f1", mode="max", save_top_k=3, filename="{epoch:03d}"
    ) as checkpointer:
        for score, each in zip((0.8, 0.81, 0.6), weights, strict=True):
            made.set_weights([np.array(each)[:, None]])
            checkpointer.step(made, {"f1": score})
    return path


def test_a_difference_that_the_rows_do_not_show_is_reported_as_such(run):
    found = compare(run / "epoch=001", run / "epoch=002", (X, Y))
    assert [one.metric for one in found.differences] == [
        "accuracy",
        "auroc",
        "f1_score",
    ]
    assert all(one.better is None for one in found.differences)
    assert "cannot be told apart by these 228 rows" in str(found)
    assert "equal" not in str(found)


def test_partial_areas_are_compared_by_drawn_rows_not_by_the_whole_area(run):
    partial = mb.metrics.AUROC(max_fpr=0.1)
    found = compare(run / "epoch=001", run / "epoch=003", (X, Y), metrics=[partial])
    (only,) = found.differences
    assert only.p_value is None  # DeLong's test is of the whole area.
    assert only.better == "a"


def test_a_difference_that_the_rows_show_is_reported_too(run):
    found = compare(run / "epoch=001", run / "epoch=003", (X, Y))
    assert [one.better for one in found.differences] == ["a", "a", "a"]
    assert "epoch=001 is better than epoch=003" in str(found)
    accuracy, auroc, f1 = found.differences
    assert accuracy.p_value < 1e-3
    assert auroc.p_value < 1e-3
    assert f1.p_value is None
    assert f1.difference.method == "bootstrap"
    assert f1.b - f1.a == pytest.approx(f1.difference.value)


def test_the_checkpoint_with_the_lower_error_is_better(run):
    metric = mb.metrics.BrierScore()
    found = compare(run / "epoch=003", run / "epoch=001", (X, Y), metrics=[metric])
    [one] = found.differences
    assert one.better == "b"
    assert one.difference.value < 0


def test_best_and_last_are_names_too(run):
    found = compare(run / "best", run / "last", (X, Y), metrics=[mb.metrics.Recall()])
    assert (found.a, found.b) == ("epoch=002", "epoch=003")


def test_rows_of_one_group_count_once(run):
    rows = np.repeat(np.arange(40), 10)
    groups = np.repeat(np.arange(40), 10)
    data = X[rows], Y[rows]
    metrics = [mb.metrics.Accuracy()]
    alone = compare(run / "epoch=001", run / "epoch=003", data, metrics=metrics)
    together = compare(
        run / "epoch=001", run / "epoch=003", data, metrics=metrics, groups=groups
    )
    [one], [two] = alone.differences, together.differences
    ratio = two.difference.standard_error / one.difference.standard_error
    assert ratio == pytest.approx(np.sqrt(10), rel=0.2)
    assert "40 groups" in str(together) or two.better == "a"


def test_rows_of_one_class_have_no_area_and_say_so(run):
    one_class = X[Y == 1], Y[Y == 1]
    found = compare(run / "epoch=001", run / "epoch=003", one_class)
    area = found.differences[1]
    assert np.isnan([area.a, area.difference.value]).all()
    assert area.p_value is None
    assert found.sentence(area) == f"auroc has no value by these {Y.sum()} rows."


def test_one_row_tells_nothing(run):
    found = compare(run / "epoch=001", run / "epoch=003", (X[:1], Y[:1]))
    assert all(one.better is None for one in found.differences)
    assert "by one row" in str(found)


def test_checkpoints_of_one_name_are_told_apart_by_their_paths(run, tmp_path):
    shutil.copytree(run, tmp_path / "other")
    one, other = run / "epoch=001", tmp_path / "other" / "epoch=001"
    found = compare(one, other, (X, Y), metrics=[mb.metrics.Accuracy()])
    assert str(run) in found.a
    assert str(tmp_path / "other") in found.b


def test_weights_count(run):
    weights = np.where(Y == 1, 3.0, 1.0)
    metrics = [mb.metrics.Accuracy()]
    found = compare(
        run / "epoch=001", run / "epoch=003", (X, Y, weights), metrics=metrics
    )
    [one] = found.differences
    metric = mb.metrics.Accuracy()
    metric.update_state(Y, found.predictions[0], weights)
    assert one.a == pytest.approx(float(metric.result()), rel=1e-5)
    assert one.difference.method == "bootstrap"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("epoch=0", "best", (X, Y)), mb.errors.NoCheckpointError, "could be each"),
        (("epoch=9", "best", (X, Y)), mb.errors.NoCheckpointError, "is none of"),
        (("best", "last", X), mb.errors.ArgumentError, "data="),
        (("best", "last", (X, {"a": Y})), mb.errors.ArgumentError, "one output"),
    ],
)
def test_arguments_that_cannot_be_are_refused(run, arguments, error, words):
    a, b, data = arguments
    with pytest.raises(error, match=words):
        mb.compare(run / a, run / b, data)


def test_a_run_directory_alone_says_what_to_add(run):
    with pytest.raises(mb.errors.NoCheckpointError, match="/best, /last or"):
        mb.compare(run, run / "best", (X, Y))


def test_a_model_without_our_metrics_wants_some(tmp_path):
    made = model()
    with mb.Checkpointer(tmp_path, "f1", mode="max", save_top_k=2) as checkpointer:
        for score in (0.6, 0.5):
            checkpointer.step(made, {"f1": score})
    with pytest.raises(mb.errors.ArgumentError, match="metrics="):
        mb.compare(tmp_path / "best", tmp_path / "last", (X, Y))


def test_compiled_metrics_of_several_values_are_left_out_and_named(tmp_path):
    made = model(mb.metrics.F1Score(), mb.metrics.ConfusionMatrix())
    with mb.Checkpointer(tmp_path, "f1", mode="max") as checkpointer:
        for score in (0.6, 0.5):
            checkpointer.step(made, {"f1": score})
    best, last = tmp_path / "best", tmp_path / "last"
    found = compare(best, last, (X, Y))
    assert [one.metric for one in found.differences] == ["f1_score"]
    assert found.left_out == ("confusion_matrix",)
    assert "not compared, as it has several values: confusion_matrix" in str(found)
    assert found["f1_score"] is found.differences[0]
    with pytest.raises(KeyError, match="There are f1_score"):
        found["confusion_matrix"]
    with pytest.raises(mb.errors.ArgumentError, match="confusion_matrix has 4"):
        compare(best, last, (X, Y), metrics=[mb.metrics.ConfusionMatrix()])


def two_epochs(path, made, change):
    """Save a model, change its weights, save it again; return both paths."""
    with mb.Checkpointer(path, "a", mode="max", save_top_k=2) as checkpointer:
        checkpointer.step(made, {"a": 1.0})
        change(made)
        checkpointer.step(made, {"a": 0.5})
    return path / "best", path / "last"


def scaled(made):
    made.set_weights([8.0 * each for each in made.get_weights()])


def test_what_a_model_masks_is_left_out_as_in_evaluate(tmp_path):
    rng = np.random.default_rng(2)
    x = rng.integers(1, 9, (40, 6)).astype("int32")
    x[np.arange(6) >= rng.integers(1, 6, 40)[:, None]] = 0
    y = (x % 2)[..., None]
    made = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            keras.layers.Embedding(9, 4, mask_zero=True),
            keras.layers.Dense(1, "sigmoid"),
        ]
    )
    made.compile("sgd", "binary_crossentropy", metrics=[mb.metrics.LogLoss()])
    wanted = [made.evaluate(x, y, verbose=0)[1]]
    a, b = two_epochs(tmp_path, made, scaled)
    wanted.append(made.evaluate(x, y, verbose=0)[1])
    (only,) = compare(a, b, (x, y), replicates=20).differences
    assert (only.a, only.b) == pytest.approx(wanted, rel=1e-5)
    unmasked = mb.metrics.LogLoss()
    unmasked.update_state(y, made.predict(x, verbose=0))
    assert float(unmasked.result()) != pytest.approx(only.b, rel=1e-2)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_model_that_predicts_nan_is_never_the_better_one(tmp_path, outputs):
    def spoilt(made):
        made.set_weights([each * np.nan for each in made.get_weights()])

    options = {} if outputs == 1 else {"task": "multiclass", "num_classes": outputs}
    metrics = [mb.metrics.Accuracy(**options), mb.metrics.AUROC(**options)]
    activation = "sigmoid" if outputs == 1 else "softmax"
    made = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(outputs, activation)]
    )
    made.compile("sgd", "mse", metrics=metrics)
    y = np.zeros(len(X), "int32")  # As a NaN beyond no threshold, and its argmax, are.
    y[:9] = 1
    a, b = two_epochs(tmp_path, made, spoilt)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mb.errors.UnusableValuesWarning)
        found = compare(a, b, (X, y))
    assert found["accuracy"].b == 0.0
    assert found["accuracy"].difference.value == -found["accuracy"].a
    assert all(one.better != "b" for one in found.differences)


@pytest.mark.parametrize("label", [2, np.nan])
def test_labels_that_no_metric_counts_have_no_verdict(run, label):
    y = Y.astype("float32")
    y[3] = label
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = compare(run / "epoch=001", run / "epoch=003", (X, y))
    assert mb.errors.UnusableValuesWarning in [one.category for one in told]
    for one in found.differences:
        assert one.better is None
        assert np.isnan([one.a, one.b, one.difference.value]).all()
        assert "has no value" in found.sentence(one)


def test_scores_that_no_metric_counts_have_no_verdict(tmp_path):
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse", metrics=[mb.metrics.AUROC()])  # Not from_logits=True.
    a, b = two_epochs(
        tmp_path,
        made,
        lambda made: made.set_weights([-each for each in made.get_weights()]),
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        (only,) = compare(a, b, (X, Y)).differences
    assert mb.errors.UnusableValuesWarning in [one.category for one in told]
    assert only.better is None
    assert np.isnan([only.a, only.b, only.difference.value]).all()


def test_areas_and_their_difference_are_exact(run):
    pair = run / "epoch=001", run / "epoch=003"
    found = compare(*pair, (X, Y))["auroc"]
    exact = [roc_auc_score(Y, mb.load(one).predict(X, verbose=0)[:, 0]) for one in pair]
    assert (found.a, found.b) == pytest.approx(exact, abs=1e-12)
    assert found.difference.value == pytest.approx(found.b - found.a, abs=1e-12)


def test_several_outputs_are_refused_with_what_there_is_for_them(tmp_path):
    x = keras.Input((3,))
    heads = {name: keras.layers.Dense(1, name=name)(x) for name in ("a", "b")}
    made = keras.Model(x, heads)
    made.compile("sgd", "mse")
    a, b = two_epochs(tmp_path, made, scaled)
    metrics = [mb.metrics.MeanSquaredError()]
    for y in (Y, {"a": Y, "b": Y}):
        with pytest.raises(mb.errors.ArgumentError, match=r"metrics\.bootstrap"):
            compare(a, b, (X, y), metrics=metrics)


def test_a_checkpoint_is_not_compared_with_itself(run):
    with pytest.raises(mb.errors.ArgumentError, match="b= wants another checkpoint"):
        compare(run / "best", run / "epoch=002", (X, Y))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"replicates": 0}, "replicates= wants an integer"),
        ({"seed": -1}, "seed= wants an integer"),
        ({"metrics": mb.metrics.F1Score()}, "metrics= wants a list"),
        ({"metrics": [keras.metrics.AUC()]}, "metrics= wants a list"),
        ({"metrics": [mb.metrics.Mean()]}, "metrics= wants a list"),
        (
            {"metrics": [mb.metrics.F1Score(average=None, classes=[0, 1])]},
            "metrics of one value, and f1_score has 2",
        ),
        ({"data": (X[:0], Y[:0])}, "data= wants labels of at least one row"),
    ],
)
def test_wrong_arguments_are_refused(run, more, words):
    data = more.pop("data", (X, Y))
    with pytest.raises(mb.errors.ArgumentError, match=words):
        compare(run / "epoch=001", run / "epoch=002", data, **more)
