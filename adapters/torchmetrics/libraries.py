"""Load torchmetrics and scikit-learn, each only when it is needed."""

from typing import Any

import numpy as np

from multiback.errors import MissingPackageError

SKLEARN_HINT = (
    "scikit-learn is not installed, so its column is empty. Install it with:\n"
    'pip install "multiback[sklearn]"'
)
TORCHMETRICS_HINT = (
    "torchmetrics is not installed, so its column is empty: it would be a second "
    'opinion. Install it with:\npip install "multiback[torchmetrics]"'
)


def load_torchmetrics(who: str = "crosscheck") -> Any:
    """Import torchmetrics, or raise with the install line for `who`."""
    try:
        import torch  # noqa: F401 - torchmetrics needs it
        import torchmetrics
    except ImportError as error:
        raise MissingPackageError(
            f"{who} needs torchmetrics and torch, which cannot be imported "
            f"({error}). Install them with:\n"
            'pip install "multiback[torchmetrics]"'
        ) from error
    return torchmetrics


def load_sklearn_metrics() -> Any | None:
    """Import `sklearn.metrics`; None where scikit-learn is not installed."""
    try:
        import sklearn.metrics as library
    except ImportError:
        return None
    return library


def missing_libraries() -> tuple[str, ...]:
    """Return what each missing library would add; raise if neither is installed."""
    hints = []
    if not has_torchmetrics():
        hints.append(TORCHMETRICS_HINT)
    if load_sklearn_metrics() is None:
        if hints:
            load_torchmetrics()  # Raises: no library is left to compare with.
        hints.append(SKLEARN_HINT)
    return tuple(hints)


def has_torchmetrics() -> bool:
    """Return whether torchmetrics, and torch, which it needs, can be imported."""
    try:
        load_torchmetrics()
    except MissingPackageError:
        return False
    return True


def run_torchmetrics(metric: Any, *, y_true: np.ndarray, y_pred: np.ndarray) -> Any:
    """Give a torchmetrics metric the whole set at once and return its value.

    The arguments are keywords because torchmetrics takes `(preds, target)`,
    Keras and scikit-learn `(y_true, y_pred)`.
    """
    import torch

    # float64 if it adds up floats: its default float32 would add its own rounding.
    metric.set_dtype(torch.float64)
    # By position: some classes say `targets`.
    metric.update(torch.tensor(y_pred), torch.tensor(y_true))
    return metric.compute().numpy()


def run_aggregate(metric: Any, *numbers: np.ndarray) -> Any:
    """Give numbers, and weights if there are any, to a torchmetrics aggregator."""
    import torch

    metric.set_dtype(torch.float64)
    metric.update(*map(torch.tensor, numbers))
    return metric.compute().numpy()
