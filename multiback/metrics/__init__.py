"""Streaming metrics that are right on every backend."""

from multiback.metrics.accuracy import (
    Accuracy,
    BalancedAccuracy,
    HammingDistance,
    StatScores,
)
from multiback.metrics.grouping import group
from multiback.metrics.matching import ExactMatch, TopKAccuracy
from multiback.metrics.metric import Metric
from multiback.metrics.precision_recall import (
    F1Score,
    FBetaScore,
    NegativePredictiveValue,
    Precision,
    Recall,
    Specificity,
)
from multiback.metrics.statistic import Statistic

__all__ = [
    "Accuracy",
    "BalancedAccuracy",
    "ExactMatch",
    "F1Score",
    "FBetaScore",
    "HammingDistance",
    "Metric",
    "NegativePredictiveValue",
    "Precision",
    "Recall",
    "Specificity",
    "StatScores",
    "Statistic",
    "TopKAccuracy",
    "group",
]
