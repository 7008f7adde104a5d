"""Pictures of metrics, drawn by matplotlib from NumPy arrays.

`metric.plot()` calls these functions with what the metric has counted. They take plain
arrays, so that they draw the numbers of any other source as well.
"""

from multiback.metrics.plots.curves import precision_recall, roc
from multiback.metrics.plots.samples import regression, scores_by_class
from multiback.metrics.plots.values import bars, calibration, heat_map, point

__all__ = [
    "bars",
    "calibration",
    "heat_map",
    "point",
    "precision_recall",
    "regression",
    "roc",
    "scores_by_class",
]
