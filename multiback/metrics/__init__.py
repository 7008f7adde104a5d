"""Streaming metrics that are right on every backend."""

from multiback.metrics.classification import Accuracy, F1Score, Precision, Recall
from multiback.metrics.grouping import group
from multiback.metrics.metric import Metric
from multiback.metrics.statistic import Statistic

__all__ = ["Accuracy", "F1Score", "Metric", "Precision", "Recall", "Statistic", "group"]
