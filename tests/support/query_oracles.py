"""What each metric of ranked rows is worth, in float64 NumPy and scikit-learn."""

import numpy as np
import sklearn.metrics


def ranked(y_true, y_pred):
    """Return relevance from the best score to the worst, and ranks of the ties."""
    order = np.argsort(-y_pred, kind="stable")
    at_least = (y_pred[order] >= y_pred[order][:, None]).sum(1)
    return y_true[order], at_least


def precision(y_true, y_pred, k):
    relevance, rank = ranked(y_true, y_pred)
    return (relevance[rank <= k] > 0).sum() / k


def recall(y_true, y_pred, k):
    return precision(y_true, y_pred, k) * k / (y_true > 0).sum()


def hit(y_true, y_pred, k):
    return float(precision(y_true, y_pred, k) > 0)


def reciprocal_rank(y_true, y_pred, k=None):
    relevance, rank = ranked(y_true, y_pred)
    first = rank[relevance > 0].min()
    return 1 / first if k is None or first <= k else 0.0


def average_precision(y_true, y_pred, k=None):
    if k is None:
        return sklearn.metrics.average_precision_score(y_true > 0, y_pred)
    relevance, rank = ranked(y_true, y_pred)
    hits = [(relevance[rank <= r] > 0).sum() / r for r in rank]
    found = (relevance > 0) & (rank <= k)
    return np.sum(np.array(hits)[found]) / min(k, (relevance > 0).sum())


def ndcg(y_true, y_pred, k=None, gain="linear"):
    gains = 2.0**y_true - 1 if gain == "exponential" else y_true
    return sklearn.metrics.ndcg_score(gains[None], y_pred[None], k=k)


def of_rows(function):
    return lambda y_true, y_pred: function(y_true[None], y_pred[None])


OF_LABELS = ("CoverageError", "LabelRankingAveragePrecision", "LabelRankingLoss")
ORACLES = {
    "CoverageError": of_rows(sklearn.metrics.coverage_error),
    "HitRate": hit,
    "LabelRankingAveragePrecision": of_rows(
        sklearn.metrics.label_ranking_average_precision_score
    ),
    "LabelRankingLoss": of_rows(sklearn.metrics.label_ranking_loss),
    "MeanAveragePrecisionAtK": average_precision,
    "MeanReciprocalRank": reciprocal_rank,
    "NDCG": ndcg,
    "PrecisionAtK": precision,
    "RecallAtK": recall,
}


def mean(name, y_true, y_pred, sample_weight=None, **arguments):
    """Average over rows; one without relevant items is 0, as labels have it too."""
    if np.isnan(y_pred).any():
        return np.nan
    empty = 1.0 if name == "LabelRankingAveragePrecision" else 0.0
    rows = zip(y_true, y_pred, strict=True)
    each = [
        ORACLES[name](t, p, **arguments) if (t > 0).any() else empty for t, p in rows
    ]
    return np.average(each, weights=sample_weight)
