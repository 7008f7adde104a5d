"""`multiback audit`: metrics that are wrong by construction."""

from typing import Any

import keras

from multiback.adapters.torchmetrics import audit
from multiback.cli.npz import Data


def audit_report(model: keras.Model, data: Data) -> Any:
    """Find compiled metrics that are wrong by construction.

    Raises:
        ArgumentError: The model has no metrics, or the data do not fit.
    """
    return audit(model, data)
