"""Streaming metrics that are right on every backend."""

from multiback.metrics.accuracy import (
    Accuracy,
    BalancedAccuracy,
    HammingDistance,
    StatScores,
)
from multiback.metrics.aggregates import Max, Mean, Min, Sum
from multiback.metrics.agreement import CohenKappa, ConfusionMatrix, MatthewsCorrelation
from multiback.metrics.calibration import CalibrationError
from multiback.metrics.correlation import (
    ConcordanceCorrelation,
    ExplainedVariance,
    PearsonCorrelation,
    R2Score,
)
from multiback.metrics.grouping import group
from multiback.metrics.matching import ExactMatch, TopKAccuracy
from multiback.metrics.metric import Metric
from multiback.metrics.operating_points import (
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from multiback.metrics.overlap import Dice, JaccardIndex
from multiback.metrics.precision_recall import (
    F1Score,
    FBetaScore,
    NegativePredictiveValue,
    Precision,
    Recall,
    Specificity,
)
from multiback.metrics.probabilistic import BrierScore, LogLoss, Perplexity
from multiback.metrics.ranking import AUROC, AveragePrecision
from multiback.metrics.regression import (
    MeanAbsoluteError,
    MeanSquaredError,
    RootMeanSquaredError,
)
from multiback.metrics.samplewise import SamplewiseDice, SamplewiseJaccardIndex
from multiback.metrics.score_metric import WideBoundsWarning
from multiback.metrics.statistic import Statistic

__all__ = [
    "AUROC",
    "Accuracy",
    "AveragePrecision",
    "BalancedAccuracy",
    "BrierScore",
    "CalibrationError",
    "CohenKappa",
    "ConcordanceCorrelation",
    "ConfusionMatrix",
    "Dice",
    "ExactMatch",
    "ExplainedVariance",
    "F1Score",
    "FBetaScore",
    "HammingDistance",
    "JaccardIndex",
    "LogLoss",
    "MatthewsCorrelation",
    "Max",
    "Mean",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Min",
    "NegativePredictiveValue",
    "PearsonCorrelation",
    "Perplexity",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SamplewiseDice",
    "SamplewiseJaccardIndex",
    "SensitivityAtSpecificity",
    "Specificity",
    "SpecificityAtSensitivity",
    "StatScores",
    "Statistic",
    "Sum",
    "TopKAccuracy",
    "WideBoundsWarning",
    "group",
]
