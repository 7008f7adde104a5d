"""What one backend does in its own way equals the `keras.ops` specification."""

import keras
import numpy as np
import pytest
from keras import ops
from support.backends import BACKEND, compiled, to_numpy, traced
from support.batches import BINARY, CLASSES, IDS, INF, LABELS, NAN, ODD, SCORES, TIED, N
from support.contracts import stream, unusable, value

import multiback as mb
from multiback.metrics.base.score_metric import as_floats
from multiback.metrics.fast import numpy as arrays
from multiback.metrics.fast import table
from multiback.metrics.inputs.causes import OF_LABELS
from multiback.metrics.inputs.classes import first_largest
from multiback.metrics.inputs.scores import ScoreTask
from multiback.metrics.numeric import by_id as bins
from multiback.metrics.numeric import exact
from multiback.metrics.statistics.class_hits import ClassHits
from multiback.metrics.statistics.score_bins import BITS, edge_table
from multiback.metrics.statistics.score_histogram import ScoreHistogram
from multiback.metrics.statistics.task_counts import (
    BinaryCounts,
    MulticlassCounts,
    MultilabelCounts,
)

STATISTICS = {
    "binary": (BinaryCounts(), BINARY),
    "logits": (BinaryCounts(threshold=0.6, from_logits=True), BINARY),
    "ignored": (BinaryCounts(ignore_index=0), BINARY),
    "multilabel": (
        MultilabelCounts(5),
        {
            "plain": (TIED.round(), TIED),
            "sequences": (TIED.round().reshape(4, 6, 5), TIED.reshape(4, 6, 5)),
            "empty": (TIED[:0], TIED[:0]),
        },
    ),
    "classes": (MulticlassCounts(5), CLASSES),
    "classes, ignored": (MulticlassCounts(5, ignore_index=2), CLASSES),
    "hits": (ClassHits(5), CLASSES),
    "hits, ignored": (ClassHits(5, ignore_index=2), CLASSES),
}
EACH = [
    pytest.param(statistic, *batch, id=f"{name}: {case}")
    for name, (statistic, batches) in STATISTICS.items()
    for case, batch in batches.items()
]


def specified(statistic, *batch):
    return to_numpy(statistic.update(statistic.init(), *batch))["counts"]


@pytest.mark.parametrize(("statistic", "y_true", "y_pred"), EACH)
def test_a_kernel_on_arrays_counts_as_the_specification_does(statistic, y_true, y_pred):
    cells = table.KERNELS[type(statistic)].tally(
        statistic, np.asarray(y_true), np.asarray(y_pred)
    )
    if cells is None:  # Left to the specification.
        assert y_true.ndim == y_pred.ndim > 1, "one-hot with an ignored class"
        return
    np.testing.assert_array_equal(
        cells, specified(statistic, y_true, y_pred)[1][: len(cells)]
    )


@pytest.mark.parametrize(("y_true", "y_pred"), ODD.values(), ids=ODD)
@pytest.mark.parametrize("statistic", [BinaryCounts(), ScoreHistogram()])
def test_a_kernel_on_arrays_leaves_what_is_odd_to_the_specification(
    statistic, y_true, y_pred
):
    assert table.KERNELS[type(statistic)].tally(statistic, y_true, y_pred) is None


@pytest.mark.parametrize(
    ("statistic", "y_true", "y_pred"),
    [
        (MulticlassCounts(5), IDS, np.where(TIED == 0.5, NAN, TIED)),
        (MulticlassCounts(4), IDS, TIED[:, :4]),
        (ClassHits(4), IDS, TIED[:, :4]),
        (MulticlassCounts(5), -IDS, TIED),
        (MultilabelCounts(5), TIED, TIED),
    ],
)
def test_a_kernel_on_classes_leaves_what_is_odd_to_the_specification(
    statistic, y_true, y_pred
):
    assert table.KERNELS[type(statistic)].tally(statistic, y_true, y_pred) is None


def test_a_row_with_a_nan_is_a_miss_wherever_the_nan_is():
    scores = np.array([[NAN, 1], [1, NAN], [1, 0], [NAN, NAN]], "float32")
    labels = np.array([1, 0, 0, 1])
    expected = [1, 0, 0, 0, 0, 0, 1, 2]
    assert arrays.count_hits(ClassHits(2), labels, scores) is None
    np.testing.assert_array_equal(specified(ClassHits(2), labels, scores)[1], expected)


def scores_at_edges(bits, *, logits):
    """Return both ends, and for each edge the first score of a bin and the last."""
    edges = edge_table(bits, logits=logits)
    edges = edges[np.isfinite(edges)]
    below = np.nextafter(edges, np.float32(-INF))
    outer = [-INF, -1e6, INF, 1e6, 0.0, -0.0] if logits else [0.0, 1e-45, 0.5, 1.0]
    scores = np.concatenate([edges, below, np.array(outer, "float32")])
    # Not in order, and of a length that no vector divides.
    return np.random.default_rng(0).permutation(np.append(scores, scores[:2]))


@pytest.mark.parametrize("kind", ["probabilities", "logits", "ignored"])
def test_plain_weighted_and_masked_batches_fall_into_the_same_bins(kind):
    logits = kind == "logits"
    scores = scores_at_edges(BITS, logits=logits)
    labels = np.arange(scores.size) % 3 % 2
    metric = mb.metrics.AUROC(
        from_logits=logits, ignore_index=0 if kind == "ignored" else None
    )
    metric.update_state(labels, scores)
    statistic = metric.statistic
    ones = np.ones(scores.size, "float32")
    weighted = statistic.update(statistic.init(), labels, scores, ones)["weighted"]
    masked = statistic.update(statistic.init(), labels, scores, None, ones > 0)
    plain = to_numpy(metric.state)["counts"]
    np.testing.assert_array_equal(plain, to_numpy(masked)["counts"])
    np.testing.assert_array_equal(plain[1], ops.convert_to_numpy(weighted)[0])
    ids = arrays.count_scores(statistic, labels, scores)
    cells = np.bincount(ids, minlength=plain.shape[1])
    cells[-1] = cells.sum()  # All together.
    np.testing.assert_array_equal(cells, plain[1])


COLUMNS = {
    "labels": (ScoreTask(num_labels=5), TIED > 0.5, TIED),
    "labels, together": (ScoreTask(num_labels=5, micro=True), TIED > 0.5, TIED),
    "labels, logits": (
        ScoreTask(num_labels=5, from_logits=True),
        TIED.round(),
        9 * TIED,
    ),
    "labels in float16": (ScoreTask(num_labels=5), TIED > 0.5, TIED.astype("float16")),
    "classes": (ScoreTask(num_classes=5), IDS, TIED),
    "classes, ignored": (ScoreTask(num_classes=5, ignore_index=1), IDS, TIED),
    "classes, one-hot": (ScoreTask(num_classes=5), np.eye(5)[IDS], TIED),
    "classes, in sequences": (
        ScoreTask(num_classes=5),
        IDS.reshape(4, 6, 1),
        TIED.reshape(4, 6, 5),
    ),
    "classes, together": (ScoreTask(num_classes=5, micro=True), IDS, TIED),
    "classes, logits": (ScoreTask(num_classes=5, from_logits=True), IDS, 90 * TIED),
}
LEFT = {
    "an unknown class": (ScoreTask(num_classes=5), IDS + 1, TIED),
    "an unknown label": (ScoreTask(num_labels=5), TIED.round() * 2, TIED),
    "an ignored label": (ScoreTask(num_labels=5, ignore_index=1), TIED > 0.5, TIED),
    "some together": (
        ScoreTask(num_classes=5, micro=True, together=(1, 2)),
        IDS,
        TIED,
    ),
    "infinite logits": (
        ScoreTask(num_classes=5, from_logits=True),
        IDS,
        np.where(TIED > 0.5, INF, TIED).astype("float32"),
    ),
    "no probability": (ScoreTask(num_labels=5), TIED > 0.5, TIED * 2),
    "another number of classes": (ScoreTask(num_classes=4), IDS, TIED),
    "no rows": (ScoreTask(num_labels=5), TIED[:0], TIED[:0]),
}


@pytest.mark.parametrize(("task", "y_true", "y_pred"), COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("repeated", [1, 40])
def test_scores_of_classes_and_labels_count_in_arrays_as_specified(
    task, y_true, y_pred, repeated
):
    """A few scores are looked up in a table; for many scores the bins are computed."""
    statistic = ScoreHistogram(task, 7)
    y_true, y_pred = (np.concatenate([x] * repeated) for x in (y_true, y_pred))
    ids = arrays.count_scores(statistic, y_true, y_pred)
    cells = np.bincount(ids, minlength=statistic.cells)
    cells[-1] = cells.sum()  # All together.
    np.testing.assert_array_equal(cells, specified(statistic, y_true, y_pred)[1])


@pytest.mark.parametrize(("task", "y_true", "y_pred"), LEFT.values(), ids=LEFT)
def test_odd_scores_of_classes_are_left_to_the_specification(task, y_true, y_pred):
    assert arrays.count_scores(ScoreHistogram(task, 7), y_true, y_pred) is None


def test_classes_count_into_the_cells_that_labels_do():
    scores = np.append(TIED, [[NAN, 0.1, 0.2, 0.3, 0.4]], axis=0).astype("float32")
    classes = np.append(IDS, 3)
    one_hot = np.eye(5, dtype="int32")[classes]
    as_classes = ScoreHistogram(ScoreTask(num_classes=5, ignore_index=1), 7)
    as_labels = ScoreHistogram(ScoreTask(num_labels=5), 7)
    kept = classes != 1
    expected = specified(as_labels, one_hot[kept], scores[kept])
    np.testing.assert_array_equal(specified(as_classes, classes, scores), expected)
    for statistic, labels in ((as_classes, classes), (as_labels, one_hot)):
        assert arrays.count_scores(statistic, labels, scores) is None  # There is a NaN.
    assert expected[1, 2 * as_labels.bins] == 1


def test_unknown_labels_are_counted_and_their_scores_are_not():
    labels = np.where(IDS == 1, 7, LABELS)
    statistic = ScoreHistogram()
    state = to_numpy(statistic.update(statistic.init(), labels, SCORES))
    assert statistic.unusable(state) == {"unknown_label": np.sum(IDS == 1)}
    np.testing.assert_array_equal(
        state["counts"],
        specified(ScoreHistogram(), LABELS[IDS != 1], SCORES[IDS != 1]),
    )


def test_counts_that_are_carried_equal_those_of_the_specification():
    start = np.zeros((2, 8), "int32")
    start[1] = (1 << 24) - 2
    cells = np.array([*range(7), 21])  # The last one is all together.
    expected = exact.add_to_count(
        ops.convert_to_tensor(start), ops.convert_to_tensor(cells.astype("int32"))
    )
    actual = start.copy()
    arrays.add_cells(actual, cells)
    np.testing.assert_array_equal(actual, ops.convert_to_numpy(expected))
    for repeated in (cells[:7], cells[:7] // 3):  # More ids than cells, and fewer.
        by_id = start.copy()
        arrays.add_scores(by_id, np.repeat(np.arange(7), repeated))
        by_cell = start.copy()
        arrays.add_cells(by_cell, np.append(repeated, repeated.sum()))
        np.testing.assert_array_equal(by_id, by_cell)


def test_four_cells_carry_as_any_number_does():
    start = np.zeros((2, 5), "int32")
    start[1] = (1 << 24) - 2
    for cells in ((0, 1, 2, 3), (0, 0, 0, 0), (1, 1, 1, 1 << 20)):
        by_four, by_cell = start.copy(), start.copy()
        arrays.add_four(by_four, cells)
        arrays.add_cells(by_cell, np.array(cells))
        np.testing.assert_array_equal(by_four, by_cell)


@pytest.mark.parametrize("total", [0, (1 << 24) - 1])
@pytest.mark.parametrize("size", [0, 5, 40])
def test_adding_by_id_carries_once_the_total_is_full(size, total):
    start = np.zeros((2, 9), "int32")
    start[1, :4], start[1, 8] = (1 << 24) - 1, total
    ids = np.append(np.arange(size, dtype="int32") % 5, np.int32(8))
    numbers = (ids != 1).astype("int32")
    numbers[-1] = numbers[:-1].sum()
    added = compiled(exact.add_ids_to_count)(
        *map(ops.convert_to_tensor, (start, ids, numbers))
    )
    added = ops.convert_to_numpy(added).astype("int64")
    expected = start.astype("int64")
    np.add.at(expected[1], ids, numbers)
    np.testing.assert_array_equal(
        added[0] * (1 << 24) + added[1], expected[0] * (1 << 24) + expected[1]
    )
    full = expected[1, 8] >= 1 << 24
    assert (added[1] < 1 << 24).all() == (full or not size)


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 200])
def test_four_cases_and_what_is_odd_are_counted_in_one_pass(n):
    rng = np.random.default_rng(n)
    case = rng.integers(0, 4, n).astype("int32")
    counted, odd = rng.random(n) < 0.8, rng.random(n) < 0.3
    for cases, flags in ((case, odd), (np.full_like(case, 3), odd | True)):
        actual = compiled(bins.count_cases)(
            *map(ops.convert_to_tensor, (cases, counted, flags))
        )
        expected = [*np.bincount(cases[counted], minlength=4), flags.sum()]
        np.testing.assert_array_equal(ops.convert_to_numpy(actual), expected)


def test_the_first_largest_is_numpys_argmax():
    scores = np.concatenate([TIED, np.full((2, 5), -INF), np.full((1, 5), INF)])
    for rows in (scores, scores[:0]):
        actual = compiled(first_largest)(ops.convert_to_tensor(rows.astype("float32")))
        np.testing.assert_array_equal(ops.convert_to_numpy(actual), rows.argmax(1))
    actual = first_largest(ops.convert_to_tensor(scores[:0].astype("float32")))
    assert actual.shape == (0,)


torch_only = pytest.mark.skipif(
    BACKEND != "torch", reason="only eager PyTorch counts in NumPy"
)


def counted_by(kernels, monkeypatch):
    """Count how often a kernel counts a batch."""
    calls = []
    kernel = table.KERNELS[BinaryCounts]

    def tally(*batch):
        calls.append(batch)
        return kernel.tally(*batch)

    counting = {BinaryCounts: table.Kernel(tally, kernel.add)}
    monkeypatch.setattr(kernels, "kernel_of", {**table.KERNELS, **counting}.get)
    return calls


@pytest.fixture
def calls(monkeypatch):
    from multiback.metrics.fast import torch as kernels

    kernels.same_batch.forget()
    return counted_by(kernels, monkeypatch)


def tensors():
    return ops.convert_to_tensor(LABELS), ops.convert_to_tensor(SCORES)


def compile_all(*metrics):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Identity()])
    model.compile("sgd", "mse", metrics=list(metrics))
    return model


@torch_only
def test_a_step_counts_its_batch_once_for_all_metrics_of_a_kind(calls):
    y_true, y_pred = tensors()
    metrics = mb.metrics.Precision(), mb.metrics.Recall(), mb.metrics.F1Score()
    model = compile_all(*metrics, keras.metrics.BinaryAccuracy())
    for _ in range(2):
        calls.clear()
        model.compute_metrics(None, y_true[:, None], y_pred[:, None])
        assert len(calls) == 1
    for metric in metrics:
        assert value(metric) == stream(type(metric)(), (LABELS, SCORES))


def _refill(there):
    other = 1.0 - SCORES.reshape(there.shape)
    there[:] = ops.convert_to_tensor(other) if ops.is_tensor(there) else other


# How a tensor on an array gets other numbers: PyTorch notices the last way alone.
OVERWRITES = {
    "data[:]": lambda p, _: _refill(p.data),
    "data.clamp_": lambda p, _: p.data.clamp_(0.6, 0.8),
    "numpy()": lambda p, _: _refill(p.numpy()),
    "its array": lambda _, array: _refill(array),
    "detach()": lambda p, _: _refill(p.detach()),
}
overwritten = pytest.mark.parametrize("write", OVERWRITES.values(), ids=OVERWRITES)


def on_an_array():
    import torch

    scores = SCORES[:, None].copy()
    return torch.tensor(LABELS)[:, None], torch.from_numpy(scores), scores


@torch_only
@overwritten
def test_what_was_written_to_is_another_batch(write):
    y_true, y_pred, array = on_an_array()
    first, second = mb.metrics.StatScores(), mb.metrics.StatScores()
    first.update_state(y_true, y_pred)
    write(y_pred, array)
    second.update_state(y_true, y_pred)
    expected = stream(mb.metrics.StatScores(), (LABELS, array[:, 0]))
    np.testing.assert_array_equal(value(second), expected)
    assert not np.array_equal(value(first), expected)


@torch_only
@overwritten
def test_so_it_is_for_two_models_and_after_a_metric_that_writes(write):
    y_true, y_pred, array = on_an_array()
    metrics = [mb.metrics.StatScores(name=f"m{i}") for i in range(4)]

    class Writes(keras.metrics.Metric):
        def update_state(self, _, y_pred, **__):
            write(y_pred, array)

        def result(self):
            return 0.0

    def writes(_, y_pred):
        write(y_pred, array)
        return y_pred

    compile_all(metrics[0]).compute_metrics(None, y_true, y_pred)
    write(y_pred, array)
    compile_all(metrics[1]).compute_metrics(None, y_true, y_pred)
    for between in (Writes(), writes):
        array[:] = SCORES[:, None]
        model = compile_all(metrics[2], between, metrics[3])
        metrics[3].reset_state()
        model.compute_metrics(None, y_true, y_pred)
        for metric in (metrics[1], metrics[3]):
            expected = stream(mb.metrics.StatScores(), (LABELS, array[:, 0]))
            np.testing.assert_array_equal(value(metric), expected)


@torch_only
def test_a_metric_that_is_given_the_same_tensors_again_counts_them_again(calls):
    batch, metric = tensors(), mb.metrics.StatScores()
    for _ in range(3):
        metric.update_state(*batch)
    assert len(calls) == 3
    assert value(metric).sum() == 3 * (N + LABELS.sum())


@torch_only
def test_an_array_that_a_loop_fills_again_is_never_taken_for_the_same():
    labels, scores = LABELS.copy(), SCORES.copy()
    for metric in (mb.metrics.StatScores(), mb.metrics.StatScores()):
        metric.update_state(labels, scores)
        np.testing.assert_allclose(
            value(metric), stream(mb.metrics.StatScores(), (labels, scores))
        )
        scores[:] = 0.0


@torch_only
def test_other_thresholds_are_other_counts():
    batch = tensors()
    low, high = mb.metrics.Recall(threshold=0.1), mb.metrics.Recall(threshold=0.9)
    for metric in (low, high):
        metric.update_state(*batch)
    assert value(low) > value(high)


@torch_only
def test_predictions_with_gradients_and_of_bfloat16_count_by_value(calls):
    import torch

    scores = torch.tensor(SCORES, requires_grad=True)
    expected = stream(mb.metrics.StatScores(), (LABELS, SCORES))
    actual = stream(mb.metrics.StatScores(), (torch.tensor(LABELS), scores * 1))
    np.testing.assert_array_equal(actual, expected)
    narrow = torch.tensor(SCORES).to(torch.bfloat16)
    rounded = narrow.float().numpy()
    expected = stream(mb.metrics.StatScores(), (LABELS, rounded))
    actual = stream(mb.metrics.StatScores(), (torch.tensor(LABELS), narrow))
    np.testing.assert_array_equal(actual, expected)
    assert len(calls) == 4


@torch_only
def test_a_state_that_moves_to_other_memory_is_followed_there():
    from multiback.keras_private import held_value

    metric = mb.metrics.StatScores()
    metric.update_state(LABELS, SCORES)
    expected = value(metric)
    counts = metric.variables[0]
    assert held_value(counts) is counts.value
    old = counts.value.data
    counts.value.data = old.clone()
    metric.update_state(LABELS, SCORES)
    np.testing.assert_array_equal(value(metric), 2 * expected)
    assert int(old[1].sum()) == N
    counts.value.data = old
    np.testing.assert_array_equal(value(metric), expected)
    metric.reset_state()
    metric.update_state(LABELS, SCORES)
    np.testing.assert_array_equal(value(metric), expected)


@torch_only
def test_masks_weights_and_made_up_data_take_the_specification(calls):
    metric = mb.metrics.Precision()
    metric.update_state(*tensors(), np.ones(N, "float32"))
    assert not calls
    masked = ops.convert_to_tensor(SCORES)
    keras.src.backend.set_keras_mask(masked, ops.convert_to_tensor(LABELS > 0))
    metric.update_state(tensors()[0], masked)
    assert not calls
    metric.stateless_update_state([v.value for v in metric.variables], *tensors())
    assert not calls
    metric.update_state(LABELS + 2, SCORES)
    assert metric.unusable() == {"unknown_label": N}


@torch_only
def test_a_result_from_arrays_equals_the_formula_on_tensors():
    m = mb.metrics
    for metric in (
        m.Precision(),
        m.F1Score(),
        m.Accuracy(),
        m.AUROC(),
        m.AUROC(ignore_index=1),
        m.Recall(zero_division=NAN, threshold=1.0),
        m.Precision(zero_division=1.0, threshold=1.0),
    ):
        for weight in (None, np.linspace(0, 2, N, dtype="float32")):
            metric.update_state(LABELS, SCORES, weight)
            formula = ops.convert_to_numpy(metric.compute(metric.state))
            np.testing.assert_allclose(value(metric), formula, rtol=1e-6)
    for average in ("micro", "macro", "weighted", None):
        for metric in (
            m.F1Score("multiclass", num_classes=5, average=average, ignore_index=1),
            m.Recall("multilabel", num_labels=5, average=average, zero_division=NAN),
        ):
            y_true = IDS if metric.task == "multiclass" else TIED.round()
            metric.update_state(y_true, TIED)
            formula = ops.convert_to_numpy(metric.compute(metric.state))
            np.testing.assert_allclose(value(metric), formula, rtol=1e-6)


def area_of(state, num_bins):
    """Compute the area of a state in float64."""
    cells = (state["counts"] * np.array([[1 << 24], [1]]) + state["weighted"]).sum(0)
    negatives, positives = cells[:num_bins], cells[num_bins : 2 * num_bins]
    if (
        state["unusable"].any()
        or cells[2 * num_bins]
        or not negatives.any()
        or not positives.any()
    ):
        return NAN
    below = np.cumsum(negatives) - negatives / 2
    return np.dot(positives, below) / (positives.sum() * negatives.sum())


@pytest.mark.filterwarnings("ignore:auroc may be off by")  # So many share a bin.
@pytest.mark.parametrize("most", [None, 1001])
@unusable
def test_an_area_is_that_of_its_state_in_a_compiled_step_and_outside(most):
    metric = mb.metrics.AUROC(num_bins=most)
    statistic = metric.statistic
    num_bins = statistic.bins
    batches = {
        "none": (LABELS[:0], SCORES[:0]),
        "plain": (LABELS, SCORES),
        "one class": (LABELS * 0, SCORES),
        "another class": (LABELS * 0 + 1, SCORES),
        "a NaN": (LABELS, np.where(IDS == 1, NAN, SCORES).astype("float32")),
        "an unknown label": (LABELS + (IDS == 1) * 2, SCORES),
        "weights": (LABELS, SCORES, np.linspace(0, 2, N, dtype="float32")),
        "tiny weights": (LABELS, SCORES, np.full(N, 1e-30, "float32")),
        "an unknown label that weighs": (LABELS + 2, SCORES, np.ones(N, "float32")),
    }
    states = {
        name: to_numpy(statistic.update(statistic.init(), *batch))
        for name, batch in batches.items()
    }
    for power in (19, 20, 24, 31):  # Counts beyond float32 and int32.
        words = states["plain"]["counts"][1].astype("int64") << power
        words = np.stack([words >> 24, words & ((1 << 24) - 1)]).astype("int32")
        states[f"2 to the {power}"] = {**states["plain"], "counts": words}
    # On TensorFlow, XLA and a graph without it multiply matrices in their own ways.
    steps = [compiled(metric.stateless_result), traced(metric.stateless_result)]
    for name, state in states.items():
        expected = area_of(state, num_bins)
        for step in steps:
            in_step = step([ops.convert_to_tensor(words) for words in state.values()])
            np.testing.assert_allclose(
                ops.convert_to_numpy(in_step), expected, rtol=1e-6, err_msg=name
            )
        for variable, words in zip(metric.variables, state.values(), strict=True):
            variable.assign(words)
        np.testing.assert_allclose(value(metric), expected, rtol=1e-6, err_msg=name)
        if not np.isnan(expected):
            low, high = metric.bounds()
            found = arrays.roc_area(state["counts"], state["weighted"], num_bins)
            assert low <= value(metric) <= high
            assert found is None or found[1] == pytest.approx(high - low, abs=1e-4)


def areas_of(state, num_bins):
    """Compute the area of each ranking of a state in float64, and its positives."""
    cells = (state["counts"] * np.array([[1 << 24], [1]]) + state["weighted"]).sum(0)
    cells = cells[:-1].reshape(-1, 2 * num_bins + 1)
    negatives, positives = cells[:, :num_bins], cells[:, num_bins:-1]
    below = np.cumsum(negatives, axis=1) - negatives / 2
    pairs = positives.sum(1) * negatives.sum(1)
    with np.errstate(invalid="ignore"):
        areas = (positives * below).sum(1) / pairs
    broken = (cells[:, -1] > 0) | bool(state["unusable"][:, OF_LABELS].any())
    return areas, positives.sum(1), broken


@pytest.mark.filterwarnings("ignore:auroc may be off by")
@pytest.mark.parametrize("average", ["macro", "weighted", None])
@unusable
def test_areas_of_classes_are_those_of_their_state_in_a_step_and_outside(average):
    metric = mb.metrics.AUROC(
        "multiclass", num_classes=5, average=average, num_bins=1001
    )
    statistic = metric.statistic
    few = np.where(IDS == 4, 3, IDS)
    batches = {
        "plain": (IDS, TIED),
        "a class is missing": (few, TIED),
        "a NaN": (IDS, np.where(TIED == 0.5, NAN, TIED).astype("float32")),
        "an unknown label": (IDS + 1, TIED),
        "weights": (IDS, TIED, np.linspace(0, 2, N, dtype="float32")),
    }
    states = {
        name: to_numpy(statistic.update(statistic.init(), *batch))
        for name, batch in batches.items()
    }
    for power in (19, 24):  # All together is beyond 2**24, and then each bin.
        words = states["plain"]["counts"][1].astype("int64") << power
        words = np.stack([words >> 24, words & ((1 << 24) - 1)]).astype("int32")
        states[f"2 to the {power}"] = {**states["plain"], "counts": words}
    steps = [compiled(metric.stateless_result), traced(metric.stateless_result)]
    for name, state in states.items():
        expected, positives, broken = areas_of(state, statistic.bins)
        if average is None:
            expected = np.where(broken, NAN, expected)
        else:
            weights = positives if average == "weighted" else np.ones(5)
            held = ~np.isnan(expected)
            expected = np.average(expected[held], weights=weights[held])
            expected = NAN if broken.any() else expected
        for step in steps:
            in_step = step([ops.convert_to_tensor(words) for words in state.values()])
            np.testing.assert_allclose(
                ops.convert_to_numpy(in_step), expected, rtol=2e-6, err_msg=name
            )
        for variable, words in zip(metric.variables, state.values(), strict=True):
            variable.assign(words)
        np.testing.assert_allclose(value(metric), expected, rtol=1e-6, err_msg=name)
        low, high = metric.bounds()
        fits = np.isnan(expected) | ((low <= expected) & (expected <= high))
        assert np.all(fits), name


@pytest.mark.filterwarnings("ignore:.* may be off by")
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("average", ["macro", "weighted", None])
@pytest.mark.parametrize("classes", [None, [3, 1]])
@pytest.mark.parametrize("name", ["AUROC", "AveragePrecision", "RecallAtPrecision"])
def test_values_from_arrays_are_those_of_the_specification(
    name, classes, average, weighted
):
    """Whole rankings at a time, in pieces of a state that is small here."""
    arguments = {"precision": 0.2} if name == "RecallAtPrecision" else {}
    metric = getattr(mb.metrics, name)(
        task="multiclass",
        num_classes=5,
        average=average,
        classes=classes,
        num_bins=6210,  # Each ranking is a piece of its own.
        **arguments,
    )
    few = np.where(IDS == 4, 3, IDS)
    weights = np.linspace(0, 2, N, dtype="float32") if weighted else None
    metric.update_state(few, TIED, weights)
    specified = metric.compute(metric.state)
    np.testing.assert_allclose(
        value(metric), ops.convert_to_numpy(specified), rtol=2e-6
    )
    bounds = np.array(as_floats(metric.compute_bounds(metric.state)))
    np.testing.assert_allclose(metric.bounds(), bounds, rtol=2e-6, atol=1e-6)


def test_the_formula_of_a_subclass_holds():
    class Missed(mb.metrics.Recall):
        def score(self, table):
            return 1.0 - super().score(table)

    metric = Missed()
    metric.update_state(LABELS, SCORES)
    recall = np.sum((SCORES > 0.5) & (LABELS == 1)) / np.sum(LABELS)
    assert value(metric) == pytest.approx(1.0 - recall, rel=1e-6)


@torch_only
def test_an_area_from_arrays_is_that_of_the_formula_and_its_bounds():
    m = mb.metrics
    for metric, y_true, y_pred in (
        (m.AUROC(), LABELS, SCORES),
        (m.AUROC(num_bins=1001), LABELS, SCORES),
        (m.AUROC("multiclass", num_classes=5, average="micro"), IDS, TIED),
        (m.AUROC("multilabel", num_labels=5, average="micro"), TIED > 0.5, TIED),
        (m.AUROC("multilabel", num_labels=5), TIED > 0.5, TIED[:, ::-1].copy()),
        (
            m.AUROC("multilabel", num_labels=1, average=None),
            LABELS[:, None],
            SCORES[:, None],
        ),
        (m.AUROC(capacity=64), LABELS, SCORES),
    ):
        metric.update_state(y_true, y_pred)
        for _ in range(3):  # The third result takes no look at the bounds.
            actual = ops.convert_to_numpy(metric.result())
        formula = ops.convert_to_numpy(metric.compute(metric.state))
        np.testing.assert_allclose(actual, formula, rtol=1e-6)
        assert actual.shape == formula.shape
        low, high = metric.bounds()
        assert np.all((low <= actual) & (actual <= high))
