"""Which torchmetrics and scikit-learn metric a Keras metric is.

One line a class, and the arguments that the class was made with.
"""

from typing import Any

import keras

import multiback.metrics as ours

from . import (
    aggregates,
    confusion,
    keras_counts,
    matching,
    probabilistic,
    ranking,
    regression,
    samplewise,
)
from .areas import area
from .arrays import Samples
from .counts import counts
from .equivalent import Equivalent, NoEquivalent, Translation
from .keras_private import wrapped_function

NOT_LISTED = "the table of equivalents does not know it"


def equivalent(metric: Any, samples: Samples) -> Equivalent | NoEquivalent:
    """Translate a metric object, or say why it cannot be translated.

    Args:
        metric: A Keras or multiback metric. A subclass of a known one is
            compared as that one: it bears its name in the logs.
        samples: Everything that the metric was given.
    """
    metric = ungrouped(metric)
    if type(metric) is keras.metrics.MeanMetricWrapper:
        function, arguments = wrapped_function(metric)
        for known, (name, translate) in _functions().items():
            if function is known:
                return translate(_DEFAULTS.get(name, {}) | arguments, samples)
        return NoEquivalent("a plain function")
    cls: Any = _known_class(metric)
    if cls is not None:
        return TABLE[cls](cls.get_config(metric), samples)
    return NoEquivalent(NOT_LISTED)


def ungrouped(metric: Any) -> Any:
    """Return the metric that a member of `multiback.metrics.group` stands for."""
    # By its module: what group() returns beside its owners has no public name.
    if type(metric).__module__ == "multiback.metrics.grouping":
        return keras.saving.deserialize_keras_object(metric.get_config()["metric"])
    return metric


def known_base(metric: Any) -> type | None:
    """Return the known class that a subclass is compared as, if it is a subclass."""
    metric = ungrouped(metric)
    known = _known_class(metric)
    return None if known is type(metric) else known


def _known_class(metric: Any) -> type | None:
    return next((cls for cls in type(metric).__mro__ if cls in TABLE), None)


TABLE: dict[Any, Translation] = {
    ours.AUROC: ranking.area("roc_auc_score", "AUROC"),
    ours.Accuracy: counts("Accuracy"),
    ours.AveragePrecision: ranking.area("average_precision_score", "AveragePrecision"),
    ours.BalancedAccuracy: confusion.balanced_accuracy,
    ours.BrierScore: probabilistic.loss("brier"),
    ours.CalibrationError: probabilistic.calibration_error,
    ours.CohenKappa: confusion.cohen_kappa,
    ours.ConcordanceCorrelation: regression.concordance,
    ours.ConfusionMatrix: confusion.confusion_matrix,
    ours.Dice: counts("Dice"),
    ours.ExactMatch: matching.exact_match,
    ours.ExplainedVariance: regression.explained(
        "ExplainedVariance", "explained_variance_score"
    ),
    ours.F1Score: counts("F1Score"),
    ours.FBetaScore: counts("FBetaScore"),
    ours.HammingDistance: counts("HammingDistance"),
    ours.JaccardIndex: counts("JaccardIndex"),
    ours.LogLoss: probabilistic.loss("log"),
    ours.MatthewsCorrelation: confusion.matthews,
    ours.Max: aggregates.largest,
    ours.Mean: aggregates.mean,
    ours.MeanAbsoluteError: regression.mean_absolute,
    ours.MeanSquaredError: regression.mean_squared,
    ours.Min: aggregates.smallest,
    ours.NegativePredictiveValue: counts("NegativePredictiveValue"),
    ours.PearsonCorrelation: regression.pearson,
    ours.Perplexity: probabilistic.loss("perplexity"),
    ours.Precision: counts("Precision"),
    ours.PrecisionAtRecall: ranking.operating_point("recall", "PrecisionAtFixedRecall"),
    ours.R2Score: regression.explained("R2Score", "r2_score"),
    ours.Recall: counts("Recall"),
    ours.RecallAtPrecision: ranking.operating_point(
        "precision", "RecallAtFixedPrecision"
    ),
    ours.RootMeanSquaredError: regression.root_mean_squared,
    ours.SamplewiseDice: samplewise.overlap("f1_score"),
    ours.SamplewiseJaccardIndex: samplewise.overlap("jaccard_score"),
    ours.SensitivityAtSpecificity: ranking.operating_point(
        "specificity", "SensitivityAtSpecificity"
    ),
    ours.Specificity: counts("Specificity"),
    ours.SpecificityAtSensitivity: ranking.operating_point(
        "sensitivity", "SpecificityAtSensitivity"
    ),
    ours.StatScores: confusion.stat_scores,
    ours.Sum: aggregates.total,
    ours.TopKAccuracy: matching.top_k_accuracy,
    keras.metrics.AUC: area,
    keras.metrics.Accuracy: keras_counts.accuracy,
    keras.metrics.BinaryAccuracy: keras_counts.binary_accuracy,
    keras.metrics.CategoricalAccuracy: keras_counts.class_accuracy,
    keras.metrics.F1Score: keras_counts.f1,
    keras.metrics.MeanAbsoluteError: regression.mean_absolute,
    keras.metrics.MeanSquaredError: regression.mean_squared,
    keras.metrics.Precision: keras_counts.ratio("Precision"),
    keras.metrics.Recall: keras_counts.ratio("Recall"),
    keras.metrics.RootMeanSquaredError: regression.root_mean_squared,
    keras.metrics.SparseCategoricalAccuracy: keras_counts.class_accuracy,
}

# Functions that are means over samples, so that Keras may average them.
_DEFAULTS: dict[str, dict[str, Any]] = {"binary_accuracy": {"threshold": 0.5}}


def _functions() -> dict[Any, tuple[str, Translation]]:
    named: dict[str, Translation] = {
        "binary_accuracy": keras_counts.binary_accuracy,
        "categorical_accuracy": keras_counts.class_accuracy,
        "mean_absolute_error": regression.mean_absolute,
        "mean_squared_error": regression.mean_squared,
        "sparse_categorical_accuracy": keras_counts.class_accuracy,
    }
    return {
        getattr(keras.metrics, name): (name, translation)
        for name, translation in named.items()
    }
