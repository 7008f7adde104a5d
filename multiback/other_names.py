"""Multiback's names for names of Keras, Lightning and torchmetrics."""

import difflib
import sys
from collections.abc import Sequence

_ACCURACY = "Accuracy(task=..., num_classes=...)"
_F1 = "F1Score(task=..., num_classes=..., average=...)"
_COUNTS = "StatScores(task=...), which holds tp, fp, tn, fn and support"
_IOU = "JaccardIndex(task=..., num_classes=..., average=...)"
_KERAS = "keras.metrics.{name}: losses stay Keras's, and a checkpoint can monitor them"

METRICS = {
    "AUC": 'AUROC(task=...), or AveragePrecision(task=...) for curve="PR"',
    "BinaryAccuracy": 'Accuracy(task="binary")',
    "BinaryAUROC": 'AUROC(task="binary")',
    "BinaryAveragePrecision": 'AveragePrecision(task="binary")',
    "BinaryConfusionMatrix": 'ConfusionMatrix(task="binary")',
    "BinaryCrossentropy": 'LogLoss(task="binary")',
    "BinaryF1Score": 'F1Score(task="binary")',
    "BinaryIoU": 'JaccardIndex(task="binary")',
    "BinaryJaccardIndex": 'JaccardIndex(task="binary")',
    "BinaryPrecision": 'Precision(task="binary")',
    "BinaryRecall": 'Recall(task="binary")',
    "CategoricalAccuracy": 'Accuracy(task="multiclass", num_classes=...)',
    "CategoricalCrossentropy": 'LogLoss(task="multiclass", num_classes=...)',
    "ConcordanceCorrCoef": "ConcordanceCorrelation()",
    "CosineSimilarity": _KERAS,
    "DiceScore": "Dice(task=..., num_classes=...)",
    "F1": _F1,
    "FalseNegatives": _COUNTS,
    "FalsePositives": _COUNTS,
    "Hinge": "HingeLoss(task=...), of labels that are 0 and 1",
    "IoU": _IOU,
    "JaccardScore": _IOU,
    "KLDivergence": _KERAS,
    "LogCoshError": _KERAS,
    "MAE": "MeanAbsoluteError()",
    "MCC": "MatthewsCorrelation(task=..., num_classes=...)",
    "MSE": "MeanSquaredError()",
    "MatthewsCorrCoef": "MatthewsCorrelation(task=..., num_classes=...)",
    "MaxMetric": "Max()",
    "MeanAveragePrecision": (
        "BoxMeanAveragePrecision(num_classes=...) of boxes, "
        'AveragePrecision(task="multilabel", num_labels=...) of labels, '
        "MeanAveragePrecisionAtK() of ranked items"
    ),
    "MeanIoU": 'JaccardIndex(task="multiclass", num_classes=..., average="macro")',
    "MeanMetric": "Mean()",
    "MinMetric": "Min()",
    "MulticlassAUROC": 'AUROC(task="multiclass", num_classes=...)',
    "MulticlassAccuracy": (
        'Accuracy(task="multiclass", num_classes=..., average="macro")'
    ),
    "MulticlassConfusionMatrix": 'ConfusionMatrix(task="multiclass", num_classes=...)',
    "MulticlassF1Score": 'F1Score(task="multiclass", num_classes=..., average="macro")',
    "MulticlassJaccardIndex": 'JaccardIndex(task="multiclass", num_classes=...)',
    "MulticlassPrecision": (
        'Precision(task="multiclass", num_classes=..., average="macro")'
    ),
    "MulticlassRecall": 'Recall(task="multiclass", num_classes=..., average="macro")',
    "MultilabelAUROC": 'AUROC(task="multilabel", num_labels=...)',
    "MultilabelAccuracy": (
        'Accuracy(task="multilabel", num_labels=..., average="macro")'
    ),
    "MultilabelF1Score": 'F1Score(task="multilabel", num_labels=..., average="macro")',
    "OneHotIoU": _IOU,
    "OneHotMeanIoU": (
        'JaccardIndex(task="multiclass", num_classes=..., average="macro")'
    ),
    "PearsonCorrCoef": "PearsonCorrelation()",
    "Poisson": _KERAS,
    "QuantileLoss": "PinballLoss()",
    "RMSE": "RootMeanSquaredError()",
    "QuadraticWeightedKappa": (
        'CohenKappa(task="multiclass", num_classes=..., weights="quadratic"), with '
        "regression=True for regressed numbers"
    ),
    "ROCAUC": "AUROC(task=...)",
    "SSIM": "StructuralSimilarity()",
    "SparseCategoricalAccuracy": 'Accuracy(task="multiclass", num_classes=...)',
    "SparseCategoricalCrossentropy": 'LogLoss(task="multiclass", num_classes=...)',
    "SparseTopKCategoricalAccuracy": "TopKAccuracy(num_classes=..., top_k=...)",
    "SquaredHinge": "HingeLoss(task=..., squared=True), of labels that are 0 and 1",
    "SumMetric": "Sum()",
    "TopKCategoricalAccuracy": "TopKAccuracy(num_classes=..., top_k=...)",
    "TrueNegatives": _COUNTS,
    "TruePositives": _COUNTS,
}


# Other than metrics: names that users look for at the top level.
NAMES = {
    "BackupAndRestore": 'multiback.ModelCheckpoint(dirpath, resume="auto")',
    "EarlyStopping": "keras.callbacks.EarlyStopping beside multiback.ModelCheckpoint",
    "callbacks": "multiback.ModelCheckpoint",
    "load_checkpoint": "multiback.load(path)",
    "load_from_checkpoint": "multiback.load(path), or multiback.restore(model, path)",
    "load_model": "multiback.load_best(dirpath), or multiback.load(path)",
    "load_weights": "multiback.restore(model, path)",
    "save_model": "multiback.Checkpointer(dirpath).save(model)",
}


def translated(name: str) -> str:
    """Return what to write here for another library's name, or "".

    >>> translated("MeanMetric"), translated("Nothing")
    (' Write multiback.metrics.Mean().', '')
    >>> translated("MAPE")
    ' Did you mean multiback.metrics.MeanAbsolutePercentageError?'
    """
    if name in NAMES:
        return f" Write {NAMES[name]}."
    ours = getattr(sys.modules.get("multiback.metrics"), "__all__", ())
    if name in ours:
        return f" Write multiback.metrics.{name}."
    if name not in METRICS:
        near = _near(name, [one for one in ours if one[0].isupper()])
        return f" Did you mean multiback.metrics.{near}?" if near else ""
    meant = METRICS[name]
    if meant is _KERAS:
        return f" Write {meant.format(name=name)}."
    return f" Write multiback.metrics.{meant}."


def _near(name: str, ours: Sequence[str]) -> str | None:
    """Return the metric that has these initials, begins like this or looks like it."""
    for one in ours:
        if name.isupper() and name == "".join(c for c in one if c.isupper()):
            return one
    if name[:1].isupper() and len(name) > 1:
        begins = [one for one in ours if one.startswith(name)]
        if begins:
            return min(begins, key=len)
    near = difflib.get_close_matches(name, ours, n=1, cutoff=0.8)
    return near[0] if near else None
