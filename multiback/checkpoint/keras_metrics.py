"""What is known of Keras's own metric classes: which way is better, and the names.

Keras keeps the direction in a private attribute.
"""

import re
from collections.abc import Mapping
from typing import Literal

Mode = Literal["max", "min"]

_MORE_IS_BETTER = """
    AUC Accuracy BinaryAccuracy BinaryIoU CategoricalAccuracy ConcordanceCorrelation
    F1Score FBetaScore IoU MeanIoU OneHotIoU OneHotMeanIoU PearsonCorrelation Precision
    PrecisionAtRecall R2Score Recall RecallAtPrecision SensitivityAtSpecificity
    SparseCategoricalAccuracy SparseTopKCategoricalAccuracy SpecificityAtSensitivity
    TopKCategoricalAccuracy TrueNegatives TruePositives
"""
_LESS_IS_BETTER = """
    BinaryCrossentropy CategoricalCrossentropy CategoricalHinge FalseNegatives
    FalsePositives Hinge KLDivergence LogCoshError MeanAbsoluteError
    MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
    RootMeanSquaredError SparseCategoricalCrossentropy SquaredHinge
"""


def snake_case(name: str) -> str:
    """Name a class as Keras names its metrics.

    >>> snake_case("MeanIoU"), snake_case("R2Score")
    ('mean_io_u', 'r2_score')
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


CLASS_MODES: Mapping[str, Mode] = {
    **dict.fromkeys(_MORE_IS_BETTER.split(), "max"),
    **dict.fromkeys(_LESS_IS_BETTER.split(), "min"),
}
NAME_MODES: Mapping[str, Mode] = {
    **{snake_case(name): mode for name, mode in CLASS_MODES.items()},
    "acc": "max",
    "kl_divergence": "min",
    "log_cosh": "min",
    "logcosh": "min",
    "loss": "min",
    "mae": "min",
    "mape": "min",
    "mse": "min",
    "msle": "min",
    "rmse": "min",
}
