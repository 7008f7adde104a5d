"""What each public metric is worth, in float64 NumPy and scikit-learn.

Written for 16 rows and to be read beside a docstring, not for speed.

    PYTHONPATH=tests python -m support.oracles     writes the table of stored values
"""

import functools
import json
import warnings
from pathlib import Path

import numpy as np
import scipy.special
import scipy.stats
import sklearn.metrics
from support import image_oracles, query_oracles

STORED = Path(__file__).parents[1] / "metrics" / "stored_values.json"

NOWHERE = -1  # What a NaN score predicts.


def oracle(entry, y_true, y_pred=None):
    """Return the float64 value of an entry of the catalogue."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.asarray(_oracle(entry, y_true, y_pred), "float64")


def _oracle(entry, y_true, y_pred):  # noqa: PLR0911 - a table
    name, task = entry.name, entry.kind.split("-")[0]
    y_true = np.asarray(y_true, "float64" if y_pred is None else y_true.dtype)
    if y_pred is None:
        return {"Max": np.max, "Mean": np.mean, "Min": np.min, "Sum": np.sum}[name](
            y_true
        )
    y_pred = y_pred.astype("float64")
    if task == "images":
        return image_oracles.mean(name, y_true, y_pred)
    if task == "queries":
        return query_oracles.mean(name, y_true, y_pred, **entry.arguments)
    if task == "regression":
        return _regression(name, y_true.astype("float64"), y_pred)
    if name in RANKINGS:
        return _ranking(name, task, y_true, y_pred)
    if name in LOSSES and np.isnan(y_pred).any():
        return np.nan
    if name in OWN:
        return OWN[name](task, y_true, y_pred)
    return _of_counts(name, task, y_true, _hard(task, y_true, y_pred))


def _hard(task, y_true, y_pred):
    """Decide; a NaN is a miss of its label, and of classes no class at all."""
    if task == "multiclass":
        gone = np.isnan(y_pred).any(-1)
        return np.where(gone, NOWHERE, np.argmax(y_pred, axis=-1))
    return np.where(np.isnan(y_pred), 1 - y_true, y_pred > 0.5)


def _counts(task, y_true, hard):
    """Return tp, fp, tn and fn, each with one number a column."""
    if task == "multiclass":
        columns = np.arange(4)
        true, guess = (ids.reshape(-1, 1) == columns for ids in (y_true, hard))
    else:
        width = 4 if task == "multilabel" else 1
        true, guess = (ids.reshape(-1, width) == 1 for ids in (y_true, hard))
    return (
        (true & guess).sum(0),
        (~true & guess).sum(0),
        (~true & ~guess).sum(0),
        (true & ~guess).sum(0),
    )


# Rates without a function of their own in scikit-learn. From each row
# `tests/metrics/test_ratios.py` makes a contract.
RATES = {
    "FalseDiscoveryRate": lambda tp, fp, _tn, _fn: (fp, fp + tp),
    "FalseOmissionRate": lambda _tp, _fp, tn, fn: (fn, fn + tn),
    "FalseNegativeRate": lambda tp, _fp, _tn, fn: (fn, fn + tp),
    "FalsePositiveRate": lambda _tp, fp, tn, _fn: (fp, fp + tn),
    "NegativePredictiveValue": lambda _tp, _fp, tn, fn: (tn, tn + fn),
    "Specificity": lambda _tp, fp, tn, _fn: (tn, tn + fp),
}
RATIOS = {
    **RATES,
    "Accuracy": lambda tp, fp, tn, fn: (tp + tn, tp + fp + tn + fn),
    "Dice": lambda tp, fp, _, fn: (2 * tp, 2 * tp + fp + fn),
    "F1Score": lambda tp, fp, _, fn: (2 * tp, 2 * tp + fp + fn),
    "FBetaScore": lambda tp, fp, _, fn: (2 * tp, 2 * tp + fp + fn),
    "HammingDistance": lambda tp, fp, tn, fn: (fp + fn, tp + fp + tn + fn),
    "JaccardIndex": lambda tp, fp, _, fn: (tp, tp + fp + fn),
    "Precision": lambda tp, fp, _tn, _fn: (tp, tp + fp),
    "Recall": lambda tp, _fp, _tn, fn: (tp, tp + fn),
}
OF_CLASSES = {
    "Accuracy": RATIOS["Recall"],
    "HammingDistance": lambda tp, _fp, _tn, fn: (fn, tp + fn),
}


def _of_counts(name, task, y_true, hard):
    tp, fp, tn, fn = _counts(task, y_true, hard)
    if name == "StatScores":
        return [tp.sum(), fp.sum(), tn.sum(), fn.sum(), tp.sum() + fn.sum()]
    if name == "BalancedAccuracy":
        if task == "multiclass":
            return np.mean((tp / (tp + fn))[tp + fn > 0])
        return np.mean(np.nanmean([tp / (tp + fn), tn / (tn + fp)], axis=0))
    formulas = OF_CLASSES if task == "multiclass" and name in OF_CLASSES else RATIOS
    above, below = formulas[name](tp, fp, tn, fn)
    if name == "Accuracy":  # Its average is "micro"; the others' is "macro".
        return above.sum() / below.sum()
    each = np.where(below > 0, above / np.maximum(below, 1), 0.0)
    return each[tp + fp + fn > 0].mean() if task == "multiclass" else each.mean()


def _columns(task, y_true, y_pred):
    """Return labels and scores of each column, side by side."""
    if task == "multiclass":
        y_true = (y_true.reshape(-1, 1) == np.arange(4)).astype(int)
    width = 1 if task == "binary" else 4
    return zip(y_true.reshape(-1, width).T, y_pred.reshape(-1, width).T, strict=True)


def _confusion_matrix(task, y_true, y_pred):
    if task == "multiclass":
        hard = _hard(task, y_true, y_pred)
        labels = [0, 1, 2, 3, NOWHERE]
        return sklearn.metrics.confusion_matrix(y_true, hard, labels=labels)[:4, :4]
    each = []
    for true, score in _columns(task, y_true, y_pred):
        hard = np.where(np.isnan(score), NOWHERE, score > 0.5)
        table = sklearn.metrics.confusion_matrix(true, hard, labels=[0, 1, NOWHERE])
        each.append(table[:2, :2])
    return np.stack(each) if task == "multilabel" else each[0]


def _kappa(task, y_true, y_pred):
    hard = _hard(task, y_true, y_pred)
    if task == "binary":
        hard = np.where(np.isnan(y_pred), NOWHERE, hard)
    return np.nan_to_num(sklearn.metrics.cohen_kappa_score(y_true, hard))


def _matthews(task, y_true, y_pred):
    hard = _hard(task, y_true, y_pred)
    return sklearn.metrics.matthews_corrcoef(y_true.ravel(), hard.ravel())


def _exact_match(task, y_true, y_pred):
    return np.mean((_hard(task, y_true, y_pred) == y_true).all(-1))


def _top_2(_task, y_true, y_pred):
    best = np.argsort(-y_pred, axis=1, kind="stable")[:, :2]
    known = ~np.isnan(y_pred).any(1)
    return np.mean((best == y_true[:, None]).any(1) & known)


def _samplewise(name):
    def mean(task, y_true, y_pred):
        rows = zip(y_true, _hard(task, y_true, y_pred), strict=True)
        return np.mean([_of_counts(name, task, *row) for row in rows])

    return mean


def generalized_dice(true, guess, power=2, empty=0.0):
    """Return the generalized dice of a sample from masks, one class a column."""
    size = true.sum(0)
    weights = 1 / np.maximum(size, 1.0) ** power
    weights[size == 0] = weights[size > 0].max(initial=0) or 1
    below = np.sum(weights * (size + guess.sum(0)))
    return 2 * np.sum(weights * (true & guess).sum(0)) / below if below else empty


def _generalized_dice(task, y_true, y_pred):
    hard, ids = _hard(task, y_true, y_pred), np.arange(4)
    if task != "multilabel":
        ids = [1] if task == "binary" else ids
        y_true, hard = (np.equal.outer(x, ids) for x in (y_true, hard))
    rows = zip(y_true.astype(bool), hard.astype(bool), strict=True)
    return np.mean([generalized_dice(*row) for row in rows])


def _log_loss(_task, y_true, y_pred, sample_weight=None):
    own = _of_label(y_true, y_pred)
    return np.average(-np.log(own), weights=sample_weight)


def _of_label(y_true, y_pred):
    """Return the probability of each label."""
    if y_pred.ndim == 1:
        return np.where(y_true == 1, y_pred, 1 - y_pred)
    return y_pred[np.arange(len(y_true)), y_true]


def _brier(_task, y_true, y_pred, sample_weight=None):
    squares = (y_pred - (y_true if y_pred.ndim == 1 else np.eye(4)[y_true])) ** 2
    squares = squares if y_pred.ndim == 1 else squares.sum(1)
    return np.average(squares, weights=sample_weight)


def _calibration_error(
    task, y_true, y_pred, sample_weight=None, *, norm="l1", n_bins=15
):
    w = np.ones(len(y_pred)) if sample_weight is None else sample_weight
    sure = y_pred if task == "binary" else y_pred.max(1)
    hit = y_true == (1 if task == "binary" else y_pred.argmax(1))
    bins = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    weight = np.bincount(bins, w, n_bins)
    off = abs(np.bincount(bins, w * hit, n_bins) - np.bincount(bins, w * sure, n_bins))
    gap, share = off[weight > 0] / weight[weight > 0], weight[weight > 0] / w.sum()
    if norm == "max":
        return gap.max()
    return np.sum(share * gap) if norm == "l1" else np.sqrt(np.sum(share * gap**2))


def _hinge(_task, y_true, y_pred, sample_weight=None):
    """Not scikit-learn's, which takes a single class for the negative one."""
    if y_pred.ndim == 1:
        lead = np.where(y_true == 1, y_pred, -y_pred)
    else:
        own = np.eye(y_pred.shape[1], dtype=bool)[y_true]
        lead = y_pred[own] - np.where(own, -np.inf, y_pred).max(1)
    return np.average(np.maximum(1 - lead, 0), weights=sample_weight)


LOSSES = {
    "BrierScore": _brier,
    "CalibrationError": _calibration_error,
    "HingeLoss": _hinge,
    "LogLoss": _log_loss,
    "Perplexity": lambda *given, **more: np.exp(_log_loss(*given, **more)),
}
OWN = {
    **LOSSES,
    "CohenKappa": _kappa,
    "ConfusionMatrix": _confusion_matrix,
    "ExactMatch": _exact_match,
    "GeneralizedDice": _generalized_dice,
    "MatthewsCorrelation": _matthews,
    "SamplewiseDice": _samplewise("Dice"),
    "SamplewiseJaccardIndex": _samplewise("JaccardIndex"),
    "TopKAccuracy": _top_2,
}


def at_condition(name, y_true, y_pred, sample_weight=None, **condition):
    """Search scikit-learn's curve for the best value where another is high enough."""
    (target,) = condition.values() or [0.5]
    weights = {"sample_weight": sample_weight}
    if "Precision" in name:
        pair = sklearn.metrics.precision_recall_curve(y_true, y_pred, **weights)[:2]
        precision, recall = (part[:-1] for part in pair)
        best, other = precision, recall
        if name == "RecallAtPrecision":
            best, other = recall, precision
    else:
        fpr, tpr, _ = sklearn.metrics.roc_curve(
            y_true, y_pred, drop_intermediate=False, **weights
        )
        best, other = tpr, 1 - fpr
        if name == "SpecificityAtSensitivity":
            best, other = 1 - fpr, tpr
    return np.max(best[other >= target - 1e-12], initial=0.0)


def max_f_beta(y_true, y_pred, sample_weight=None, beta=1.0):
    """Return the largest F of scikit-learn's thresholds."""
    precision, recall, _ = sklearn.metrics.precision_recall_curve(
        y_true, y_pred, sample_weight=sample_weight
    )
    square = beta**2
    below = np.maximum(square * precision + recall, 1e-300)
    return np.max((1 + square) * precision * recall / below)


def equal_error_rate(y_true, y_pred, sample_weight=None):
    """Return where scikit-learn's ROC curve, with lines between, crosses."""
    fpr, tpr, _ = sklearn.metrics.roc_curve(
        y_true, y_pred, sample_weight=sample_weight, drop_intermediate=False
    )
    apart = fpr - (1 - tpr)
    after = int(np.argmax(apart >= 0))
    share = -apart[after - 1] / (apart[after] - apart[after - 1])
    return fpr[after - 1] + share * (fpr[after] - fpr[after - 1])


def precision_at_top(y_true, y_pred, sample_weight=None, fraction=0.3):
    """Return the precision of the best rows, a random order of equal scores."""
    weights = np.ones(len(y_true)) if sample_weight is None else sample_weight
    y_true, weights = np.asarray(y_true), np.asarray(weights, "float64")
    rows, hits = [0.0], [0.0]
    for lowest in np.unique(y_pred)[::-1]:
        rows.append(weights[y_pred >= lowest].sum())
        hits.append((weights * y_true)[y_pred >= lowest].sum())
    return np.interp(fraction * rows[-1], rows, hits) / (fraction * rows[-1])


def lift(y_true, y_pred, sample_weight=None, fraction=0.3):
    """Return that precision over the share of the positives."""
    top = precision_at_top(y_true, y_pred, sample_weight, fraction)
    return top / np.average(y_true, weights=sample_weight)


# These have a value without negatives.
OF_POSITIVES = ("AveragePrecision", "Lift", "MaxFBeta", "PrecisionAtTopFraction")
# By the name of the condition, an argument.
CONDITIONS = {
    "PrecisionAtRecall": "recall",
    "RecallAtPrecision": "precision",
    "SensitivityAtSpecificity": "specificity",
    "SpecificityAtSensitivity": "sensitivity",
}
RANKINGS = {
    "AUROC": sklearn.metrics.roc_auc_score,
    "AveragePrecision": sklearn.metrics.average_precision_score,
    "EqualErrorRate": equal_error_rate,
    "Lift": lift,
    "MaxFBeta": max_f_beta,
    "PrecisionAtTopFraction": precision_at_top,
    **{name: functools.partial(at_condition, name) for name in CONDITIONS},
}


def _ranking(name, task, y_true, y_pred):
    """Average over the columns that have positives, and negatives where it matters."""
    if np.isnan(y_pred).any():
        return np.nan
    each = [
        RANKINGS[name](true, score)
        for true, score in _columns(task, y_true, y_pred)
        if 0 < true.sum() < true.size + (name in OF_POSITIVES)
    ]
    return np.mean(each) if each else np.nan


def _moments(formula):
    """Make a value of two passes in float64: `c(a, b)` is a covariance."""

    def value(t, p, sample_weight=None):
        def mean(x):
            return np.average(x, weights=sample_weight)

        def c(a, b):
            return mean((a - mean(a)) * (b - mean(b)))

        with np.errstate(divide="ignore", invalid="ignore"):
            return formula(t, p, c, mean)

    return value


def _mean(terms):
    def value(t, p, sample_weight=None, **arguments):
        return np.average(terms(t, p, **arguments), weights=sample_weight)

    return value


def _where_defined(function):
    """Return NaN where scikit-learn raises: a number has no logarithm."""

    def value(t, p, sample_weight=None):
        try:
            return function(t, p, sample_weight=sample_weight)
        except ValueError:
            return np.nan

    return value


def _minkowski(y_true, y_pred, sample_weight=None, p=2):
    weight = 1.0 if sample_weight is None else sample_weight
    return np.sum(weight * abs(y_true - y_pred) ** p) ** (1 / p)


def _normalized(t, p, sample_weight=None, normalization="mean"):
    weight = np.ones(len(t)) if sample_weight is None else sample_weight
    mean = np.average(t, weights=weight)
    size = {
        "mean": abs(mean),
        "range": np.ptp(t[weight > 0]),
        "std": np.sqrt(np.average((t - mean) ** 2, weights=weight)),
        "l2": np.sqrt(np.sum(t**2 * weight)),
    }[normalization]
    return np.sqrt(np.average((t - p) ** 2, weights=weight)) / size


def _relative(t, p, sample_weight=None):
    mean = np.average(t, weights=sample_weight)
    spread = np.average((t - mean) ** 2, weights=sample_weight)
    error = np.average((t - p) ** 2, weights=sample_weight)
    return error / spread if spread else np.nan


# Of targets, predictions, `sample_weight=` and the metric's own arguments.
M = sklearn.metrics
REGRESSION = {
    "ConcordanceCorrelation": _moments(
        lambda t, p, c, mean: 2 * c(t, p) / (c(t, t) + c(p, p) + mean(t - p) ** 2)
    ),
    "ExplainedVariance": M.explained_variance_score,
    "Huber": _mean(lambda t, p, delta=1.0: scipy.special.huber(delta, t - p)),
    "KendallTau": lambda t, p: scipy.stats.kendalltau(t, p).statistic,
    "MeanAbsoluteError": M.mean_absolute_error,
    "MeanAbsolutePercentageError": M.mean_absolute_percentage_error,
    "MeanSquaredError": M.mean_squared_error,
    "MeanSquaredLogarithmicError": _where_defined(M.mean_squared_log_error),
    "MinkowskiDistance": _minkowski,
    "NormalizedRootMeanSquaredError": _normalized,
    "PearsonCorrelation": _moments(
        lambda t, p, c, _: c(t, p) / np.sqrt(c(t, t) * c(p, p))
    ),
    "PinballLoss": lambda t, p, quantile=0.5, **weight: M.mean_pinball_loss(
        t, p, alpha=quantile, **weight
    ),
    "R2Score": M.r2_score,
    "RelativeSquaredError": _relative,
    "RootMeanSquaredError": M.root_mean_squared_error,
    "RootMeanSquaredLogarithmicError": _where_defined(M.root_mean_squared_log_error),
    "SpearmanCorrelation": lambda t, p: scipy.stats.spearmanr(t, p).statistic,
    "SymmetricMeanAbsolutePercentageError": _mean(
        lambda t, p: 2 * abs(t - p) / np.maximum(abs(t) + abs(p), 1e-300)
    ),
    "TweedieDeviance": lambda t, p, power=0, **weight: M.mean_tweedie_deviance(
        t, p, power=power, **weight
    ),
    "WeightedMeanAbsolutePercentageError": lambda t, p, sample_weight=None: (
        np.average(abs(t - p), weights=sample_weight)
        / np.average(abs(t), weights=sample_weight)
    ),
}


def _regression(name, t, p):
    return np.nan if np.isnan(p).any() else REGRESSION[name](t, p)


def _rounded(values):
    """Leave out the last digits, which differ from one NumPy to the next."""
    digits = [float(f"{value:.14g}") for value in values.ravel()]
    return np.reshape(digits, values.shape).tolist()


def _write():
    from support.catalogue import ENTRIES, datasets

    lines = []
    for name, entry in ENTRIES.items():
        cases = datasets(entry.kind).items()
        values = {case: _rounded(oracle(entry, *data)) for case, data in cases}
        lines.append(f"{json.dumps(name)}: {json.dumps(values)}")
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    _write()
