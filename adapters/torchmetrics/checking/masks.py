"""Leave out the elements that a model masks."""

import numpy as np

from multiback.adapters.torchmetrics.arrays import Array, Samples
from multiback.errors import ArgumentError


def without_masked(samples: Samples, mask: Array) -> Samples:
    """Keep the unmasked elements, one row an element."""
    arrays = {"y_true": samples.y_true, "y_pred": samples.y_pred}
    if samples.sample_weight is not None:
        weight = samples.sample_weight
        if weight.ndim == 1 or weight.shape[1:] == (1,):
            each = weight.reshape(-1, *[1] * (mask.ndim - 1))
            weight = np.broadcast_to(each, mask.shape)
        arrays["sample_weight"] = weight
    for name, array in arrays.items():
        if array.shape[: mask.ndim] != mask.shape:
            raise ArgumentError(
                f"data: {name} wants one row an element of the model's mask, whose "
                f"shape is {mask.shape}, not {array.shape}."
            )
    kept = {name: array[mask] for name, array in arrays.items()}
    return Samples(
        kept["y_true"],
        kept["y_pred"],
        kept.get("sample_weight"),
        samples.batch_size,
        masked=True,
    )
