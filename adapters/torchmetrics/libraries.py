"""Load torchmetrics and scikit-learn, each only when it is needed."""

import importlib
from typing import Any

import numpy as np

from multiback.errors import MissingPackageError

SKLEARN_HINT = (
    "scikit-learn is not installed, so its column is empty. Install it with:\n"
    'pip install "multiback[sklearn]"'
)


def load_torchmetrics(who: str = "crosscheck") -> Any:
    """Import torchmetrics, or say how to install what `who` needs."""
    try:
        importlib.import_module("torch")
        return importlib.import_module("torchmetrics")
    except ImportError as error:
        raise MissingPackageError(
            f"{who} needs torchmetrics and torch, which cannot be imported "
            f"({error}). Install them with:\n"
            'pip install "multiback[torchmetrics]"'
        ) from error


def load_sklearn_metrics() -> Any | None:
    """Import `sklearn.metrics`; None where scikit-learn is not installed."""
    try:
        return importlib.import_module("sklearn.metrics")
    except ImportError:
        return None


def run_torchmetrics(metric: Any, *, y_true: np.ndarray, y_pred: np.ndarray) -> Any:
    """Give a torchmetrics metric the whole set at once and return its value.

    The arguments are keywords because torchmetrics takes `(preds, target)`,
    Keras and scikit-learn `(y_true, y_pred)`.
    """
    torch = importlib.import_module("torch")
    # float64 where it adds up floats: its default float32 would be a third opinion.
    metric.set_dtype(torch.float64)
    metric.update(preds=torch.tensor(y_pred), target=torch.tensor(y_true))
    return metric.compute().numpy()


def run_aggregate(metric: Any, *numbers: np.ndarray) -> Any:
    """Give numbers, and weights if there are any, to a torchmetrics aggregator."""
    torch = importlib.import_module("torch")
    metric.set_dtype(torch.float64)
    metric.update(*map(torch.tensor, numbers))
    return metric.compute().numpy()
