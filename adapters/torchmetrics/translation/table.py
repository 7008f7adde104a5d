"""One row a metric of multiback: what torchmetrics, scikit-learn and Keras call it."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Score:
    """A ratio of counts by the name of its function in scikit-learn.

    Attributes:
        function: Name in `sklearn.metrics`.
        pos_label: The label that it scores in a binary task.
        of_class: The score of one class among others, where that differs.
        inverted: It is 1 less what the function gives.
        one_vs_rest: scikit-learn has it for two classes only.
        beta: Argument of `fbeta_score`.
    """

    function: str
    pos_label: int = 1
    of_class: "Score | None" = None
    inverted: bool = False
    one_vs_rest: bool = False
    beta: float | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """A metric in the other libraries.

    Attributes:
        name: Its class in torchmetrics, without the task's prefix; "" without one.
        arguments: multiback's argument: torchmetrics' name for it.
        constants: More arguments for torchmetrics.
        sklearn: The ratio of counts in scikit-learn; other metrics have a function in
            `oracles`.
        torchmetrics: Why torchmetrics lacks it, where a reason helps.
        keras: Why Keras lacks it, where a reason helps.
    """

    name: str = ""
    arguments: Mapping[str, str] = dataclasses.field(default_factory=dict)
    constants: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sklearn: Score | None = None
    torchmetrics: str = ""
    keras: str = ""


def _row(
    name: str,
    *same: str,
    constants: Mapping[str, Any] | None = None,
    sklearn: Score | None = None,
    keras: str = "",
    **renamed: str,
) -> Row:
    """Make a row of arguments with the `same` name in both, and of others."""
    arguments = {**{each: each for each in same}, **renamed}
    return Row(name, arguments, constants or {}, sklearn, keras=keras)


_RATIO = ("average", "threshold")
_EMPTY = (*_RATIO, "zero_division")
_QUERIES = {
    "k": "top_k",
    "zero_division": "empty_target_action",
    "ignore_index": "ignore_index",
}
_F1 = Score("f1_score")
_RECALL = Score("recall_score")
_MISSED = Score("recall_score", inverted=True)
_NEGATIVE: dict[str, Any] = {"pos_label": 0, "one_vs_rest": True}
_BY_ROWS = "Keras correlates the elements of each row, or of each batch, and averages"
_BORDERS = "torchmetrics counts reflected borders too, and wants channels first"
_PAIRS = "torchmetrics averages pairs of a sample and a class"

# By multiback's names, or Keras's for metrics that only Keras has.
METRICS: dict[str, Row] = {
    "AUROC": _row("AUROC", "average", "max_fpr"),
    # Within one class accuracy is recall.
    "Accuracy": _row(
        "Accuracy", *_RATIO, sklearn=Score("accuracy_score", of_class=_RECALL)
    ),
    "AveragePrecision": _row("AveragePrecision", "average"),
    # Its mean of class accuracies is the mean recall.
    "BalancedAccuracy": _row("Accuracy", constants={"average": "macro"}),
    "CalibrationError": _row("CalibrationError", "n_bins", "norm"),
    "CohenKappa": _row("CohenKappa", "threshold", "weights"),
    "ConcordanceCorrelation": _row(
        "ConcordanceCorrCoef", "num_outputs", keras=_BY_ROWS
    ),
    "ConfusionMatrix": _row("ConfusionMatrix", "threshold", "normalize"),
    "CosineSimilarity": _row("CosineSimilarity", constants={"reduction": "mean"}),
    "CoverageError": _row("CoverageError"),
    "Dice": _row("F1Score", *_EMPTY, sklearn=_F1),
    "EqualErrorRate": Row(torchmetrics="torchmetrics' EER takes the nearest threshold"),
    "ExactMatch": _row("ExactMatch", "threshold"),
    "ExplainedVariance": _row("ExplainedVariance", "multioutput"),
    "F1Score": _row("F1Score", *_EMPTY, sklearn=_F1),
    "FBetaScore": _row("FBetaScore", *_EMPTY, "beta", sklearn=Score("fbeta_score")),
    "FalseDiscoveryRate": Row(sklearn=Score("precision_score", inverted=True)),
    "FalseNegativeRate": Row(sklearn=_MISSED),
    "FalseOmissionRate": Row(
        sklearn=Score("precision_score", inverted=True, **_NEGATIVE)
    ),
    "FalsePositiveRate": Row(sklearn=Score("recall_score", inverted=True, **_NEGATIVE)),
    "GeneralizedDice": Row(
        torchmetrics="torchmetrics weighs an absent class by the largest weight of the "
        "batch"
    ),
    "HammingDistance": _row(
        "HammingDistance", *_RATIO, sklearn=Score("hamming_loss", of_class=_MISSED)
    ),
    "HingeLoss": _row("HingeLoss", "squared"),
    "HitRate": Row("RetrievalHitRate", _QUERIES),
    "Huber": Row(
        keras="Keras has it as a loss: compile with metrics=[keras.losses.huber]",
    ),
    "JaccardIndex": _row(
        "JaccardIndex", *_EMPTY, sklearn=Score("jaccard_score", one_vs_rest=True)
    ),
    "KLDivergence": _row("KLDivergence"),
    "KendallTau": _row("KendallRankCorrCoef", "num_outputs", "variant"),
    "LabelRankingAveragePrecision": _row("RankingAveragePrecision"),
    "LabelRankingLoss": _row("RankingLoss"),
    "LogCoshError": _row("LogCoshError"),
    "LogLoss": Row(
        torchmetrics="torchmetrics has no log loss; text.Perplexity is its exponential"
    ),
    "MatthewsCorrelation": _row("MatthewsCorrCoef", "threshold"),
    "Max": _row("MaxMetric"),
    "MaxFBeta": Row(torchmetrics="torchmetrics has no F over all thresholds"),
    "Mean": _row("MeanMetric"),
    "MeanAbsoluteError": _row("MeanAbsoluteError"),
    "MeanAbsolutePercentageError": _row(
        "MeanAbsolutePercentageError",
        keras="Keras's is a percentage, 100 times as much",
    ),
    "MeanAveragePrecisionAtK": Row("RetrievalMAP", _QUERIES),
    "MeanReciprocalRank": Row("RetrievalMRR", _QUERIES),
    "MeanSquaredError": _row("MeanSquaredError"),
    "MeanSquaredLogarithmicError": _row("MeanSquaredLogError"),
    "Min": _row("MinMetric"),
    "MinkowskiDistance": _row("MinkowskiDistance", "p"),
    "MultiScaleStructuralSimilarity": Row(torchmetrics=_BORDERS),
    "NDCG": Row("RetrievalNormalizedDCG", _QUERIES),
    "NegativePredictiveValue": _row(
        "NegativePredictiveValue",
        *_RATIO,
        sklearn=Score("precision_score", **_NEGATIVE),
    ),
    "NormalizedRootMeanSquaredError": _row(
        "NormalizedRootMeanSquaredError", "normalization", "num_outputs"
    ),
    "PeakSignalNoiseRatio": Row(
        torchmetrics="torchmetrics takes the error of all images together"
    ),
    "PearsonCorrelation": _row("PearsonCorrCoef", "num_outputs", keras=_BY_ROWS),
    "Perplexity": Row(
        torchmetrics="torchmetrics' Perplexity is of sequences, (batch, length, "
        "classes), and takes the softmax of what it is given"
    ),
    "Precision": _row("Precision", *_EMPTY, sklearn=Score("precision_score")),
    "PrecisionAtK": Row("RetrievalPrecision", _QUERIES),
    "PrecisionAtRecall": _row("PrecisionAtFixedRecall", recall="min_recall"),
    "PrecisionAtTopFraction": Row(
        torchmetrics="torchmetrics has precision of k items of each query: "
        "RetrievalPrecision"
    ),
    "R2Score": _row("R2Score", "adjusted", "multioutput"),
    "Recall": _row("Recall", *_EMPTY, sklearn=_RECALL),
    "RecallAtK": Row("RetrievalRecall", _QUERIES),
    "RecallAtPrecision": _row("RecallAtFixedPrecision", precision="min_precision"),
    "RelativeSquaredError": _row("RelativeSquaredError", "num_outputs", "squared"),
    "RootMeanSquaredError": _row("MeanSquaredError", constants={"squared": False}),
    "RootMeanSquaredLogarithmicError": Row(torchmetrics="torchmetrics has its square"),
    "SamplewiseDice": Row(torchmetrics=_PAIRS),
    "SamplewiseJaccardIndex": Row(torchmetrics=_PAIRS),
    "SensitivityAtSpecificity": _row(
        "SensitivityAtSpecificity", specificity="min_specificity"
    ),
    "SpearmanCorrelation": _row("SpearmanCorrCoef", "num_outputs"),
    "Specificity": _row(
        "Specificity", *_RATIO, sklearn=Score("recall_score", **_NEGATIVE)
    ),
    "SpecificityAtSensitivity": _row(
        "SpecificityAtSensitivity", sensitivity="min_sensitivity"
    ),
    "StatScores": _row("StatScores", *_RATIO),
    "StructuralSimilarity": Row(torchmetrics=_BORDERS),
    "Sum": _row("SumMetric"),
    "SymmetricMeanAbsolutePercentageError": _row(
        "SymmetricMeanAbsolutePercentageError"
    ),
    "TopKAccuracy": _row("Accuracy", "average", "top_k"),
    "TweedieDeviance": _row("TweedieDevianceScore", "power"),
    "WeightedMeanAbsolutePercentageError": _row("WeightedMeanAbsolutePercentageError"),
}
# What torchmetrics has, and the ratios that scikit-learn has.
CLASSES = {kind: row for kind, row in METRICS.items() if row.name}
SCORES = {kind: row.sklearn for kind, row in METRICS.items() if row.sklearn}


def no_torchmetrics(kind: str) -> str:
    """Return why torchmetrics has no such metric."""
    row = METRICS.get(kind)
    return (row.torchmetrics if row else "") or f"torchmetrics has no {kind}"
