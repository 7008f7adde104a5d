"""Say which labels of a batch a task does not know, as they were given."""

from typing import Any

import numpy as np
from keras import ops

from multiback.metrics.inputs.batch import Batch

Tensor = Any

SHOWN = 5


def explain_unknown(batch: Batch, y_true: Tensor, known: str) -> str:
    """Say which labels are wrong, which are right, and what to do.

    Args:
        batch: The batch as it was prepared.
        y_true: The labels that it was prepared from.
        known: The labels that the task knows.
    """
    wrong = ops.convert_to_numpy(batch.wrong).reshape(-1)
    given = np.asarray(ops.convert_to_numpy(y_true))
    if given.size == wrong.size:
        values = np.unique(given.reshape(-1)[wrong])
        shown = ", ".join(str(value) for value in values[:SHOWN]) or "labels"
        shown += ", ..." if len(values) > SHOWN else ""
    else:
        rows = given.reshape(wrong.size, -1)[wrong]
        shown = "rows that are not one-hot"
        shown += f", such as {rows[0].tolist()}" if len(rows) else ""
    return (
        f"y_true holds {shown} where the task knows {known}. Correct the labels, or "
        "pass ignore_index= for a label that should not count."
    )
