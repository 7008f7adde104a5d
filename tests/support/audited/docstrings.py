"""What the docstring of each class in `keras.metrics` shows with `compile()`.

A value is (the model's form, its loss, the metric). `NO_COMPILE` names classes whose
docstring shows none, with the form of the numbers that it does show.
"""

import functools

import keras

K, L = keras.metrics, keras.losses
BCE, CCE, SPARSE = (
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
)
LOGITS = functools.partial(L.BinaryCrossentropy, from_logits=True)

DOCSTRINGS = {
    "Accuracy": ("yes_no", BCE, K.Accuracy),
    "BinaryAccuracy": ("yes_no", BCE, K.BinaryAccuracy),
    "CategoricalAccuracy": ("one_hot", CCE, K.CategoricalAccuracy),
    "SparseCategoricalAccuracy": ("ids", SPARSE, K.SparseCategoricalAccuracy),
    "TopKCategoricalAccuracy": ("one_hot", CCE, lambda: K.TopKCategoricalAccuracy(2)),
    "SparseTopKCategoricalAccuracy": (
        "ids",
        SPARSE,
        lambda: K.SparseTopKCategoricalAccuracy(2),
    ),
    "Precision": ("yes_no", BCE, K.Precision),
    "Precision of logits": ("logit", LOGITS, lambda: K.Precision(thresholds=0)),
    "Recall": ("yes_no", BCE, K.Recall),
    "Recall of logits": ("logit", LOGITS, lambda: K.Recall(thresholds=0)),
    "SensitivityAtSpecificity": (
        "yes_no",
        BCE,
        lambda: K.SensitivityAtSpecificity(specificity=0.5),
    ),
    "SpecificityAtSensitivity": (
        "yes_no",
        BCE,
        lambda: K.SpecificityAtSensitivity(sensitivity=0.3),
    ),
    "PrecisionAtRecall": ("yes_no", BCE, lambda: K.PrecisionAtRecall(recall=0.8)),
    "RecallAtPrecision": ("yes_no", BCE, lambda: K.RecallAtPrecision(precision=0.8)),
    "AUC": ("yes_no", L.BinaryCrossentropy, K.AUC),
    "AUC of logits": ("logit", LOGITS, lambda: K.AUC(from_logits=True)),
    "IoU": ("yes_no", "mse", lambda: K.IoU(num_classes=2, target_class_ids=[0])),
    "BinaryIoU": (
        "yes_no",
        "mse",
        lambda: K.BinaryIoU(target_class_ids=[0], threshold=0.5),
    ),
    "MeanIoU": ("yes_no", "mse", lambda: K.MeanIoU(num_classes=2)),
    "OneHotIoU": (
        "one_hot",
        "mse",
        lambda: K.OneHotIoU(num_classes=3, target_class_ids=[1]),
    ),
    "OneHotMeanIoU": ("one_hot", "mse", lambda: K.OneHotMeanIoU(num_classes=3)),
    "MeanAbsoluteError": ("number", "mse", K.MeanAbsoluteError),
    "MeanAbsolutePercentageError": ("number", "mse", K.MeanAbsolutePercentageError),
    "MeanSquaredLogarithmicError": ("number", "mse", K.MeanSquaredLogarithmicError),
    "RootMeanSquaredError": ("number", "mse", K.RootMeanSquaredError),
    "CosineSimilarity": ("vector", "mse", lambda: K.CosineSimilarity(axis=1)),
    "LogCoshError": ("number", "mse", K.LogCoshError),
    "PearsonCorrelation": ("vector", "mse", K.PearsonCorrelation),
    "ConcordanceCorrelation": ("vector", "mse", K.ConcordanceCorrelation),
    "KLDivergence": ("shares", "mse", K.KLDivergence),
    "Poisson": ("counts", "mse", K.Poisson),
    "BinaryCrossentropy": ("yes_no", "mse", K.BinaryCrossentropy),
    "CategoricalCrossentropy": ("one_hot", "mse", K.CategoricalCrossentropy),
    "SparseCategoricalCrossentropy": ("ids", SPARSE, K.SparseCategoricalCrossentropy),
}

NO_COMPILE = {
    "TruePositives": ("yes_no", BCE, K.TruePositives),
    "TrueNegatives": ("yes_no", BCE, K.TrueNegatives),
    "FalsePositives": ("yes_no", BCE, K.FalsePositives),
    "FalseNegatives": ("yes_no", BCE, K.FalseNegatives),
    "F1Score": ("several", BCE, lambda: K.F1Score(threshold=0.5)),
    "FBetaScore": ("several", BCE, lambda: K.FBetaScore(beta=2.0, threshold=0.5)),
    "MeanSquaredError": ("number", "mse", K.MeanSquaredError),
    "R2Score": ("number", "mse", K.R2Score),
    "Hinge": ("plus_minus", "hinge", K.Hinge),
    "SquaredHinge": ("plus_minus", "squared_hinge", K.SquaredHinge),
    "CategoricalHinge": ("one_hot", "categorical_hinge", K.CategoricalHinge),
}

# Classes that measure nothing by themselves.
NOT_MEASURES = {"Mean", "MeanMetricWrapper", "Metric", "Sum"}
