"""The bin of a score follows one recipe, to the last bit, wherever it is computed."""

from functools import partial

import numpy as np
import pytest
from keras import ops
from support.backends import compiled, to_numpy, traced

import multiback as mb
from multiback.metrics.statistics.score_bins import (
    BITS,
    bin_ids,
    bin_ids_of_array,
    edge_table,
    number_of_bins,
)

KINDS = pytest.mark.parametrize(
    "logits", [False, True], ids=["probabilities", "logits"]
)
F = np.float32


def recipe(scores, bits, *, logits):
    """Return the bins of float32 scores, written down once more."""
    if logits:
        upper = scores >= np.finfo(F).tiny
        v = np.minimum(np.abs(scores) + F(4), F(2**14))
    else:
        upper = scores > F(0.5)
        q = np.maximum(np.where(upper, F(1) - scores, scores), F(2**-30))
        v = ((126 << 23) - q.view("int32")).astype(F) * F(2**-23) + F(4)
    k = v.view("int32") - F(4).view("int32")
    k = np.where(k > 3 << 23, (3 << 23) + ((k - (3 << 23)) >> 4), k) if logits else k
    k >>= 23 - bits
    half = number_of_bins(bits, logits=logits) // 2
    return np.where(upper, half + k, half - 1 - k)


def all_kinds_of_scores(bits, *, logits):
    """Return every 997th float, and what lies around each edge, in order."""
    edges = edge_table(bits, logits=logits)[1:-1]
    around = [edges]
    for end in (-np.inf, np.inf):
        near = np.nextafter(edges, F(end))
        around += [near, np.nextafter(near, F(end))]
    low, high = ((F(x).view("int32")) for x in (2**-31, 2**15 if logits else 1))
    step = 997 if bits == BITS else 997 * 64
    sample = np.arange(low, high, step, dtype="int32").view(F)
    tiny = F([0, 1e-45, 1e-40, 1.1754942e-38, 1.1754944e-38, 1e-30, 0.5, 1])
    scores = np.concatenate([sample, tiny, *around])
    if logits:
        scores = np.concatenate([scores, -scores, F([np.inf, -np.inf, 3e38, -3e38])])
    else:
        scores = scores[scores <= 1]
    return np.sort(scores)


@KINDS
@pytest.mark.parametrize("bits", [-2, 7, 10])
def test_every_backend_gives_the_bin_of_the_recipe(bits, logits):
    scores = all_kinds_of_scores(bits, logits=logits)
    expected = recipe(scores, bits, logits=logits)
    assert np.all(np.diff(expected) >= 0), "the bins keep the order of the scores"
    assert expected[0] == 0
    assert expected[-1] == number_of_bins(bits, logits=logits) - 1
    # PyTorch's tensors share memory that NumPy's arrays of these scores write to.
    of_tensor = partial(bin_ids, bits=bits, logits=logits)
    for step in (of_tensor, compiled(of_tensor), traced(of_tensor)):
        ids = ops.convert_to_numpy(step(ops.convert_to_tensor(scores.copy())))
        np.testing.assert_array_equal(ids, expected)
    for part in (scores, scores[:500], scores.astype("float64")):
        before = part.copy()
        ids = bin_ids_of_array(part, bits, logits=logits)
        np.testing.assert_array_equal(ids, expected[: part.size])
        np.testing.assert_array_equal(part, before)


@KINDS
@pytest.mark.parametrize("bits", [-2, 7, 10])
def test_an_edge_is_the_smallest_float32_of_its_bin(bits, logits):
    edges = edge_table(bits, logits=logits)
    inner, ids = edges[1:-1], np.arange(1, len(edges) - 1)
    assert np.all(recipe(inner, bits, logits=logits) >= ids)
    below = np.nextafter(inner, F(-np.inf))
    assert np.all(recipe(below, bits, logits=logits) < ids)


def test_the_bins_of_probabilities_mirror_each_other_around_one_half():
    scores = np.arange(1, 1 << 12, dtype=F) / F(1 << 12)
    scores = scores[scores != 0.5]
    below, above = (recipe(each, 10, logits=False) for each in (scores, F(1) - scores))
    np.testing.assert_array_equal(below + above, number_of_bins(10, logits=False) - 1)


GIVEN = {
    "uniform": lambda rng, n: rng.random(n),
    "saturated": lambda rng, n: 1 / (1 + np.exp(-12 * rng.normal(size=n))),
    "one in a hundred": lambda rng, n: np.exp(rng.normal(size=n) - 5),
    "logit-normal": lambda rng, n: 1 / (1 + np.exp(-rng.normal(size=n))),
    "narrow": lambda rng, n: 0.5 + 0.02 * rng.normal(size=n),
    "skewed to 1e-7": lambda rng, n: 10 ** (-7 * rng.random(n)),
}


def before_version_3(scores):
    """Return the 16,384 bins that were even in `asinh(logit / 4)`."""
    wide = scores.astype("float64")
    with np.errstate(divide="ignore"):
        logit = (np.log(wide) - np.log1p(-wide)).clip(-1e4, 1e4)
    span = 2 * np.arcsinh(1e4 / 4)
    return np.floor(np.arcsinh(logit / 4) / span * 16384 + 8192.5).astype("int64")


def gap(ids, labels):
    """Return the share of pairs of a positive and a negative in one bin."""
    _, ids = np.unique(ids, return_inverse=True)
    positives, negatives = (np.bincount(ids, w) for w in (labels, 1 - labels))
    return positives @ negatives / (positives.sum() * negatives.sum())


# Within one octave of the odds the bins are even, so that they are wider at its end.
LIMITS = dict.fromkeys(GIVEN, 1.01)
GIVEN["just above 1/64"] = lambda rng, n: (1 + 0.01 * rng.normal(size=n)) / 63
LIMITS["just above 1/64"] = 1.4


@pytest.mark.parametrize("name", GIVEN)
def test_the_bounds_are_not_wider_than_those_of_the_16384_bins_before(name):
    rng = np.random.default_rng(0)
    scores = GIVEN[name](rng, 200_000).clip(0, 1).astype(F)
    labels = (rng.random(scores.size) < 0.01 + 0.5 * scores).astype("int64")
    now = gap(bin_ids_of_array(scores, 10, logits=False), labels)
    assert now <= LIMITS[name] * gap(before_version_3(scores), labels)


@pytest.mark.parametrize(
    ("arguments", "bins"),
    [
        ({"task": "binary"}, 6210),
        ({"task": "binary", "from_logits": True}, 7298),
        ({"task": "multiclass", "num_classes": 8}, 6210),
        ({"task": "multiclass", "num_classes": 10}, 3106),
        ({"task": "multiclass", "num_classes": 20}, 1554),
        ({"task": "multiclass", "num_classes": 100}, 778),
        ({"task": "multiclass", "num_classes": 100, "average": "micro"}, 6210),
        ({"task": "multilabel", "num_labels": 1000}, 778),
        ({"task": "multilabel", "num_labels": 1000, "max_state_mb": 4}, 98),
        ({"task": "multilabel", "num_labels": 1000, "max_state_mb": 999}, 6210),
        ({"task": "binary", "max_state_mb": 1e-9}, 2),
        ({"task": "binary", "num_bins": 1001}, 778),
        ({"task": "binary", "num_bins": 2}, 2),
        ({"task": "binary", "num_bins": 16_384}, 12_418),
    ],
)
def test_the_number_of_bins_is_what_classes_and_memory_allow(arguments, bins):
    metric = mb.metrics.AUROC(**arguments)
    assert metric.statistic.bins == bins
    megabytes = sum(np.prod(v.shape) * 4 for v in metric.variables) / 1e6
    assert megabytes < max(arguments.get("max_state_mb", 32), 0.001)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_bins": 1}, "num_bins= wants an integer of at least 2"),
        ({"max_state_mb": 0}, "max_state_mb= wants a number above 0, not 0"),
        ({"max_state_mb": "32"}, "max_state_mb= wants a number above 0"),
        ({"num_bins": 99, "max_state_mb": 1}, "Leave one of them out"),
    ],
)
def test_a_number_of_bins_that_cannot_be_is_refused(arguments, words):
    with pytest.raises(mb.errors.ArgumentError, match=words):
        mb.metrics.AUROC(**arguments)


LONG = 20_000  # More elements than cells: they are counted in another way.


def long_batch(case):
    """Return labels and scores, odd ones among them."""
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, LONG), rng.random(LONG).astype(F)
    if case == "a score above 1":
        scores[7] = 1.5
    if "NaN" in case:
        scores[7] = np.nan
    if "unknown label" in case:
        labels[7] = 2
    return labels, scores


@pytest.mark.parametrize(
    "case",
    [
        "plain",
        "a NaN",
        "a score above 1",
        "an unknown label",
        "an unknown label with a NaN",
    ],
)
@pytest.mark.parametrize("arguments", [{}, {"ignore_index": 0}], ids=["all", "ignored"])
def test_a_long_batch_counts_as_its_short_parts_do(case, arguments):
    metric = mb.metrics.AUROC(task="binary", **arguments)
    statistic = metric.statistic
    batch = long_batch(case)
    parts, short = statistic.init(), compiled(statistic.update)
    for rows in np.split(np.arange(LONG), 40):
        parts = short(parts, *(ops.convert_to_tensor(x[rows]) for x in batch))
    expected = to_numpy(parts)
    batch = tuple(map(ops.convert_to_tensor, batch))
    specified = to_numpy(compiled(statistic.update)(statistic.init(), *batch))
    state = [variable.value for variable in metric.variables]
    state = traced(metric.stateless_update_state)(state, *batch)
    in_step = dict(zip(statistic.init(), map(ops.convert_to_numpy, state), strict=True))
    for key, words in expected.items():
        np.testing.assert_array_equal(specified[key], words, err_msg=key)
        np.testing.assert_array_equal(in_step[key], words, err_msg=key)


def test_a_long_batch_of_labels_counts_as_its_short_parts_do():
    statistic = mb.metrics.AUROC(
        task="multilabel", num_labels=3, num_bins=500, ignore_index=7
    ).statistic
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 7], (3000, 3))
    scores = rng.random((3000, 3)).astype(F)
    scores[5, 1], labels[9, 0] = np.nan, 2
    mask = np.arange(3000) % 7 > 0
    parts, update = statistic.init(), compiled(statistic.update)
    for rows in np.split(np.arange(3000), 15):
        batch = (ops.convert_to_tensor(x[rows]) for x in (labels, scores))
        parts = update(parts, *batch, mask=ops.convert_to_tensor(mask[rows]))
    batch = map(ops.convert_to_tensor, (labels, scores))
    whole = update(statistic.init(), *batch, mask=ops.convert_to_tensor(mask))
    for key, words in to_numpy(parts).items():
        np.testing.assert_array_equal(to_numpy(whole)[key], words, err_msg=key)
    low = to_numpy(whole)["counts"][1]
    assert low[:-1].sum() == low[-1]
