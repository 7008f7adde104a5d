"""The torchmetrics and scikit-learn equivalents of each Keras metric.

One line a class, and the arguments of the class.
"""

import dataclasses
from typing import Any

import keras

import multiback.metrics as ours
from multiback.adapters.torchmetrics.arrays import Samples
from multiback.adapters.torchmetrics.oracles import (
    aggregates,
    confusion,
    errors,
    keras_counts,
    matching,
    probabilistic,
    ranking,
    regression,
    samplewise,
)
from multiback.adapters.torchmetrics.oracles.areas import area
from multiback.adapters.torchmetrics.oracles.counts import counts
from multiback.adapters.torchmetrics.oracles.equivalent import (
    Equivalent,
    NoEquivalent,
    Translation,
)
from multiback.adapters.torchmetrics.oracles.rows import boxes, hinge, images, retrieval
from multiback.adapters.torchmetrics.to_keras.as_keras import TorchMetric
from multiback.adapters.torchmetrics.translation.keras import (
    of_function,
    spec_from_keras,
)
from multiback.adapters.torchmetrics.translation.source import kind_of, ungrouped
from multiback.adapters.torchmetrics.translation.spec import NoEquivalentError, as_ours
from multiback.adapters.torchmetrics.translation.table import SCORES
from multiback.adapters.torchmetrics.translation.torchmetrics import (
    OPERATING_POINTS,
    spec_from_torchmetrics,
)

NOT_LISTED = "crosscheck knows no number to compare it with"


def equivalent(metric: Any, samples: Samples) -> Equivalent | NoEquivalent:
    """Translate a metric object, or return why it cannot be translated.

    A subclass of a known metric is compared as that metric: it has its name in the
    logs.
    """
    metric = of_function(ungrouped(metric))
    if metric is None:
        return NoEquivalent("a plain function")
    if isinstance(metric, TorchMetric):
        return _of_hosted(metric, samples)
    cls: Any = _known_class(metric)
    if cls is not None:
        config = cls.get_config(metric)
        if "task" in config and config["task"] is None:
            config["task"] = "binary"  # What it became, or it would have raised.
        if config.get("classes") is not None and cls not in CHOOSES_CLASSES:
            return NoEquivalent(f"neither library has {cls.__name__} of some classes")
        return TABLE[cls](config, samples)
    try:
        if kind_of(metric):
            spec_from_keras(metric, _columns(samples))
    except NoEquivalentError as reason:
        return NoEquivalent(str(reason))
    return NoEquivalent(NOT_LISTED)


def _of_hosted(metric: TorchMetric, samples: Samples) -> Equivalent | NoEquivalent:
    """Translate a torchmetrics metric wrapped for Keras as multiback's."""
    if metric.several:
        return NoEquivalent("torchmetrics computes several numbers, each logged alone")
    try:
        known = as_ours(spec_from_torchmetrics(metric.hosted, _columns(samples)))
    except NoEquivalentError as reason:
        return NoEquivalent(f"torchmetrics computes it, and {reason}")
    config = known.get_config()
    if metric.from_logits and "from_logits" in config:
        config["from_logits"] = True
    if "capacity" in config:
        config["capacity"] = len(samples.y_true)  # Every score counts, not bins.
    found = TABLE[type(known)](config, samples)
    if isinstance(found, NoEquivalent) or found.convention is None:
        return found
    # Here torchmetrics has the other convention.
    theirs = dataclasses.replace(found.convention, expected=found.torchmetrics)
    return dataclasses.replace(found, convention=theirs)


def _as_ours(cls: Any) -> Translation:
    """Translate a metric of Keras as multiback's equivalent."""

    def translate(
        config: dict[str, Any], samples: Samples
    ) -> Equivalent | NoEquivalent:
        spec = spec_from_keras(cls.from_config(config), _columns(samples))
        known = as_ours(spec)
        return TABLE[type(known)](known.get_config(), samples)

    return translate


def _columns(samples: Samples) -> int:
    return samples.y_pred.shape[-1] if samples.y_pred.ndim > 1 else 1


def known_base(metric: Any) -> type | None:
    """Return the known base class of a subclass, or None."""
    metric = ungrouped(metric)
    known = _known_class(metric)
    return None if known is type(metric) else known


def _known_class(metric: Any) -> type | None:
    return next((cls for cls in type(metric).__mro__ if cls in TABLE), None)


TABLE: dict[Any, Translation] = {
    ours.AUROC: ranking.area("AUROC", "roc_auc_score"),
    ours.AveragePrecision: ranking.area("AveragePrecision", "average_precision_score"),
    ours.BalancedAccuracy: confusion.balanced_accuracy,
    ours.BoxMeanAveragePrecision: boxes.boxes,
    ours.BrierScore: probabilistic.loss("brier"),
    ours.CalibrationError: probabilistic.calibration_error,
    ours.CohenKappa: confusion.cohen_kappa,
    ours.ConcordanceCorrelation: regression.concordance,
    ours.ConfusionMatrix: confusion.confusion_matrix,
    ours.EqualErrorRate: ranking.best("EqualErrorRate"),
    ours.ExactMatch: matching.exact_match,
    ours.ExplainedVariance: regression.explained(
        "ExplainedVariance", "explained_variance_score"
    ),
    ours.GeneralizedDice: samplewise.generalized,
    ours.HingeLoss: hinge.hinge,
    ours.KendallTau: errors.rank_correlation("KendallTau", "kendalltau"),
    ours.Lift: ranking.best("Lift"),
    ours.LogLoss: probabilistic.loss("log"),
    ours.MatthewsCorrelation: confusion.matthews,
    ours.Max: aggregates.largest,
    ours.Mean: aggregates.mean,
    ours.MaxFBeta: ranking.best("MaxFBeta"),
    ours.MeanAbsoluteError: regression.mean_absolute,
    ours.MeanSquaredError: regression.mean_squared,
    ours.Min: aggregates.smallest,
    ours.PearsonCorrelation: regression.pearson,
    ours.Perplexity: probabilistic.loss("perplexity"),
    ours.PrecisionAtRecall: ranking.operating_point("PrecisionAtRecall", "recall"),
    ours.PrecisionAtTopFraction: ranking.best("PrecisionAtTopFraction"),
    ours.R2Score: regression.explained("R2Score", "r2_score"),
    ours.RecallAtPrecision: ranking.operating_point("RecallAtPrecision", "precision"),
    ours.RootMeanSquaredError: regression.root_mean_squared,
    ours.SamplewiseDice: samplewise.overlap("f1_score"),
    ours.SamplewiseJaccardIndex: samplewise.overlap("jaccard_score"),
    ours.SensitivityAtSpecificity: ranking.operating_point(
        "SensitivityAtSpecificity", "specificity"
    ),
    ours.SpecificityAtSensitivity: ranking.operating_point(
        "SpecificityAtSensitivity", "sensitivity"
    ),
    ours.SpearmanCorrelation: errors.rank_correlation(
        "SpearmanCorrelation", "spearmanr"
    ),
    ours.StatScores: confusion.stat_scores,
    ours.Sum: aggregates.total,
    ours.TopKAccuracy: matching.top_k_accuracy,
    **{getattr(ours, kind): counts(kind) for kind in SCORES},
    **{getattr(ours, kind): errors.error(kind) for kind in errors.SCORES},
    **{getattr(ours, kind): retrieval.queries(kind) for kind in retrieval.QUERIES},
    ours.MultiScaleStructuralSimilarity: images.images(
        "MultiScaleStructuralSimilarity"
    ),
    **{getattr(ours, kind): images.images(kind) for kind in images.SCORES},
    **{getattr(ours, kind): retrieval.labels(kind) for kind in retrieval.LABELS},
    keras.metrics.AUC: area,
    keras.metrics.Accuracy: keras_counts.accuracy,
    keras.metrics.BinaryAccuracy: keras_counts.binary_accuracy,
    keras.metrics.CategoricalAccuracy: keras_counts.class_accuracy,
    keras.metrics.F1Score: keras_counts.f_score("F1Score"),
    keras.metrics.FBetaScore: keras_counts.f_score("FBetaScore"),
    keras.metrics.Precision: keras_counts.ratio("Precision"),
    keras.metrics.Recall: keras_counts.ratio("Recall"),
    keras.metrics.SparseCategoricalAccuracy: keras_counts.class_accuracy,
}
# The value to compare if classes= selects some of the numbers.
CHOOSES_CLASSES = (
    ours.AUROC,
    ours.AveragePrecision,
    ours.GeneralizedDice,
    ours.SamplewiseDice,
    ours.SamplewiseJaccardIndex,
    ours.StatScores,
    ours.TopKAccuracy,
    *(getattr(ours, kind) for kind in (*OPERATING_POINTS, *SCORES)),
)
for _cls in (
    keras.metrics.MeanAbsoluteError,
    keras.metrics.MeanSquaredError,
    keras.metrics.MeanSquaredLogarithmicError,
    keras.metrics.R2Score,
    keras.metrics.RootMeanSquaredError,
    keras.metrics.SparseTopKCategoricalAccuracy,
    keras.metrics.TopKCategoricalAccuracy,
):
    TABLE[_cls] = _as_ours(_cls)
