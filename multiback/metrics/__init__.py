"""Streaming metrics that are right on every backend."""

from multiback.errors import WideBoundsWarning
from multiback.metrics.aggregates import Max, Mean, Min, Sum
from multiback.metrics.base.metric import Metric
from multiback.metrics.classification.accuracy import (
    Accuracy,
    BalancedAccuracy,
    HammingDistance,
)
from multiback.metrics.classification.agreement import CohenKappa, MatthewsCorrelation
from multiback.metrics.classification.calibration import CalibrationError
from multiback.metrics.classification.confusion_matrix import (
    ConfusionMatrix,
    StatScores,
)
from multiback.metrics.classification.discovery_rates import (
    FalseDiscoveryRate,
    FalseOmissionRate,
)
from multiback.metrics.classification.error_rates import (
    FalseNegativeRate,
    FalsePositiveRate,
)
from multiback.metrics.classification.f_score import F1Score, FBetaScore
from multiback.metrics.classification.generalized_dice import GeneralizedDice
from multiback.metrics.classification.hinge import HingeLoss
from multiback.metrics.classification.matching import ExactMatch, TopKAccuracy
from multiback.metrics.classification.overlap import Dice, JaccardIndex
from multiback.metrics.classification.precision_recall import Precision, Recall
from multiback.metrics.classification.probabilistic import (
    BrierScore,
    LogLoss,
    Perplexity,
)
from multiback.metrics.classification.samplewise import (
    SamplewiseDice,
    SamplewiseJaccardIndex,
)
from multiback.metrics.classification.specificity import (
    NegativePredictiveValue,
    Specificity,
)
from multiback.metrics.detection.mean_average_precision import BoxMeanAveragePrecision
from multiback.metrics.grouping import group
from multiback.metrics.images.similarity import (
    MultiScaleStructuralSimilarity,
    PeakSignalNoiseRatio,
    StructuralSimilarity,
)
from multiback.metrics.intervals.interval import Interval
from multiback.metrics.ranking.auroc import AUROC
from multiback.metrics.ranking.average_precision import AveragePrecision
from multiback.metrics.ranking.equal_error_rate import EqualErrorRate
from multiback.metrics.ranking.lift import Lift
from multiback.metrics.ranking.max_f_beta import MaxFBeta
from multiback.metrics.ranking.precision_at_recall import (
    PrecisionAtRecall,
    RecallAtPrecision,
)
from multiback.metrics.ranking.sensitivity_at_specificity import (
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from multiback.metrics.ranking.top_fraction import PrecisionAtTopFraction
from multiback.metrics.regression.correlation import (
    ConcordanceCorrelation,
    PearsonCorrelation,
)
from multiback.metrics.regression.deviance import MinkowskiDistance, TweedieDeviance
from multiback.metrics.regression.explained import ExplainedVariance, R2Score
from multiback.metrics.regression.logarithmic import (
    MeanSquaredLogarithmicError,
    RootMeanSquaredLogarithmicError,
)
from multiback.metrics.regression.losses import Huber, PinballLoss
from multiback.metrics.regression.percentage import (
    MeanAbsolutePercentageError,
    SymmetricMeanAbsolutePercentageError,
    WeightedMeanAbsolutePercentageError,
)
from multiback.metrics.regression.rank_correlation import (
    KendallTau,
    SpearmanCorrelation,
)
from multiback.metrics.regression.regression import (
    MeanAbsoluteError,
    MeanSquaredError,
    RootMeanSquaredError,
)
from multiback.metrics.regression.scaled import (
    NormalizedRootMeanSquaredError,
    RelativeSquaredError,
)
from multiback.metrics.resampling import bootstrap
from multiback.metrics.retrieval.label_ranking import (
    CoverageError,
    LabelRankingAveragePrecision,
    LabelRankingLoss,
)
from multiback.metrics.retrieval.rank_aware import (
    NDCG,
    MeanAveragePrecisionAtK,
    MeanReciprocalRank,
)
from multiback.metrics.retrieval.top_k import HitRate, PrecisionAtK, RecallAtK
from multiback.metrics.statistics.statistic import Statistic

__all__ = [
    "AUROC",
    "NDCG",
    "Accuracy",
    "AveragePrecision",
    "BalancedAccuracy",
    "BoxMeanAveragePrecision",
    "BrierScore",
    "CalibrationError",
    "CohenKappa",
    "ConcordanceCorrelation",
    "ConfusionMatrix",
    "CoverageError",
    "Dice",
    "EqualErrorRate",
    "ExactMatch",
    "ExplainedVariance",
    "F1Score",
    "FBetaScore",
    "FalseDiscoveryRate",
    "FalseNegativeRate",
    "FalseOmissionRate",
    "FalsePositiveRate",
    "GeneralizedDice",
    "HammingDistance",
    "HingeLoss",
    "HitRate",
    "Huber",
    "Interval",
    "JaccardIndex",
    "KendallTau",
    "LabelRankingAveragePrecision",
    "LabelRankingLoss",
    "Lift",
    "LogLoss",
    "MatthewsCorrelation",
    "Max",
    "MaxFBeta",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanAveragePrecisionAtK",
    "MeanReciprocalRank",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Min",
    "MinkowskiDistance",
    "MultiScaleStructuralSimilarity",
    "NegativePredictiveValue",
    "NormalizedRootMeanSquaredError",
    "PeakSignalNoiseRatio",
    "PearsonCorrelation",
    "Perplexity",
    "PinballLoss",
    "Precision",
    "PrecisionAtK",
    "PrecisionAtRecall",
    "PrecisionAtTopFraction",
    "R2Score",
    "Recall",
    "RecallAtK",
    "RecallAtPrecision",
    "RelativeSquaredError",
    "RootMeanSquaredError",
    "RootMeanSquaredLogarithmicError",
    "SamplewiseDice",
    "SamplewiseJaccardIndex",
    "SensitivityAtSpecificity",
    "SpearmanCorrelation",
    "Specificity",
    "SpecificityAtSensitivity",
    "StatScores",
    "Statistic",
    "StructuralSimilarity",
    "Sum",
    "SymmetricMeanAbsolutePercentageError",
    "TopKAccuracy",
    "TweedieDeviance",
    "WeightedMeanAbsolutePercentageError",
    "WideBoundsWarning",
    "bootstrap",
    "group",
]


def __getattr__(name: str) -> object:
    """Raise with multiback's name for a metric of another library."""
    from multiback.other_names import translated  # noqa: PLC0415 - an error

    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}.{translated(name)}"
    )
